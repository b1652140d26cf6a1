"""Rooms of the portable engine."""

from __future__ import annotations

import pytest

from wynd.engines.base import Policy
from wynd.engines.membership import Rooms


def test_members_are_kept_in_the_order_they_joined() -> None:
    rooms: Rooms[str] = Rooms()
    for key, member in ((3, "c"), (1, "a"), (3, "c")):
        rooms.join("red", key, member)
    room = rooms.get("red")
    assert room is not None
    assert list(room.members.items()) == [(3, "c"), (1, "a")]


def test_an_empty_room_does_not_exist() -> None:
    rooms: Rooms[str] = Rooms()
    rooms.join("red", 1, "a")
    rooms.leave(("red", "blue", "red"), 1)
    rooms.leave(("red",), 2)
    assert rooms.get("red") is None
    assert len(rooms) == 0


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("red", "red", True),
        ("red", "Red", False),
        ("red", "reddish", False),
        ("red*", "reddish", True),
        ("*red", "infrared", True),
        ("r*d", "rd", True),
        ("a*b*c", "aXbYc", True),
        ("a*b*c", "acb", False),
        ("*", "", True),
        ("**", "a\nb", True),
        ("a.c", "abc", False),
        ("[a]", "a", False),
        ("a?", "ab", False),
    ],
)
def test_a_star_matches_any_run_and_nothing_else_is_special(
    pattern: str, name: str, matches: bool
) -> None:
    rooms: Rooms[str] = Rooms()
    rooms.set_policy(pattern, Policy.latest)
    rooms.join(name, 1, "a")
    room = rooms.get(name)
    assert room is not None
    assert (room.policy is Policy.latest) is matches


def test_the_first_matching_pattern_counts_also_for_rooms_that_exist() -> None:
    rooms: Rooms[str] = Rooms()
    rooms.join("news.de", 1, "a")
    room = rooms.get("news.de")
    assert room is not None
    assert room.policy.kind == "close"
    rooms.set_policy("news.*", Policy.drop_oldest)
    rooms.set_policy("*", Policy.latest)
    assert room.policy is Policy.drop_oldest
