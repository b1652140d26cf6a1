"""The examples of the how-to pages about HTTP, frameworks and moving do what their pages say."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.docs.test_examples import load
from tests.waiting import eventually
from wynd.http import Server
from wynd.testing import serve

pytestmark = pytest.mark.timeout(60)


async def request(port: int, path: str, body: Any = None) -> tuple[int, str, Any]:
    """GET, or POST JSON; return status, body and headers."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data)

    def ask() -> tuple[int, str, Any]:
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode(), refused.headers

    return await asyncio.to_thread(ask)


def socket_of(port: int, path: str, **options: Any) -> Any:
    return connect(f"ws://127.0.0.1:{port}{path}", proxy=None, **options)


def port_of(server: Any) -> int:
    return int(server.addresses[0][1])


async def test_fastapi_and_its_wynd_share_a_counter() -> None:
    if importlib.util.find_spec("fastapi") is None:
        pytest.skip("fastapi is not installed")
    async with Server(load("howto/fastapi_app.py")["app"]).serving(0) as server:
        port = port_of(server)
        assert (await request(port, "/add/2", {}))[:2] == (200, '{"count":2}')
        async with socket_of(port, "/ws/") as one, socket_of(port, "/ws/") as two:
            assert await one.recv() == "2"
            assert await two.recv() == "2"
            await request(port, "/add/3", {})
            await two.send("10")
            for socket in (one, two):
                assert [await socket.recv(), await socket.recv()] == ["5", "15"]


async def test_rate_limit_warns_and_then_closes() -> None:
    async with serve(load("howto/rate_limit.py")["wynd"]) as server:
        client = await server.connect()
        for _ in range(30):
            await client.send_text("x")
        answers: list[Any] = []
        while (answer := await client.receive()) is not None and len(answers) < 30:
            answers.append(answer)
            if answers.count("Slow down.") == 3:
                break
        assert answers[:10] == ["Echo: x"] * 10
        assert (await client.wait_closed())[0] == 1008


async def test_login_decides_before_the_upgrade() -> None:
    async with load("howto/login.py")["app"].serving(0) as app:
        port = port_of(app)
        wrong = await request(port, "/login", {"name": "alice", "password": "guess"})
        assert wrong[0] == 401
        with pytest.raises(InvalidStatus) as refused:
            await socket_of(port, "/ws")
        assert refused.value.response.status_code == 401
        right = {"name": "alice", "password": "correct horse"}
        _, _, headers = await request(port, "/login", right)
        cookie = headers["set-cookie"].partition(";")[0]
        async with socket_of(port, "/ws", additional_headers={"Cookie": cookie}) as socket:
            assert await socket.recv() == "Hello, alice"


async def test_binary_chunks_make_a_digest() -> None:
    async with serve(load("howto/binary.py")["wynd"]) as server:
        client = await server.connect()
        for content, digested in (([b"ab", b"", b"c"], b"abc"), ([], b"")):
            for chunk in content:
                await client.send_binary(chunk)
            await client.send_text("done")
            expected = {"size": len(digested), "sha256": hashlib.sha256(digested).hexdigest()}
            assert json.loads(await client.receive_text()) == expected


async def test_moved_from_websockets() -> None:
    async with serve(load("howto/from_websockets.py")["wynd"]) as server:
        client = await server.connect()
        for name in ("Ada", "Bo"):
            await client.send_text(name)
            assert await client.receive_text() == f"Hello {name}!"


async def test_moved_from_socketio() -> None:
    async with serve(load("howto/from_socketio.py")["wynd"]) as server:
        one, two = await server.connect(), await server.connect()
        for client in (one, two):
            await client.send_text('{"event": "join", "data": {"room": "tea"}}')
        await eventually(lambda: len(server.wynd.clients()[1].joined_rooms) == 1)
        await one.send_text('{"event": "say", "data": {"room": "tea", "text": "hi"}}')
        assert json.loads(await two.receive_text()) == {
            "event": "said",
            "data": {"from": 1, "text": "hi"},
        }


async def test_dashboard_tells_every_watcher() -> None:
    async with load("howto/dashboard.py")["app"].serving(0) as app:
        port = port_of(app)
        assert "<title>Dashboard</title>" in (await request(port, "/"))[1]
        async with socket_of(port, "/ws") as one:
            assert json.loads(await one.recv())["watchers"] == 1
            async with socket_of(port, "/ws"):
                figures = json.loads(await one.recv())
                while figures["watchers"] != 2:  # a tick may come between
                    figures = json.loads(await one.recv())
            assert figures["load"] >= 0


async def test_drawing_shows_strokes_and_keeps_boards_apart() -> None:
    async with load("howto/drawing.py")["app"].serving(0) as app:
        port = port_of(app)
        assert "<canvas" in (await request(port, "/cat"))[1]
        async with (
            socket_of(port, "/boards/cat") as one,
            socket_of(port, "/boards/cat") as two,
            socket_of(port, "/boards/dog") as other,
        ):
            for socket in (one, two, other):
                assert await socket.recv() == "[]"
            await one.send("[1, 2, 3, 4]")
            assert json.loads(await two.recv()) == [[1, 2, 3, 4]]
            async with socket_of(port, "/boards/cat") as late:
                assert json.loads(await late.recv()) == [[1, 2, 3, 4]]
            await app.stop()
            with pytest.raises(ConnectionClosed):
                await other.recv()
