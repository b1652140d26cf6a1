"""`Compression`: what `Wynd(compression=...)` takes, and the sentence for what it does not."""

from __future__ import annotations

from typing import Any

import pytest

from wynd import Compression, Wynd
from wynd.compression import compression_of


def test_names_and_objects_mean_the_same() -> None:
    dedicated = Compression(mode="dedicated", level=3, client_max_window_bits=9)
    for given, expected in [
        (None, None),
        ("off", None),
        ("shared", Compression()),
        ("dedicated", Compression(mode="dedicated")),
        (dedicated, dedicated),
    ]:
        assert compression_of(given) == expected


@pytest.mark.parametrize(
    ("given", "error", "sentence"),
    [
        ("on", ValueError, 'compression must be "off", "shared" or "dedicated", not \'on\''),
        (True, TypeError, "compression must be a str or a Compression, not bool"),
    ],
)
def test_anything_else_is_refused_at_the_call(
    given: Any, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=f"^{sentence}$"):
        Wynd(compression=given)


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"mode": "off"}, ValueError, 'mode must be "shared" or "dedicated", not \'off\''),
        ({"level": 0}, ValueError, "level must be 1 to 9, not 0"),
        ({"level": 10}, ValueError, "level must be 1 to 9, not 10"),
        ({"level": 1.5}, TypeError, "level must be an int, not float"),
        ({"level": True}, TypeError, "level must be an int, not bool"),
        (
            {"mode": "dedicated", "server_max_window_bits": 8},
            ValueError,
            "server_max_window_bits must be 9 to 15, not 8",
        ),
        (
            {"client_max_window_bits": 12},
            ValueError,
            'client_max_window_bits needs mode="dedicated": "shared" keeps no window',
        ),
    ],
)
def test_wrong_values_are_named(
    options: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=f"^{sentence}$"):
        Compression(**options)
