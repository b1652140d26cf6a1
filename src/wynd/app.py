"""`Wynd`: registration, listening, stopping. The composition root of the library.

Chooses the engine, wires engine → dispatcher → handlers, and owns the order of start and stop.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from wynd.codes import check_close
from wynd.compression import Compression, compression_of
from wynd.connection import check_handler
from wynd.dispatch import Dispatcher, Registrations
from wynd.engines.base import EngineStatistics, Policy
from wynd.errors import EngineUnavailable
from wynd.limits import Limits
from wynd.listening import asking, listener_options, refuse_second_listen
from wynd.registry import Registry
from wynd.reloading import ReloadSignal
from wynd.request import Origins
from wynd.rooms import Audience
from wynd.stopping import StopSignals, close_all, retry_bounds
from wynd.watching import watch_loop

if TYPE_CHECKING:
    import socket

    from wynd.engines.base import Address, Engine, ListenerOptions
    from wynd.engines.native import NativeEngine
    from wynd.handle import ConnectionHandle
    from wynd.registry import Clock
    from wynd.tls import Tls
    from wynd.watching import LoopWatch

__all__ = ["Statistics", "Wynd"]

log: logging.Logger = logging.getLogger("wynd")

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Statistics(EngineStatistics):
    """A snapshot of one `Wynd`: the engine's counters and those of the library."""

    engine: str = ""
    """"native", "portable", or "" before the first listen."""
    handler_errors: int = 0
    """Errors given to `on_error`."""
    sends_failed: int = 0
    """Sends and pings refused because the connection was closed."""


