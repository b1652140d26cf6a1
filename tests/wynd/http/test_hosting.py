"""uvicorn's protocols as the engine runs them; whole requests are in test_native.py."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from wynd.http.hosting import NEVER_S, HttpServer, http_config
from wynd.http.uvicorn import WyndProtocol


class Transport(asyncio.Transport):
    """Keeps what is written, and counts the answers."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 7), "sockname": ("192.0.2.2", 80)})
        self.written = b""
        self.answers = 0
        self.protocol: Any = None
        self.is_closed = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def response_done(self) -> None:
        self.answers += 1

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True


async def hello(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        headers = [(b"content-length", b"5")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"hello"})


async def served(server: HttpServer) -> Transport:
    """Return a transport that the server has taken."""
    loop = asyncio.get_running_loop()
    await server.start(loop)
    transport = Transport()
    server.serve(cast("Any", transport), loop)
    return transport


@pytest.mark.parametrize("http", ["httptools", "h11"])
async def test_every_answer_is_told_once(http: str) -> None:
    server = HttpServer(http_config(hello, http=http, lifespan="off"))
    transport = await served(server)
    for answers in (1, 2):
        transport.protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await server.end_tasks(asyncio.get_running_loop().time() + 5, asyncio.get_running_loop())
        assert transport.answers == answers
    assert transport.written.count(b"date: ") == 2
    assert b"server: " not in transport.written
    assert transport.protocol.timeout_keep_alive == NEVER_S
    transport.protocol.connection_lost(None)
    await server.stop()


async def test_finish_ends_idle_connections_only() -> None:
    server = HttpServer(http_config(hello, lifespan="off"))
    transport = await served(server)
    assert [transport.is_closed] == [False]
    server.finish()
    assert [transport.is_closed] == [True]
    transport.protocol.connection_lost(None)
    assert server.state.connections == set()
    await server.stop()


async def test_tasks_beyond_the_deadline_are_cancelled() -> None:
    begun = asyncio.Event()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    server = HttpServer(http_config(endless, lifespan="off"))
    transport = await served(server)
    transport.protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await begun.wait()
    loop = asyncio.get_running_loop()
    await server.end_tasks(loop.time() + 0.01, loop)
    assert all(task.cancelled() or task.done() for task in server.state.tasks)
    transport.protocol.connection_lost(None)
    await server.stop()


async def test_it_serves_nothing_before_its_start() -> None:
    server = HttpServer(http_config(hello))
    with pytest.raises(RuntimeError, match="not started"):
        server.serve(cast("Any", Transport()), asyncio.get_running_loop())
    await server.stop()


def test_forwarded_fields_count_from_named_proxies_only() -> None:
    assert not http_config(hello).proxy_headers
    config = http_config(hello, trusted_proxies=["10.0.0.0/8"])
    assert (config.proxy_headers, config.forwarded_allow_ips) == (True, ["10.0.0.0/8"])


def test_websockets_of_the_application_run_on_our_framing() -> None:
    config = http_config(hello)
    config.load()
    assert cast("Any", config.ws_protocol_class) is WyndProtocol
