"""The contract of `wynd_chat.ports.store.Store`: what upkeep asks and removes, in bounded steps.

Logins by the dozen, what has ended, guests who have gone, events that are too old.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.contracts.chat_stores import (
    ALICE,
    BOB,
    CAROL,
    DEV,
    LOBBY,
    a_direct_room,
    a_message,
    a_session,
    an_invite,
    joined,
)
from tests.wynd_chat.domain.rows import a_user
from wynd_chat.domain.models import LinkCode, ServerRole, UploadToken, UserKind, UserStatus

if TYPE_CHECKING:
    from tests.contracts.chat_stores import Chat
    from wynd_chat.domain.models import Invite, User
    from wynd_chat.ports.store import EventsPage, Snapshot, Store, Transaction


def put_user(user: User, transaction: Transaction) -> None:
    """Store a user."""
    transaction.put_user(user)


def invite(code_hash: str, snapshot: Snapshot) -> Invite | None:
    """Return an invitation."""
    return snapshot.invite(code_hash)


def event_after(seq: int, snapshot: Snapshot) -> EventsPage:
    """Return the event of #dev above a seq."""
    return snapshot.events_after(DEV.id, seq, 1)


async def test_logins_are_found_by_the_dozen(store: Store) -> None:
    hashes = [f"hash-{number:04}" for number in range(1200)]

    def put(tx: Transaction) -> None:
        for one in hashes[::2]:
            tx.put_session(a_session(one))

    await store.write(put)
    found = await store.read(lambda snapshot: snapshot.sessions(hashes))
    assert found == {one: a_session(one) for one in hashes[::2]}
    assert await store.read(lambda snapshot: snapshot.sessions([])) == {}


async def test_an_admin_is_one_who_may_log_in(store: Store) -> None:
    async def has_admin() -> bool:
        return await store.read(lambda snapshot: snapshot.has_admin())

    assert not await has_admin()
    for user, is_admin in (
        (replace(CAROL, role=ServerRole.ADMIN), False),  # a guest
        (replace(BOB, role=ServerRole.ADMIN, status=UserStatus.BANNED), False),
        (replace(BOB, role=ServerRole.ADMIN, status=UserStatus.DEACTIVATED), False),
        (replace(BOB, role=ServerRole.ADMIN), True),
        (replace(BOB, role=ServerRole.USER), False),
    ):
        await store.write(partial(put_user, user))
        assert await has_admin() is is_admin, user


async def test_what_has_ended_is_dropped_in_steps(store: Store) -> None:
    def put(tx: Transaction) -> None:
        for number in range(5):
            tx.put_session(a_session(f"old-{number}", expires_at=10 + number))
        tx.put_session(a_session("lasting", expires_at=None))
        tx.put_session(a_session("later", expires_at=100))
        tx.put_invite(an_invite(code_hash="old", expires_at=10))
        tx.put_invite(an_invite(code_hash="used up", uses_left=0, expires_at=500))
        tx.put_invite(an_invite(code_hash="good", expires_at=500))
        for name, ends in (("old", 10), ("good", 500)):
            tx.put_link_code(
                LinkCode(
                    code_hash=name, owner_id=None, target="waiting", uses_left=1, expires_at=ends
                )
            )
            tx.put_upload_token(
                UploadToken(
                    code_hash=name,
                    owner_id=ALICE.id,
                    target=DEV.id,
                    uses_left=1,
                    expires_at=ends,
                )
            )

    await store.write(put)
    assert await store.write(lambda tx: tx.drop_ended(100, 3)) == 3 + 2 + 1 + 1
    assert await store.write(lambda tx: tx.drop_ended(100, 3)) == 2
    assert await store.write(lambda tx: tx.drop_ended(100, 3)) == 0
    kept = await store.read(lambda snapshot: snapshot.sessions_of(ALICE.id))
    assert {session.token_hash for session in kept} == {"lasting", "later"}
    for name, is_kept in (("old", False), ("used up", False), ("good", True)):
        found = await store.read(partial(invite, name))
        assert (found is not None) is is_kept
    assert await store.read(lambda snapshot: snapshot.link_code("good")) is not None
    assert await store.read(lambda snapshot: snapshot.link_code("old")) is None
    assert await store.read(lambda snapshot: snapshot.upload_token("good")) is not None
    assert await store.read(lambda snapshot: snapshot.upload_token("old")) is None


