"""Frameworks on `WyndProtocol`, unmodified: FastAPI's documented examples, Litestar, Channels.

The frameworks read annotations, and find no local names in text: no `annotations` import here.
"""

import importlib.util
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.wynd.http.serving import HOSTS, Served, served_by

pytestmark = [pytest.mark.timeout(60), pytest.mark.parametrize("host", HOSTS)]


def need(package: str) -> None:
    """Skip the test where a package is not installed."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")


def socket_of(server: Served, path: str, **options: Any) -> Any:
    return connect(f"ws://127.0.0.1:{server.port}{path}", proxy=None, **options)


# FastAPI: the shapes that its chapter on WebSockets teaches


def fastapi_app() -> Any:
    """Echo, dependencies with cookie and query, and a connection manager that broadcasts."""
    from fastapi import (
        Cookie,
        Depends,
        FastAPI,
        Query,
        WebSocket,
        WebSocketDisconnect,
        WebSocketException,
        status,
    )

    app = FastAPI()
    members: list[WebSocket] = []

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        while True:
            data = await websocket.receive_text()
            await websocket.send_text(f"Message text was: {data}")

    async def cookie_or_token(
        websocket: WebSocket,
        session: str | None = Cookie(default=None),
        token: str | None = Query(default=None),
    ) -> str:
        if session is None and token is None:
            raise WebSocketException(code=status.WS_1008_POLICY_VIOLATION)
        return session or token or ""

    async def item(
        websocket: WebSocket,
        item_id: str,
        q: int | None = None,
        who: str = Depends(cookie_or_token),
    ) -> None:
        await websocket.accept()
        while True:
            data = await websocket.receive_text()
            await websocket.send_text(f"Session cookie or query token value is: {who}")
            if q is not None:
                await websocket.send_text(f"Query parameter q is: {q}")
            await websocket.send_text(f"Message text was: {data}, for item ID: {item_id}")

    async def chat(websocket: WebSocket, client_id: int) -> None:
        await websocket.accept()
        members.append(websocket)
        try:
            while True:
                data = await websocket.receive_text()
                await websocket.send_text(f"You wrote: {data}")
                for member in members:
                    await member.send_text(f"Client #{client_id} says: {data}")
        except WebSocketDisconnect:
            members.remove(websocket)
            for member in members:
                await member.send_text(f"Client #{client_id} left the chat")

    async def json_echo(websocket: WebSocket) -> None:
        await websocket.accept(subprotocol="json")
        async for data in websocket.iter_json():
            await websocket.send_json({"got": data})

    app.add_api_websocket_route("/ws", echo)
    app.add_api_websocket_route("/items/{item_id}/ws", item)
    app.add_api_websocket_route("/ws/{client_id}", chat)
    app.add_api_websocket_route("/json", json_echo)
    return app


async def test_fastapi_echo_and_json(host: str) -> None:
    need("fastapi")
    async with served_by(host, fastapi_app()) as server:
        async with socket_of(server, "/ws") as socket:
            await socket.send("hi")
            assert await socket.recv() == "Message text was: hi"
        async with socket_of(server, "/json", subprotocols=["json"]) as socket:
            await socket.send('{"a": 1}')
            assert await socket.recv() == '{"got":{"a":1}}'
            assert socket.subprotocol == "json"


async def test_fastapi_dependencies_cookie_and_query(host: str) -> None:
    need("fastapi")
    async with served_by(host, fastapi_app()) as server:
        async with socket_of(
            server, "/items/foo/ws?q=3", additional_headers={"Cookie": "session=me"}
        ) as socket:
            await socket.send("hi")
            assert [await socket.recv() for _ in range(3)] == [
                "Session cookie or query token value is: me",
                "Query parameter q is: 3",
                "Message text was: hi, for item ID: foo",
            ]
        with pytest.raises(InvalidStatus) as refused:
            await socket_of(server, "/items/foo/ws")
        assert refused.value.response.status_code == 403
        with pytest.raises(InvalidStatus):
            await socket_of(server, "/nowhere")


async def test_fastapi_disconnection_and_several_clients(host: str) -> None:
    need("fastapi")
    async with served_by(host, fastapi_app()) as server, socket_of(server, "/ws/1") as one:
        async with socket_of(server, "/ws/2") as two:
            await two.send("hello")
            assert await two.recv() == "You wrote: hello"
            for socket in (one, two):
                assert await socket.recv() == "Client #2 says: hello"
        assert await one.recv() == "Client #2 left the chat"


# Litestar


async def test_litestar_handlers_and_listeners(host: str) -> None:
    need("litestar")
    from litestar import Litestar, WebSocket, websocket, websocket_listener

    async def handler(socket: WebSocket[Any, Any, Any]) -> None:
        await socket.accept()
        async for text in socket.iter_data(mode="text"):
            await socket.send_text(f"got {text}")

    async def listener(data: dict[str, int]) -> dict[str, int]:
        return {"twice": 2 * data["number"]}

    handlers = [websocket("/raw")(handler), websocket_listener("/double")(listener)]
    app = Litestar(handlers, logging_config=None)  # its own would be that of all tests after it
    async with served_by(host, app) as server:
        async with socket_of(server, "/raw") as socket:
            await socket.send("one")
            assert await socket.recv() == "got one"
        async with socket_of(server, "/double") as socket:
            await socket.send('{"number": 21}')
            answer = await socket.recv()
            assert answer in ('{"twice":42}', b'{"twice":42}')


# Django Channels


async def test_channels_consumers(host: str) -> None:
    need("channels")
    from django.conf import settings

    if not settings.configured:
        settings.configure(SECRET_KEY="tests", ALLOWED_HOSTS=["*"])
    from channels.generic.websocket import AsyncJsonWebsocketConsumer, AsyncWebsocketConsumer
    from channels.routing import ProtocolTypeRouter, URLRouter
    from django.urls import path

    class Echo(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels ships no types
        async def connect(self) -> None:
            await self.accept("chat" if "chat" in self.scope["subprotocols"] else None)

        async def receive(self, text_data: Any = None, bytes_data: Any = None) -> None:
            if text_data == "leave":
                await self.close(4001)
            else:
                await self.send(text_data=text_data, bytes_data=bytes_data)

    class Refusing(AsyncJsonWebsocketConsumer):  # type: ignore[misc]
        async def connect(self) -> None:
            await self.close()

    routes = [path("echo", Echo.as_asgi()), path("no", Refusing.as_asgi())]
    app = ProtocolTypeRouter({"websocket": URLRouter(routes)})
    async with served_by(host, app) as server:
        async with socket_of(server, "/echo", subprotocols=["chat"]) as socket:
            assert socket.subprotocol == "chat"
            for message in ("text", b"\x00bytes"):
                await socket.send(message)
                assert await socket.recv() == message
            await socket.send("leave")
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4001
        with pytest.raises(InvalidStatus) as refused:
            await socket_of(server, "/no")
        assert refused.value.response.status_code == 403
