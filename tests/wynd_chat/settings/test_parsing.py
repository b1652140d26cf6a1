"""Single values: what is taken, in which spellings."""

from __future__ import annotations

from typing import Any

import pytest

from wynd_chat.settings import parsing


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 0), ("25", 25), ("25 MiB", 25 * 1024**2), ("1gib", 1024**3), ("3b", 3), (7, 7)],
)
def test_counts_may_have_a_unit(text: Any, count: int) -> None:
    assert parsing.as_count(text) == count


@pytest.mark.parametrize("text", ["", "-1", "1.5", "1 MB", "x", "1 2", True, None, 1.0, "²"])
def test_what_is_no_count_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="no"):
        parsing.as_count(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("24H", 86_400), ("1w", 604_800), (5, 5), ("off", None)]
)
def test_times_are_written_as_in_commands(text: Any, seconds: int | None) -> None:
    assert parsing.as_duration(text) == seconds


@pytest.mark.parametrize(
    ("endpoint", "parts"),
    [
        ("127.0.0.1:9100", ("127.0.0.1", 9100)),
        ("[::1]:9100", ("::1", 9100)),
        ("localhost:0", ("localhost", 0)),
    ],
)
def test_endpoints_are_host_and_port(endpoint: str, parts: tuple[str, int]) -> None:
    assert parsing.split_endpoint(endpoint) == parts


@pytest.mark.parametrize("endpoint", ["", ":1", "host", "host:", "host:x", "a:1:2"])
def test_what_is_no_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match="no"):
        parsing.split_endpoint(endpoint)


@pytest.mark.parametrize(
    ("value", "entries"),
    [("", ()), ("a", ("a",)), (" a , b,,", ("a", "b")), (["a", ""], ("a",)), (("a",), ("a",))],
)
def test_lists_are_lists_or_texts_with_commas(value: Any, entries: tuple[str, ...]) -> None:
    assert parsing.as_list(value) == entries


def test_the_defaults_own_name_for_origins_is_understood() -> None:
    assert parsing.as_origins("same-host") == ()
    assert parsing.as_origins("*") == ("*",)
    assert parsing.as_origins("HTTPS://A.example:8443") == ("https://a.example:8443",)


@pytest.mark.parametrize("value", ["on", "YES", "1", "true", True])
def test_yes_has_several_spellings(value: Any) -> None:
    assert parsing.as_bool(value) is True


@pytest.mark.parametrize("value", ["off", "no", "0", "False", False])
def test_no_has_several_spellings(value: Any) -> None:
    assert parsing.as_bool(value) is False
