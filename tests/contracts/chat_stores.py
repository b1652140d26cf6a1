"""The stores that the chat's contract suite runs over, and rows to fill them with.

Knows how each store is made and, for those that keep something, how it is opened a second time.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import NullPool, create_engine

from tests.wynd_chat.domain.rows import a_member, a_room, a_user
from wynd_chat.adapters.store.memory import MemoryStore
from wynd_chat.adapters.store.postgres import PostgresStore
from wynd_chat.adapters.store.sqlite import SqliteStore
from wynd_chat.domain.events import Author, Joined, MessageKind
from wynd_chat.domain.models import (
    Ban,
    IdempotentAnswer,
    Invite,
    InviteKind,
    Room,
    RoomKind,
    RoomRole,
    Session,
    SessionKind,
    Upload,
    User,
    UserKind,
)
from wynd_chat.ports.store import NewMessage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from sqlalchemy import Engine

    from wynd_chat.ports.store import Store, Transaction

__all__ = [
    "ALICE",
    "BOB",
    "CAROL",
    "DEV",
    "LOBBY",
    "Chat",
    "a_ban",
    "a_direct_room",
    "a_message",
    "a_session",
    "a_upload",
    "an_answer",
    "an_invite",
    "author",
    "fill",
    "joined",
    "memory_chat",
    "memory_engine",
    "opened",
    "postgres_chat",
    "sqlite_chat",
]

ALICE = a_user("Alice")
BOB = a_user("Bob")
CAROL = a_user("Carol", UserKind.GUEST)
LOBBY = a_room("lobby")
DEV = a_room("dev", created_by=ALICE.id)


@dataclass(frozen=True, slots=True)
class Chat:
    """One database, which may be opened more than once."""

    name: str
    make: Callable[[], Store]
    address: str = ""
    """Where another program finds it; "" if it does not."""

    @property
    def is_kept(self) -> bool:
        """Whether a second store sees what the first one stored."""
        return self.address != ""


def memory_chat() -> Chat:
    """Return a chat in memory."""
    return Chat("memory", MemoryStore)


def sqlite_chat(folder: Path) -> Chat:
    """Return a chat in a file of a folder."""
    path = folder / "chat.db"
    return Chat("sqlite", lambda: SqliteStore(path), str(path))


def postgres_chat(url: str) -> Chat:
    """Return a chat in a database of a server."""
    return Chat("postgres", lambda: PostgresStore(url), url)


@asynccontextmanager
async def opened(store: Store, *, is_filled: bool = True) -> AsyncIterator[Store]:
    """Open a store, put Alice, Bob and Carol into #lobby and #dev, and close it at the end."""
    await store.open()
    try:
        if is_filled:
            await store.write(fill)
        yield store
    finally:
        await store.close()


def fill(transaction: Transaction) -> None:
    """Store three users in two rooms; Carol is only in the lobby."""
    for user in (ALICE, BOB, CAROL):
        transaction.put_user(user)
    for room in (LOBBY, DEV):
        transaction.put_room(room)
    for user in (ALICE, BOB, CAROL):
        transaction.put_membership(a_member(user, LOBBY))
    transaction.put_membership(a_member(ALICE, DEV, RoomRole.OWNER))
    transaction.put_membership(a_member(BOB, DEV))


def author(user: User) -> Author:
    """Return a user as an author."""
    return Author(user.id, user.name, user.kind)


def joined(user: User) -> Joined:
    """Return the event's body of a user who came."""
    return Joined(author(user))


def a_message(text: str = "hi", user: User = ALICE, room: Room = DEV, **more: Any) -> NewMessage:
    """Return a message; its id is made of room, author, text and cid unless given."""
    values: dict[str, Any] = {
        "id": f"m_{room.id}_{user.id}_{text}_{more.get('cid')}_{more.get('at')}",
        "room_id": room.id,
        "author": author(user),
        "kind": MessageKind.TEXT,
        "text": text,
        "at": 1_000,
    }
    return NewMessage(**(values | more))


def a_upload(name: str = "cat.png", owner: User = ALICE, **more: Any) -> Upload:
    """Return a pending upload; the id is made of its name."""
    values: dict[str, Any] = {
        "id": f"f_{name}",
        "sha256": f"hash of {name}",
        "size": 120_000,
        "mime": "image/png",
        "name": name,
        "w": 640,
        "h": 480,
        "owner_id": owner.id,
        "room_id": None,
        "created_at": 500,
    }
    return Upload(**(values | more))


def a_direct_room(first: User, second: User) -> Room:
    """Return the direct conversation of two users."""
    dm_key = " ".join(sorted({first.id, second.id}))
    room_id = f"r_{first.id}_{second.id}"
    return a_room(None, RoomKind.DM, id=room_id, name_key=None, dm_key=dm_key)


def a_session(token_hash: str, **more: Any) -> Session:
    """Return a login of Alice."""
    values: dict[str, Any] = {
        "token_hash": token_hash,
        "user_id": ALICE.id,
        "kind": SessionKind.WEB,
        "label": "laptop",
        "scopes": "",
        "ip": "::1",
        "user_agent": "curl",
        "created_at": 1,
        "last_seen_at": 2,
        "expires_at": None,
    }
    return Session(**(values | more))


def a_ban(ban_id: str, **more: Any) -> Ban:
    """Return a ban from #dev."""
    values: dict[str, Any] = {
        "id": ban_id,
        "room_id": DEV.id,
        "user_id": None,
        "ip_net": None,
        "reason": "spam",
        "by_id": None,
        "at": 5,
        "until": None,
    }
    return Ban(**(values | more))


def an_invite(**more: Any) -> Invite:
    """Return an invitation to #dev."""
    values: dict[str, Any] = {
        "code_hash": "code",
        "kind": InviteKind.ROOM,
        "owner_id": None,
        "target": DEV.id,
        "uses_left": 25,
        "expires_at": 9,
    }
    return Invite(**(values | more))


def an_answer(key: str = "key", at: int = 5) -> IdempotentAnswer:
    """Return an answer to Alice."""
    return IdempotentAnswer(
        user_id=ALICE.id, key=key, request_hash="h", status=201, body='{"id":"ü"}', at=at
    )


def memory_engine(**options: Any) -> Engine:
    """Return an engine for SQLite whose every connection is an empty database, gone when it ends.

    Args:
        options: Of `sqlite3.connect`.
    """
    return create_engine("sqlite://", poolclass=NullPool, connect_args=options)
