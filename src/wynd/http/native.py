"""`NativeHost`: HTTP and WebSockets on one port, on the native engine. The composition root.

The engine keeps every socket and frames every request. An upgrade to a mounted path goes to that
path's `Wynd`; everything else goes to the ASGI application through uvicorn's HTTP protocol, an
upgrade that no mount takes as a `websocket` scope.

Stopping has one order: no new connections, every request and every WebSocket comes to its end or to
the deadline, the application's shut-down, the engine's end.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from wynd.codes import CloseCode
from wynd.engines.native import NativeEngine
from wynd.http.hosting import HttpServer, http_config
from wynd.http.mounts import ADDED_ROOM_BYTES, Mounts, QuickPaths
from wynd.http.proxies import TrustedProxies
from wynd.http.transport import EngineTransport
from wynd.limits import Limits
from wynd.request import Origins, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from uvicorn import Config

    from wynd.engines.base import Address, EngineStatistics, QuickPath, Sink
    from wynd.errors import HandlerError
    from wynd.http.hosts import HostConfig, Mounted
    from wynd.http.mounts import MountedEngine
    from wynd.request import Request

__all__ = ["NativeHost"]

log: logging.Logger = logging.getLogger("wynd.http")
access_log: logging.Logger = logging.getLogger("uvicorn.access")

ABORT_S = 1.0  # what was aborted at the deadline ends within a turn of the loop


_STOPPING = Response("The server is stopping.\n", status=503)


class NativeHost:
    """One port for HTTP and WebSockets on the native engine; see `hosts.Host`.

    Args:
        app: an ASGI 3 application for everything the mounts do not take.
        mounts: a path is exact but for `{name}` (one segment) and `{name:path}` (the rest), told
            by `handle.request.path_params`.
        config: listener, proxies, deadlines. The limits are those of the mounts, which must agree.
        http: uvicorn's settings, see `http_config`; its `app` and its proxy settings are replaced
            by what the other arguments say.

    Raises:
        ValueError: mounts with different limits, a path without a slash, a proxy that is none.
    """

    on_lost: Callable[[Exception], object] | None = None

    def __init__(
        self,
        app: Any,
        *,
        mounts: Sequence[Mounted] = (),
        config: HostConfig,
        http: Config | None = None,
    ) -> None:
        self._host_config = config
        self._mounts = Mounts({mounted.path: mounted.wynd for mounted in mounts})
        self._config = http or http_config(
            app,
            root_path=config.root_path,
            log_level=config.log_level,
            access_log=config.log_level in ("info", "debug", "trace"),
            ws_per_message_deflate=config.compression == "shared",
        )
        self._config.app = app
        self._config.proxy_headers = bool(config.proxies)
        self._config.forwarded_allow_ips = list(config.proxies)
        self._proxies = TrustedProxies(config.proxies)
        self._http = HttpServer(self._config)
        first = self._mounts.applications[0] if mounts else None
        self._engine = NativeEngine(
            _shared(first.limits if first else Limits()),
            Origins.parse("*"),  # each mount judges its own
            (),
            first._compression if first else None,
        )
        self.quick_path: QuickPath | None = None
        """Of all applications together; read by the engine."""
        self._quick_paths: QuickPaths | None = None  # of several
        self._loop: asyncio.AbstractEventLoop | None = None
        self._transports: dict[int, EngineTransport] = {}
        self._passed: dict[int, bytes] = {}  # heads of upgrades that are given to uvicorn
        self._upgrades: dict[int, tuple[MountedEngine, Request]] = {}  # asked, not yet open
        self._sockets: dict[int, MountedEngine] = {}  # open WebSockets
        self._idle = asyncio.Event()
        self._listeners = 0
        self._stopping = False
        self._addresses: list[Address] = []

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where the host listens: `(host, port)` per TCP socket, a path per Unix socket."""
        return tuple(self._addresses)

    def statistics(self) -> EngineStatistics:
        """Return a snapshot of the engine's counters."""
        return self._engine.statistics()

    # Start and stop

    async def start(self) -> None:
        """Run the application's start-up and start the mounts.

        Raises:
            StartFailed: the start-up failed.
            RuntimeError: a mounted `Wynd` runs already.
        """
        loop = self._loop = asyncio.get_running_loop()
        self._engine.serve_http(self, float(self._config.timeout_keep_alive))
        engines = self._mounts.start(self._engine, loop)
        if len(engines) == 1:  # its messages need no look-up
            sink = _sink(engines[0])
            self.received = sink.received  # type: ignore[method-assign]
            self.ponged = sink.ponged  # type: ignore[method-assign]
            self.quick_path = engines[0].quick_path
        else:
            paths = [engine.quick_path for engine in engines]
            known = [path for path in paths if path is not None]
            if known:
                self._quick_paths = QuickPaths(known)
                self.quick_path = self._quick_paths.path()
        self._engine.on_lost = self.on_lost
        self._engine.start(loop, self)
        try:
            await self._http.start(loop)
        except BaseException:
            self._stopping = True
            await self._stop_mounts(CloseCode.GOING_AWAY, 0.0)
            await self._engine.stop()
            raise

    async def listen(self) -> tuple[Address, ...]:
        """See `Host.listen`.

        Raises:
            RuntimeError: not started, or stopping.
        """
        if self._loop is None or self._stopping:
            raise RuntimeError("start() the host before it listens")
        self._listeners += 1
        try:
            addresses = await self._engine.listen(self._listeners, self._host_config.listener)
        except BaseException:
            self._listeners -= 1
            await self.stop()
            raise
        self._addresses += addresses
        return addresses

    async def stop(self, code: int = CloseCode.GOING_AWAY, *, drain_s: float | None = None) -> None:
        """End in order: answers that have begun are finished, WebSockets are closed with `code`.

        Args:
            code: of the close frames.
            drain_s: seconds after which what is left is aborted; None is that of the settings.
        """
        if self._loop is None or self._stopping:
            return
        self._stopping = True
        timeout = self._host_config.drain_s if drain_s is None else drain_s
        loop, deadline = self._loop, self._loop.time() + timeout
        for number in range(1, self._listeners + 1):
            await self._engine.stop_listening(number)
        self._http.finish()
        await asyncio.gather(self._stop_mounts(code, timeout), self._wait_idle(deadline))
        await self._http.end_tasks(deadline, loop)
        await self._http.stop()
        await self._engine.stop()
        self._addresses.clear()

    async def _stop_mounts(self, code: int, drain_s: float) -> None:
        await asyncio.gather(
            *(wynd.stop(code, drain=drain_s) for wynd in self._mounts.applications)
        )

    def reload_certificates(self) -> None:
        """See `Host.reload_certificates`."""
        self._engine.reload_certificates()

    def force(self) -> None:
        """See `Host.force`."""
        for wynd in self._mounts.applications:
            wynd._force()
        for transport in list(self._transports.values()):
            transport.abort()

    async def _wait_idle(self, deadline: float) -> None:
        """Wait until no HTTP connection is left; abort them at the deadline."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self._none_left()
        if self._transports:
            log.warning("drain: aborting %d HTTP connections", len(self._transports))
            for transport in list(self._transports.values()):
                transport.abort()
            with suppress(TimeoutError):
                async with asyncio.timeout(ABORT_S):
                    await self._none_left()

    async def _none_left(self) -> None:
        while self._transports:
            self._idle.clear()
            await self._idle.wait()

    # HTTP connections; see `HttpSink`

    def http_opened(
        self, key: int, listener: int, client: Address, local: Address | None, secure: bool
    ) -> None:
        """See `HttpSink.http_opened`."""
        assert self._loop is not None  # set before the engine was started
        extra = {"peername": client, "sockname": local, "sslcontext": secure or None}
        transport = EngineTransport(self._engine, key, self._loop, extra)
        self._transports[key] = transport
        self._http.serve(transport, self._loop)
        head = self._passed.pop(key, None)
        if head is not None:
            transport.receive_upgrade(head)

    def http_data(self, key: int, data: bytes) -> None:
        """See `HttpSink.http_data`."""
        transport = self._transports.get(key)
        if transport is not None:
            transport.receive(data)
            if self._stopping:
                self._http.finish()

    def http_ended(self, key: int) -> None:
        """See `HttpSink.http_ended`."""
        transport = self._transports.get(key)
        if transport is not None:
            transport.receive_end()

    def http_drained(self, key: int) -> None:
        """See `HttpSink.http_drained`."""
        transport = self._transports.get(key)
        if transport is not None:
            transport.drained()

    def http_closed(self, key: int) -> None:
        """See `HttpSink.http_closed`."""
        transport = self._transports.pop(key, None)
        if transport is not None:
            transport.lost()
            if not self._transports:
                self._idle.set()

    # Upgrades and WebSockets; see `Sink`

    def requested(self, key: int, listener: int, request: Request) -> None:
        """See `Sink.requested`: give an upgrade to its mount, or to the ASGI application."""
        if self._stopping:
            self._engine.respond(key, _STOPPING)
            return
        path = request.path
        found = self._mounts.find(path)
        root = self._config.root_path
        if found is None and root and path.startswith(root):
            found = self._mounts.find(path.removeprefix(root))
        if found is None:
            self._give_to_application(key, request)
            return
        mount, params = found
        client, secure = self._proxies.client_of(request)
        engine = mount.engine
        assert engine is not None  # mounts are started before a listener opens
        routed = engine.offer(key, request._routed(params, client, secure))
        if routed is not None:
            self._upgrades[key] = (engine, routed)

    def _give_to_application(self, key: int, request: Request) -> None:
        self._engine.http_pass(key)
        transport = self._transports.get(key)
        if transport is None:
            self._passed[key] = request._head
        else:
            transport.receive_upgrade(request._head)

    def opened(self, key: int, request: Request, subprotocol: str | None) -> None:
        """See `Sink.opened`."""
        engine, routed = self._upgrades.pop(key)
        engine.forget(key)
        self._sockets[key] = engine
        if self._config.access_log and access_log.hasHandlers():
            path = quote(routed.path) + (f"?{routed.query}" if routed.query else "")
            line = '%s - "%s %s HTTP/%s" %d'
            access_log.info(line, str(routed.client), "GET", path, routed.http_version, 101)
        _sink(engine).opened(key, routed, subprotocol)
        if self._quick_paths is not None:
            self._quick_paths.opened(key, engine.quick_path)

    def handshake_lost(self, key: int) -> None:
        """See `Sink.handshake_lost`."""
        self._passed.pop(key, None)
        known = self._upgrades.pop(key, None)
        if known is not None:
            known[0].forget(key)
            _sink(known[0]).handshake_lost(key)

    def received(self, key: int, message: str | bytes) -> None:
        """See `Sink.received`."""
        _sink(self._sockets[key]).received(key, message)

    def ponged(self, key: int, payload: bytes) -> None:
        """See `Sink.ponged`."""
        _sink(self._sockets[key]).ponged(key, payload)

    def drained(self, key: int) -> None:
        """See `Sink.drained`."""
        _sink(self._sockets[key]).drained(key)

    def closing(self, key: int, sent: int | None, received: int | None) -> None:
        """See `Sink.closing`."""
        _sink(self._sockets[key]).closing(key, sent, received)

    def closed(self, key: int, sent: int | None, received: int | None, reason: str) -> None:
        """See `Sink.closed`."""
        if self._quick_paths is not None:
            self._quick_paths.closed(key)
        _sink(self._sockets.pop(key)).closed(key, sent, received, reason)

    def failed(self, error: HandlerError) -> None:
        """See `Sink.failed`."""
        for wynd in self._mounts.applications[:1]:
            if wynd._dispatcher is not None:
                wynd._dispatcher.failed(error)
                return
        log.error("the engine met an error", exc_info=error.exception)


def _sink(engine: MountedEngine) -> Sink:
    assert engine.sink is not None  # set by `start`, before any connection
    return engine.sink


def _shared(limits: Limits) -> Limits:
    """Return the engine's limits: room for what mounts add to names, and the room of all."""
    return replace(
        limits,
        room_name_bytes_max=limits.room_name_bytes_max + ADDED_ROOM_BYTES,
        rooms_per_connection_max=limits.rooms_per_connection_max + 1,
    )
