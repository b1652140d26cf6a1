"""Audiences check names and messages before anything is published."""

from __future__ import annotations

import pytest

from wynd.engines.base import Policy, Prepared
from wynd.errors import LimitExceeded
from wynd.limits import Limits
from wynd.rooms import check_room


def test_a_room_name_is_any_str_within_its_limit() -> None:
    limits = Limits(room_name_bytes_max=4)
    for name in ("", "a b", "\0", "ä*", "room"):
        check_room(name, limits)
    with pytest.raises(LimitExceeded):
        check_room("äää", limits)
    with pytest.raises(ValueError, match="surrogate"):
        check_room("\ud800", limits)
    with pytest.raises(TypeError):
        check_room(b"room", limits)  # type: ignore[arg-type]


def test_policies_are_values_with_a_name() -> None:
    assert repr(Policy.latest) == "Policy.latest"
    assert repr(Policy.close(4000, "slow")) == "Policy.close(code=4000, reason='slow')"
    assert (Policy.close().code, Policy.close().reason) == (1013, "Too slow.")
    with pytest.raises(ValueError, match="1006"):
        Policy.close(1006)


def test_prepared_knows_its_kind_and_refuses_others() -> None:
    assert repr(Prepared("ä")) == "Prepared(TEXT, 2 bytes)"
    assert Prepared(memoryview(b"ab")).payload == b"ab"
    with pytest.raises(TypeError):
        Prepared(1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="surrogate"):
        Prepared("\ud800")
