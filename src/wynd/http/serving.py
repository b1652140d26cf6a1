"""`Server` and `serve`: an ASGI application on a port, from its start to its end in order.

Decides which host carries it, what `on_listening` is told, and what signals do.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
import logging
import math
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from wynd.codes import CloseCode, check_close
from wynd.connection import check_handler
from wynd.http.hosts import HostConfig
from wynd.http.proxies import TrustedProxies
from wynd.http.routes import middleware_for_upgrades, mounts_of
from wynd.listening import listener_options
from wynd.reloading import ReloadSignal
from wynd.stopping import StopSignals

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Callable, Sequence

    from wynd.engines.base import Address
    from wynd.http.hosts import Host, Mounted
    from wynd.tls import Tls

__all__ = ["Server", "serve"]

log: logging.Logger = logging.getLogger("wynd.http")


def make_host(app: Any, mounts: Sequence[Mounted], config: HostConfig) -> Host:
    """Return the native host where it is built, else the portable one."""
    if importlib.util.find_spec("wynd.http.native") and importlib.util.find_spec("wynd._engine"):
        passed_by = middleware_for_upgrades(app) if mounts else []
        if passed_by:
            log.warning(
                "%s will not see upgrades to %s: decide who may connect in on_request",
                ", ".join(passed_by),
                ", ".join(mounted.path for mounted in mounts),
            )
        native = importlib.import_module("wynd.http.native")
        return cast("Host", native.NativeHost(app, mounts=mounts, config=config))
    from wynd.http.portable import PortableHost

    return PortableHost(app, mounts=mounts, config=config)


class Server:
    """Serves one ASGI application, on one listener at a time.

    Args:
        app: the application (ASGI 3).
        mounts: the Wynds that it holds, as `App` knows them; they are drained at the end.
    """

    def __init__(self, app: Any, mounts: Sequence[Mounted] = ()) -> None:
        if not callable(app):
            raise TypeError(f"an ASGI application is a callable, not {type(app).__name__}")
        self._app = app
        self._mounts = mounts
        self._reload_signal = ReloadSignal(self.reload_certificates)
        self._host: Host | None = None
        self._addresses: tuple[Address, ...] = ()
        self._stopping: asyncio.Task[None] | None = None
        self._stopped: asyncio.Event | None = None
        self._failure: Exception | None = None  # why it serves no longer, other than by `stop`

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where it listens: `(host, port)` per TCP socket, a path per Unix socket."""
        return self._addresses

    def run(
        self,
        port: int | None = None,
        on_listening: Callable[..., Any] | None = None,
        **options: Any,
    ) -> None:
        """Listen until SIGINT or SIGTERM, then stop in order and return; see `listen`.

        A second signal ends every connection at once.

        Raises:
            RuntimeError: called inside a running event loop; `await listen(...)` there.
        """
        config = host_config(port, **options)
        if asyncio._get_running_loop() is not None:
            raise RuntimeError("run() starts an event loop; inside one, await listen(...)")

        async def main() -> None:
            signals.attach(asyncio.get_running_loop())
            await self._serve(config, on_listening)

        with StopSignals(self.stop, self._force) as signals:
            asyncio.run(main())

    async def listen(
        self,
        port: int | None = None,
        on_listening: Callable[..., Any] | None = None,
        **options: Any,
    ) -> None:
        """Start the application, listen, and serve until `stop`.

        Args:
            port: TCP port; 0 takes a free one, told by `addresses` and `on_listening`.
            on_listening: called when the sockets are open, with nothing or with the addresses.
            options: `host`, `sock`, `uds`, `reuse_port`, `tls` as in `Wynd.listen`;
                `trusted_proxies`, `proxy_protocol`, `root_path`, `drain_s`, `log_level` as in
                `hosts.HostConfig`.

        Raises:
            OSError: the port is in use.
            StartFailed: the application's lifespan start-up failed.
            TypeError, ValueError: arguments that contradict each other.
            RuntimeError: it listens already.
        """
        await self._serve(host_config(port, **options), on_listening)

    @asynccontextmanager
    async def serving(self, port: int | None = None, **options: Any) -> AsyncIterator[Server]:
        """Serve inside an `async with` block; `stop()` is called at its end."""
        await self._open(host_config(port, **options))
        try:
            yield self
        finally:
            await self.stop()

    async def stop(self, code: int = CloseCode.GOING_AWAY) -> None:
        """Stop in order: no new connections, close WebSockets, drain, lifespan shutdown.

        Mounted Wynds close with `code`; other WebSockets with 1012, as uvicorn does.

        Raises:
            ValueError: a code that must not be sent.
        """
        check_close(code, "")
        if self._host is None:
            return
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop(self._host, code), name="wynd-stop")
        await asyncio.shield(self._stopping)

    async def _stop(self, host: Host, code: int) -> None:
        try:
            await host.stop(code)
        finally:
            stopped = self._stopped
            self._reload_signal.remove()
            self._host = self._stopping = self._stopped = None
            self._addresses = ()
            if stopped is not None:
                stopped.set()

    def reload_certificates(self) -> None:
        """Read the certificate files again; new connections get what they hold now.

        SIGHUP does it too while this listens with `tls`. Without TLS nothing happens.

        Raises:
            CertificateError: a file cannot be used; the certificates stay as they were.
        """
        if self._host is not None:
            self._host.reload_certificates()

    def _host_lost(self, error: Exception) -> None:
        self._failure = error
        if self._stopped is not None:
            self._stopped.set()

    def _force(self) -> None:
        if self._host is not None:
            self._host.force()

    async def _open(self, config: HostConfig) -> asyncio.Event:
        if self._host is not None:
            raise RuntimeError("this application listens already; stop it first")
        host = make_host(self._app, self._mounts, config)
        host.on_lost = self._host_lost
        self._host, self._failure = host, None
        try:
            await host.start()
            self._addresses = await host.listen()
        except BaseException:
            self._host = None
            raise
        if config.listener.tls is not None:
            self._reload_signal.install(asyncio.get_running_loop())
        self._stopped = asyncio.Event()
        return self._stopped

    async def _serve(self, config: HostConfig, on_listening: Callable[..., Any] | None) -> None:
        told = None
        if on_listening is not None:
            told = check_handler("on_listening", on_listening, (), ("addresses",))
        stopped = await self._open(config)
        try:
            if told is not None:
                result = told.call(*((self._addresses,) if told.arguments else ()))
                if inspect.isawaitable(result):
                    await result
            await stopped.wait()
            if self._failure is not None:
                raise self._failure
        except BaseException:  # cancelled, or on_listening failed: nothing stays behind
            await self.stop()
            raise


