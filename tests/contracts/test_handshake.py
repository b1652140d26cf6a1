"""Before the connection is open, over both engines: requests, origins, refusals, middleware."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed as ClientSawClose
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from tests.contracts.peers import EngineName, Log, RawPeer, connect, eventually, get, serving
from wynd import (
    Accept,
    Connection,
    ConnectionHandle,
    HandlerError,
    Limits,
    Reject,
    Request,
    Response,
    Wynd,
)

Next = Callable[[Connection, ConnectionHandle], Awaitable[None]]


async def status_of(port: int, path: str = "/", **options: Any) -> int:
    """Return the status an upgrade is answered with; 101 is closed again at once."""
    try:
        async with connect(port, path, **options):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


async def test_a_plain_request_is_told_to_upgrade(engine: EngineName) -> None:
    async with serving(Wynd(engine=engine)) as port:
        status, headers, _ = await get(port, "GET /page HTTP/1.1\nHost: localhost")
        assert status == 426
        assert headers["upgrade"].lower() == "websocket"
        assert headers["connection"].lower() == "close"


async def test_on_request_sees_the_request(engine: EngineName) -> None:
    seen = Log()
    wynd = Wynd(engine=engine)

    @wynd.on_request
    def asked(request: Request) -> None:
        seen.append(
            (
                request.method,
                request.path,
                request.query,
                request.query_params["a"],
                request.headers["x-test"],
                request.cookies,
                request.client.host,
                request.is_upgrade,
                request.secure,
            )
        )

    async with serving(wynd) as port:
        headers = {"X-Test": "yes", "Cookie": "sid=1; theme=dark"}
        path = "/r%C3%BCbe/x?a=1&a=2%203"
        async with connect(port, path, additional_headers=headers):
            pass
        assert seen == [
            (
                "GET",
                "/rübe/x",
                "a=1&a=2%203",
                ["1", "2 3"],
                "yes",
                {"sid": "1", "theme": "dark"},
                "127.0.0.1",
                True,
                False,
            )
        ]


async def test_the_handle_keeps_the_request(engine: EngineName) -> None:
    handles = Log()
    wynd = Wynd(engine=engine)
    wynd.on_open(handles.append)
    async with serving(wynd) as port, connect(port, "/room?id=7") as client:
        await handles.length(1)
        local = client.local_address
        assert handles[0].request.query_params == {"id": ["7"]}
        assert (handles[0].addr.host, handles[0].addr.port) == (local[0], local[1])


@pytest.mark.parametrize("status", [401, 403, 404, 503])
async def test_a_response_refuses_the_upgrade(engine: EngineName, status: int) -> None:
    opened = Log()
    wynd = Wynd(engine=engine)
    wynd.on_open(opened.append)
    wynd.on_disconnect(opened.append)

    @wynd.on_request
    async def asked(request: Request) -> Response:
        await asyncio.sleep(0)
        return Response("Go away.", status, {"X-Why": "because"})

    async with serving(wynd) as port:
        with pytest.raises(InvalidStatus) as refused:
            await connect(port)
        response = refused.value.response
        assert response.status_code == status
        assert response.body == b"Go away."
        assert response.headers["x-why"] == "because"
        assert response.headers["content-length"] == "8"
    assert opened == []


async def test_on_request_answers_plain_http(engine: EngineName) -> None:
    wynd = Wynd(engine=engine)

    @wynd.on_request
    def asked(request: Request) -> Response | None:
        if request.path == "/health":
            return Response("fine", headers=[("Cache-Control", "no-store")])
        return None

    async with serving(wynd) as port:
        status, headers, body = await get(port, "GET /health HTTP/1.1\nHost: localhost")
        assert (status, body, headers["cache-control"]) == (200, b"fine", "no-store")
        assert (await get(port, "GET / HTTP/1.1\nHost: localhost"))[0] == 426
        assert await status_of(port, "/ws") == 101


async def test_accept_adds_headers_and_a_subprotocol(engine: EngineName) -> None:
    handles = Log()
    wynd = Wynd(engine=engine, subprotocols=["chat.v1"])
    wynd.on_open(handles.append)

    @wynd.on_request
    def asked(request: Request) -> Accept:
        assert request.subprotocols == ("chat.v2", "chat.v1")
        return Accept([("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")], subprotocol="chat.v2")

    async with serving(wynd) as port:
        offered = [Subprotocol("chat.v2"), Subprotocol("chat.v1")]
        async with connect(port, subprotocols=offered) as client:
            assert client.response is not None
            assert client.response.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
            assert client.subprotocol == "chat.v2"
            await handles.length(1)
            assert handles[0].subprotocol == "chat.v2"


async def test_the_clients_first_supported_subprotocol_is_chosen(engine: EngineName) -> None:
    handles = Log()
    wynd = Wynd(engine=engine, subprotocols=["b", "c"])
    wynd.on_open(handles.append)
    async with serving(wynd) as port:
        for offered, chosen in ((["a", "c", "b"], "c"), (["a"], None), (None, None)):
            async with connect(port, subprotocols=offered) as client:
                assert client.subprotocol == chosen
        await handles.length(3)
        assert [handle.subprotocol for handle in handles] == ["c", None, None]


@pytest.mark.parametrize("wrong", ["raises", "returns nonsense", "subprotocol not offered"])
async def test_a_failing_on_request_is_500_and_reported(engine: EngineName, wrong: str) -> None:
    errors = Log()
    wynd = Wynd(engine=engine)
    wynd.on_error(errors.append)

    @wynd.on_request
    async def asked(request: Request) -> Any:
        match wrong:
            case "raises":
                raise RuntimeError("secret detail")
            case "returns nonsense":
                return 42
            case _:
                return Accept(subprotocol="never")

    async with serving(wynd) as port:
        with pytest.raises(InvalidStatus) as refused:
            await connect(port)
        assert refused.value.response.status_code == 500
        assert b"secret" not in refused.value.response.body
        await errors.length(1)
        assert isinstance(errors[0], HandlerError)


async def test_a_late_on_request_is_503(engine: EngineName) -> None:
    cancelled = Log()
    wynd = Wynd(engine=engine, limits=Limits(handshake_timeout_s=0.1))

    @wynd.on_request
    async def asked(request: Request) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async with serving(wynd) as port:
        assert await status_of(port) == 503
        await cancelled.length(1)
        assert wynd.clients() == []


async def test_a_client_that_leaves_during_on_request_is_forgotten(engine: EngineName) -> None:
    started, ended = Log(), Log()
    wynd = Wynd(engine=engine)
    wynd.on_open(ended.append)

    @wynd.on_request
    async def asked(request: Request) -> None:
        started.append(request)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async with serving(wynd) as port:
        connecting = asyncio.ensure_future(connect(port).__aenter__())
        await started.length(1)
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
        assert await ended.length(1) == ["cancelled"]


async def test_each_listener_may_have_its_own_on_request(engine: EngineName) -> None:
    wynd = Wynd(engine=engine)
    wynd.on_request(lambda request: Response(status=403))
    async with serving(wynd) as closed_port:
        assert await status_of(closed_port) == 403
        own = wynd.serving(0, host="127.0.0.1", on_request=lambda request: None)
        async with own:
            address = wynd.addresses[-1]
            assert isinstance(address, tuple)
            assert await status_of(address[1]) == 101


async def test_middleware_runs_in_order_around_the_handlers(engine: EngineName) -> None:
    seen = Log()
    wynd = Wynd(engine=engine)

    @wynd.use_middleware
    async def outer(conn: Connection, handle: ConnectionHandle, next: Next) -> None:
        seen.append("outer in")
        handle.data["user"] = "ada"
        await next(conn, handle)
        seen.append("outer out")

    @wynd.use_middleware
    async def inner(conn: Connection, handle: ConnectionHandle, next: Next) -> None:
        seen.append("inner")
        return await next(conn, handle)

    wynd.on_connection(lambda conn: seen.append(conn.handle.data["user"]))
    async with serving(wynd) as port, connect(port):
        await eventually(lambda: wynd.clients())
        assert seen == ["outer in", "inner", "ada", "outer out"]


@pytest.mark.parametrize("how", ["raises", "forgets next", "fails"])
async def test_middleware_that_refuses_keeps_the_handlers_out(engine: EngineName, how: str) -> None:
    seen, errors = Log(), Log()
    wynd = Wynd(engine=engine)
    wynd.on_error(errors.append)
    for register in (wynd.on_connection, wynd.on_open, wynd.on_text, wynd.on_disconnect):
        register(lambda event: seen.append(event))

    @wynd.use_middleware
    async def refuse(conn: Connection, handle: ConnectionHandle, next: Next) -> None:
        match how:
            case "raises":
                raise Reject(4003, "members only")
            case "fails":
                raise RuntimeError("secret")

    expected = {
        "raises": (4003, "members only"),
        "forgets next": (1008, ""),
        "fails": (1011, "Internal error."),
    }
    async with serving(wynd) as port, connect(port) as client:
        with suppress(ClientSawClose):  # it may be closed already
            await client.send("hello?")
        await client.wait_closed()
        assert (client.close_code, client.close_reason) == expected[how]
        await eventually(lambda: wynd.statistics().connections_open == 0)
    assert seen == []
    assert len(errors) == (how == "fails")


async def test_a_rejection_in_on_connection_closes(engine: EngineName) -> None:
    wynd = Wynd(engine=engine)

    @wynd.on_connection
    async def connected(conn: Connection) -> None:
        raise Reject(4004, "full")

    async with serving(wynd) as port, connect(port) as client:
        await client.wait_closed()
        assert (client.close_code, client.close_reason) == (4004, "full")


async def test_a_broadcast_does_not_reach_who_the_middleware_holds(engine: EngineName) -> None:
    release = asyncio.Event()
    wynd = Wynd(engine=engine)

    @wynd.use_middleware
    async def wait(conn: Connection, handle: ConnectionHandle, next: Next) -> None:
        await release.wait()
        await next(conn, handle)

    async with serving(wynd) as port, connect(port) as client:
        await eventually(lambda: wynd.statistics().connections_open == 1)
        assert wynd.clients() == []
        wynd.broadcast.text("members only")
        release.set()
        await eventually(lambda: wynd.clients())
        wynd.broadcast.text("welcome")
        assert await client.recv() == "welcome"


async def test_a_silent_peer_delays_nobody(engine: EngineName) -> None:
    wynd = Wynd(engine=engine)
    async with serving(wynd) as port:
        silent = [await RawPeer.dial(port) for _ in range(20)]
        await silent[0].send_bytes(b"GET / HT")
        async with asyncio.timeout(2):  # far below the handshake's deadline
            assert await status_of(port) == 101
        for peer in silent:
            peer.leave()


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        (Limits(connections_max=2), 503),
        (Limits(connections_per_second_max=2), 503),
    ],
)
async def test_too_many_connections_are_refused(
    engine: EngineName, limits: Limits, status: int
) -> None:
    wynd = Wynd(engine=engine, limits=limits)
    async with serving(wynd) as port, connect(port), connect(port):
        with pytest.raises(InvalidStatus) as refused:
            await connect(port)
        assert refused.value.response.status_code == status
        assert int(refused.value.response.headers["Retry-After"]) > 0
        assert sum(wynd.statistics().limits_hit.values()) == 1


async def test_a_place_that_is_given_back_can_be_taken(engine: EngineName) -> None:
    wynd = Wynd(engine=engine, limits=Limits(connections_max=1))
    async with serving(wynd) as port:
        for _ in range(3):
            async with connect(port):
                assert await status_of(port) == 503
            await eventually(lambda: wynd.statistics().connections_open == 0)
