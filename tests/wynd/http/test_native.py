"""One port over real sockets: keep-alive, pipelining, bodies, upgrades, both kinds' ends."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.conftest import NATIVE_IS_BUILT
from wynd import Wynd
from wynd.http import App
from wynd.http.hosting import http_config
from wynd.http.routes import mounts_of
from wynd.limits import Limits

if TYPE_CHECKING or NATIVE_IS_BUILT:
    from tests.wynd.http.http_kit import GET, echoing, mounted, running, settings, upgrade
    from wynd.http.native import NativeHost

pytestmark = pytest.mark.skipif(not NATIVE_IS_BUILT, reason="the native module is not built")
HELLO = (200, b"hello")


class TestRequests:
    async def test_a_connection_is_kept_alive(self) -> None:
        async with running() as test:
            client = await test.connect()
            for _ in range(3):
                assert await client.ask(GET) == HELLO

    async def test_pipelined_requests_are_answered_in_order(self) -> None:
        async with running() as test:
            client = await test.connect()
            pieces = [
                b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n%d" % n
                for n in range(10)
            ]
            client.send(*pieces)
            answers = [await client.response() for _ in pieces]
            assert [body for _, _, body in answers] == [b"%d" % n for n in range(10)]

    async def test_chunked_bodies(self) -> None:
        async with running() as test:
            client = await test.connect()
            head = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            body = b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nA: b\r\n\r\n"
            assert await client.ask(head, body) == (200, b"abcde")
            assert await client.ask(GET) == HELLO

    async def test_ten_mebibytes_up_and_down_with_a_slow_reader(self) -> None:
        async with running() as test:
            client = await test.connect()
            size = 10 * 1024 * 1024
            client.send(b"POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
            client.send(b"y" * size)
            assert (await client.response())[2] == str(size).encode()
            client.send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
            # What nobody reads stays with the application: the outbox is bounded.
            await asyncio.sleep(0.2)
            assert test.host.statistics().outbox_bytes < 1024 * 1024
            assert len((await client.response())[2]) == size
            assert await client.ask(GET) == HELLO

    async def test_a_chunked_upload_of_ten_mebibytes(self) -> None:
        async with running() as test:
            client = await test.connect()
            client.send(b"POST /size HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(160):
                client.send(b"10000\r\n", b"z" * 65536, b"\r\n")
                await client.writer.drain()
            client.send(b"0\r\n\r\n")
            assert (await client.response())[2] == str(160 * 65536).encode()

    async def test_expect_100_continue(self) -> None:
        async with running() as test:
            client = await test.connect()
            client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n")
            client.send(b"Content-Length: 3\r\n\r\n")
            assert (await client.response())[0] == 100
            assert await client.ask(b"abc") == (200, b"abc")

    async def test_head(self) -> None:
        async with running() as test:
            client = await test.connect()
            client.send(b"HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            status, fields, _ = await client.response(has_body=False)
            assert (status, fields["content-length"]) == (200, "5")
            assert await client.ask(GET) == HELLO

    async def test_a_slow_body(self) -> None:
        async with running() as test:
            client = await test.connect()
            client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
            for byte in b"slow!":
                client.send(bytes([byte]))
                await asyncio.sleep(0.01)
            assert (await client.response())[2] == b"slow!"

    async def test_close_and_http_1_0_end_the_connection(self) -> None:
        async with running() as test:
            for request in (
                b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                b"GET /hello HTTP/1.0\r\n\r\n",
            ):
                client = await test.connect()
                assert await client.ask(request) == HELLO
                assert await client.rest() == b""

    async def test_the_application_learns_that_the_client_left(self) -> None:
        async with running() as test:
            client = await test.connect()
            client.send(b"GET /gone HTTP/1.1\r\nHost: a\r\n\r\n")
            await test.served.begun.wait()
            client.writer.close()
            async with asyncio.timeout(5):
                await test.served.was_disconnected.wait()

    async def test_an_application_that_raises_answers_500(self) -> None:
        async with running() as test:
            client = await test.connect()
            status, _ = await client.ask(b"GET /fails HTTP/1.1\r\nHost: a\r\n\r\n")
            assert status == 500

    async def test_a_slow_head_on_a_second_request_gets_408(self) -> None:
        limits = Limits(handshake_timeout_s=0.2)
        async with running({"/ws": echoing(limits=limits)}) as test:
            client = await test.connect()
            assert await client.ask(GET) == HELLO
            client.send(b"GET /hello HT")
            assert (await client.response())[0] == 408
            assert await client.rest() == b""

    async def test_an_idle_connection_ends(self) -> None:
        app = Starlette()
        config = http_config(app, timeout_keep_alive=0)
        async with running(app=app, http=config) as test:
            client = await test.connect()
            assert (await client.ask(GET))[0] == 404
            assert await client.rest() == b""

    async def test_h11_serves_where_httptools_is_missing(self) -> None:
        async with running() as other:
            app = other.served.application()
        async with running(app=app, http=http_config(app, http="h11")) as test:
            client = await test.connect()
            client.send(GET, GET)
            assert [(await client.response())[2] for _ in range(2)] == [b"hello"] * 2
            assert await client.ask(GET) == HELLO
            client.send(upgrade())
            assert (await client.response(has_body=False))[0] == 101


class TestUpgrades:
    async def test_a_mounted_path_stays_in_the_engine(self) -> None:
        async with running() as test:
            client = await test.connect()
            client.send(upgrade())
            assert (await client.response(has_body=False))[0] == 101
            client.text(b"hi")
            assert await client.frame() == b"wynd: hi"

    async def test_a_connection_that_served_http_may_upgrade(self) -> None:
        async with running() as test:
            client = await test.connect()
            for _ in range(2):
                assert await client.ask(GET) == HELLO
            client.send(upgrade())
            assert (await client.response(has_body=False))[0] == 101
            client.text(b"hi")
            assert await client.frame() == b"wynd: hi"

    async def test_an_upgrade_behind_an_unfinished_answer_waits(self) -> None:
        async with running() as test:
            client = await test.connect()
            client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n", upgrade())
            client.text(b"early")
            await test.served.begun.wait()
            assert test.host.statistics().connections_open == 0
            test.served.go_on.set()
            assert (await client.response())[2] == b"slow"
            assert (await client.response(has_body=False))[0] == 101
            assert await client.frame() == b"wynd: early"

    @pytest.mark.parametrize("served_before", [False, True])
    async def test_what_no_mount_takes_goes_to_the_asgi_application(
        self, served_before: bool
    ) -> None:
        async with running() as test:
            client = await test.connect()
            if served_before:
                assert await client.ask(GET) == HELLO
            client.send(upgrade("/asgi"))
            assert (await client.response(has_body=False))[0] == 101
            client.text(b"hi")
            assert await client.frame() == b"asgi: hi"

    async def test_an_upgrade_that_nobody_takes_is_refused(self) -> None:
        async with running() as test:
            client = await test.connect()
            client.send(upgrade("/nobody"), GET)
            assert (await client.response())[0] == 403
            assert await client.rest() == b""
            assert test.served.requests == []

    async def test_an_asgi_applications_denial_is_sent(self) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "websocket":
                await receive()
                head = {"type": "websocket.http.response.start", "status": 418, "headers": []}
                await send(head)
                await send({"type": "websocket.http.response.body", "body": b"no"})

        async with running(app=app, http=http_config(app, lifespan="off")) as test:
            client = await test.connect()
            client.send(upgrade("/x"))
            assert (await client.response(has_body=False))[0] == 418

    async def test_a_path_may_have_both(self) -> None:
        async with running({"/both": echoing()}) as test:
            client = await test.connect()
            assert await client.ask(b"GET /both HTTP/1.1\r\nHost: a\r\n\r\n") == HELLO
            client.send(upgrade("/both"))
            assert (await client.response(has_body=False))[0] == 101

    async def test_a_mounted_path_without_a_route_answers_426(self) -> None:
        wynd, app = echoing(), App()
        app.use_wynd("/ws", wynd.handler())
        async with running({"/ws": wynd}, app=app) as test:
            client = await test.connect()
            client.send(b"GET /ws HTTP/1.1\r\nHost: a\r\n\r\n")
            status, fields, _ = await client.response()
            assert (status, fields["upgrade"]) == (426, "websocket")
            other = await test.connect()
            assert (await other.ask(b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"))[0] == 404

    async def test_a_starlette_mount_runs_natively(self) -> None:
        wynd = echoing(engine="native")
        app = Starlette(routes=[Mount("/chat", wynd.handler())])
        async with running(mounts=dict(mounts_of(app)), app=app) as test:
            client = await test.connect()
            client.send(upgrade("/chat/"))
            assert (await client.response(has_body=False))[0] == 101
            client.text(b"hi")
            assert await client.frame() == b"wynd: hi"
            assert wynd.engine == "native"
            plain = await test.connect()
            assert (await plain.ask(b"GET /chat/ HTTP/1.1\r\nHost: a\r\n\r\n"))[0] == 426

    async def test_each_of_several_wynds_has_its_own_handlers_and_errors(self) -> None:
        go_on, failures = asyncio.Event(), []

        def wynd_of(name: str) -> Wynd:
            wynd = Wynd()

            @wynd.on_text
            async def text(message: Any, handle: Any) -> None:
                if message.data == "fail":
                    raise RuntimeError(f"of {name}")
                if message.data == "wait":
                    await go_on.wait()
                await handle.send_text(f"{name}: {message.data}")

            @wynd.on_binary
            def binary(message: Any, handle: Any) -> Any:
                return handle.send_binary(message.data)

            @wynd.on_error
            def failed(event: Any) -> None:
                failures.append((name, str(event.exception)))

            return wynd

        async with running({"/a": wynd_of("a"), "/b": wynd_of("b")}) as test:
            clients = {}
            for name in "ab":
                client = clients[name] = await test.connect()
                client.send(upgrade(f"/{name}"))
                assert (await client.response(has_body=False))[0] == 101
                for text in (b"hi", b"wait", b"later", b"fail"):
                    client.text(text)
                assert await client.frame() == f"{name}: hi".encode()
            assert failures == []
            go_on.set()
            for name, client in clients.items():
                assert await client.frame() == f"{name}: wait".encode()
                assert await client.frame() == f"{name}: later".encode()
                client.send(bytes([0x82, 0x81, 0, 0, 0, 0]), b"x")
                assert await client.frame() == b"x"
            assert sorted(failures) == [("a", "of a"), ("b", "of b")]

    async def test_compression_is_that_of_the_mounted_wynd(self) -> None:
        offer = b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
        async with running({"/ws": echoing(compression="shared")}) as test:
            client = await test.connect()
            client.send(upgrade()[:-2] + offer)
            status, fields, _ = await client.response(has_body=False)
            assert status == 101
            assert fields["sec-websocket-extensions"].startswith("permessage-deflate")
        async with running() as test:
            client = await test.connect()
            client.send(upgrade()[:-2] + offer)
            _, fields, _ = await client.response(has_body=False)
            assert "sec-websocket-extensions" not in fields
        with pytest.raises(ValueError, match="share its compression"):
            NativeHost(
                Starlette(),
                mounts=mounted({"/a": echoing(), "/b": echoing(compression="shared")}),
                config=settings(),
            )

    async def test_other_protocols_are_not_upgraded_to(self) -> None:
        async with running() as test:
            client = await test.connect()
            fields = (
                b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
            )
            assert await client.ask(b"GET /hello HTTP/1.1\r\nHost: a\r\n", fields, b"\r\n") == HELLO
            assert await client.ask(GET) == HELLO

    async def test_a_foreign_origin_is_refused_for_a_mount(self) -> None:
        async with running() as test:
            client = await test.connect()
            foreign = upgrade()[:-2] + b"Origin: https://evil.example\r\n\r\n"
            client.send(foreign, GET)
            assert (await client.response())[0] == 403
            assert await client.rest() == b""
            assert test.served.requests == []

    async def test_parameters_and_subprotocols_reach_the_mount(self) -> None:
        wynd = Wynd(subprotocols=["b", "c"])

        @wynd.on_open
        async def opened(handle: Any) -> None:
            await handle.send_text(handle.request.path_params["room"])

        async with running({"/chat/{room}": wynd}) as test:
            client = await test.connect()
            client.send(upgrade("/chat/7")[:-2] + b"Sec-WebSocket-Protocol: a, c, b\r\n\r\n")
            fields = (await client.response(has_body=False))[1]
            assert fields["sec-websocket-protocol"] == "c"
            assert await client.frame() == b"7"

    async def test_on_request_decides_about_its_mount(self) -> None:
        wynd = Wynd()

        @wynd.on_request
        async def decide(request: Any) -> Any:
            from wynd import Response

            return Response("no", status=401)

        async with running({"/ws": wynd}) as test:
            client = await test.connect()
            assert await client.ask(GET) == HELLO
            client.send(upgrade(), GET)
            assert (await client.response())[0] == 401
            assert await client.rest() == b""


class TestMounts:
    async def test_rooms_and_broadcasts_do_not_mix(self) -> None:
        one, two = echoing(), echoing()
        for wynd in (one, two):

            @wynd.on_open
            async def opened(handle: Any) -> None:
                handle.join("room")
                await handle.send_text("joined")

        async with running({"/one": one, "/two": two}) as test:
            clients = []
            for path in ("/one", "/two"):
                client = await test.connect()
                client.send(upgrade(path))
                assert (await client.response(has_body=False))[0] == 101
                assert await client.frame() == b"joined"
                clients.append(client)
            one.to("room").text("room of one")
            two.to("room").text("room of two")
            one.broadcast.text("all of one")
            two.broadcast.text("all of two")
            for client, name in zip(clients, (b"one", b"two"), strict=True):
                client.text(b"last")
                assert await client.frame() == b"room of " + name
                assert await client.frame() == b"all of " + name
                assert await client.frame() == b"wynd: last"
            assert (len(one.clients()), len(two.clients())) == (1, 1)

    async def test_limits_that_differ_are_refused(self) -> None:
        other = Wynd(limits=Limits(message_bytes_max=1000))
        with pytest.raises(ValueError, match="share its limits"):
            NativeHost(Starlette(), mounts=mounted({"/a": Wynd(), "/b": other}), config=settings())

    async def test_the_portable_engine_cannot_be_mounted(self) -> None:
        with pytest.raises(ValueError, match="portable"):
            NativeHost(
                Starlette(), mounts=mounted({"/a": Wynd(engine="portable")}), config=settings()
            )

    async def test_a_mounted_application_does_not_listen_elsewhere(self) -> None:
        wynd = Wynd()
        async with wynd.serving(0):
            host = NativeHost(Starlette(), mounts=mounted({"/ws": wynd}), config=settings())
            with pytest.raises(RuntimeError, match="listens by itself"):
                await host.start()
            await host.stop(drain_s=1.0)

    async def test_it_must_be_started(self) -> None:
        with pytest.raises(RuntimeError, match="start"):
            await NativeHost(Starlette(), config=settings()).listen()


class TestClients:
    ASK = b"GET /client HTTP/1.1\r\nHost: a\r\n"
    FORWARDED = b"X-Forwarded-For: 6.6.6.6, 198.51.100.7\r\nX-Forwarded-Proto: https\r\n"

    async def test_forwarded_addresses_of_strangers_do_not_count(self) -> None:
        async with running() as test:
            client = await test.connect()
            _, body = await client.ask(self.ASK, self.FORWARDED, b"\r\n")
            assert body == b"127.0.0.1 http /client"

    async def test_those_of_trusted_proxies_count_for_both_kinds(self) -> None:
        wynd = Wynd()

        @wynd.on_open
        async def opened(handle: Any) -> None:
            await handle.send_text(f"{handle.request.client.host} {handle.request.secure}")

        async with running({"/ws": wynd}, trusted_proxies="127.0.0.0/8") as test:
            client = await test.connect()
            _, body = await client.ask(self.ASK, self.FORWARDED, b"\r\n")
            assert body == b"198.51.100.7 https /client"
            client.send(upgrade()[:-2], self.FORWARDED, b"\r\n")
            assert (await client.response(has_body=False))[0] == 101
            assert await client.frame() == b"198.51.100.7 True"

    PROXY = b"PROXY TCP4 198.51.100.9 192.0.2.80 4321 80\r\n"

    async def test_the_proxy_protocol_names_the_client_of_both_kinds(self) -> None:
        wynd = Wynd()

        @wynd.on_open
        async def opened(handle: Any) -> None:
            await handle.send_text(str(handle.addr))

        options: dict[str, Any] = {"trusted_proxies": "127.0.0.1, ::1", "proxy_protocol": True}
        async with running({"/ws": wynd}, **options) as test:
            client = await test.connect()
            _, body = await client.ask(self.PROXY, self.ASK, b"\r\n")
            assert body == b"198.51.100.9 http /client"
            _, body = await client.ask(self.ASK, self.FORWARDED, b"\r\n")
            assert body == b"198.51.100.9 http /client", "the client is no trusted proxy"
            client.send(upgrade())
            assert (await client.response(has_body=False))[0] == 101
            assert await client.frame() == b"198.51.100.9:4321"
            forgetful = await test.connect()
            status, body = await forgetful.ask(GET)
            assert status == 400
            assert body == b"The PROXY protocol is required of this proxy.\n"

    async def test_the_proxy_protocol_of_strangers_is_a_malformed_request(self) -> None:
        async with running(trusted_proxies="192.0.2.1", proxy_protocol=True) as test:
            client = await test.connect()
            assert await client.ask(GET) == HELLO
            stranger = await test.connect()
            assert (await stranger.ask(self.PROXY, GET))[0] == 400

    async def test_the_root_path_stands_before_both_kinds(self) -> None:
        async with running(root_path="/base") as test:
            client = await test.connect()
            _, body = await client.ask(self.ASK, b"\r\n")
            assert body == b"127.0.0.1 http /base/client"
            client.send(upgrade("/base/ws"))
            assert (await client.response(has_body=False))[0] == 101

    async def test_the_access_log_has_both_kinds_on_one_line_each(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, logger="uvicorn.access")
        async with running(log_level="info") as test:
            client = await test.connect()
            assert await client.ask(GET) == (200, b"hello")
            client.send(upgrade("/%77s?a=%0d%0a"))
            assert (await client.response(has_body=False))[0] == 101
            client.text(b"x")
            await client.frame()
        lines = [record.getMessage() for record in caplog.records]
        assert any('"GET /hello HTTP/1.1" 200' in line for line in lines)
        assert any('"GET /ws?a=%0d%0a HTTP/1.1" 101' in line for line in lines)


class TestStopping:
    async def test_an_answer_that_has_begun_is_finished(self) -> None:
        async with running() as test:
            busy, idle = await test.connect(), await test.connect()
            assert await idle.ask(GET) == (200, b"hello")
            busy.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            await test.served.begun.wait()
            stop = asyncio.create_task(test.host.stop(drain_s=5.0))
            assert await idle.rest() == b""
            assert not stop.done()
            test.served.go_on.set()
            status, fields, body = await busy.response()
            assert (status, fields["connection"], body) == (200, "close", b"slow")
            assert await busy.rest() == b""
            await stop

    async def test_a_large_answer_to_a_slow_reader_is_finished(self) -> None:
        async with running() as test:
            client = await test.connect()
            client.send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
            await client.reader.readuntil(b"HTTP/1.1 200")
            stop = asyncio.create_task(test.host.stop(drain_s=10.0))
            body = await client.rest()
            assert body.count(b"x") == 160 * 65536
            assert body.endswith(b"0\r\n\r\n")
            await stop

    async def test_websockets_are_closed_with_1001(self) -> None:
        async with running() as test:
            client = await test.connect()
            client.send(upgrade())
            assert (await client.response(has_body=False))[0] == 101
            stop = asyncio.create_task(test.host.stop(drain_s=5.0))
            assert (await client.frame())[:2] == b"\x03\xe9"
            client.send(b"\x88\x82\0\0\0\0\x03\xe9")
            assert await client.rest() == b""
            await stop

    async def test_what_outlives_the_deadline_is_aborted(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with running() as test:
            client = await test.connect()
            client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            await test.served.begun.wait()
            await test.host.stop(drain_s=0.1)
            assert await client.rest() == b""
        assert "aborting 1 HTTP connections" in caplog.text

    async def test_lifespan_runs_once_around_everything(self) -> None:
        events: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            assert scope["type"] == "lifespan"
            for kind in ("startup", "shutdown"):
                assert (await receive())["type"] == f"lifespan.{kind}"
                events.append(kind)
                await send({"type": f"lifespan.{kind}.complete"})

        async with running({}, app=app) as test:
            assert events == ["startup"]
            await test.host.stop(drain_s=1.0)
            await test.host.stop(drain_s=1.0)
        assert events == ["startup", "shutdown"]

    async def test_a_start_up_that_fails_is_an_error(self) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "no database"})

        host = NativeHost(app, config=settings())
        with pytest.raises(RuntimeError, match="start-up failed"):
            await host.start()
        await host.stop(drain_s=1.0)


async def test_statistics_count_the_connections_of_both_kinds() -> None:
    async with running() as test:
        client = await test.connect()
        assert await client.ask(GET) == (200, b"hello")
        client.send(upgrade())
        await client.response(has_body=False)
        client.text(b"x")
        await client.frame()
        counted = test.host.statistics()
        assert (counted.connections_accepted, counted.connections_open) == (1, 1)
