"""The rows answer the questions that everybody asks of them."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from tests.wynd_chat.domain.rows import a_room, a_user
from wynd_chat.domain.models import RoomKind, ServerRole, UserKind


@pytest.mark.parametrize("kind", UserKind)
def test_only_guests_are_guests(kind: UserKind) -> None:
    assert a_user(kind=kind).is_guest == (kind is UserKind.GUEST)


def test_only_admins_administer() -> None:
    assert a_user(role=ServerRole.ADMIN).is_admin
    assert not a_user().is_admin


def test_rooms_are_shown_by_name_and_direct_conversations_by_id() -> None:
    assert a_room("dev").shown == "dev"
    direct = a_room(None, kind=RoomKind.DM, dm_key="u_alice u_bob", id="r_1")
    assert direct.shown == "r_1"


@pytest.mark.parametrize("kind", RoomKind)
def test_only_conversations_of_two_are_direct(kind: RoomKind) -> None:
    assert a_room(kind=kind).is_direct == (kind is RoomKind.DM)


@pytest.mark.parametrize(
    ("key", "mine", "other"),
    [
        ("u_alice u_bob", "u_alice", "u_bob"),
        ("u_alice u_bob", "u_bob", "u_alice"),
        ("u_alice", "u_alice", "u_alice"),
    ],
)
def test_a_direct_conversation_has_another_side(key: str, mine: str, other: str) -> None:
    assert a_room(None, kind=RoomKind.DM, dm_key=key).peer_of(mine) == other


def test_rows_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        a_user().name = "Bob"  # type: ignore[misc]