def serve(
    app: Any,
    port: int | None = None,
    on_listening: Callable[..., Any] | None = None,
    **options: Any,
) -> None:
    """Run any ASGI application until SIGINT or SIGTERM; see `Server.listen`."""
    Server(app, mounts_of(app)).run(port, on_listening, **options)


def host_config(
    port: int | None = None,
    *,
    host: str | Sequence[str] = "localhost",
    sock: socket.socket | None = None,
    uds: str | None = None,
    reuse_port: bool = False,
    tls: Tls | None = None,
    **options: Any,
) -> HostConfig:
    """Check the arguments of `listen` and return them as a value.

    Raises:
        TypeError, ValueError: unknown ones, or such that contradict each other.
    """
    listener = listener_options(port, host, sock, uds, reuse_port, tls)
    config = HostConfig(listener=listener, **options)
    if not 0 <= config.drain_s < math.inf:
        raise ValueError(f"drain_s must be a number of seconds from 0 on, not {config.drain_s!r}")
    if config.compression not in ("off", "shared"):
        raise ValueError(f'compression must be "off" or "shared", not {config.compression!r}')
    trusted = TrustedProxies(config.proxies)
    if config.proxy_protocol:
        if not trusted:
            raise ValueError("proxy_protocol needs trusted_proxies: who may name the client")
        listener = replace(listener, proxies=config.proxies)
    return replace(config, listener=listener)
