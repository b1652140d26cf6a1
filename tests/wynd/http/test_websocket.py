"""What applications and peers see of an ASGI WebSocket connection on `WyndProtocol`."""

from __future__ import annotations

import asyncio
import random
import zlib
from typing import Any

import pytest
import websockets.exceptions
from websockets.asyncio.client import connect

from tests.waiting import eventually
from tests.wynd.http.serving import (
    HOSTS,
    KEY,
    WAIT_S,
    Served,
    Server,
    close,
    peer_of,
    ping,
    pong,
    served_by,
    serving,
    text,
)
from wynd._engine import encode_frame
from wynd.http import Server as NativeServer


def client(server: Server | Served, path: str = "/", **options: Any) -> Any:
    """A client of the `websockets` package; it offers no compression unless told to."""
    address = f"ws://127.0.0.1:{server.port}{path}"
    return connect(address, **{"proxy": None, "compression": None, **options})


class App:
    """Accepts, records every event, and answers as `answer` says."""

    def __init__(self, *, accepts: bool = True) -> None:
        self.accepts = accepts
        self.events: list[dict[str, Any]] = []
        self.scope: dict[str, Any] = {}
        self.ended = asyncio.Event()

    async def answer(self, event: dict[str, Any], send: Any) -> None:
        """Echo."""
        await send({**event, "type": "websocket.send"})

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        self.scope = scope
        assert await receive() == {"type": "websocket.connect"}
        if self.accepts:
            await send({"type": "websocket.accept"})
        while True:
            event = await receive()
            self.events.append(event)
            if event["type"] == "websocket.disconnect":
                break
            await self.answer(event, send)
        self.ended.set()

    async def disconnect(self) -> dict[str, Any]:
        """Return the disconnect."""
        async with asyncio.timeout(WAIT_S):
            await self.ended.wait()
        return self.events[-1]


# Messages


async def test_text_and_bytes_come_and_go() -> None:
    app = App()
    async with serving(app) as server, client(server) as socket:
        for message in ("grün", b"\x00\xff", "", b"", "x" * 70_000):
            await socket.send(message)
            assert await socket.recv() == message
    assert app.events[:2] == [
        {"type": "websocket.receive", "text": "grün"},
        {"type": "websocket.receive", "bytes": b"\x00\xff"},
    ]


@pytest.mark.parametrize("content", [bytearray(b"ab"), memoryview(b"ab")])
async def test_bytes_may_be_any_buffer(content: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "bytes": content, "text": None})

    async with serving(app, lifespan="off") as server, client(server) as socket:
        assert await socket.recv() == b"ab"


async def test_a_burst_is_answered_in_order() -> None:
    async with serving(App()) as server, peer_of(server) as peer:
        await peer.shake_hands()
        peer.send(*(text(str(number)) for number in range(500)))
        answers = [await peer.frame() for _ in range(500)]
        assert answers == [(1, str(number).encode()) for number in range(500)]


async def test_fragments_make_one_message_and_a_ping_between_is_answered() -> None:
    app = App()
    async with serving(app) as server, peer_of(server) as peer:
        await peer.shake_hands()
        first = text("on", fin=False)
        rest = bytes([0x80]) + text("e")[1:]
        peer.send(first, ping(b"here?"), rest)
        assert {await peer.frame(), await peer.frame()} == {(10, b"here?"), (1, b"one")}


async def test_ten_pings_get_ten_pongs() -> None:
    async with serving(App()) as server, peer_of(server) as peer:
        await peer.shake_hands()
        peer.send(*(ping(bytes([number])) for number in range(10)))
        assert [await peer.frame() for _ in range(10)] == [(10, bytes([n])) for n in range(10)]


async def test_bytes_sent_before_the_answer_are_kept() -> None:
    class Slow(App):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await asyncio.wait_for(seen.wait(), WAIT_S)
            await super().__call__(scope, receive, send)

    seen = asyncio.Event()
    async with serving(Slow(), lifespan="off") as server, peer_of(server) as peer:
        head = asyncio.create_task(peer.shake_hands())
        await eventually(lambda: bool(server.server_state.tasks))
        peer.send(text("early"))
        seen.set()
        assert (await head).startswith(b"HTTP/1.1 101 ")
        assert await peer.frame() == (1, b"early")


