"""`Client`: what both faces have in common."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.waiting import eventually
from tests.wynd_chat.gateway.desk import a_desk
from wynd_chat.gateway.client import Face

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_client_knows_its_face_its_user_and_where_it_came_in(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        await desk.text("Alice")
        await desk.json("Bob")
        await desk.text()
        alice, bob, nobody = desk.hub.clients.values()
        assert [client.face for client in (alice, bob, nobody)] == [Face.TEXT, Face.JSON, Face.TEXT]
        assert [client.user and client.user.name for client in (alice, bob, nobody)] == [
            "Alice",
            "Bob",
            None,
        ]
        assert nobody.user_id is None
        assert alice.base_url == f"http://{desk.address}"
        assert alice.address == "127.0.0.1"
        assert (alice.token_hash, bob.token_hash is None) == (None, False)
        assert repr(alice) == "<TextClient 1>"


async def test_who_goes_while_being_answered_is_no_error(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        for _ in range(10):
            line = await desk.text("Alice")
            await asyncio.gather(*(line.send("/help") for _ in range(5)))
            line.socket.transport.abort()
            await eventually(lambda: not desk.hub.clients)
