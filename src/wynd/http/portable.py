"""`PortableHost`: an ASGI application under uvicorn inside this process, WebSockets by ours.

Decides how uvicorn is configured and driven; mounted Wynds run on the portable engine, as ASGI
applications. Of uvicorn it uses `Config`, `Server` (`serve`, `startup`, its state).
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import uvicorn

from wynd.engines.certificates import replace_certificates, server_context
from wynd.engines.sockets import address_of, close_sockets, open_sockets, path_of
from wynd.http.hosts import StartFailed
from wynd.http.uvicorn import INFLATES_IN_BOUNDS, WyndProtocol

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Iterator, Sequence

    from wynd.engines.base import Address
    from wynd.http.hosts import HostConfig, Mounted

__all__ = ["PortableHost"]

FORCED_S = 1.0  # what a forced stop waits for tasks that were cancelled


class PortableHost:
    """One uvicorn server; see `hosts.Host`."""

    on_lost: Callable[[Exception], object] | None = None

    def __init__(self, app: Any, *, mounts: Sequence[Mounted], config: HostConfig) -> None:
        if config.proxy_protocol:
            raise ValueError("proxy_protocol needs the native engine, which is not built here")
        self._mounts = mounts
        self._config = config
        self._context: ssl.SSLContext | None = None
        self._sockets: list[socket.socket] = []
        self._serving: asyncio.Task[None] | None = None
        self._server = _Server(_uvicorn_config(app, config))

    async def start(self) -> None:
        """See `Host.start`."""
        config = self._server.config
        config.load()
        self._server.lifespan = config.lifespan_class(config)
        await self._server.lifespan.startup()
        if self._server.lifespan.should_exit:
            raise StartFailed("the application's start-up failed")

    async def listen(self) -> tuple[Address, ...]:
        """See `Host.listen`."""
        tls = self._config.listener.tls
        try:
            self._context = None if tls is None else server_context(tls)
            self._sockets = await open_sockets(self._config.listener)
        except BaseException:
            await self._server.lifespan.shutdown()
            raise
        addresses = tuple(address_of(sock) for sock in self._sockets)
        self._serving = asyncio.create_task(
            self._server.run_on(self._sockets, self._context), name="wynd-uvicorn"
        )
        up = asyncio.create_task(self._server.up.wait())
        await asyncio.wait({self._serving, up}, return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        if self._serving.done():
            close_sockets(self._sockets)
            await self._serving  # raises what went wrong
        return addresses

    async def stop(self, code: int) -> None:
        """See `Host.stop`."""
        if self._serving is None:
            return
        paths = [path for path in map(path_of, self._sockets) if path is not None]
        for server in self._server.servers:
            server.close()  # first: asyncio must forget a descriptor before it is closed
        close_sockets(self._sockets)
        for path in paths:
            path.unlink()
        stops = [mounted.wynd.stop(code, drain=self._config.drain_s) for mounted in self._mounts]
        await asyncio.gather(*stops)
        self._server.should_exit = True
        await asyncio.wait({self._serving}, timeout=self._config.drain_s)
        if not self._serving.done():
            self.force()
            await asyncio.wait({self._serving}, timeout=FORCED_S)
        self._serving.cancel()
        await asyncio.gather(self._serving, return_exceptions=True)

    def force(self) -> None:
        """See `Host.force`."""
        for mounted in self._mounts:
            mounted.wynd._force()
        state = self._server.server_state
        for protocol in tuple(state.connections):
            protocol.transport.abort()
        for task in tuple(state.tasks):
            task.cancel()

    def reload_certificates(self) -> None:
        """See `Host.reload_certificates`."""
        tls = self._config.listener.tls
        if self._context is not None and tls is not None:
            replace_certificates(self._context, tls)


def _uvicorn_config(app: Any, config: HostConfig) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        ws=cast("Any", WyndProtocol),
        lifespan="auto",
        log_config=None,
        log_level=config.log_level,
        access_log=config.log_level in ("info", "debug", "trace"),
        proxy_headers=bool(config.trusted_proxies),
        forwarded_allow_ips=config.trusted_proxies or None,
        server_header=False,
        root_path=config.root_path,
        ws_per_message_deflate=config.compression == "shared" and INFLATES_IN_BOUNDS,
    )


class _Server(uvicorn.Server):
    """A server whose lifespan was started by us, and that leaves signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.servers: list[asyncio.base_events.Server] = []
        self.up = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def run_on(self, sockets: list[socket.socket], context: ssl.SSLContext | None) -> None:
        """Accept on `sockets` until `should_exit`, then end in uvicorn's order."""
        protocol = self.config.http_protocol_class
        loop = asyncio.get_running_loop()

        def make(_loop: asyncio.AbstractEventLoop | None = None) -> asyncio.Protocol:
            state = self.lifespan.state
            return protocol(  # type: ignore[call-arg]  # uvicorn's own way to call it
                config=self.config, server_state=self.server_state, app_state=state, _loop=_loop
            )

        for sock in sockets:
            self.servers.append(await loop.create_server(make, sock=sock, ssl=context))
        self.started = True
        self.up.set()
        await self.main_loop()
        await self.shutdown()