# Compression (RFC 7692)

DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"


def deflated(content: bytes) -> bytes:
    """A masked text frame that is compressed without a context."""
    compressor = zlib.compressobj(wbits=-15)
    payload = compressor.compress(content) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return encode_frame(1, payload.removesuffix(b"\0\0\xff\xff"), rsv1=True, masking_key=KEY)


async def test_messages_of_a_kibibyte_go_compressed_and_each_on_its_own() -> None:
    async with serving(App()) as server, peer_of(server) as peer:
        answer = await peer.shake_hands("/", DEFLATE)
        agreed = b"permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        assert b"Sec-WebSocket-Extensions: " + agreed + b"\r\n" in answer
        for _ in range(2):
            peer.send(deflated(b"ab" * 5000))
            first, length = await peer.reader.readexactly(2)
            assert (first, length < 126) == (0x80 | 0x40 | 1, True)
            payload = await peer.reader.readexactly(length)
            inflated = zlib.decompressobj(wbits=-15).decompress(payload + b"\0\0\xff\xff")
            assert inflated == b"ab" * 5000
        peer.send(text("x" * 1023), deflated(b"short"))
        assert [await peer.frame(), await peer.frame()] == [(1, b"x" * 1023), (1, b"short")]


@pytest.mark.parametrize("host", HOSTS)
async def test_a_client_that_compresses_is_understood(host: str) -> None:
    noise = random.Random(1).randbytes(300_000)
    async with (
        served_by(host, App()) as server,
        client(server, compression="deflate") as socket,
    ):
        for message in ("grün" * 5000, noise, "", b"short", noise[:1024]):
            await socket.send(message)
            assert await socket.recv() == message


async def test_compression_is_declined_where_that_is_said_and_by_default_of_our_server() -> None:
    async with serving(App(), ws_per_message_deflate=False) as server, peer_of(server) as peer:
        assert b"Sec-WebSocket-Extensions" not in await peer.shake_hands("/", DEFLATE)
        peer.send(deflated(b"ab"))
        assert (await peer.closing())[0] == 1002
    for mode, is_agreed in (("off", False), ("shared", True)):
        options: dict[str, Any] = {"host": "127.0.0.1", "compression": mode}
        async with (
            NativeServer(App()).serving(0, **options) as native,
            peer_of(Served(int(native.addresses[0][1]))) as peer,
        ):
            answer = await peer.shake_hands("/", DEFLATE)
            assert (b"Sec-WebSocket-Extensions" in answer) is is_agreed


async def test_the_limit_of_a_message_counts_inflated_bytes() -> None:
    async with serving(App(), ws_max_size=100_000) as server, peer_of(server) as peer:
        await peer.shake_hands("/", DEFLATE)
        peer.send(deflated(bytes(100_000)))
        first, _ = await peer.reader.readexactly(2)
        assert first == 0x80 | 0x40 | 1
    async with serving(App(), ws_max_size=100_000) as server, peer_of(server) as peer:
        await peer.shake_hands("/", DEFLATE)
        peer.send(deflated(bytes(100_001)))
        assert (await peer.closing())[0] == 1009


# The handshake


async def test_scope_has_what_the_specification_names() -> None:
    app = App()
    headers = {"X-One": "1", "X-Two": "zwei"}
    async with (
        serving(app, root_path="/base") as server,
        client(server, "/a%20b?q=%C3%A9", additional_headers=headers, subprotocols=["a", "b"]),
    ):
        pass
    scope = app.scope
    assert (scope["type"], scope["scheme"], scope["http_version"]) == ("websocket", "ws", "1.1")
    assert scope["asgi"]["spec_version"] == "2.4"
    assert (scope["path"], scope["root_path"]) == ("/base/a b", "/base")
    assert (scope["raw_path"], scope["query_string"]) == (b"/base/a%20b", b"q=%C3%A9")
    assert scope["subprotocols"] == ["a", "b"]
    assert (b"x-two", b"zwei") in scope["headers"]
    assert scope["client"][0] == "127.0.0.1"
    assert scope["server"] == ("127.0.0.1", server.port)
    assert scope["extensions"] == {"websocket.http.response": {}}


