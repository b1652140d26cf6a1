"""A random sequence of calls is answered alike by every store.

The store in memory is the oracle, since it shares no code with the others. One state machine runs
over pairs of stores; what they answer, errors included, must be equal.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.contracts.chat_stores import a_ban, a_message, a_upload, author, joined
from tests.wynd_chat.domain.rows import a_member, a_room, a_user
from wynd_chat.adapters.store.memory import MemoryStore
from wynd_chat.adapters.store.sqlite import SqliteStore
from wynd_chat.domain.errors import ChatError
from wynd_chat.domain.events import LeaveHow, Left, RoleChanged, TopicChanged
from wynd_chat.domain.models import Room, RoomKind, RoomRole, UploadState, UserKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contracts.postgres import PostgresProcess
    from wynd_chat.ports.store import Snapshot, Store, Transaction

USERS = [
    a_user("Alice"),
    a_user("bob"),
    a_user("Carol", UserKind.GUEST),
    a_user("ÉVE", UserKind.BOT),
]
ROOMS = [
    a_room("dev"),
    a_room("ops", RoomKind.PRIVATE, slow_s=2),
    a_room(None, RoomKind.DM, id="r_direct", name_key=None, dm_key="u_alice u_bob"),
]
users = st.sampled_from(USERS)
rooms = st.sampled_from(ROOMS)
named_rooms = st.sampled_from([room for room in ROOMS if not room.is_direct])  # others have no key
seqs = st.integers(-1, 12)
texts = st.sampled_from(["", "hi", "Ünï\ncode 👋", "x" * 300, "a\0b", "\ud800", 'quo"te'])


class OnPurpose(Exception):
    """Raised by a work that shall leave nothing."""


def outcome_of(result: Any) -> Any:
    """Return what can be compared of an answer or an error."""
    if isinstance(result, ChatError):
        return result.code, result.sentence, result.retry_after
    if isinstance(result, ValueError):
        return ValueError
    if isinstance(result, Exception):
        return type(result), str(result)
    return result


def everything(snapshot: Snapshot) -> dict[str, Any]:
    """Return all that can be asked about the rows of this file."""
    seen: dict[str, Any] = {"accounts": snapshot.count_users(), "rooms": snapshot.list_rooms()}
    seen["listed"] = snapshot.list_users(limit=9)
    seen["guests"] = snapshot.stale_guests(9, limit=9)
    seen["ids"] = snapshot.room_ids(limit=9), snapshot.count_rooms()
    seen["bytes"] = snapshot.upload_bytes(), snapshot.has_admin()
    for user in USERS:
        seen[user.id] = (
            snapshot.user(user.id),
            snapshot.rooms_of(user.id),
            snapshot.ignored_by(user.id),
            snapshot.has_messages(user.id),
            snapshot.uploads_of(user.id, 0),
            snapshot.count_rooms_created(user.id, 0),
            sorted(snapshot.count_unread(user.id, limit=3).items()),
        )
    for room in ROOMS:
        seen[room.id] = (
            snapshot.room(room.id),
            snapshot.members(room.id),
            snapshot.bans(room.id),
            snapshot.messages(room.id, limit=99),
            [snapshot.events_after(room.id, seq, 5) for seq in range(4)],
            snapshot.count_messages(room.id, after=1),
            [snapshot.last_message_at(room.id, user.id) for user in USERS],
        )
    return seen


class SameCalls(RuleBasedStateMachine):
    """Two stores that get the same calls."""

    make_other: Callable[[], Store]
    clean_up: Callable[[], None]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stores: list[Store] = [MemoryStore(), type(self).make_other()]
        self.told: list[list[Any]] = [[], []]
        self.now = 1_000
        self.ids = itertools.count(1)
        for store, told in zip(self.stores, self.told, strict=True):
            self.runner.run(store.open())
            store.on_commit(lambda room, event, told=told: told.append((room, event)))  # type: ignore[misc]

    def teardown(self) -> None:
        """Compare everything, then close both stores."""
        try:
            self.same(lambda store: store.read(everything))
            assert self.told[0] == self.told[1]
        finally:
            for store in self.stores:
                self.runner.run(store.close())
            self.runner.close()
            type(self).clean_up()

    def same(self, call: Callable[[Store], Any]) -> None:
        """Make a call on both stores and compare the answers."""

        async def made(store: Store) -> Any:
            try:
                return await call(store)
            except (ChatError, ValueError, OnPurpose) as error:
                return error

        first, second = (outcome_of(self.runner.run(made(store))) for store in self.stores)
        assert first == second

    def write(self, work: Callable[[Transaction], Any], *, fails: bool = False) -> None:
        """Run a work on both; with `fails` it raises at its end."""

        def whole(tx: Transaction) -> Any:
            result = work(tx)
            if fails:
                raise OnPurpose
            return result

        self.same(lambda store: store.write(whole))

    @rule(user=users, fails=st.booleans(), away=st.sampled_from([None, "", "lunch"]))
    def put_user(self, user: Any, fails: bool, away: str | None) -> None:
        self.write(lambda tx: tx.put_user(replace(user, away=away)), fails=fails)

    @rule(user=users, other=users)
    def rename(self, user: Any, other: Any) -> None:
        self.write(lambda tx: tx.put_user(replace(user, name=other.name, name_key=other.name_key)))

    @rule(user=users)
    def free_name(self, user: Any) -> None:
        self.write(lambda tx: tx.put_user(replace(user, name_key=None, name_skeleton=None)))

    @rule(user=users, fails=st.booleans())
    def drop_user(self, user: Any, fails: bool) -> None:
        self.write(lambda tx: tx.drop_user(user.id), fails=fails)

    @rule(room=rooms, creator=users, fails=st.booleans(), locked=st.booleans())
    def put_room(self, room: Room, creator: Any, fails: bool, locked: bool) -> None:
        made = replace(room, created_by=creator.id, locked=locked, last_seq=7)
        self.write(lambda tx: tx.put_room(made), fails=fails)

    @rule(room=rooms, fails=st.booleans())
    def drop_room(self, room: Room, fails: bool) -> None:
        self.write(lambda tx: tx.drop_room(room.id), fails=fails)

    @rule(room=named_rooms, key=st.sampled_from(["dev", "ops", "new"]))
    def change_room_key(self, room: Room, key: str) -> None:
        self.write(lambda tx: tx.put_room(replace(room, name=key, name_key=key)))

    @rule(
        user=users,
        room=rooms,
        role=st.sampled_from(RoomRole),
        silenced=st.sampled_from([None, 1_001, 99_999]),
    )
    def join(self, user: Any, room: Room, role: RoomRole, silenced: int | None) -> None:
        member = a_member(user, room, role, silenced_until=silenced)
        self.write(lambda tx: tx.put_membership(member))

    @rule(user=users, room=rooms, fails=st.booleans())
    def leave(self, user: Any, room: Room, fails: bool) -> None:
        self.write(lambda tx: tx.drop_membership(room.id, user.id), fails=fails)

    @rule(user=users, room=rooms, seq=seqs)
    def read(self, user: Any, room: Room, seq: int) -> None:
        self.write(lambda tx: tx.raise_read(room.id, user.id, seq))

    @rule(
        user=users,
        room=rooms,
        text=texts,
        cid=st.sampled_from([None, "1", "2"]),
        reply_to=st.none() | seqs,
        mentions=st.lists(st.sampled_from([u.id for u in USERS]), max_size=2, unique=True),
        file_ids=st.lists(st.sampled_from(["f_a", "f_b"]), max_size=2),
        is_privileged=st.booleans(),
        is_announcement=st.booleans(),
        step=st.integers(0, 1_500),
        how=st.sampled_from(["post", "write", "fails"]),
    )
    def post(self, user: Any, room: Room, mentions: Any, file_ids: Any, **more: Any) -> None:
        how, step = more.pop("how"), more.pop("step")
        self.now += step
        message = a_message(
            more.pop("text"),
            user,
            room,
            id=f"m_{next(self.ids)}",
            mentions=tuple(mentions),
            file_ids=tuple(file_ids),
            at=self.now,
            **more,
        )
        if how == "post":
            self.same(lambda store: store.post(message))
        else:
            self.write(lambda tx: tx.post(message), fails=how == "fails")

    @rule(room=rooms, first=users, second=users, kind=st.integers(0, 3), fails=st.booleans())
    def append(self, room: Room, first: Any, second: Any, kind: int, fails: bool) -> None:
        body = (
            joined(first),
            TopicChanged(author(first), "Thé"),
            Left(author(first), LeaveHow.KICK, author(second), "spam"),
            RoleChanged(author(first), RoomRole.OP, author(second), 5),
        )[kind]
        self.write(lambda tx: tx.append(room.id, body, self.now), fails=fails)

    @rule(room=rooms, below=seqs)
    def trim(self, room: Room, below: int) -> None:
        self.write(lambda tx: tx.trim_events(room.id, below))

    @rule(room=rooms, before=st.integers(0, 9_000), keep=st.integers(0, 6), limit=st.integers(0, 4))
    def trim_old(self, room: Room, before: int, keep: int, limit: int) -> None:
        how = {"before": before, "keep": keep, "limit": limit}
        self.write(lambda tx: tx.trim_old_events(room.id, **how))

    @rule(
        user=users,
        since=st.integers(0, 9_000),
        room_id=st.sampled_from([None, *(room.id for room in ROOMS)]),
        fails=st.booleans(),
    )
    def purge(self, user: Any, since: int, room_id: str | None, fails: bool) -> None:
        self.write(
            lambda tx: tx.delete_messages(user.id, since=since, at=self.now, room_id=room_id),
            fails=fails,
        )

    @rule(name=st.sampled_from("ab"), owner=users, state=st.sampled_from(UploadState))
    def put_upload(self, name: str, owner: Any, state: UploadState) -> None:
        self.write(lambda tx: tx.put_upload(a_upload(name, owner, state=state)))

    @rule(user=users, other=users, is_on=st.booleans())
    def ignore(self, user: Any, other: Any, is_on: bool) -> None:
        if is_on:
            self.write(lambda tx: tx.put_ignore(user.id, other.id))
        else:
            self.write(lambda tx: tx.drop_ignore(user.id, other.id))

    @rule(room=rooms, user=users, by=users)
    def ban(self, room: Room, user: Any, by: Any) -> None:
        ban = a_ban(f"b_{user.id}", room_id=room.id, user_id=user.id, by_id=by.id)
        self.write(lambda tx: tx.put_ban(ban))

    @rule(room=rooms, after=seqs, before=seqs, limit=st.integers(-1, 4), newest=st.booleans())
    def look(self, room: Room, **how: Any) -> None:
        self.same(lambda store: store.read(lambda snapshot: snapshot.messages(room.id, **how)))

    @rule(room=rooms, seq=seqs, limit=st.integers(-1, 4))
    def replay(self, room: Room, seq: int, limit: int) -> None:
        self.same(lambda store: store.read(lambda s: s.events_after(room.id, seq, limit)))

    @rule()
    def compare_everything(self) -> None:
        self.same(lambda store: store.read(everything))


def run(make: Callable[[], Store], clean_up: Callable[[], None], share: int) -> None:
    """Run the state machine against the store in memory; `share` of the usual examples."""

    class Machine(SameCalls):
        """The machine over this kind of store."""

    Machine.make_other = staticmethod(make)
    Machine.clean_up = staticmethod(clean_up)
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=max(settings().max_examples // share, 1),
            stateful_step_count=30,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.timeout(900)
def test_sqlite_answers_as_memory_does() -> None:
    folders: list[Path] = []

    def make() -> Store:
        folders.append(Path(tempfile.mkdtemp(prefix="wynd-calls-")))
        return SqliteStore(folders[-1] / "chat.db")

    run(make, lambda: shutil.rmtree(folders.pop()), share=1)


@pytest.mark.postgres
@pytest.mark.timeout(1800)
def test_postgres_answers_as_memory_does(postgres: PostgresProcess) -> None:
    from wynd_chat.adapters.store.postgres import PostgresStore

    numbers = itertools.count(1)
    names: list[str] = []

    def make() -> Store:
        names.append(f"calls_{next(numbers)}")
        postgres.execute(f"CREATE DATABASE {names[-1]} TEMPLATE empty")
        return PostgresStore(postgres.url(names[-1]))

    def drop() -> None:
        postgres.execute(f"DROP DATABASE {names.pop()}")

    run(make, drop, share=4)
