"""A chat on disk to save and restore: a real store with users, messages and files."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from wynd_chat.adapters.backup.archive import content_path
from wynd_chat.adapters.store.sqlite import SqliteStore
from wynd_chat.domain.events import Author, MessageKind
from wynd_chat.domain.models import (
    Membership,
    Room,
    RoomKind,
    Upload,
    UploadState,
    User,
    UserKind,
)
from wynd_chat.ports.store import NewMessage

if TYPE_CHECKING:
    from pathlib import Path

    from wynd_chat.ports.store import Transaction

__all__ = ["add_file", "make_chat", "make_folder", "message", "names_in", "open_chat", "texts"]

AUTHOR = Author("u_1", "Alice", UserKind.HUMAN)


async def open_chat(data: Path) -> SqliteStore:
    """Open the database of a data directory."""
    make_folder(data)
    store = SqliteStore(data / "chat.sqlite3")
    await store.open()
    return store


def make_folder(data: Path) -> None:
    """Make a data directory."""
    data.mkdir(parents=True, exist_ok=True)


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


async def make_chat(data: Path, messages: int = 3) -> SqliteStore:
    """Make a chat with a room, a user and messages 1, 2, ...; leave it running."""
    store = await open_chat(data)

    def work(tx: Transaction) -> None:
        tx.put_user(
            User(
                id="u_1",
                name="Alice",
                name_key="alice",
                name_skeleton="alice",
                kind=UserKind.HUMAN,
                created_at=1,
                last_seen_at=1,
            )
        )
        tx.put_room(
            Room(
                id="r_1",
                kind=RoomKind.PUBLIC,
                name="dev",
                name_key="dev",
                created_by="u_1",
                created_at=1,
            )
        )
        tx.put_membership(Membership(room_id="r_1", user_id="u_1", joined_seq=0))

    await store.write(work)
    for number in range(1, messages + 1):
        await store.post(message(number))
    return store


def message(number: int) -> NewMessage:
    """Return a message that says its number."""
    return NewMessage(
        id=f"m_{number:06}",
        room_id="r_1",
        author=AUTHOR,
        kind=MessageKind.TEXT,
        text=str(number),
        at=number,
    )


async def texts(store: SqliteStore) -> list[int]:
    """Return the numbers that were said."""
    events = await store.read(lambda snapshot: snapshot.messages("r_1", limit=100_000))
    return [int(event.body.text) for event in events]  # type: ignore[union-attr]


async def add_file(store: SqliteStore, data: Path, content: bytes, upload_id: str = "f_1") -> str:
    """Store a file as the chat does; return its SHA-256."""
    sha256 = hashlib.sha256(content).hexdigest()
    path = data / content_path(sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    upload = Upload(
        id=upload_id,
        sha256=sha256,
        size=len(content),
        mime="text/plain",
        name="../../etc/passwd",
        owner_id="u_1",
        room_id="r_1",
        state=UploadState.ATTACHED,
        created_at=1,
    )
    await store.write(lambda tx: tx.put_upload(upload))
    return sha256
