"""No connection outlives its login: expiry, other programs, half-hourly looks; through the server.

The clock is in hand, sockets are real.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.waiting import eventually
from tests.wynd_chat.kit import FailingStore, HandClock
from tests.wynd_chat.observability.clocks import settle
from wynd_chat.adapters.store.memory import MemoryStore
from wynd_chat.adapters.store.sqlite import SqliteStore
from wynd_chat.app import Chat
from wynd_chat.domain.models import ServerRole, SessionKind, User, UserStatus
from wynd_chat.services.accounts import hash_of
from wynd_chat.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

GOOD = "correct horse battery staple"
HOUR_S = 3600.0


class House:
    """A chat whose time stands still, and short ways to it."""

    def __init__(self, chat: Chat, store: FailingStore, clock: HandClock) -> None:
        self.chat = chat
        self.store = store
        self.clock = clock
        self.sockets: list[ClientConnection] = []

    async def account(self, name: str = "Alice") -> User:
        """Make an account."""
        return (await self.chat.services.logins.register(name, GOOD, None)).user

    async def token(self, user: User, kind: SessionKind = SessionKind.WEB, **more: Any) -> str:
        """Log a user in; `more` are fields of the login's row."""
        token, session = await self.chat.services.sessions.begin(user, kind)
        changed = replace(session, **more)
        await self.store.write(lambda tx: tx.put_session(changed))
        return token

    async def enter(self, token: str) -> ClientConnection:
        """Connect with a token, and be greeted by name."""
        port = self.chat.listeners.addresses[0][1]
        socket = await connect(
            f"ws://127.0.0.1:{port}/ws",
            subprotocols=["chat.v1.json"],  # type: ignore[list-item]
            additional_headers={"authorization": f"Bearer {token}"},
            compression=None,
            proxy=None,
            ping_interval=None,
        )
        self.sockets.append(socket)
        hello = json.loads(await socket.recv())
        assert hello["user"] is not None
        return socket

    async def ended(self, socket: ClientConnection) -> int:
        """Return the code with which the server closes a connection."""
        with suppress(ConnectionClosed):
            async for _ in socket:
                pass
        assert socket.close_code is not None
        return socket.close_code

    async def is_open(self, socket: ClientConnection) -> bool:
        """Tell whether a connection still answers, in its order of things."""
        await socket.send('{"type":"commands","id":"probe"}')
        try:
            while json.loads(await socket.recv()).get("re") != "probe":
                pass
        except ConnectionClosed:
            return False
        return True


