"""`App`: what handlers may return, mounted Wynds beside routes, lifespan, start and stop."""

from __future__ import annotations

import asyncio
import http.client
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from wynd import Wynd
from wynd.http import App

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


async def ask(app: App, method: str, path: str, body: bytes | None = None) -> Any:
    """Send one request; return the response with its body as `content`."""

    def send() -> Any:
        connection = http.client.HTTPConnection(
            str(app.addresses[0][0]), int(app.addresses[0][1]), 10
        )
        connection.request(method, path, body)
        response: Any = connection.getresponse()
        response.content = response.read()
        connection.close()
        return response

    return await asyncio.to_thread(send)


def socket_of(app: App, path: str) -> Any:
    """Connect a client of the `websockets` package."""
    return connect(f"ws://127.0.0.1:{app.addresses[0][1]}{path}", proxy=None)


def echo(prefix: str = "") -> Wynd:
    """A Wynd that answers each text with its path parameters, a prefix and the text."""
    wynd = Wynd(origins="*")

    @wynd.on_text
    async def answer(message: Any, handle: Any) -> None:
        params = "".join(f"{value} " for value in handle.request.path_params.values())
        await handle.send_text(f"{params}{prefix}{message.data}")

    return wynd


@pytest.mark.parametrize(
    ("result", "content", "kind"),
    [
        ({"a": [1]}, b'{"a":[1]}', "application/json"),
        (["a"], b'["a"]', "application/json"),
        ("<p>é</p>", "<p>é</p>".encode(), "text/html; charset=utf-8"),
        (b"\x00", b"\x00", "application/octet-stream"),
        (PlainTextResponse("own", 201), b"own", "text/plain; charset=utf-8"),
    ],
)
@pytest.mark.parametrize("is_async", [False, True])
async def test_what_a_handler_returns(
    result: Any, content: bytes, kind: str, is_async: bool
) -> None:
    app = App()
    if is_async:

        @app.get("/")
        async def answer(request: Any) -> Any:
            return result
    else:

        @app.get("/")
        def answer_plainly(request: Any) -> Any:
            return result

    async with app.serving(0):
        response = await ask(app, "GET", "/")
    assert (response.content, response.headers["content-type"]) == (content, kind)


async def test_a_handler_that_returns_nothing_is_an_error() -> None:
    app = App()
    app.get("/")(lambda request: None)
    async with app.serving(0):
        assert (await ask(app, "GET", "/")).status == 500


async def test_each_method_has_its_decorator() -> None:
    app = App()
    for method in ("get", "post", "put", "delete", "patch"):

        async def answer(request: Any) -> dict[str, Any]:
            sent = (await request.body()).decode()
            return {"method": request.method, "id": request.path_params["id"], "sent": sent}

        getattr(app, method)("/items/{id:int}")(answer)
    async with app.serving(0):
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
            response = await ask(app, method, "/items/7", b"x")
            assert b'"method":"%s","id":7,"sent":"x"' % method.encode() in response.content
        assert (await ask(app, "GET", "/nowhere")).status == 404


async def test_upgrades_go_to_the_wynd_and_the_rest_to_the_routes() -> None:
    app = App()
    app.get("/both")(lambda request: {"http": True})
    app.use_wynd("/both", echo().handler())
    app.use_wynd("/ws", echo("ws: ").handler())
    app.use_wynd("/rooms/{room}", echo().handler())
    async with app.serving(0):
        assert (await ask(app, "GET", "/both")).content == b'{"http":true}'
        assert (await ask(app, "POST", "/both")).status == 405
        for path in ("/ws", "/rooms/7"):
            plain = await ask(app, "GET", path)
            assert (plain.status, plain.headers["upgrade"]) == (426, "websocket")
        for path, answer in (("/both", "hi"), ("/ws", "ws: hi"), ("/rooms/iron", "iron hi")):
            async with socket_of(app, path) as socket:
                await socket.send("hi")
                assert await socket.recv() == answer
        with pytest.raises(InvalidStatus):
            await socket_of(app, "/ws/more")


async def test_a_mount_at_the_root_does_not_take_the_wynds_path(tmp_path: Path) -> None:
    (tmp_path / "page.txt").write_text("page")
    app = App(routes=[Mount("/", StaticFiles(directory=tmp_path))])
    app.use_wynd("/ws", echo().handler())
    async with app.serving(0):
        assert (await ask(app, "GET", "/page.txt")).content == b"page"
        async with socket_of(app, "/ws") as socket:
            await socket.send("hi")
            assert await socket.recv() == "hi"


class Adds:
    """A middleware that adds a field."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sending(event: Any) -> None:
            if event["type"] == "http.response.start":
                event["headers"] = [*event["headers"], (b"x-added", b"yes")]
            await send(event)

        await self.app(scope, receive, sending)


async def test_middleware_lifespan_and_sub_mounts_are_starlettes() -> None:
    happened = []

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, str]]:
        happened.append("start")
        yield {"greeting": "hello"}
        happened.append("end")

    async def greet(request: Any) -> PlainTextResponse:
        return PlainTextResponse(request.state.greeting)

    app = App(
        routes=[Mount("/sub", routes=[Route("/greet", greet)])],
        middleware=[Middleware(Adds)],
        lifespan=lifespan,
    )
    async with app.serving(0):
        response = await ask(app, "GET", "/sub/greet")
        assert (response.content, response.headers["x-added"]) == (b"hello", "yes")
        assert happened == ["start"]
    assert happened == ["start", "end"]


async def test_a_route_may_broadcast_before_anybody_connected() -> None:
    wynd = Wynd(origins="*")
    app = App()
    app.use_wynd("/ws", wynd.handler())

    @app.post("/news")
    async def publish(request: Any) -> dict[str, int]:
        wynd.broadcast.text((await request.body()).decode())
        return {"clients": len(wynd.clients())}

    async with app.serving(0):
        assert (await ask(app, "POST", "/news", b"none")).content == b'{"clients":0}'
        async with socket_of(app, "/ws") as socket:
            assert (await ask(app, "POST", "/news", b"news")).content == b'{"clients":1}'
            assert await socket.recv() == "news"


async def test_stop_drains_the_wynds_and_it_may_listen_again() -> None:
    ended = []
    wynd = echo()
    wynd.on_disconnect(lambda event: ended.append(event.code))
    wynd.on_shutdown(lambda: ended.append("shutdown"))
    app = App()
    app.use_wynd("/ws", wynd.handler())
    for _ in range(2):
        async with app.serving(0):
            socket = await socket_of(app, "/ws")
            await app.stop(1012)
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
            assert "retry_after=" in closed.value.rcvd.reason
        assert ended == ["shutdown", 1012]
        ended.clear()
        assert app.addresses == ()


async def test_listen_tells_its_addresses_and_ends_with_stop() -> None:
    app = App()
    told = asyncio.Event()
    listening = asyncio.create_task(app.listen(0, lambda addresses: told.set()))
    async with asyncio.timeout(10):
        await told.wait()
        with pytest.raises(RuntimeError, match="listens already"):
            await app.listen(0)
        await app.stop()
        await listening


def test_what_cannot_be_mounted_is_told() -> None:
    app = App()
    wynd = Wynd()
    app.use_wynd("/ws", wynd.handler())
    with pytest.raises(ValueError, match="has a Wynd already"):
        app.use_wynd("/ws", Wynd().handler())
    with pytest.raises(ValueError, match="starts with"):
        app.use_wynd("ws", Wynd().handler())
    with pytest.raises(TypeError, match=r"wynd\.handler\(\)"):
        app.use_wynd("/other", wynd)
