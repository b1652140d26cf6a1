"""`Server` and `serve`: arguments, failures of a start, and the end."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from wynd.http import Server, serve
from wynd.http.hosts import StartFailed
from wynd.http.serving import host_config


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, TypeError),
        ({"port": 1, "uds": "x"}, TypeError),
        ({"port": 70_000}, ValueError),
        ({"port": 1, "tls": "x"}, TypeError),
        ({"port": 1, "colour": "red"}, TypeError),
        ({"port": 1, "trusted_proxies": "proxy.example"}, ValueError),
        ({"port": 1, "proxy_protocol": True}, ValueError),
        ({"port": 1, "drain_s": -1.0}, ValueError),
        ({"port": 1, "compression": "dedicated"}, ValueError),
        ({"port": 1, "drain_s": float("nan")}, ValueError),
    ],
)
def test_wrong_arguments_are_told_at_the_call(options: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        host_config(**options)
    with pytest.raises(error):
        serve(app, **options)


def test_what_cannot_be_called_is_no_application() -> None:
    with pytest.raises(TypeError, match="ASGI application is a callable, not str"):
        Server("main:app")


async def test_run_inside_a_loop_is_refused() -> None:
    with pytest.raises(RuntimeError, match="await listen"):
        Server(app).run(0)


async def test_a_port_in_use_raises_and_leaves_the_application_stopped() -> None:
    happened = []

    async def lasting(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(2):
            kind = (await receive())["type"]
            happened.append(kind)
            await send({"type": f"{kind}.complete"})

    server = Server(lasting)
    taken = socket.create_server(("127.0.0.1", 0))
    with taken, pytest.raises(OSError, match="in use"):
        await server.listen(taken.getsockname()[1], host="127.0.0.1")
    assert happened == ["lifespan.startup", "lifespan.shutdown"]
    assert server.addresses == ()


async def test_a_failing_start_up_raises_and_it_may_be_tried_again() -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    server = Server(failing)
    for _ in range(2):
        with pytest.raises(StartFailed):
            await server.listen(0)


async def test_an_on_listening_that_fails_leaves_nothing_open() -> None:
    ports = []

    def told(addresses: Any) -> None:
        ports.append(addresses[0][1])
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await Server(app).listen(0, told)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", ports[0])


async def test_stop_without_a_start_does_nothing_and_checks_its_code() -> None:
    await Server(app).stop()
    with pytest.raises(ValueError, match="1006"):
        await Server(app).stop(1006)