async def test_stale_guests_are_those_who_left_something_but_no_login(store: Store) -> None:
    def guest(name: str, **more: object) -> User:
        return replace(a_user(name, UserKind.GUEST), **more)  # type: ignore[arg-type]

    named = guest("Dora", last_seen_at=5)
    fresh = guest("Erna", last_seen_at=50)
    kept = guest("Fred", last_seen_at=5)
    nothing = guest("Gina", last_seen_at=5, name_key=None, name_skeleton=None)
    carol = replace(CAROL, last_seen_at=5, name_key=None, name_skeleton=None)  # in the lobby

    def put(tx: Transaction) -> None:
        for user in (named, fresh, kept, nothing, carol, replace(BOB, last_seen_at=5)):
            tx.put_user(user)
        tx.put_session(a_session("of Fred", user_id=kept.id))

    await store.write(put)

    async def stale(after: str = "", limit: int = 10) -> list[str]:
        users = await store.read(lambda snap: snap.stale_guests(50, after_id=after, limit=limit))
        return [user.id for user in users]

    both = sorted([named.id, carol.id])
    assert await stale() == both
    assert await stale(limit=1) == both[:1]
    assert await stale(after=both[0]) == both[1:]
    assert await stale(limit=0) == []


async def test_it_is_known_who_ever_wrote(store: Store) -> None:
    await store.post(a_message("hi", BOB))
    assert await store.read(lambda snapshot: snapshot.has_messages(BOB.id))
    assert not await store.read(lambda snapshot: snapshot.has_messages(ALICE.id))
    assert not await store.read(lambda snapshot: snapshot.has_messages("u_nobody"))


async def test_all_rooms_are_walked_through_by_id(store: Store) -> None:
    direct = a_direct_room(ALICE, BOB)
    await store.write(lambda tx: tx.put_room(direct))
    ids = sorted([DEV.id, LOBBY.id, direct.id])
    assert await store.read(lambda snapshot: snapshot.room_ids(limit=9)) == ids
    assert await store.read(lambda snapshot: snapshot.room_ids(limit=2)) == ids[:2]
    assert await store.read(lambda snap: snap.room_ids(after_id=ids[0], limit=9)) == ids[1:]


async def fill_with_events(store: Store) -> None:
    """Put ten events into #dev, of the times 1 to 10; those of even times are messages."""

    def put(tx: Transaction) -> None:
        for at in range(1, 11):
            if at % 2:
                tx.append(DEV.id, joined(BOB), at)
            else:
                tx.post(a_message(f"at {at}", at=at))

    await store.write(put)


async def first_event(store: Store) -> int:
    """Return the seq of the oldest event of #dev that is still told."""
    for seq in range(11):
        page = await store.read(partial(event_after, seq))
        if page.is_complete:
            return seq + 1
    raise AssertionError("there is no event")


async def test_old_events_are_trimmed_and_messages_stay(store: Store) -> None:
    await fill_with_events(store)
    assert (
        await store.write(lambda tx: tx.trim_old_events(DEV.id, before=5, keep=100, limit=100)) == 4
    )
    assert await first_event(store) == 5
    assert await store.read(lambda snapshot: snapshot.count_messages(DEV.id)) == 5


async def test_events_beyond_the_newest_are_trimmed(store: Store) -> None:
    await fill_with_events(store)
    assert await store.write(lambda tx: tx.trim_old_events(DEV.id, before=0, keep=3, limit=9)) == 7
    assert await first_event(store) == 8


async def test_trimming_is_done_in_steps_until_nothing_is_left_to_do(store: Store) -> None:
    await fill_with_events(store)
    done = [
        await store.write(lambda tx: tx.trim_old_events(DEV.id, before=8, keep=2, limit=5))
        for _ in range(3)
    ]
    assert done == [5, 3, 0]
    assert await first_event(store) == 9


@pytest.mark.parametrize("room_id", [LOBBY.id, "r_none"])
async def test_there_is_nothing_to_trim_in_an_empty_room(room_id: str, store: Store) -> None:
    trimmed = await store.write(lambda tx: tx.trim_old_events(room_id, before=99, keep=1, limit=9))
    assert trimmed == 0


async def test_a_store_says_whether_it_notices_other_programs(chat: Chat, store: Store) -> None:
    notices = {"memory": True, "sqlite": True, "postgres": False}
    assert store.on_foreign_change(lambda: None) is notices[chat.name]
