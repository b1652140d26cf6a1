"""The native engine: one shard of `wynd._engine` behind the loop, one descriptor to watch.

Decides when a turn runs and where listening sockets come from. Bytes, frames, rooms and deadlines
are the shard's; handlers are the sink's.

A turn is `poll`, `dispatch`, `flush`, and at last `settle`, which tells when the next one is due:

- at once (`call_soon`) if the turn stopped early or input waits in user space,
- at the shard's next deadline (one timer), or when its descriptor is readable (`add_reader`),
- for commands outside a turn: the first one calls `schedule`, or wakes the descriptor from another
  thread.
"""

from __future__ import annotations

import math
import os
import secrets
import socket
import weakref
from typing import TYPE_CHECKING, Any

from wynd._engine import Certificates, Stepper
from wynd._engine import Engine as Core
from wynd.engines import sockets
from wynd.engines.base import Engine, EngineStatistics
from wynd.errors import CertificateError, HandlerError, WyndError
from wynd.request import Request

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from wynd.compression import Compression
    from wynd.engines.base import (
        Address,
        HttpSink,
        ListenerOptions,
        Opcode,
        Payload,
        Policy,
        QuickPath,
        Sink,
    )
    from wynd.limits import Limits
    from wynd.request import Accept, Origins, Response
    from wynd.tls import Tls

__all__ = ["NativeEngine"]

SLICE_S = 0.001
"""Handlers run this long at most before what they sent leaves."""

TURN_S = 0.005
"""A turn with this much of handlers leaves the rest to the next one: others wait for the loop."""

_AT_ONCE = -1.0  # what `settle` says when a turn is due already

_engines: weakref.WeakSet[NativeEngine] = weakref.WeakSet()


def _refuse_after_fork() -> None:
    for engine in _engines:
        engine._refuse()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_refuse_after_fork)


def _load(tls: Tls) -> Certificates:
    try:
        return Certificates(tls.certificate_path, tls.key_path)
    except ValueError as error:
        raise CertificateError(str(error)) from None


def _nothing(*arguments: object) -> None:
    """Stand in for receivers that are never called."""


