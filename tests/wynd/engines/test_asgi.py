"""The portable engine at the level of ASGI events, and under real host servers."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
import websockets
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config as HypercornConfig
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from tests.wynd.engines.hosts import MemoryHost, settle, started, until
from wynd import ConnectionHandle, Limits, Request, Response, TextMessage, Wynd
from wynd.request import Accept

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager


class TestHandshake:
    async def test_a_scope_becomes_a_connection(self) -> None:
        engine, sink = started()
        host = await MemoryHost(engine, path="/x", query_string=b"a=1").open()
        ((key, request, subprotocol),) = sink.named("opened")
        assert (request.path, request.query, subprotocol) == ("/x", "a=1", None)
        host.disconnect(1000, reason="bye")
        await host.finish()
        assert sink.named("closed") == [(key, 1000, 1000, "bye")]

    async def test_keys_are_never_reused(self) -> None:
        engine, sink = started()
        for _ in range(3):
            host = await MemoryHost(engine).open()
            host.disconnect()
            await host.finish()
        keys = [call[0] for call in sink.named("opened")]
        assert len(set(keys)) == 3

    @pytest.mark.parametrize("offers_denial", [True, False])
    async def test_a_foreign_origin_is_refused_with_403(self, offers_denial: bool) -> None:
        engine, sink = started()
        headers = [(b"host", b"example.org"), (b"origin", b"https://evil.example")]
        extensions: Any = {"websocket.http.response": {}} if offers_denial else None
        host = MemoryHost(engine, headers=headers, extensions=extensions).start()
        await host.finish()
        if offers_denial:
            start, body = host.sent
            assert (start["type"], start["status"]) == ("websocket.http.response.start", 403)
            assert dict(start["headers"])[b"content-length"] == b"28"
            assert body == {
                "type": "websocket.http.response.body",
                "body": b"This Origin is not allowed.\n",
                "more_body": False,
            }
        else:  # the host answers 403 itself
            assert host.sent == [{"type": "websocket.close", "code": 1008, "reason": ""}]
        assert engine.statistics().handshakes_refused == {403: 1}
        assert sink.calls == []

    async def test_only_who_asks_is_asked(self) -> None:
        engine, sink = started()
        host = await MemoryHost(engine).open(listener=3)
        asked = await MemoryHost(engine).open(listener=4, asks=True)
        assert [call[1] for call in sink.named("requested")] == [4]
        for one in (host, asked):
            one.disconnect()
            await one.finish()

    async def test_the_answer_carries_headers_and_subprotocol(self) -> None:
        engine, sink = started()
        sink.answer = lambda request: Accept([("X-A", "é")], subprotocol="b")
        host = MemoryHost(engine, subprotocols=["a", "b"]).start(asks=True)
        await until(lambda: host.sent)
        assert host.sent == [
            {"type": "websocket.accept", "subprotocol": "b", "headers": [(b"x-a", b"\xe9")]}
        ]
        host.disconnect()
        await host.finish()
        assert sink.named("opened")[0][2] == "b"

    async def test_a_late_answer_is_503(self) -> None:
        engine, sink = started(Limits(handshake_timeout_s=0.01))
        sink.answer = lambda request: None
        host = MemoryHost(engine).start(asks=True)
        await host.finish()
        assert host.sent[0]["status"] == 503
        key = sink.named("requested")[0][0]
        assert sink.named("handshake_lost") == [(key,)]
        assert sink.named("closed") == []
        engine.accept(key, Accept())  # too late; no error
        assert engine.statistics().limits_hit == {"handshake_timeout_s": 1}

    async def test_a_peer_that_leaves_before_the_answer_is_lost(self) -> None:
        engine, sink = started()
        sink.answer = lambda request: None
        host = MemoryHost(engine).start(asks=True)
        await until(lambda: sink.named("requested"))
        host.disconnect(1006)
        await host.finish()
        assert [call[0] for call in sink.calls] == ["requested", "handshake_lost"]
        assert host.sent == []

    async def test_an_event_pulled_while_asking_is_not_lost(self) -> None:
        engine, sink = started()
        sink.answer = lambda request: None
        host = MemoryHost(engine).start(asks=True)
        await until(lambda: sink.named("requested"))
        await settle()
        engine.accept(sink.named("requested")[0][0], Accept())
        await until(lambda: sink.named("opened"))
        host.put_text("first")
        await until(lambda: sink.named("received"))
        host.disconnect()
        await host.finish()
        assert sink.named("received")[0][1] == "first"

    @pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
    async def test_a_plain_request_is_426(self, method: str) -> None:
        engine, sink = started()
        host = MemoryHost(engine, type="http", method=method, scheme="http").start()
        await host.finish()
        assert host.sent[0]["status"] == 426
        headers = dict(host.sent[0]["headers"])
        assert headers[b"upgrade"] == b"websocket"
        assert headers[b"connection"] == b"close"
        assert sink.calls == []

    async def test_http_2_gets_no_connection_field(self) -> None:
        engine, _ = started()
        host = MemoryHost(engine, type="http", method="GET", http_version="2").start()
        await host.finish()
        assert b"connection" not in dict(host.sent[0]["headers"])

    async def test_a_plain_request_may_be_answered(self) -> None:
        engine, sink = started()
        sink.answer = lambda request: Response("fine", 200, {"X-A": "b"})
        host = MemoryHost(engine, type="http", method="GET").start(asks=True)
        await host.finish()
        assert host.sent[0]["status"] == 200
        assert host.sent[1]["body"] == b"fine"
        sink.answer = lambda request: None
        host = MemoryHost(engine, type="http", method="GET").start(asks=True)
        await until(lambda: len(sink.named("requested")) == 2)
        engine.accept(sink.named("requested")[1][0], Accept())  # nothing to accept here
        await host.finish()
        assert host.sent[0]["status"] == 426

    async def test_lifespan_is_answered(self) -> None:
        engine, _ = started()
        host = MemoryHost(engine, type="lifespan")
        host.put({"type": "lifespan.startup"})
        host.put({"type": "lifespan.shutdown"})
        await host.start().finish()
        assert [event["type"] for event in host.sent] == [
            "lifespan.startup.complete",
            "lifespan.shutdown.complete",
        ]

    async def test_an_unknown_scope_is_refused(self) -> None:
        engine, _ = started()
        with pytest.raises(ValueError, match="'ftp'"):
            await MemoryHost(engine, type="ftp").start().finish()

    async def test_addresses_are_counted_per_64_bits(self) -> None:
        engine, _ = started(Limits(connections_per_address_max=1))
        first = await MemoryHost(engine, client=("2001:db8::1", 1)).open()
        refused = MemoryHost(engine, client=("2001:db8::2", 2)).start()
        await refused.finish()
        assert refused.sent[0]["status"] == 429
        assert dict(refused.sent[0]["headers"])[b"retry-after"] == b"5"
        elsewhere = await MemoryHost(engine, client=("2001:db8:0:1::1", 1)).open()
        for host in (first, elsewhere):
            host.disconnect()
            await host.finish()

    async def test_the_start_names_the_limits_of_the_host(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO, "wynd"):
            started()
        (line,) = [record.message for record in caplog.records if "host server" in record.message]
        for word in ("handshake_timeout_s", "head_fields_max", "fragments", "ping", "descriptors"):
            assert word in line


@asynccontextmanager
async def under_uvicorn(application: Any, ws: str) -> AsyncIterator[int]:
    sock = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        application, ws=ws, log_config=None, lifespan="on", ws_per_message_deflate=False
    )
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server._serve(sockets=[sock]))
    await until(lambda: server.started or serving.done())
    try:
        yield sock.getsockname()[1]
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def under_hypercorn(application: Any) -> AsyncIterator[int]:
    probe = socket.create_server(("127.0.0.1", 0))
    port = probe.getsockname()[1]
    probe.close()
    config = HypercornConfig()
    config.bind = [f"127.0.0.1:{port}"]
    config.errorlog = None
    over, ready = asyncio.Event(), asyncio.Event()

    async def shutdown() -> None:
        ready.set()  # asked for once the sockets are open
        await over.wait()

    serving = asyncio.ensure_future(
        hypercorn_serve(application, config, shutdown_trigger=shutdown, mode="asgi")
    )
    await until(lambda: ready.is_set() or serving.done())
    try:
        yield port
    finally:
        over.set()
        await serving


HOSTS: dict[str, Callable[[Any], AbstractAsyncContextManager[int]]] = {
    "uvicorn-wsproto": lambda application: under_uvicorn(application, "wsproto"),
    "uvicorn-websockets-sansio": lambda application: under_uvicorn(
        application, "websockets-sansio"
    ),
    "uvicorn-websockets": lambda application: under_uvicorn(application, "websockets"),
    "hypercorn": under_hypercorn,
}


@pytest.mark.filterwarnings("ignore:The `websockets` implementation")  # uvicorn's, still offered
@pytest.mark.filterwarnings("ignore:websockets:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:remove second argument of ws_handler:DeprecationWarning")
@pytest.mark.parametrize("name", HOSTS)
class TestHosts:
    """The same application under every host server; what a host decides is said here."""

    async def test_a_conversation(self, name: str) -> None:
        wynd = Wynd(engine="portable", subprotocols=["chat"])
        closed: list[tuple[int, str]] = []
        wynd.on_open(lambda handle: handle.join("room"))
        wynd.on_disconnect(lambda event: closed.append((event.code, event.reason)))

        @wynd.on_text
        async def text(message: TextMessage, handle: ConnectionHandle) -> None:
            await handle.send_text(f"echo {message.data}")
            await handle.to("room").text("others")

        wynd.on_binary(lambda message, handle: handle.send_binary(message.data))
        async with HOSTS[name](wynd.handler()) as port:
            url = f"ws://127.0.0.1:{port}/"
            options: dict[str, Any] = {
                "compression": None,
                "proxy": None,
                "subprotocols": [Subprotocol("chat")],
            }
            async with (
                websockets.connect(url, **options) as client,
                websockets.connect(url, **options) as other,
            ):
                assert client.subprotocol == "chat"
                await until(lambda: len(wynd.clients()) == 2)
                await client.send("ü")
                assert await client.recv() == "echo ü"
                assert await other.recv() == "others"
                await client.send("")
                assert await client.recv() == "echo "
                await client.send(b"\x00" * 70_000)
                assert await client.recv() == b"\x00" * 70_000
                await client.close(4001, "bye")
                await until(lambda: closed)
                # hypercorn does not pass on what the peer's close frame said
                assert closed == [(1006, "") if name == "hypercorn" else (4001, "bye")]
                wynd.clients()[0].close(4002, "go")
                await other.wait_closed()
                assert (other.close_code, other.close_reason) == (4002, "go")
            await until(lambda: len(closed) == 2)
            assert closed[1][0] == 4002
            await wynd.stop()

    async def test_a_peer_that_vanishes_is_1006(self, name: str) -> None:
        wynd = Wynd(engine="portable")
        closed: list[int] = []
        wynd.on_disconnect(lambda event: closed.append(event.code))
        async with HOSTS[name](wynd.handler()) as port:
            client = await websockets.connect(f"ws://127.0.0.1:{port}/", proxy=None)
            await until(lambda: wynd.clients())
            client.transport.abort()
            await until(lambda: closed)
            assert closed == [1006]
            await wynd.stop()

    async def test_refusals_keep_their_status(self, name: str) -> None:
        wynd = Wynd(engine="portable")
        wynd.on_request(lambda request: Response("no", 401) if request.path == "/no" else None)
        async with HOSTS[name](wynd.handler()) as port:
            for path, origin, status in (
                ("/no", None, 401),
                ("/", Origin("http://evil.example"), 403),
            ):
                with pytest.raises(InvalidStatus) as refused:
                    await websockets.connect(
                        f"ws://127.0.0.1:{port}{path}", origin=origin, proxy=None
                    )
                assert refused.value.response.status_code == status
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 426 ")
            writer.close()
            await writer.wait_closed()
            await wynd.stop()

    async def test_a_message_over_the_limit_is_1009(self, name: str) -> None:
        wynd = Wynd(engine="portable", limits=Limits(message_bytes_max=1000))
        async with HOSTS[name](wynd.handler()) as port:
            async with websockets.connect(f"ws://127.0.0.1:{port}/", proxy=None) as client:
                await client.send("x" * 1001)
                await client.wait_closed()
                assert (client.close_code, client.close_reason) == (1009, "Message too big.")
            await wynd.stop()


class TestMounting:
    async def test_it_mounts_in_starlette(self) -> None:
        from starlette.applications import Starlette
        from starlette.routing import Mount

        wynd = Wynd(engine="portable")
        wynd.on_open(lambda handle: handle.send_text(handle.request.path))
        application = Starlette(routes=[Mount("/ws", wynd.handler())])
        async with under_uvicorn(application, "wsproto") as port:
            url = f"ws://127.0.0.1:{port}/ws/room"
            async with websockets.connect(url, proxy=None) as client:
                assert await client.recv() == "/ws/room"
            await wynd.stop()

    async def test_importing_the_engine_imports_no_host(self) -> None:
        script = (
            "import sys, wynd.engines.asgi as a; "
            "sys.exit(any(m in sys.modules for m in ('uvicorn', 'starlette', 'wsproto')))"
        )
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
        assert await process.wait() == 0

    async def test_on_request_sees_the_request_of_a_mounted_application(self) -> None:
        seen: list[str] = []
        wynd = Wynd(engine="portable")

        @wynd.on_request
        def asked(request: Request) -> None:
            seen.append(request.query)

        async with under_uvicorn(wynd.handler(), "wsproto") as port:
            async with websockets.connect(f"ws://127.0.0.1:{port}/?a=1", proxy=None):
                assert seen == ["a=1"]
            await wynd.stop()
