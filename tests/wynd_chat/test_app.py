"""`Chat`: opens whole, ends in order, and notices what others do to its database."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.waiting import eventually
from wynd_chat.adapters.backup.backups import restore_backup
from wynd_chat.adapters.store.sqlite import SqliteStore
from wynd_chat.app import Chat, endpoint_of, open_store
from wynd_chat.domain.events import Message, MessageKind
from wynd_chat.ports.store import NewMessage, StoreUnusable
from wynd_chat.services.messaging import author_of
from wynd_chat.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from wynd_chat.ports.store import Snapshot, Transaction


def settings_of(data: Path, **sections: Any) -> Settings:
    server = {"port": 0} | sections.pop("server", {})
    return Settings.model_validate({"server": server, "storage": {"data": data}, **sections})


@asynccontextmanager
async def opened(data: Path, **sections: Any) -> AsyncIterator[Chat]:
    chat = Chat(settings_of(data, **sections))
    await chat.open()
    try:
        yield chat
    finally:
        await chat.close()


async def named(chat: Chat, name: str) -> ClientConnection:
    """Return a text client with a name."""
    client = await connect(f"ws://127.0.0.1:{chat.listeners.addresses[0][1]}/ws", proxy=None)
    await client.recv()
    await client.send(f"/name {name}")
    assert await client.recv() == f"You are now known as {name}"
    return client


async def last_word(client: ClientConnection) -> None:
    """Read until the end."""
    async for _ in client:
        pass
    await client.recv()


def said(snapshot: Snapshot, room_id: str) -> list[str]:
    bodies = [event.body for event in snapshot.messages(room_id, limit=50)]
    return [body.text for body in bodies if isinstance(body, Message)]


async def test_the_end_tells_clients_to_come_back_and_keeps_what_was_said(tmp_path: Path) -> None:
    async with opened(tmp_path) as chat:
        alice, bob = await named(chat, "Alice"), await named(chat, "Bob")
        assert await alice.recv() == "Bob joined the chat"
        await alice.send("remember this")
        assert await bob.recv() == "Alice: remember this"
        await chat.close()
        assert "draining" in chat.health.report().checks
        with pytest.raises(ConnectionClosed) as ended:
            await last_word(bob)
        assert ended.value.rcvd is not None
        assert ended.value.rcvd.code == 1012
        assert "retry_after=" in ended.value.rcvd.reason
    async with opened(tmp_path) as again:
        lobby = again.services.rooms.lobby_id
        texts = await again.services.store.read(lambda snapshot: said(snapshot, lobby))
        assert texts == ["remember this"]


async def test_what_another_program_posts_is_shown(tmp_path: Path) -> None:
    async with opened(tmp_path) as chat:
        alice = await named(chat, "Alice")
        other = SqliteStore(tmp_path / "chat.sqlite3")
        await other.open()
        user = await other.read(lambda snapshot: snapshot.user_by_key("alice"))
        assert user is not None
        message = NewMessage(
            id="m_other",
            room_id=chat.services.rooms.lobby_id,
            author=author_of(user),
            kind=MessageKind.TEXT,
            text="from a shell",
            at=chat.services.clock.now_ms(),
        )
        await other.post(message)
        assert await alice.recv() == "Alice: from a shell"
        await other.close()
        await alice.close()


async def test_a_room_that_another_program_purges_is_gone_for_those_in_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as chat:
        alice = await named(chat, "Alice")
        await alice.send("/join dev")
        assert await alice.recv() == "Now in #dev (1 here)"
        other = SqliteStore(tmp_path / "chat.sqlite3")
        await other.open()

        def purge(tx: Transaction) -> None:
            room = tx.room_by_key("dev")
            assert room is not None
            tx.drop_room(room.id)

        await other.write(purge)
        await other.close()
        assert await alice.recv() == "#dev was deleted"
        await alice.send("hello again")
        await alice.send("/rooms")
        assert "dev" not in await alice.recv()
        lobby = chat.services.rooms.lobby_id
        texts = await chat.services.store.read(lambda snapshot: said(snapshot, lobby))
        assert texts == ["hello again"]
        await alice.close()


async def test_unsafe_settings_are_loud_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "wynd_chat"):
        async with opened(tmp_path, auth={"query_tokens": True}) as chat:
            rendered = chat.metrics.render().decode()
    assert any("auth.query_tokens is on" in record.getMessage() for record in caplog.records)
    assert "wynd_chat_unsafe_settings 1.0" in rendered


async def test_backups_are_made_by_the_clock_where_that_is_set(tmp_path: Path) -> None:
    async with opened(tmp_path, backup={"every": 3600}):
        await eventually(lambda: list((tmp_path / "backups").glob("*.tar*")))


async def test_a_backup_on_request_can_be_restored(tmp_path: Path) -> None:
    async with opened(tmp_path / "chat") as chat:
        alice = await named(chat, "Alice")
        await alice.send("save this")
        await alice.send("/users")
        assert await alice.recv() == "Online users: Alice"
        made = await chat._make_backup()
        await alice.close()
    restored = restore_backup(
        tmp_path / "chat" / "backups" / made.name, tmp_path / "again", now_ms=1
    )
    assert restored is not None
    async with opened(tmp_path / "again") as again:
        lobby = again.services.rooms.lobby_id
        texts = await again.services.store.read(lambda snapshot: said(snapshot, lobby))
        assert texts == ["save this"]


async def test_the_first_administrator_gets_a_link_until_there_is_one(tmp_path: Path) -> None:
    async with opened(tmp_path) as chat:
        assert chat.claim_link is not None
        assert chat.claim_link.startswith(f"{chat.local_url}/claim/")


async def test_a_database_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "chat.sqlite3").write_bytes(b"this is no database, and long enough to say so" * 9)
    with pytest.raises(StoreUnusable, match=r"chat\.sqlite3"):
        await open_store(settings_of(tmp_path))


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [(None, None), ("127.0.0.1:9100", ("127.0.0.1", 9100)), ("[::1]:9100", ("::1", 9100))],
)
def test_an_endpoint_is_host_and_port(text: str | None, endpoint: tuple[str, int] | None) -> None:
    assert endpoint_of(text) == endpoint