class NativeEngine(Engine):
    """Runs one shard on the loop's thread; see `Engine` for the methods.

    Args:
        limits: bounds of the shard.
        origins: which pages may connect.
        subprotocols: what `Sec-WebSocket-Protocol` may agree on.
        compression: which offers of permessage-deflate are taken; None declines all.
        clock: float seconds that never go back, where a test drives the time; None is the
            system's monotonic clock.
    """

    name = "native"

    def __init__(
        self,
        limits: Limits,
        origins: Origins,
        subprotocols: Sequence[str],
        compression: Compression | None = None,
        *,
        clock: Callable[[], float] | None = None,
    ) -> None:
        super().__init__(limits, origins, subprotocols, compression)
        self.core: Core | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sink: Sink | None = None
        self._clock = clock
        self._receivers: tuple[Callable[..., object], ...] = ()
        self._policies: list[tuple[str, Policy]] = []
        self._requests: dict[int, Request] = {}  # told by `requested`, not yet decided
        self._owners: list[int] = []  # by number of a socket, the number of its listener
        self._listening: set[int] = set()  # numbers of listening sockets
        self._secured: dict[int, Tls] = {}  # numbers of those that speak TLS
        self._adopters: dict[int, int] = {}  # listener → number that stands for adopted sockets
        self._paths: dict[int, sockets.UnixPath] = {}
        self._http: tuple[HttpSink, float] | None = None
        self._soon: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._is_stopped = False

    # Start and stop

    def start(self, loop: asyncio.AbstractEventLoop, sink: Sink) -> None:
        core = Core(
            self.limits,
            self.origins.rules,
            self.subprotocols,
            seed=secrets.randbits(64),
            schedule=self._schedule,
            clock=self._clock,
            compression=self.compression,
        )
        for pattern, policy in self._policies:
            core.set_room_policy(pattern, policy.kind, policy.code, policy.reason)
        self.core, self._loop, self._sink = core, loop, sink
        received = sink.received
        quick: QuickPath | None = getattr(sink, "quick_path", None)
        if quick is not None:
            received = stepper = Stepper(received, quick)
            quick.watch(stepper.changed)
        self._receivers = (
            self._on_requested,
            self._on_opened,
            received,
            sink.ponged,
            sink.drained,
            sink.closing,
            sink.closed,
            self._on_handshake_lost,
            self._on_failed,
            *self._http_receivers(),
        )
        self.http_write = core.http_write  # type: ignore[method-assign]
        # Every message takes this call: without a Python frame of its own it costs a tenth less.
        self.send = core.send  # type: ignore[method-assign]
        _engines.add(self)
        loop.add_reader(core.fileno(), self.turn)

    def serve_http(self, sink: HttpSink, idle_s: float) -> None:
        """Let all listeners serve HTTP too; call it before `start`.

        Upgrades are put to `Sink.requested`, whatever the listener's options say, and everything
        else to `sink`.

        Args:
            sink: what is told of HTTP connections.
            idle_s: seconds a connection may wait for its next request.
        """
        self._http = (sink, idle_s)

    def _http_receivers(self) -> tuple[Callable[..., object], ...]:
        if self._http is None:
            return (_nothing,) * 5
        http = self._http[0]
        return (
            self._on_http_opened,
            http.http_data,
            http.http_ended,
            http.http_drained,
            http.http_closed,
        )

    async def stop(self) -> None:
        core, loop = self.core, self._loop
        if core is None or loop is None or self._is_stopped:
            return
        for number in list(self._listening):
            self._close_socket(core, number)
        core.abort_all()
        while not core.dispatch(self._receivers, math.inf):
            core.flush()
        core.flush()
        core.dispatch(self._receivers, math.inf)
        self._is_stopped = True
        loop.remove_reader(core.fileno())
        for handle in (self._soon, self._timer):
            if handle is not None:
                handle.cancel()
        self._soon = self._timer = None
        self._requests.clear()
        core.shut_down()
        _engines.discard(self)

    def _refuse(self) -> None:
        if self.core is not None:
            self.core.refuse()

    def _running(self) -> Core:
        if self.core is None:
            raise RuntimeError("the engine was not started")
        return self.core

    # The turn

    def turn(self) -> None:
        """Take what arrived, run handlers, send what they sent. The loop calls it.

        An exception out of a handler call, such as `KeyboardInterrupt`, loses no other event: the
        rest is dispatched in the next turn, which is scheduled.
        """
        core = self.core
        if core is None or self._is_stopped:
            return
        try:
            if core.poll():
                self._dispatch(core)
            else:
                core.flush()
        finally:
            self._settle(core)

    def _flush(self) -> None:
        """Send what was queued outside a turn."""
        core = self.core
        self._soon = None
        if core is None or self._is_stopped:
            return
        try:
            if core.flush():
                self._dispatch(core)
        finally:
            self._settle(core)

    def _dispatch(self, core: Core) -> None:
        try:
            while True:
                core.dispatch(self._receivers, SLICE_S)
                if not core.flush() or core.turn_s() >= TURN_S:
                    return
        except BaseException:
            core.flush()
            raise

    def _settle(self, core: Core) -> None:
        """Arm what begins the next turn."""
        if self._is_stopped or self._loop is None:
            return
        due = core.settle()
        if due == _AT_ONCE:
            if self._soon is not None:
                self._soon.cancel()
            self._soon = self._loop.call_soon(self._turn_again)
        elif due < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = due
            self._timer = self._loop.call_later(due - core.now(), self._deadline)

    def _turn_again(self) -> None:
        self._soon = None
        self.turn()

    def _deadline(self) -> None:
        self._timer, self._timer_at = None, math.inf
        self.turn()

    def _schedule(self) -> None:
        """Flush soon; the core calls this at the first command after a turn."""
        if self._loop is not None and self._soon is None and not self._is_stopped:
            self._soon = self._loop.call_soon(self._flush)

    # Listeners

    async def listen(self, listener: int, options: ListenerOptions) -> tuple[Address, ...]:
        core = self._running()
        certificates = None if options.tls is None else _load(options.tls)
        opened = await sockets.open_sockets(options)
        try:
            addresses = tuple(sockets.address_of(sock) for sock in opened)
            for sock in opened:
                number = self._add_listener(core, listener, sock, options.asks)
                if options.proxies:
                    core.expect_proxies(number, list(options.proxies))
                if certificates is not None and options.tls is not None:
                    self._secured[number] = options.tls
                    core.use_certificates(number, certificates)
        except BaseException:
            sockets.close_sockets(opened)
            await self.stop_listening(listener)
            raise
        self._settle(core)
        return addresses

    def _add_listener(self, core: Core, listener: int, sock: socket.socket, asks: bool) -> int:
        number = len(self._owners)
        self._owners.append(listener)
        is_unix = sock.family not in (socket.AF_INET, socket.AF_INET6)
        path = sockets.path_of(sock)
        if path is not None:
            self._paths[number] = path
        self._listening.add(number)
        idle_s = None if self._http is None else self._http[1]
        core.add_listener(number, sock.detach(), is_unix, asks, idle_s)
        return number

    def reload_certificates(self) -> None:
        core = self._running()
        loaded = {tls: _load(tls) for tls in set(self._secured.values())}
        for number, tls in self._secured.items():
            core.use_certificates(number, loaded[tls])

    async def stop_listening(self, listener: int) -> None:
        core = self._running()
        for number in [one for one in self._listening if self._owners[one] == listener]:
            self._close_socket(core, number)

    def _close_socket(self, core: Core, number: int) -> None:
        core.remove_listener(number)
        self._listening.discard(number)
        self._secured.pop(number, None)
        path = self._paths.pop(number, None)
        if path is not None:
            path.unlink()

    def adopt(self, sock: socket.socket, listener: int = 0, *, asks: bool = False) -> int:
        """Serve a connected socket as if listener `listener` had accepted it; return its key.

        The engine owns the descriptor from now on. For test kits.
        """
        core = self._running()
        number = self._adopters.setdefault(listener, len(self._owners))
        if number == len(self._owners):
            self._owners.append(listener)
        key = core.adopt(sock.detach(), number, asks)
        self._settle(core)
        return key

    # What the shard tells beside the sink's own methods

    def _on_requested(
        self, key: int, number: int, head: bytes, client: Address, secure: bool
    ) -> None:
        request = Request.from_head(head, client, secure)
        self._requests[key] = request
        if self._sink is not None:
            self._sink.requested(key, self._owners[number], request)

    def _on_opened(
        self, key: int, head: bytes, client: Address, secure: bool, subprotocol: str | None
    ) -> None:
        request = self._requests.pop(key, None)
        if request is None:
            request = Request.from_head(head, client, secure)
        if self._sink is not None:
            self._sink.opened(key, request, subprotocol)

    def _on_handshake_lost(self, key: int) -> None:
        self._requests.pop(key, None)
        if self._sink is not None:
            self._sink.handshake_lost(key)

    def _on_failed(self, number: int | None, errno: int, text: str) -> None:
        error: Exception
        if number is None:
            error = WyndError(text)
        else:
            error = OSError(errno, f"listener paused: {os.strerror(errno)}")
        if self._sink is not None:
            self._sink.failed(HandlerError(error))
        if number is None and errno and self.on_lost is not None:
            self.on_lost(error)

    def _on_http_opened(
        self, key: int, number: int, client: Address, local: Address | None, secure: bool
    ) -> None:
        if self._http is not None:
            self._http[0].http_opened(key, self._owners[number], client, local, secure)

    # HTTP connections

    def http_write(self, key: int, data: bytes, tell_from: int) -> int:
        """Queue bytes of an answer; return the connection's unsent bytes, -1 if it takes none.

        With `tell_from` of them or more, `HttpSink.http_drained` follows.
        """
        return -1 if self.core is None else self.core.http_write(key, data, tell_from)

    def http_done(self, key: int) -> None:
        """Say that the present request is answered whole; the next one may be told."""
        self._running().http_done(key)

    def http_close(self, key: int) -> None:
        """End an HTTP connection after what is queued; `HttpSink.http_closed` follows."""
        self._running().http_close(key)

    def http_pass(self, key: int) -> None:
        """Take the connection of an upgrade as it is, in answer to `Sink.requested`.

        `HttpSink.http_data` tells what comes after the request's head, unframed.
        """
        self._requests.pop(key, None)
        self._running().http_pass(key)

    # Commands

    def accept(self, key: int, accept: Accept) -> None:
        self._running().accept(key, accept.subprotocol, accept.headers)

    def respond(self, key: int, response: Response) -> None:
        self._requests.pop(key, None)
        self._running().respond(key, response.status, response.headers, response.body)

    def send(self, key: int, opcode: Opcode, payload: Payload) -> int:
        return -1 if self.core is None else self.core.send(key, opcode, payload)

    def publish(
        self,
        room: str | None,
        opcode: Opcode,
        payload: Payload,
        *,
        exclude: int | None = None,
        key: str | None = None,
        droppable: bool = False,
    ) -> None:
        self._running().publish(
            room, opcode, payload, exclude=exclude, key=key, droppable=droppable
        )

    def join(self, key: int, room: str) -> None:
        self._running().join(key, room)

    def leave(self, key: int, room: str) -> None:
        self._running().leave(key, room)

    def admit(self, key: int) -> None:
        self._running().admit(key)

    def room_policy(self, pattern: str, policy: Policy) -> None:
        if self.core is None:
            self._policies.append((pattern, policy))
        else:
            self.core.set_room_policy(pattern, policy.kind, policy.code, policy.reason)

    def ping(self, key: int, payload: bytes) -> bool:
        return self._running().ping(key, payload)

    def close(self, key: int, code: int, reason: str) -> None:
        self._running().close(key, code, reason)

    def abort(self, key: int) -> None:
        self._running().abort(key)

    def pause_reading(self, key: int) -> None:
        self._running().pause_reading(key)

    def resume_reading(self, key: int) -> None:
        self._running().resume_reading(key)

    def buffered_bytes(self, key: int) -> int:
        return 0 if self.core is None else self.core.buffered_bytes(key)

    def statistics(self) -> EngineStatistics:
        if self.core is None:
            return EngineStatistics()
        counted: dict[str, Any] = dict(self.core.statistics())
        return EngineStatistics(**counted)