class Wynd:
    """A WebSocket server: register handlers, then `run` or `listen`.

    Args:
        engine: "native" (Rust, fast), "portable" (any platform, under uvicorn), or "auto":
            native where it is built, else portable with a line in the log.
        limits: every bound; see `Limits`.
        origins: who may connect from a browser: "same-host", "*", or a list such as
            `["https://example.org", "https://*.example.org"]`.
        subprotocols: those this server speaks; the first of the client's list that is among them
            is agreed on.
        compression: "off"; "shared" compresses each message on its own, a broadcast once for all;
            "dedicated" keeps a context per connection, up to 390 KiB each; or a `Compression`.
        concurrency: how many handlers of one connection may run at a time; 1 keeps the order.
        on_handler_error: "keep" the connection after a handler raised, or "close" it with 1011.

    Raises:
        TypeError, ValueError: an unknown option or a wrong value.
        EngineUnavailable: `engine="native"` where the native module is missing.
    """

    def __init__(
        self,
        *,
        engine: Literal["auto", "native", "portable"] = "auto",
        limits: Limits | None = None,
        origins: str | Sequence[str] = "same-host",
        subprotocols: Iterable[str] = (),
        compression: Literal["off", "shared", "dedicated"] | Compression | None = None,
        concurrency: int = 1,
        on_handler_error: Literal["keep", "close"] = "keep",
    ) -> None:
        if engine not in ("auto", "native", "portable"):
            raise ValueError(f'engine must be "auto", "native" or "portable", not {engine!r}')
        if on_handler_error not in ("keep", "close"):
            raise ValueError(
                f'on_handler_error must be "keep" or "close", not {on_handler_error!r}'
            )
        if not isinstance(concurrency, int) or isinstance(concurrency, bool) or concurrency < 1:
            raise ValueError(f"concurrency must be an int of 1 or more, not {concurrency!r}")
        if limits is not None and not isinstance(limits, Limits):
            raise TypeError(f"limits must be a Limits, not {type(limits).__name__}")
        if isinstance(subprotocols, str):
            raise TypeError("subprotocols must be a list of names, not one str")
        self._limits = limits or Limits()
        self._origins = Origins.parse(origins)
        self._subprotocols = tuple(subprotocols)
        for name in self._subprotocols:
            _check_subprotocol(name)
        self._compression = compression_of(compression)
        self._concurrency = concurrency
        self._on_handler_error: Literal["keep", "close"] = on_handler_error
        self._engine_choice = engine
        if engine == "native":
            _native_engine()
        self._registrations = Registrations()
        self._policies: list[tuple[str, Policy]] = []
        self._engine: Engine | None = None
        self._registry: Registry | None = None
        self._dispatcher: Dispatcher | None = None
        self._watch: LoopWatch | None = None
        self._addresses: dict[int, tuple[Address, ...]] = {}
        self._listeners = 0
        self._stopping: asyncio.Task[None] | None = None
        self._stopped: asyncio.Future[None] | None = None
        self._random: random.Random = random.SystemRandom()
        self._reload_signal = ReloadSignal(self.reload_certificates)
        self._clock: Clock | None = None  # set by `wynd.testing`; else the loop's

    # Registration

    def on_connection(self, function: F) -> F:
        """Register `function(conn)`, called for each new connection, to add its handlers."""
        handler = check_handler("on_connection", function, ("conn",))
        self._registrations.connection += (handler,)
        return function

    def on_open(self, function: F) -> F:
        """Register `function(handle)` for every connection of this application."""
        handler = check_handler("on_open", function, ("handle",))
        self._registrations.handlers.open += (handler,)
        return function

    def on_text(self, function: F) -> F:
        """Register `function(message[, handle])` for the text messages of every connection."""
        handler = check_handler("on_text", function, ("message", "handle"), ("message",))
        self._registrations.handlers.text += (handler,)
        return function

    def on_binary(self, function: F) -> F:
        """Register `function(message[, handle])` for the binary messages of every connection."""
        handler = check_handler("on_binary", function, ("message", "handle"), ("message",))
        self._registrations.handlers.binary += (handler,)
        return function

    def on_disconnect(self, function: F) -> F:
        """Register `function(event[, handle])`, called once at the end of every connection."""
        handler = check_handler("on_disconnect", function, ("event", "handle"), ("event",))
        self._registrations.handlers.close += (handler,)
        return function

    def use_middleware(self, function: F) -> F:
        """Register `function(conn, handle, next)`; runs after the upgrade, before the handlers.

        Let the connection through with `return await next(conn, handle)`; refuse it by raising
        `Reject(code, reason)`. One that does neither refuses with 1008. To refuse with an HTTP
        status, before the upgrade, use `on_request`.
        """
        check_handler("use_middleware", function, ("conn", "handle", "next"))
        self._registrations.middleware += (function,)
        return function

    def on_request(self, function: F) -> F:
        """Register `function(request)`, asked before the upgrade.

        It returns None to accept, `Accept(headers=…, subprotocol=…)` to accept with more, or a
        `Response` to answer plain HTTP and refuse. It has until `Limits.handshake_timeout_s`.
        """
        handler = check_handler("on_request", function, ("request",))
        if _EVERY_LISTENER in self._registrations.request:
            raise ValueError("on_request is registered already; one function decides")
        self._registrations.request[_EVERY_LISTENER] = handler
        return function

    def on_error(self, function: F) -> F:
        """Register `function(error)`; `error` is a `HandlerError`.

        Without one, errors go to the logger `wynd.dispatch` with their traceback.
        """
        self._registrations.error += (check_handler("on_error", function, ("error",)),)
        return function

    def on_shutdown(self, function: F) -> F:
        """Register `function()`, called when the server begins to stop."""
        self._registrations.shutdown += (check_handler("on_shutdown", function, ()),)
        return function

    on_close = on_shutdown
    """Wynd's name for `on_shutdown`."""

    def room_policy(self, pattern: str, policy: Policy) -> None:
        """Set what happens to slow members of the rooms whose name matches `pattern`.

        `*` matches any run of characters; the first matching pattern counts; rooms without one
        use `Policy.close()`. Set it before the rooms are joined.

        Raises:
            TypeError: not a str and a `Policy`.
        """
        if not isinstance(pattern, str) or not isinstance(policy, Policy):
            raise TypeError(
                'room_policy takes a pattern and a Policy, as in ("news.*", Policy.latest)'
            )
        self._policies.append((pattern, policy))
        if self._engine is not None:
            self._engine.room_policy(pattern, policy)

    # From outside a connection

    @property
    def broadcast(self) -> Audience:
        """Every open connection, to send to. Raises RuntimeError before the server listens."""
        return Audience(self._running(), None, None)

    def to(self, room: str) -> Audience:
        """The members of `room`, to send to. Raises RuntimeError before the server listens."""
        return Audience(self._running(), room, None)

    def clients(self) -> list[ConnectionHandle]:
        """Return the handles of all open connections, oldest first."""
        return self._registry.clients() if self._registry is not None else []

    def connection(self, id: int) -> ConnectionHandle | None:
        """Return the open connection with this id, or None."""
        return self._registry.by_id.get(id) if self._registry is not None else None

    @property
    def limits(self) -> Limits:
        """The limits this server was made with."""
        return self._limits

    @property
    def engine(self) -> str | None:
        """The engine that runs, "native" or "portable"; None before the first listen."""
        return self._engine.name if self._engine is not None else None

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where the server listens: `(host, port)` per TCP socket, a path per Unix socket."""
        return tuple(address for some in self._addresses.values() for address in some)

    def statistics(self) -> Statistics:
        """Return an immutable snapshot of counters and gauges."""
        if self._engine is None or self._registry is None or self._dispatcher is None:
            return Statistics()
        counted = self._engine.statistics()
        return Statistics(
            **{name: getattr(counted, name) for name in EngineStatistics.__dataclass_fields__},
            engine=self._engine.name,
            handler_errors=self._dispatcher.handler_errors,
            sends_failed=self._registry.sends_failed,
        )

    def _running(self) -> Registry:
        if self._registry is None:
            raise RuntimeError("the server is not listening yet; call this from a handler or later")
        return self._registry

    # Listening

    def run(
        self,
        port: int | None = None,
        on_listening: Callable[..., Any] | None = None,
        *,
        host: str | Sequence[str] = "localhost",
        sock: socket.socket | None = None,
        uds: str | None = None,
        reuse_port: bool = False,
        tls: Tls | None = None,
    ) -> None:
        """Listen until SIGINT or SIGTERM, then stop in order and return.

        A second signal ends every connection at once. For the arguments see `listen`.

        Raises:
            RuntimeError: called inside a running event loop; `await listen(...)` there.
        """
        options = listener_options(port, host, sock, uds, reuse_port, tls)
        if asyncio._get_running_loop() is not None:
            raise RuntimeError("run() starts an event loop; inside one, await listen(...)")
        with StopSignals(self.stop, self._force) as signals:
            asyncio.run(self._run(options, on_listening, signals))

    async def _run(
        self,
        options: ListenerOptions,
        on_listening: Callable[..., Any] | None,
        signals: StopSignals,
    ) -> None:
        signals.attach(asyncio.get_running_loop())
        await self._listen(options, on_listening, None)

    async def listen(
        self,
        port: int | None = None,
        on_listening: Callable[..., Any] | None = None,
        *,
        host: str | Sequence[str] = "localhost",
        sock: socket.socket | None = None,
        uds: str | None = None,
        reuse_port: bool = False,
        tls: Tls | None = None,
        on_request: Callable[..., Any] | None = None,
    ) -> None:
        """Listen, and serve until `stop`. Several listeners may serve one `Wynd`.

        Args:
            port: TCP port; 0 takes a free one, told by `addresses` and `on_listening`.
            on_listening: called when the sockets are open, with nothing or with the addresses.
            host: address or name, or a list; "localhost" binds 127.0.0.1 and, where it exists,
                ::1; "" or "0.0.0.0" all interfaces.
            sock: a bound socket instead of `port`; it is taken over and closed.
            uds: path of a Unix socket instead of `port`.
            reuse_port: SO_REUSEPORT: several processes share the port; rooms and broadcasts then
                stay within a process.
            tls: certificate and key: this listener speaks wss and https instead of ws and http.
                SIGHUP reads the files again, unless the application handles it itself.
            on_request: this listener's own, instead of the application's.

        Raises:
            OSError: the port is in use, or this `Wynd` listens there already.
            CertificateError: certificate or key cannot be used.
            TypeError, ValueError: arguments that contradict each other.
            RuntimeError: another event loop runs this `Wynd`.
            WyndError: the native engine met a bug that it could not recover from, and is gone.
        """
        options = listener_options(port, host, sock, uds, reuse_port, tls)
        await self._listen(options, on_listening, on_request)

    @asynccontextmanager
    async def serving(
        self,
        port: int | None = None,
        *,
        host: str | Sequence[str] = "localhost",
        sock: socket.socket | None = None,
        uds: str | None = None,
        reuse_port: bool = False,
        tls: Tls | None = None,
        on_request: Callable[..., Any] | None = None,
    ) -> AsyncIterator[Wynd]:
        """Serve inside an `async with` block; `stop()` is called at its end.

        Arguments as in `listen`; the block is entered when the sockets are open.
        """
        options = listener_options(port, host, sock, uds, reuse_port, tls)
        await self._open_listener(options, on_request)
        try:
            yield self
        finally:
            await self.stop()

    async def _listen(
        self,
        options: ListenerOptions,
        on_listening: Callable[..., Any] | None,
        on_request: Callable[..., Any] | None,
    ) -> None:
        told = None
        if on_listening is not None:
            told = check_handler("on_listening", on_listening, (), ("addresses",))
        number, stopped = await self._open_listener(options, on_request)
        try:
            if told is not None:
                result = told.call(*((self.addresses,) if told.arguments else ()))
                if inspect.isawaitable(result):
                    await result
            await asyncio.shield(stopped)
        except BaseException:  # cancelled, or on_listening failed: nothing stays behind
            await self._end_listener(number)
            raise

    async def _open_listener(
        self, options: ListenerOptions, on_request: Callable[..., Any] | None
    ) -> tuple[int, asyncio.Future[None]]:
        decides = None
        if on_request is not None:
            decides = check_handler("on_request", on_request, ("request",))
        loop = asyncio.get_running_loop()
        if self._stopping is not None:
            await asyncio.shield(self._stopping)
        engine = self._start(loop, "native" if self._engine_choice != "portable" else "portable")
        stopped = self._stopped
        assert stopped is not None  # set by _start
        number = self._listeners = self._listeners + 1
        decides = decides or self._registrations.request.get(_EVERY_LISTENER)
        if decides is not None:
            self._registrations.request[number] = decides
            options = asking(options)
        try:
            refuse_second_listen(options, self.addresses)
            self._addresses[number] = await engine.listen(number, options)
            self._watch_loop(loop)  # not before: opening loads modules, and nobody is served yet
            if options.tls is not None:
                self._reload_signal.install(loop)
        except BaseException:
            self._registrations.request.pop(number, None)
            if not self._addresses:
                await self._dismantle()
            raise
        return number, stopped

    def _engine_lost(self, error: Exception) -> None:
        """Let `listen` and `run` raise: a server that cannot serve must not look as if it did."""
        if self._stopped is not None and not self._stopped.done():
            self._stopped.set_exception(error)
            self._stopped.exception()  # logged before; not again where nobody waits for it

    async def _end_listener(self, number: int) -> None:
        """End one listener, and the whole server with the last one."""
        if self._engine is not None and self._stopping is None and len(self._addresses) > 1:
            await self._engine.stop_listening(number)
            self._addresses.pop(number, None)
        else:
            await self.stop()

    def _start(self, loop: asyncio.AbstractEventLoop, wanted: str) -> Engine:
        """Make the engine at the first listener, and check later ones against it."""
        if self._engine is not None and self._registry is not None:
            if self._registry.loop is not loop:
                raise RuntimeError("this Wynd runs on another event loop; stop it there first")
            return self._engine
        engine = self._make_engine(wanted)
        self._run_on(engine, loop)
        return engine

    def _run_on(self, engine: Engine, loop: asyncio.AbstractEventLoop) -> Dispatcher:
        """Wire the application to an engine and start it; the caller looks after listeners."""
        for pattern, policy in self._policies:
            engine.room_policy(pattern, policy)
        registry = Registry(engine, self._limits, loop, self._clock)
        self._dispatcher = Dispatcher(
            self._registrations,
            registry,
            concurrency=self._concurrency,
            on_handler_error=self._on_handler_error,
        )
        engine.on_lost = self._engine_lost
        engine.start(loop, self._dispatcher)
        self._engine, self._registry = engine, registry
        self._stopped = loop.create_future()
        return self._dispatcher

    def _watch_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Name in the log whoever blocks the loop from now on."""
        if self._watch is None:
            self._watch = watch_loop(loop)

    def _make_engine(self, wanted: str) -> Engine:
        arguments = (self._limits, self._origins, self._subprotocols, self._compression)
        if wanted == "native":
            try:
                native = _native_engine()
                engine = native(*arguments, clock=self._clock.time if self._clock else None)
            except EngineUnavailable as reason:
                if self._engine_choice == "native":
                    raise
                log.warning("running on the portable engine: %s", reason)
            else:
                log.info("running on the native engine")
                return engine
        else:
            log.info("running on the portable engine")
        from wynd.engines.asgi import PortableEngine

        return PortableEngine(*arguments)

    def reload_certificates(self) -> None:
        """Read the certificate files of every listener again; SIGHUP does the same.

        Connections that are open go on; those that come from now on see the new certificates.
        Without a listener that has `tls`, nothing happens. Call it on the loop's thread.

        Raises:
            CertificateError: files that cannot be used; all listeners keep what they had.
        """
        if self._engine is not None:
            self._engine.reload_certificates()

    def handler(self) -> Callable[..., Awaitable[None]]:
        """Return this application as an ASGI application, to mount under any ASGI server.

        `wynd.http` and `wynd serve` run it on the native engine. Under any other server it runs on
        the portable one: that server does the framing. Where it runs the lifespan protocol of its
        applications, its end calls `stop()`.

        Raises (at the first connection):
            RuntimeError: this `Wynd` listens by itself on the native engine already.
            EngineUnavailable: `engine="native"` under another server.
        """

        async def application(scope: Any, receive: Any, send: Any) -> None:
            from wynd.engines.asgi import PortableEngine, answer_lifespan, require_upgrade

            if self._engine is None and self._engine_choice == "native":
                raise EngineUnavailable('another server hosts this Wynd; use engine="auto"')
            loop = asyncio.get_running_loop()
            engine = self._start(loop, "portable")
            self._watch_loop(loop)
            if scope["type"] == "lifespan":
                await answer_lifespan(receive, send, self.stop)
            elif isinstance(engine, PortableEngine):
                await engine.application(scope, receive, send, asks=self._asks_mounted())
            elif scope["type"] == "http":  # the engine takes the upgrades before they come here
                await require_upgrade(scope, send)
            else:
                raise RuntimeError("this Wynd listens by itself already; mount another one")

        application.wynd = self  # type: ignore[attr-defined]  # for `use_wynd`
        return application

    def _mount_on(self, engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
        """Start on an engine that a host shares among applications, for `wynd.http`."""
        if self._engine is not None:
            raise RuntimeError("this Wynd listens by itself already; mount another one")
        self._run_on(engine, loop)
        self._watch_loop(loop)
        self._asks_mounted()

    def _serve_in_memory(self) -> Engine:
        """Start without a listener, for `wynd.testing`."""
        wanted = "portable" if self._engine_choice == "portable" else "native"
        loop = asyncio.get_running_loop()
        engine = self._start(loop, wanted)
        self._watch_loop(loop)
        return engine

    def _asks_mounted(self) -> bool:
        """Return whether on_request decides about connections no listener brought."""
        decides = self._registrations.request.get(_EVERY_LISTENER)
        if decides is not None:
            self._registrations.request[_MOUNTED] = decides
        return decides is not None

    # Stopping

    async def stop(
        self,
        code: int = 1001,
        *,
        retry_after: float | tuple[float, float] | None = None,
        spread: float = 5.0,
        drain: float = 30.0,
    ) -> None:
        """Stop in order: no new connections, close the open ones, wait, end the rest.

        The peers get `code` with the library's fixed sentence; on 1012 it ends with
        `retry_after=N`, drawn per client. Called again while stopping, it waits for the same end.

        Args:
            code: 1001 (stopping) or 1012 (restarting) or any code that may be sent.
            retry_after: seconds after which clients should come back, or `(low, high)` to draw
                from; on 1012 the default is 1 to 10.
            spread: seconds over which the close frames are spread at most; few clients need less.
            drain: seconds after which what is left is aborted.

        Raises:
            ValueError: a code that must not be sent, or negative times.
        """
        check_close(code, "")
        retry = retry_bounds(code, retry_after)
        if spread < 0 or drain < 0:
            raise ValueError("spread and drain are seconds of 0 or more")
        if self._engine is None:
            return
        if self._stopping is None:
            steps = self._stop_in_order(code, retry, spread, drain)
            self._stopping = asyncio.get_running_loop().create_task(steps, name="wynd-stop")
        await asyncio.shield(self._stopping)

    async def _stop_in_order(
        self, code: int, retry: tuple[float | None, float], spread: float, drain: float
    ) -> None:
        assert self._engine is not None
        assert self._dispatcher is not None
        loop = asyncio.get_running_loop()
        deadline = loop.time() + drain
        for number in tuple(self._addresses):
            await self._engine.stop_listening(number)
        await self._dispatcher.run_shutdown_handlers()
        keys = self._dispatcher.open_keys()
        closing = loop.create_task(close_all(self._engine, keys, code, retry, spread, self._random))
        try:
            async with asyncio.timeout_at(deadline):
                await self._dispatcher.wait_quiet()
        except TimeoutError:
            log.warning("drain: aborting %d connections", len(self._dispatcher.open_keys()))
        finally:
            closing.cancel()
            await asyncio.gather(closing, return_exceptions=True)
        await self._dismantle()

    async def _dismantle(self) -> None:
        """End what is left at once and forget the engine; the `Wynd` may listen again."""
        engine, dispatcher, stopped = self._engine, self._dispatcher, self._stopped
        assert engine is not None
        assert dispatcher is not None
        self._reload_signal.remove()
        for key in dispatcher.open_keys():
            engine.abort(key)
        await engine.stop()
        dispatcher.cut_all()
        with suppress(TimeoutError):  # cancelled handlers and the last on_close get their turns
            async with asyncio.timeout(self._limits.close_timeout_s):
                await dispatcher.wait_quiet()
        await dispatcher.stop()
        if self._watch is not None:
            self._watch.stop()
        self._watch = self._engine = self._registry = self._dispatcher = None
        self._addresses.clear()
        for number in tuple(self._registrations.request):
            if number > 0:
                del self._registrations.request[number]
        self._stopping = None
        if stopped is not None and not stopped.done():
            stopped.set_result(None)

    def _force(self) -> None:
        """Abort every connection: a second signal came."""
        if self._engine is not None and self._dispatcher is not None:
            for key in self._dispatcher.open_keys():
                self._engine.abort(key)
            self._dispatcher.cut_all()


_EVERY_LISTENER = -1  # key of the application's own on_request; listeners count from 1
_MOUNTED = 0  # the "listener" of connections a host server brings


def _native_engine() -> type[NativeEngine]:
    try:
        from wynd.engines.native import NativeEngine
    except ImportError as error:
        raise EngineUnavailable(
            "the native engine is not built here (install with a Rust toolchain in PATH, or from "
            f"a wheel that has it): {error}"
        ) from error
    return NativeEngine


def _check_subprotocol(name: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f"a subprotocol must be a str, not {name!r}")
    separators = '()<>@,;:\\"/[]?={} \t'
    if not name or any(ord(c) <= 32 or ord(c) >= 127 or c in separators for c in name):
        raise ValueError(f"subprotocol {name!r} is no token (RFC 6455 §4.1)")
