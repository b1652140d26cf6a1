"""`PortableHost`: TLS, proxies, and a stop that is cut short."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import connect

from wynd.engines.base import ListenerOptions
from wynd.http.hosts import HostConfig
from wynd.http.portable import PortableHost

if TYPE_CHECKING:
    from wynd.engines.base import Address


async def stubborn(scope: Any, receive: Any, send: Any) -> None:
    """Accept, and go on whatever happens."""
    if scope["type"] != "websocket":
        raise NotImplementedError
    await send({"type": "websocket.accept"})
    await asyncio.Event().wait()


async def scheme_and_client(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "websocket":
        raise NotImplementedError
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": f"{scope['scheme']} {scope['client'][0]}"})


def port_of(addresses: tuple[Address, ...]) -> int:
    return int(addresses[0][1])


async def test_an_application_that_does_not_end_is_cut_at_the_drain() -> None:
    config = HostConfig(ListenerOptions(port=0, host="127.0.0.1"), drain_s=0.3)
    host = PortableHost(stubborn, mounts=(), config=config)
    await host.start()
    port = port_of(await host.listen())
    async with connect(f"ws://127.0.0.1:{port}", proxy=None):
        before = time.monotonic()
        await host.stop(1001)
        assert time.monotonic() - before < 5.0


async def test_forwarded_addresses_count_from_named_proxies_only() -> None:
    fields = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "wss"}
    for trusted, said in (("", "ws 127.0.0.1"), ("127.0.0.1", "wss 192.0.2.7")):
        listener = ListenerOptions(port=0, host="127.0.0.1")
        config = HostConfig(listener, trusted_proxies=trusted)
        host = PortableHost(scheme_and_client, mounts=(), config=config)
        await host.start()
        port = port_of(await host.listen())
        async with connect(
            f"ws://127.0.0.1:{port}", proxy=None, additional_headers=fields
        ) as socket:
            assert await socket.recv() == said
        await host.stop(1001)
