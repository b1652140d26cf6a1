"""Starlette's WebSockets on `WyndProtocol`, under uvicorn and under `wynd serve`.

What Starlette's and uvicorn's own tests of WebSockets check, said anew from the client's side. One
thing differs, and is meant to: compression is not negotiated.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException, WebSocketException
from starlette.responses import JSONResponse, Response
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.conftest import NATIVE_IS_BUILT
from tests.waiting import eventually

if TYPE_CHECKING or NATIVE_IS_BUILT:
    from tests.wynd.http.serving import HOSTS, WAIT_S, Served, close, peer_of, served_by, text
else:
    HOSTS = ()

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Endpoint = Callable[[WebSocket], Awaitable[None]]

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.parametrize("host", HOSTS),
    pytest.mark.skipif(not NATIVE_IS_BUILT, reason="the native module is not built"),
]


@asynccontextmanager
async def serving(host: str, endpoint: Endpoint, **options: Any) -> AsyncIterator[Served]:
    """Serve one WebSocket endpoint at every path."""
    app = Starlette(routes=[WebSocketRoute("/{path:path}", endpoint)], **options)
    async with served_by(host, app) as served:
        yield served


def socket_of(served: Served, path: str = "/", **options: Any) -> Any:
    return connect(f"ws://127.0.0.1:{served.port}{path}", proxy=None, **options)


async def refusal_of(served: Served) -> Any:
    """Expect the upgrade to be refused; return the response."""
    with pytest.raises(InvalidStatus) as refused:
        await socket_of(served)
    return refused.value.response


# What the application sees of the request


async def test_url_query_headers_and_client(host: str) -> None:
    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        assert socket.client is not None
        await socket.send_json(
            {
                "url": str(socket.url),
                "port": socket.url.port,
                "query": dict(socket.query_params),
                "path": socket.path_params["path"],
                "raw": socket.scope["raw_path"].decode(),
                "client": socket.client.host,
                "name": socket.headers["x-name"],
                "cookie": socket.cookies,
                "both": socket.headers.getlist("x-both"),
            }
        )

    headers = [("X-Name", "abraão"), ("Cookie", "a=b"), ("X-Both", "1"), ("X-Both", "2")]
    async with (
        serving(host, endpoint) as served,
        socket_of(served, "/one%2Ftwo?a=abc&b=4%C3%A9", additional_headers=headers) as socket,
    ):
        assert json.loads(await socket.recv()) == {
            "url": f"ws://127.0.0.1:{served.port}/one/two?a=abc&b=4%C3%A9",
            "port": served.port,
            "query": {"a": "abc", "b": "4é"},
            "path": "one/two",
            "raw": "/one%2Ftwo",
            "client": "127.0.0.1",
            "name": "abraão",
            "cookie": {"a": "b"},
            "both": ["1", "2"],
        }


async def test_the_state_of_the_lifespan_is_a_copy_for_each_connection(host: str) -> None:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
        yield {"number": 1, "seen": []}

    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        socket.state.number += 1
        socket.state.seen.append("x")
        await socket.send_text(f"{socket.state.number} {len(socket.state.seen)}")

    async with serving(host, endpoint, lifespan=lifespan) as served:
        for answer in ("2 1", "2 2"):  # the number is each one's own, the list everybody's
            async with socket_of(served) as socket:
                assert await socket.recv() == answer


# Messages


async def test_text_bytes_and_json_both_ways(host: str) -> None:
    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("Message was: " + await socket.receive_text())
        await socket.send_bytes(b"Message was: " + await socket.receive_bytes())
        await socket.send_json({"message": await socket.receive_json()})
        await socket.send_json(await socket.receive_json(mode="binary"), mode="binary")

    async with serving(host, endpoint) as served, socket_of(served) as socket:
        for message, answer in (
            ("", "Message was: "),
            (b"\x00\xff", b"Message was: \x00\xff"),
            ('{"a": "ü"}', '{"message":{"a":"ü"}}'),
            (b'{"a": 1}', b'{"a":1}'),
        ):
            await socket.send(message)
            assert await socket.recv() == answer
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1000


@pytest.mark.parametrize("kind", ["text", "bytes", "json"])
async def test_iteration_ends_with_the_client(host: str, kind: str) -> None:
    ended = asyncio.Event()

    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        async for data in getattr(socket, f"iter_{kind}")():
            await getattr(socket, f"send_{kind}")(data)
        ended.set()

    message: Any = {"text": "hi", "bytes": b"hi", "json": '{"a":1}'}[kind]
    async with serving(host, endpoint) as served:
        async with socket_of(served) as socket:
            for _ in range(3):
                await socket.send(message)
                assert await socket.recv() == message
        async with asyncio.timeout(WAIT_S):
            await ended.wait()


async def test_a_reader_and_a_writer_beside_each_other(host: str) -> None:
    async def endpoint(socket: WebSocket) -> None:
        into, out_of = anyio.create_memory_object_stream[Any](1)
        await socket.accept()

        async def read() -> None:
            async with into:
                async for data in socket.iter_json():
                    await into.send(data)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            async with out_of:
                async for message in out_of:
                    await socket.send_json(message)

    async with serving(host, endpoint) as served, socket_of(served) as socket:
        for number in range(20):
            await socket.send(f"[{number}]")
        assert [await socket.recv() for _ in range(20)] == [f"[{number}]" for number in range(20)]


async def test_what_came_before_the_close_is_read_after_it(host: str) -> None:
    read: list[Any] = []
    closed = asyncio.Event()

    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        await asyncio.wait_for(closed.wait(), WAIT_S)
        while (event := await socket.receive())["type"] != "websocket.disconnect":
            read.append(event["bytes"])
        read.append(event["code"])

    async with serving(host, endpoint) as served:
        socket = await socket_of(served, close_timeout=WAIT_S)
        for _ in range(3):
            await socket.send(b"abc")
        ending = asyncio.create_task(socket.close())
        await asyncio.sleep(0)  # the close frame is written before its answer is waited for
        closed.set()
        await ending
        await eventually(lambda: len(read) == 4)
    assert read == [b"abc", b"abc", b"abc", 1000]


# The answer to the upgrade


async def test_subprotocol_and_fields_of_the_answer(host: str) -> None:
    async def endpoint(socket: WebSocket) -> None:
        assert socket["subprotocols"] == ["soap", "wamp"]
        fields = [(b"additional", b"field"), (b"server", b"one"), (b"Server", b"two")]
        await socket.accept(subprotocol="wamp", headers=fields)

    offered = [Subprotocol("soap"), Subprotocol("wamp")]
    async with (
        serving(host, endpoint) as served,
        socket_of(served, subprotocols=offered) as socket,
    ):
        assert socket.subprotocol == "wamp"
        fields = socket.response.headers
        assert fields["additional"] == "field"
        assert fields.get_all("server")[-2:] == ["one", "two"]
        assert "date" in fields


async def test_compression_is_uvicorns_default_and_not_ours(host: str) -> None:
    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("x" * 10_000)

    async with (
        serving(host, endpoint) as served,
        socket_of(served, compression="deflate") as socket,
    ):
        assert await socket.recv() == "x" * 10_000
        is_agreed = "sec-websocket-extensions" in socket.response.headers
        assert is_agreed == (host != "wynd serve")


@pytest.mark.parametrize(
    ("refuses", "status", "body"),
    [
        (lambda socket: socket.close(1001), 403, b""),
        (lambda socket: socket.send_denial_response(Response(b"bye", 400)), 400, b"bye"),
        (lambda socket: socket.send_denial_response(Response(status_code=401)), 401, b""),
        (
            lambda socket: socket.send_denial_response(JSONResponse({"a": 1}, 429)),
            429,
            b'{"a":1}',
        ),
    ],
)
async def test_a_refusal_is_what_the_application_says(
    host: str, refuses: Endpoint, status: int, body: bytes
) -> None:
    after: list[Any] = []

    async def endpoint(socket: WebSocket) -> None:
        await socket.receive()
        await refuses(socket)
        after.append(await socket._receive())

    async with serving(host, endpoint) as served:
        response = await refusal_of(served)
        assert (response.status_code, response.body) == (status, body)
        await eventually(lambda: bool(after))
    assert (after[0]["type"], after[0]["code"]) == ("websocket.disconnect", 1006)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (WebSocketException(1008), 403),
        (HTTPException(404, "no such room"), 404),
        (ValueError("on purpose"), 500),
    ],
)
async def test_an_error_before_the_answer_refuses(host: str, error: Any, status: int) -> None:
    async def endpoint(socket: WebSocket) -> None:
        raise error

    async with serving(host, endpoint) as served:
        assert (await refusal_of(served)).status_code == status


START: dict[str, Any] = {"type": "websocket.http.response.start", "status": 400, "headers": []}
BODY: dict[str, Any] = {"type": "websocket.http.response.body", "body": b"no"}


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([START], 500),  # a body is missing
        ([BODY], 500),  # the start is missing
        ([{**START, "status": 99}, BODY], 500),
        ([START, START], 500),
        ([START, {"type": "websocket.accept"}], 500),
        ([START, {**BODY, "more_body": True}, BODY], 400),
    ],
)
async def test_a_denial_out_of_order_is_500(host: str, events: Any, status: int) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            for event in events:
                await send(event)

    async with served_by(host, app) as served:
        assert (await refusal_of(served)).status_code == status


@pytest.mark.parametrize("how", ["half", "reset"])
async def test_a_client_that_leaves_before_the_answer(host: str, how: str) -> None:
    asked, left = asyncio.Event(), asyncio.Event()
    after: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            assert (await receive())["type"] == "websocket.connect"
            asked.set()
            after.append(await receive())
            try:
                await send({"type": "websocket.accept"})
            except OSError:
                left.set()

    async with served_by(host, app) as served, asyncio.timeout(WAIT_S):
        async with peer_of(served) as peer:
            waiting = asyncio.create_task(peer.shake_hands())
            await asked.wait()
            if how == "half":
                peer.writer.write_eof()
                await eventually(lambda: bool(after))
        with pytest.raises((EOFError, OSError)):
            await waiting
        await left.wait()
    assert (after[0]["type"], after[0]["code"]) == ("websocket.disconnect", 1006)


# The end


async def test_the_clients_code_and_reason_reach_the_application(host: str) -> None:
    seen: list[Any] = []

    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        try:
            await socket.receive_text()
        except WebSocketDisconnect as end:
            seen.append((end.code, end.reason))
        with pytest.raises(RuntimeError):  # Starlette's own: the end is told once
            await socket.receive()
        seen.append("ended")

    async with serving(host, endpoint) as served:
        socket = await socket_of(served)
        await socket.close(3001, "bye")
        await eventually(lambda: len(seen) == 2)
    assert seen == [(3001, "bye"), "ended"]


@pytest.mark.parametrize(
    ("given", "code", "reason"),
    [((), 1000, ""), ((1001,), 1001, ""), ((1001, "Going Away"), 1001, "Going Away")],
)
async def test_the_applications_code_and_reason_reach_the_client(
    host: str, given: Any, code: int, reason: str
) -> None:
    twice: list[bool] = []

    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close(*given)
        with pytest.raises(RuntimeError):
            await socket.close()
        twice.append(True)

    async with serving(host, endpoint) as served, socket_of(served) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        await eventually(lambda: bool(twice))
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, reason)


async def test_an_error_after_the_answer_is_1011(host: str) -> None:
    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        raise ValueError("on purpose")

    async with serving(host, endpoint) as served, socket_of(served) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1011, "Internal error.")


async def test_the_servers_end_is_1012_for_both_sides(host: str) -> None:
    seen: list[int] = []

    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("open")
        seen.append((await socket.receive())["code"])

    async with served_by(host, Starlette(routes=[WebSocketRoute("/", endpoint)])) as served:
        socket = await socket_of(served)
        assert await socket.recv() == "open"
    with pytest.raises(ConnectionClosed) as closed:
        await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    assert seen == [1012]


async def test_bytes_behind_the_head_and_the_close_are_answered_in_order(host: str) -> None:
    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        async for data in socket.iter_text():
            await socket.send_text(data)

    async with serving(host, endpoint) as served, peer_of(served) as peer:
        assert (await peer.shake_hands()).startswith(b"HTTP/1.1 101 ")
        peer.send(text("a"), text("b"), close(4000, "x"))
        assert [await peer.frame(), await peer.frame()] == [(1, b"a"), (1, b"b")]
        assert await peer.closing() == (4000, "")
        assert await peer.end() == b""
