"""`Limits` refuses what cannot be meant, and says how to put it right."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from wynd.limits import Limits


def test_defaults_are_valid_and_frozen() -> None:
    limits = Limits()
    with pytest.raises(FrozenInstanceError):
        limits.message_bytes_max = 1  # type: ignore[misc]


@pytest.mark.parametrize("field", [field.name for field in fields(Limits)])
def test_every_limit_refuses_wrong_types_and_negative_values(field: str) -> None:
    values: tuple[Any, ...] = ("1", True, b"")
    for wrong in values:
        with pytest.raises(TypeError, match=field):
            Limits(**{field: wrong})
    with pytest.raises(ValueError, match=field):
        Limits(**{field: -1})


def test_unknown_names_are_refused() -> None:
    wrong: dict[str, Any] = {"message_size": 1}
    with pytest.raises(TypeError, match="message_size"):
        Limits(**wrong)


def test_only_some_limits_can_be_switched_off() -> None:
    assert Limits(ping_interval_s=None).ping_interval_s is None
    with pytest.raises(TypeError, match="message_bytes_max"):
        Limits(message_bytes_max=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="None switches it off"):
        Limits(ping_interval_s=0)


def test_the_soft_limit_lies_below_the_hard_one() -> None:
    with pytest.raises(ValueError, match="outbox_bytes_soft"):
        Limits(outbox_bytes_soft=2, outbox_bytes_hard=1)