@asynccontextmanager
async def a_house(folder: Path, store: Any = None) -> AsyncIterator[House]:
    """Open a chat with a clock in hand."""
    failing, clock = FailingStore(store or MemoryStore()), HandClock()
    await failing.open()
    values = {"server": {"port": 0}, "storage": {"url": "memory:", "data": folder}}
    chat = Chat(Settings.model_validate(values), store=failing, clock=clock)
    await chat.open()
    house = House(chat, failing, clock)
    try:
        yield house
    finally:
        for socket in house.sockets:
            await socket.close()
        failing.failure = None
        await chat.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Give a chat over the memory store."""
    async with a_house(tmp_path) as house:
        yield house


async def test_a_login_that_expires_takes_its_connections_along_within_a_second(
    house: House,
) -> None:
    alice = await house.account()
    now = house.clock.now_ms()
    short = await house.enter(await house.token(alice, SessionKind.API, expires_at=now + 90_000))
    lasting = await house.enter(await house.token(alice))
    await house.clock.advance(89)
    assert await house.is_open(short)
    await house.clock.advance(2)
    assert await house.ended(short) == 4501
    assert await house.is_open(lasting)


@pytest.mark.parametrize("kind", [SessionKind.GUEST, SessionKind.DEVICE, SessionKind.WEB])
async def test_a_login_in_use_is_renewed_as_long_as_it_is(house: House, kind: SessionKind) -> None:
    alice = await house.account()
    token = await house.token(alice, kind)
    socket = await house.enter(token)
    revocation = house.chat._doorman.revocation
    for _ in range(40 * 24 if kind is SessionKind.WEB else 3 * 24):
        house.clock._now += HOUR_S  # the hub's ticks of all these seconds would take minutes
        revocation.recheck()
        await settle()
    assert await house.is_open(socket)
    assert (await house.chat.services.accounts.resume(token))[0].id == alice.id


async def test_every_half_hour_a_login_is_looked_at(house: House) -> None:
    alice, bob = await house.account(), await house.account("Bob")
    tokens = [await house.token(user) for user in (alice, bob)]
    first, second = [await house.enter(token) for token in tokens]
    # Gone without a word, as when another node ended it and its notice was lost.
    await house.store.write(lambda tx: tx.drop_session(hash_of(tokens[0])))
    await house.clock.advance(1799)
    assert await house.is_open(first)
    await house.clock.advance(30)
    assert await house.ended(first) == 4501
    assert await house.is_open(second)


@pytest.mark.parametrize(
    ("status", "code"), [(UserStatus.BANNED, 4503), (UserStatus.DEACTIVATED, 4501)]
)
async def test_a_user_who_may_not_log_in_any_more_is_put_out(
    house: House, status: UserStatus, code: int
) -> None:
    alice = await house.account()
    socket = await house.enter(await house.token(alice))
    await house.store.write(lambda tx: tx.put_user(replace(alice, status=status)))
    house.chat._doorman.revocation.recheck()
    assert await house.ended(socket) == code


async def test_looking_goes_on_after_the_store_failed(house: House) -> None:
    alice = await house.account()
    token = await house.token(alice)
    socket = await house.enter(token)
    await house.store.write(lambda tx: tx.drop_session(hash_of(token)))
    house.store.fail()
    house.chat._doorman.revocation.recheck()
    await house.clock.advance(4)
    house.store.failure = None
    await house.clock.advance(2)
    assert await house.ended(socket) == 4501


async def test_what_arrives_after_the_end_is_not_taken(house: House) -> None:
    alice = await house.account()
    token = await house.token(alice)
    socket = await house.enter(token)
    await eventually(lambda: house.chat.hub.clients_of(alice.id))
    (client,) = house.chat.hub.clients_of(alice.id)
    await house.chat.services.sessions.end(alice, hash_of(token))
    await client.frame('{"type":"send","id":1,"room":"lobby","cid":"a","text":"too late"}')
    assert await house.ended(socket) == 4501
    lobby = house.chat.services.rooms.lobby_id
    assert await house.store.read(lambda snapshot: snapshot.count_messages(lobby)) == 0


async def test_a_login_that_ends_while_somebody_enters_lets_nobody_in(house: House) -> None:
    alice = await house.account()
    token = await house.token(alice)
    resume = house.chat.services.accounts.resume

    looks = 0

    async def resumed_too_early(token: str) -> Any:
        nonlocal looks
        looks += 1
        found = await resume(token)
        if looks == 2:  # the first one was before the upgrade
            await house.chat.services.sessions.end(alice, hash_of(token))
        return found

    house.chat.services.accounts.resume = resumed_too_early  # type: ignore[method-assign]
    port = house.chat.listeners.addresses[0][1]
    socket = await connect(
        f"ws://127.0.0.1:{port}/ws",
        additional_headers={"authorization": f"Bearer {token}"},
        compression=None,
        proxy=None,
    )
    house.sockets.append(socket)
    assert "Welcome" in str(await socket.recv())
    assert await house.ended(socket) == 4501
    assert house.chat.services.presences.count() == 0


async def test_a_token_that_ends_during_the_upgrade_lets_nobody_in(house: House) -> None:
    alice = await house.account()
    token = await house.token(alice)
    resume = house.chat.services.accounts.resume

    async def resumed_once(token: str) -> Any:
        found = await resume(token)
        await house.chat.services.sessions.end(alice, hash_of(token))
        return found

    house.chat.services.accounts.resume = resumed_once  # type: ignore[method-assign]
    port = house.chat.listeners.addresses[0][1]
    socket = await connect(
        f"ws://127.0.0.1:{port}/ws",
        additional_headers={"authorization": f"Bearer {token}"},
        compression=None,
        proxy=None,
    )
    house.sockets.append(socket)
    assert await house.ended(socket) == 4501


async def test_ends_of_connections_that_went_are_forgotten(house: House) -> None:
    alice = await house.account()
    revocation = house.chat._doorman.revocation
    socket = await house.enter(await house.token(alice))
    await eventually(lambda: house.chat.hub.clients_of(alice.id))
    (client,) = house.chat.hub.clients_of(alice.id)
    _, session = await house.chat.services.sessions.begin(alice, SessionKind.WEB)
    for _ in range(5000):
        revocation.entered(client, session)
    assert len(revocation._ends) <= 1003
    assert await house.is_open(socket)


# Other programs


async def test_what_another_program_ends_is_noticed_within_about_a_second(tmp_path: Path) -> None:
    path = tmp_path / "chat.sqlite3"
    async with a_house(tmp_path, SqliteStore(path)) as house:
        alice, bob = await house.account(), await house.account("Bob")
        token = await house.token(alice)
        first, second = await house.enter(token), await house.enter(await house.token(bob))
        await eventually(lambda: len(house.chat.hub.clients) == 2)
        with closing(sqlite3.connect(path)) as other, other:
            # as `wynd-chat token --revoke` does
            other.execute("DELETE FROM sessions WHERE token_hash = ?", (hash_of(token),))
        assert await house.ended(first) == 4501
        assert await house.is_open(second)
        with closing(sqlite3.connect(path)) as other, other:
            # as `wynd-chat user role Bob admin` does
            other.execute("UPDATE users SET role = 'admin' WHERE id = ?", (bob.id,))
        (client,) = house.chat.hub.clients_of(bob.id)
        await eventually(lambda: client.user is not None and client.user.role is ServerRole.ADMIN)
        with closing(sqlite3.connect(path)) as other, other:
            # as `wynd-chat user delete Bob` does
            other.execute("PRAGMA foreign_keys = ON")
            other.execute("DELETE FROM users WHERE id = ?", (bob.id,))
        assert await house.ended(second) == 4501


async def test_a_store_that_notices_nothing_is_asked_every_few_seconds(tmp_path: Path) -> None:
    store = MemoryStore()
    store.on_foreign_change = lambda callback: False  # type: ignore[method-assign]
    async with a_house(tmp_path, store) as house:
        alice = await house.account()
        token = await house.token(alice)
        socket = await house.enter(token)
        await house.store.write(lambda tx: tx.drop_session(hash_of(token)))
        await house.clock.advance(5)
        assert await house.ended(socket) == 4501