async def test_accept_carries_subprotocol_and_headers() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        fields = [(b"x-cookie", b"a=\xe9"), (b"x-cookie", b"b")]
        await send({"type": "websocket.accept", "subprotocol": "b", "headers": fields})

    async with serving(app, lifespan="off") as server, peer_of(server) as peer:
        head = await peer.shake_hands("/", "Sec-WebSocket-Protocol: a, b")
    assert b"\r\nSec-WebSocket-Protocol: b\r\n" in head
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
    assert b"\r\nx-cookie: a=\xe9\r\nx-cookie: b\r\n" in head


@pytest.mark.parametrize(
    "accept",
    [
        {"subprotocol": "c"},
        {"headers": [(b"x-split", b"a\r\nb: c")]},
        {"headers": [(b"upgrade", b"h2c")]},
        {"headers": [(b"no name", b"")]},
    ],
)
async def test_what_must_not_stand_in_an_answer_is_a_valueerror(accept: Any) -> None:
    failures = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send({"type": "websocket.accept", **accept})
        except ValueError as error:
            failures.append(error)
            raise

    async with serving(app, lifespan="off") as server, peer_of(server) as peer:
        assert (await peer.shake_hands()).startswith(b"HTTP/1.1 500 ")
    assert len(failures) == 1


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (["Sec-WebSocket-Version: 8"], b"426"),
        (["Sec-WebSocket-Key: short"], b"400"),
        (["Sec-WebSocket-Key: "], b"400"),
        (["Content-Length: 3"], b"400"),
        (["Sec-WebSocket-Protocol: a, a"], b"400"),
    ],
)
async def test_a_wrong_upgrade_is_refused_and_not_shown(fields: list[str], status: bytes) -> None:
    app = App()
    async with serving(app, lifespan="off") as server, peer_of(server) as peer:
        assert (await peer.shake_hands("/", *fields)).startswith(b"HTTP/1.1 " + status)
        await peer.end()
    assert app.scope == {}


async def test_close_before_accept_is_403() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close"})
        last.append(await receive())
        with pytest.raises(RuntimeError, match=r"websocket\.accept"):
            await send({"type": "websocket.accept"})

    last: list[Any] = []
    async with serving(app, lifespan="off") as server, peer_of(server) as peer:
        assert (await peer.shake_hands()).startswith(b"HTTP/1.1 403 Forbidden\r\n")
        assert await peer.end() == b""
    assert last == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]


async def test_a_denial_is_a_whole_response() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        fields = [(b"content-type", b"application/json"), (b"x-why", b"because")]
        start = {"type": "websocket.http.response.start", "status": 418, "headers": fields}
        await send(start)
        await send({"type": "websocket.http.response.body", "body": b"[1,", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"2]"})

    async with serving(app, lifespan="off") as server, peer_of(server) as peer:
        head = await peer.shake_hands()
        assert head.startswith(b"HTTP/1.1 418 I'm a Teapot\r\n")
        assert b"\r\nx-why: because\r\n" in head
        assert b"\r\ncontent-type: application/json\r\n" in head
        assert head.count(b"content-length: 5") == 1
        assert await peer.end() == b"[1,2]"


