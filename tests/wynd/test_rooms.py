"""Audiences check names and messages before anything is published."""

from __future__ import annotations

import pytest

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
