"""Logins that belong to one connection end with it, and only with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from websockets.asyncio.client import connect

from tests.waiting import eventually
from tests.wynd_chat.gateway.test_revocation import GOOD, House, a_house
from wynd_chat.domain.models import SessionKind

if TYPE_CHECKING:
    from pathlib import Path

    from websockets.asyncio.client import ClientConnection


async def typed(house: House, *lines: str) -> ClientConnection:
    """Connect to the text face, and type some lines."""
    port = house.chat.listeners.addresses[0][1]
    socket = await connect(f"ws://127.0.0.1:{port}/ws", compression=None, proxy=None)
    house.sockets.append(socket)
    await socket.recv()
    for line in lines:
        await socket.send(line)
    return socket


async def test_a_login_by_a_command_ends_with_its_connection(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        alice = await house.account()
        sessions = house.chat.services.sessions
        await sessions.begin(alice, SessionKind.WEB)
        first = await typed(house, f"/login Alice {GOOD}")
        assert await first.recv() == "You are now known as Alice"
        second = await typed(house, f"/login Alice {GOOD}")
        assert await second.recv() == "You are now known as Alice"
        kinds = [one.kind for one in await sessions.list_of(alice)]
        assert sorted(kinds) == [SessionKind.DEVICE, SessionKind.DEVICE, SessionKind.WEB]
        first.transport.abort()
        await eventually(lambda: len(house.chat.hub.clients) == 1)
        await eventually(lambda: len(house.store._store._tables.sessions) == 2)  # type: ignore[attr-defined]
        kinds = [one.kind for one in await sessions.list_of(alice)]
        assert sorted(kinds) == [SessionKind.DEVICE, SessionKind.WEB]
        await second.send("/users")
        assert await second.recv() == "Online users: Alice"


async def test_who_logs_in_twice_on_a_connection_has_one_login(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        alice, bob = await house.account(), await house.account("Bob")
        socket = await typed(house, f"/login Alice {GOOD}", f"/login Bob {GOOD}")
        for name in ("Alice", "Bob"):
            while await socket.recv() != f"You are now known as {name}":
                pass
        sessions = house.chat.services.sessions
        await socket.send("/help sessions")
        await socket.recv()
        assert [one.kind for one in await sessions.list_of(bob)] == [SessionKind.DEVICE]
        assert await sessions.list_of(alice) == []


async def test_a_connection_that_went_before_its_code_was_approved_leaves_nothing(
    tmp_path: Path,
) -> None:
    async with a_house(tmp_path) as house:
        alice = await house.account()
        socket = await typed(house, "/login")
        code = str(await socket.recv()).rpartition(" ")[2]
        await socket.close()
        await eventually(lambda: not house.chat.hub.clients)
        await eventually(lambda: not house.chat.services.links._waiting)
        await house.chat.services.links.approve(alice, code)
        assert await house.chat.services.sessions.list_of(alice) == []
        assert house.chat.services.presences.count() == 0