@pytest.mark.parametrize("fails", ["raises", "returns", "sends first"])
async def test_an_application_that_does_not_answer_is_500(
    fails: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if fails == "raises":
            raise ValueError("no")
        if fails == "sends first":
            await send({"type": "websocket.send", "text": "hi"})

    async with serving(app, lifespan="off") as server, peer_of(server) as peer:
        assert (await peer.shake_hands()).startswith(b"HTTP/1.1 500 ")
        assert await peer.end() == b"Internal Server Error"
    assert any(record.name == "uvicorn.error" for record in caplog.records)


async def test_a_second_accept_is_an_error() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.accept"})

    async with serving(app, lifespan="off") as server, peer_of(server) as peer:
        await peer.shake_hands()
        assert (await peer.closing())[0] == 1011


# The end


async def test_the_clients_close_reaches_the_application() -> None:
    app = App()
    async with serving(app) as server:
        socket = await client(server)
        await socket.close(3001, "bye")
        assert await app.disconnect() == {
            "type": "websocket.disconnect",
            "code": 3001,
            "reason": "bye",
        }
        assert (socket.close_code, socket.close_reason) == (3001, "")  # RFC 6455 §5.5.1: echoed


@pytest.mark.parametrize("how", ["empty close", "reset"])
async def test_a_close_without_code_is_1005_and_none_at_all_1006(how: str) -> None:
    app = App()
    async with serving(app) as server, peer_of(server) as peer:
        await peer.shake_hands()
        if how == "empty close":
            peer.send(close())
            assert await peer.closing() == (1005, "")
        else:
            peer.writer.transport.abort()
        assert (await app.disconnect())["code"] == (1005 if how == "empty close" else 1006)


@pytest.mark.parametrize(
    ("event", "seen"),
    [
        ({}, (1000, "")),
        ({"code": 4001, "reason": "no"}, (4001, "no")),
        ({"code": None}, (1000, "")),
    ],
)
async def test_the_applications_close_reaches_the_client(event: Any, seen: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", **event})
        last.append(await receive())
        with pytest.raises(RuntimeError, match="after the connection was closed"):
            await send({"type": "websocket.send", "text": "late"})

    last: list[Any] = []
    async with serving(app, lifespan="off") as server, client(server) as socket:
        with pytest.raises(websockets.exceptions.ConnectionClosed):
            await socket.recv()
        assert (socket.close_code, socket.close_reason) == seen
        await eventually(lambda: bool(last))
    assert last[0]["code"] == seen[0]


@pytest.mark.parametrize(("result", "code"), [(None, 1000), (1, 1011), (ValueError(), 1011)])
async def test_an_application_that_ends_closes(result: Any, code: int) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> Any:
        await send({"type": "websocket.accept"})
        if isinstance(result, Exception):
            raise result
        return result

    async with serving(app, lifespan="off") as server, peer_of(server) as peer:
        await peer.shake_hands()
        assert (await peer.closing())[0] == code


async def test_messages_before_the_close_are_answered_before_it() -> None:
    app = App()
    async with serving(app) as server, peer_of(server) as peer:
        await peer.shake_hands()
        peer.send(*(text(str(number)) for number in range(100)), close(1000))
        for number in range(100):
            assert await peer.frame() == (1, str(number).encode())
        assert await peer.closing() == (1000, "")
        assert await peer.end() == b""
    assert len(app.events) == 101


@pytest.mark.parametrize(
    ("frame", "code"),
    [(b"\x83\x80\0\0\0\0", 1002), (b"\x81\x00", 1002), (text(b"\xff"), 1007)],
)
async def test_good_messages_first_then_the_broken_one_ends_it(frame: bytes, code: int) -> None:
    app = App()
    async with serving(app) as server, peer_of(server) as peer:
        await peer.shake_hands()
        peer.send(text("good"), frame, text("never seen"))
        assert await peer.frame() == (1, b"good")
        assert (await peer.closing())[0] == code
        assert (await app.disconnect())["code"] == code
    assert len(app.events) == 2


async def test_after_the_disconnect_send_raises_an_oserror() -> None:
    class Late(App):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await super().__call__(scope, receive, send)
            try:
                await send({"type": "websocket.send", "text": "late"})
            except OSError as error:
                raised.append(error)

    raised: list[OSError] = []
    async with serving(Late(), lifespan="off") as server, peer_of(server) as peer:
        await peer.shake_hands()
        peer.send(close(1000))
        await eventually(lambda: bool(raised))


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"text": "\ud800"}, ValueError),
        ({"text": b"no"}, TypeError),
        ({"bytes": "no"}, TypeError),
        ({}, ValueError),
        ({"text": None, "bytes": None}, ValueError),
    ],
)
async def test_what_is_no_message_is_an_error_and_harms_nothing(event: Any, error: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        with pytest.raises(error):
            await send({"type": "websocket.send", **event})
        await send({"type": "websocket.send", "text": "still here"})

    async with serving(app, lifespan="off") as server, client(server) as socket:
        assert await socket.recv() == "still here"


async def test_the_servers_end_is_1012_and_500_before_the_handshake() -> None:
    app = App()
    waiting = asyncio.Event()

    async def both(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/slow":
            await waiting.wait()
        await app(scope, receive, send)

    async with (
        serving(both, lifespan="off") as server,
        peer_of(server) as peer,
        peer_of(server) as slow,
    ):
        await peer.shake_hands()
        unanswered = asyncio.create_task(slow.shake_hands("/slow"))
        await eventually(lambda: len(server.server_state.tasks) == 2)
        server.should_exit = True
        assert await peer.closing() == (1012, "")
        peer.send(close(1012))
        assert (await unanswered).startswith(b"HTTP/1.1 500 ")
        assert (await app.disconnect())["code"] == 1012
        waiting.set()


# Bounds


class Busy(App):
    """Answers nothing, and receives nothing more, until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.started, self.goes_on = asyncio.Event(), asyncio.Event()

    async def answer(self, event: dict[str, Any], send: Any) -> None:
        self.started.set()
        await self.goes_on.wait()


async def test_a_message_over_the_limit_is_1009_and_at_the_limit_it_passes() -> None:
    app = App()
    async with serving(app, ws_max_size=1000) as server, peer_of(server) as peer:
        await peer.shake_hands()
        peer.send(text("x" * 1000))
        assert await peer.frame() == (1, b"x" * 1000)
        peer.send(text("x" * 1001))
        assert (await peer.closing())[0] == 1009


async def test_reading_stops_while_the_application_does_not_receive() -> None:
    app = Busy()
    async with serving(app, ws_max_queue=4) as server, peer_of(server) as peer:
        await peer.shake_hands()
        frame = text("x" * 60_000)
        peer.send(frame)
        await app.started.wait()
        (protocol,) = server.server_state.connections
        for _ in range(800):
            peer.send(frame)
        transport = peer.writer.transport
        await eventually(lambda: not protocol.transport.is_reading())
        assert transport.get_write_buffer_size() > 10_000_000  # far from all was taken
        assert len(protocol._queue) <= 8  # type: ignore[union-attr]
        app.goes_on.set()
        peer.send(close(1000))
        assert (await app.disconnect())["code"] == 1000
    assert len(app.events) == 802


async def test_many_small_messages_at_once_are_held_undecoded() -> None:
    goes_on = asyncio.Event()

    class Late(App):
        async def answer(self, event: dict[str, Any], send: Any) -> None:
            await goes_on.wait()
            await super().answer(event, send)

    app = Late()
    async with serving(app, ws_max_queue=4) as server, peer_of(server) as peer:
        await peer.shake_hands()
        peer.send(*(text(str(number)) for number in range(3000)))
        await eventually(lambda: bool(app.events))
        (protocol,) = server.server_state.connections
        assert len(protocol._queue) <= 4  # type: ignore[union-attr]
        goes_on.set()
        for number in range(3000):
            assert await peer.frame() == (1, str(number).encode())


async def test_what_compressed_messages_become_is_held_in_bounds() -> None:
    app = Busy()
    async with serving(app) as server, peer_of(server) as peer:
        await peer.shake_hands("/", DEFLATE)
        bomb = deflated(bytes(200_000))
        peer.send(bomb)
        await app.started.wait()
        (protocol,) = server.server_state.connections
        queue: Any = protocol._queue  # type: ignore[union-attr]
        peer.send(bomb)  # some 200 bytes on the wire
        await eventually(lambda: not protocol.transport.is_reading())
        peer.send(*300 * [bomb])
        assert len(queue) == 1
        app.goes_on.set()
        peer.send(close(1000))
        assert (await app.disconnect())["code"] == 1000
    assert len(app.events) == 303


async def test_reading_stops_at_the_queues_end_however_slowly_messages_come() -> None:
    app = Busy()
    async with serving(app, ws_max_queue=4) as server, peer_of(server) as peer:
        await peer.shake_hands()
        peer.send(text("first"))
        await app.started.wait()
        (protocol,) = server.server_state.connections
        queue: Any = protocol._queue  # type: ignore[union-attr]
        for number in range(4):
            peer.send(text(str(number)))
            await eventually(lambda number=number: len(queue) == number + 1)  # type: ignore[misc]
        assert not protocol.transport.is_reading()
        app.goes_on.set()
        peer.send(text("last"), close(1000))
        assert (await app.disconnect())["code"] == 1000
    assert len(app.events) == 7


async def test_send_waits_while_the_peer_does_not_read() -> None:
    sent = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await send({"type": "websocket.accept"})
        for _ in range(2000):
            await send({"type": "websocket.send", "bytes": b"x" * 50_000})
            sent += 1

    async with serving(app, lifespan="off") as server, peer_of(server) as peer:
        await peer.shake_hands()
        (protocol,) = server.server_state.connections
        await eventually(lambda: protocol._is_choked)  # type: ignore[union-attr]
        assert sent < 1000
        assert protocol.transport.get_write_buffer_size() < 400_000
        for _ in range(2000):
            assert len((await peer.frame())[1]) == 50_000
    assert sent == 2000


async def test_a_sender_that_waits_learns_of_the_end() -> None:
    raised: list[OSError] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        try:
            while True:
                await send({"type": "websocket.send", "bytes": b"x" * 50_000})
        except OSError as error:
            raised.append(error)

    async with serving(app, lifespan="off") as server:
        async with peer_of(server) as peer:
            await peer.shake_hands()
            (protocol,) = server.server_state.connections
            await eventually(lambda: protocol._is_choked)  # type: ignore[union-attr]
        await eventually(lambda: bool(raised))


async def test_pings_of_a_peer_that_reads_nothing_are_not_collected() -> None:
    async with serving(App()) as server, peer_of(server) as peer:
        await peer.shake_hands()
        (protocol,) = server.server_state.connections
        protocol.pause_writing()  # as the transport does
        peer.send(*(ping(b"%d" % number) for number in range(5000)))
        peer.send(text("after"))
        await eventually(lambda: protocol._is_heard)  # type: ignore[union-attr]
        await eventually(lambda: not protocol._queue)  # type: ignore[union-attr]
        protocol.resume_writing()
        answers = [await peer.frame()]
        while answers[-1][0] == 10:
            answers.append(await peer.frame())
        assert (10, b"4999") in answers
        assert answers[-1] == (1, b"after")
        assert len(answers) < 5000


# Time


async def test_a_silent_peer_is_found_and_one_that_answers_stays() -> None:
    app = App()
    options = {"ws_ping_interval": 0.05, "ws_ping_timeout": 0.2}
    async with serving(app, **options) as server:
        async with peer_of(server) as peer:
            await peer.shake_hands()
            for _ in range(4):
                assert await peer.frame() == (9, b"")
                peer.send(pong())
            peer.send(text("here"))
            while (answer := await peer.frame())[0] == 9:
                peer.send(pong())
            assert answer == (1, b"here")
        await app.disconnect()
        app.ended.clear()
        async with peer_of(server) as peer:
            await peer.shake_hands()
            assert await peer.frame() == (9, b"")
            assert await peer.closing() == (1011, "keepalive ping timeout")
            assert (await app.disconnect())["code"] == 1006


# Receiving


async def test_a_cancelled_receive_loses_no_message() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(receive(), 0.001)
        await send({"type": "websocket.send", "text": "now"})
        await send({"type": "websocket.send", "text": (await receive())["text"]})

    async with serving(app, lifespan="off") as server, client(server) as socket:
        assert await socket.recv() == "now"
        await socket.send("hello")
        assert await socket.recv() == "hello"


async def test_two_receivers_at_a_time_are_told() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        first = asyncio.create_task(receive())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="two tasks"):
            await receive()
        await send({"type": "websocket.send", "text": "once"})
        await first

    async with serving(app, lifespan="off") as server, client(server) as socket:
        assert await socket.recv() == "once"
        await socket.send("x")
