"""From engine events to handlers: in order per connection, one after another, bounded.

`Dispatcher` is the engine's `Sink`. Each connection has a `ConnectionLane`: the messages that
wait, and who is running. Rules:
 1. A connection's open, messages and close are handled in the order they happened.
 2. While `concurrency` handlers of a connection run, its messages wait in the lane and the engine
    is told to pause; the engine's own bound makes the lane's queue bounded.
 3. What was received before the close is still handled; a handler that outlives the close by
    `Limits.close_timeout_s` is cancelled; then `on_close` runs, once, and the lane is emptied.
 4. A handler that raises concerns its own connection only.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
from collections import deque
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from wynd.codes import sentence_of
from wynd.connection import Connection, Handler, Handlers
from wynd.errors import ConnectionClosed, HandlerError, Reject
from wynd.events import BinaryMessage, CloseEvent, ConnState, TextMessage
from wynd.handle import ConnectionHandle
from wynd.middleware import run_chain
from wynd.request import Accept, Response
from wynd.sent import Sent
from wynd.stepping import CAN_STEP, Resident, start_task

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from contextvars import Context

    from wynd.middleware import Middleware
    from wynd.registry import Registry, Timer
    from wynd.request import Request

__all__ = ["ConnectionLane", "Dispatcher", "Registrations"]

log: logging.Logger = logging.getLogger("wynd.dispatch")

Message = TextMessage | BinaryMessage
_NO_HANDLERS = Handlers()


class Registrations:
    """What the application registered on its `Wynd`."""

    __slots__ = ("connection", "error", "handlers", "middleware", "request", "shutdown")

    def __init__(self) -> None:
        self.connection: tuple[Handler, ...] = ()
        self.middleware: tuple[Middleware, ...] = ()
        self.handlers: Handlers = Handlers()
        self.error: tuple[Handler, ...] = ()
        self.shutdown: tuple[Handler, ...] = ()
        self.request: dict[int, Handler] = {}
        """Listener number → its `on_request`."""


class ConnectionLane:
    """One connection's place in the dispatch: its handlers, its queue, its resident task."""

    __slots__ = (
        "_dispatcher",
        "_owns_handlers",
        "busy",
        "close_event",
        "connection",
        "context",
        "current",
        "deadline",
        "entered",
        "handle",
        "handlers",
        "opening",
        "paused",
        "pull_waiter",
        "queue",
        "resident",
        "tasks",
    )

    def __init__(self, dispatcher: Dispatcher, handle: ConnectionHandle) -> None:
        self._dispatcher = dispatcher
        self._owns_handlers = False
        self.handle: ConnectionHandle = handle
        self.handlers: Handlers = dispatcher.registrations.handlers
        self.connection: Connection | None = Connection(handle, self)
        self.context: Context = copy_context()
        self.queue: deque[Message] | None = None
        self.busy: int = 0
        """Handlers of this connection that are running (suspended ones count)."""
        self.opening: bool = True
        """The middleware, `on_connection` or `on_open` has not finished: no message yet."""
        self.entered: bool = False
        """The middleware let the connection through: `on_close` will run."""
        self.paused: bool = False
        self.resident: Resident | None = None
        self.tasks: set[asyncio.Task[Any]] | None = None
        """Handlers in tasks of their own: `concurrency` above 1, or stepping impossible."""
        self.current: Any = None
        """The event the resident's coroutine was given, for `on_error`."""
        self.close_event: CloseEvent | None = None
        self.deadline: Timer | None = None
        self.pull_waiter: asyncio.Future[None] | None = None

    def own_handlers(self) -> Handlers:
        """Return this connection's own record; the application's is copied at the first call."""
        if not self._owns_handlers:
            self._owns_handlers = True
            self.handlers = self.handlers.copy()
        return self.handlers

    def register_open(self, handler: Handler) -> None:
        """Add an `on_open` handler; run it now if the connection is open already."""
        if self.handle.state is ConnState.CONNECTING:
            self.own_handlers().open += (handler,)
        elif self.handle.state is ConnState.OPEN:
            self._dispatcher.run_late_open(self, handler)

    async def pull(self) -> Message | None:
        """Return the next message, or None at the end of the connection."""
        if not self.opening or self.connection is None:
            raise RuntimeError("iterate over the connection inside its on_connection handler")
        await self._dispatcher.open_now(self)
        while True:
            if self.queue:
                message = self.queue.popleft()
                self._dispatcher.resume_if_empty(self)
                return message
            if self.close_event is not None:
                return None
            self.pull_waiter = asyncio.get_running_loop().create_future()
            await self.pull_waiter

    def ended(self, failure: BaseException | None) -> None:
        """Note that the resident's coroutine ended; go on with what waits."""
        event, self.current = self.current, None
        self._dispatcher.handler_ended(self, event, failure)


class Dispatcher:
    """Implements `engines.base.Sink` for one `Wynd`."""

    def __init__(
        self,
        registrations: Registrations,
        registry: Registry,
        *,
        concurrency: int,
        on_handler_error: Literal["keep", "close"],
    ) -> None:
        self.registrations = registrations
        self._registry = registry
        self._engine = registry.engine
        self._loop = registry.loop
        self._concurrency = concurrency
        self._closes_on_error = on_handler_error == "close"
        self._ids = itertools.count(1)
        self._lanes: dict[int, ConnectionLane] = {}
        self._ending: set[ConnectionLane] = set()
        """Lanes whose connection is closed and whose `on_close` has not finished."""
        self._requests: dict[int, asyncio.Task[Any]] = {}
        self._background: set[asyncio.Task[Any]] = set()
        self._quiet: asyncio.Future[None] | None = None
        self.handler_errors: int = 0

    def quiet(self) -> bool:
        """Return whether no connection is open and every `on_close` has finished."""
        return not self._lanes and not self._ending

    async def wait_quiet(self) -> None:
        """Wait until `quiet`. The caller sets the deadline."""
        while not self.quiet():
            if self._quiet is None or self._quiet.done():
                self._quiet = self._loop.create_future()
            await asyncio.shield(self._quiet)

    def open_keys(self) -> list[int]:
        """Return the engine keys of all connections that are not closed."""
        return list(self._lanes)

    # Opening

    def requested(self, key: int, listener: int, request: Request) -> None:
        """See `Sink.requested`."""
        handler = self.registrations.request.get(listener)
        if handler is None:
            self._answer(key, request, None)
            return
        try:
            result = handler.call(request)
        except Exception as error:
            self._request_failed(key, error)
            return
        if not inspect.isawaitable(result):
            self._answer(key, request, result)
            return

        async def ask() -> None:
            try:
                answer = await result
            except Exception as error:
                self._request_failed(key, error)
            else:
                self._answer(key, request, answer)
            finally:
                self._requests.pop(key, None)

        self._requests[key] = asyncio.Task(ask(), loop=self._loop, name="wynd-on-request")

    def _answer(self, key: int, request: Request, result: Any) -> None:
        if isinstance(result, Response):
            self._engine.respond(key, result)
        elif result is None and not request.is_upgrade:
            self._engine.respond(key, _upgrade_required())
        elif result is None:
            self._engine.accept(key, Accept())
        elif isinstance(result, Accept):
            if result.subprotocol is not None and result.subprotocol not in request.subprotocols:
                # RFC 6455 §4.2.2: a client fails the connection on one it did not offer.
                wrong = ValueError(f"subprotocol {result.subprotocol!r} was not offered")
                self._request_failed(key, wrong)
            else:
                self._engine.accept(key, result)
        else:
            expected = "a Response, an Accept or None"
            error = TypeError(f"on_request must return {expected}, not {result!r:.80}")
            self._request_failed(key, error)

    def _request_failed(self, key: int, error: Exception) -> None:
        if isinstance(error, Reject):
            self._engine.respond(key, Response("Forbidden.\n", status=403))
            return
        self.report(HandlerError(error))
        self._engine.respond(key, Response("Internal error.\n", status=500))

    def handshake_lost(self, key: int) -> None:
        """See `Sink.handshake_lost`."""
        task = self._requests.pop(key, None)
        if task is not None:
            task.cancel()

    def opened(self, key: int, request: Request, subprotocol: str | None) -> None:
        """See `Sink.opened`."""
        handle = ConnectionHandle(self._registry, key, next(self._ids), request, subprotocol)
        lane = self._lanes[key] = ConnectionLane(self, handle)
        if log.isEnabledFor(logging.INFO):
            log.info("connection %d open from %s", handle.id, handle.addr)
        registered = self.registrations
        if registered.middleware or registered.connection or registered.handlers.open:
            self._drive(lane, self._open(lane), None)
        else:
            lane.entered = True
            self._note_open(lane)
            lane.opening = False

    async def _open(self, lane: ConnectionLane) -> None:
        conn = lane.connection
        assert conn is not None  # dropped only after the close, which waits for this coroutine
        chain = self.registrations.middleware
        try:
            if not await run_chain(chain, conn, lane.handle, partial(self._connect, lane)):
                raise Reject(1008)
            await self.open_now(lane)
        except Reject as refusal:
            lane.handlers = _NO_HANDLERS
            lane.handle.close(refusal.code, refusal.reason)
        except ConnectionClosed:
            if lane.handle.state is not ConnState.CLOSED:
                raise
        except Exception as error:
            # Half-registered handlers or a failed check: never let such a connection in.
            self.report(HandlerError(error, lane.handle))
            lane.handle.close(1011, sentence_of(1011))
        finally:
            lane.opening = False

    async def _connect(self, lane: ConnectionLane) -> None:
        lane.entered = True
        for handler in self.registrations.connection:
            result = handler.call(lane.connection)
            if inspect.isawaitable(result):
                await result

    async def open_now(self, lane: ConnectionLane) -> None:
        """Let the connection count as open and run its `on_open` handlers; once."""
        if self._note_open(lane):
            await self._call_each(lane, lane.handlers.open, lane.handle)

    def _note_open(self, lane: ConnectionLane) -> bool:
        if lane.handle.state is not ConnState.CONNECTING:
            return False
        lane.handle._note_open()
        self._engine.admit(lane.handle._key)
        return True

    def run_late_open(self, lane: ConnectionLane, handler: Handler) -> None:
        """Run an `on_open` handler that was registered on an open connection."""
        self._spawn(lane, self._call_each(lane, (handler,), lane.handle), lane.handle)

    # Messages

    def received(self, key: int, message: str | bytes) -> None:
        """See `Sink.received`."""
        lane = self._lanes.get(key)
        if lane is None:
            return
        kind = TextMessage if type(message) is str else BinaryMessage
        event: Message = kind(message, lane.handle)  # type: ignore[arg-type]
        if lane.opening or lane.queue or lane.busy >= self._concurrency:
            self._queue(lane, event)
        else:
            self._handle(lane, event)

    def _queue(self, lane: ConnectionLane, event: Message) -> None:
        if lane.queue is None:
            lane.queue = deque()
        lane.queue.append(event)
        if lane.pull_waiter is not None:
            _wake(lane)
        if not lane.paused:
            lane.paused = True
            self._engine.pause_reading(lane.handle._key)

    def _handle(self, lane: ConnectionLane, event: Message) -> None:
        kind = lane.handlers
        handlers = kind.text if type(event) is TextMessage else kind.binary
        if len(handlers) == 1:
            call, count = handlers[0]
            arguments = (event, lane.handle) if count == 2 else (event,)
            resident = lane.resident
            try:
                if resident is not None and resident.running:
                    result = call(*arguments)  # its task is in the context already
                else:
                    result = lane.context.run(call, *arguments)
            except Exception as error:
                self._failed(lane, event, error)
                return
            if result is not None:
                self._follow(lane, result, event)
        elif handlers:
            self._drive(lane, self._call_each(lane, handlers, event), event)

    def _follow(self, lane: ConnectionLane, result: Any, event: Any) -> None:
        """Drive what a handler returned, if it can be awaited."""
        if inspect.iscoroutine(result):
            self._drive(lane, result, event)
        elif isinstance(result, Sent):
            if not result.done():  # `lambda m, h: h.send_text(...)` keeps its flow control
                self._drive(lane, _wait_for(result), event)
        elif inspect.isawaitable(result):
            self._drive(lane, _wait_for(result), event)

    async def _call_each(
        self, lane: ConnectionLane, handlers: tuple[Handler, ...], event: Any
    ) -> None:
        """Call several handlers, one after another; each failure is reported on its own."""
        for handler in handlers:
            arguments = (event, lane.handle) if handler.arguments == 2 else (event,)
            try:
                result = handler.call(*arguments)
                if inspect.isawaitable(result):
                    await result
            except Exception as error:
                self._failed(lane, event, error)

    # Running coroutines

    def _drive(self, lane: ConnectionLane, coroutine: Coroutine[Any, Any, Any], event: Any) -> None:
        if self._concurrency > 1 or not CAN_STEP:
            self._spawn(lane, coroutine, event)
            return
        resident = lane.resident
        if resident is None or not resident.usable():
            if resident is not None:
                resident.release()
            name = f"wynd-connection-{lane.handle.id}"
            resident = lane.resident = Resident(self._loop, lane.context, name)
        lane.busy += 1
        lane.current = event
        try:
            finished = resident.step(coroutine, lane.ended)
        except (Exception, asyncio.CancelledError) as error:
            self._step_ended(lane, event, error)
        except BaseException:
            lane.busy -= 1
            raise
        else:
            if finished:
                self._step_ended(lane, event, None)
            elif finished is None:
                lane.busy -= 1
                self._spawn(lane, coroutine, event)

    def _step_ended(self, lane: ConnectionLane, event: Any, failure: BaseException | None) -> None:
        lane.busy -= 1
        if failure is not None:
            self._failed(lane, event, failure)
        if lane.close_event is not None:  # the connection ended while the step ran
            self._loop.call_soon(self._continue, lane)

    def _spawn(self, lane: ConnectionLane, coroutine: Coroutine[Any, Any, Any], event: Any) -> None:
        """Run in a task of its own: the plain twin of stepping."""
        lane.busy += 1
        if lane.tasks is None:
            lane.tasks = set()
        name = f"wynd-connection-{lane.handle.id}"

        def ended(failure: BaseException | None) -> None:
            if lane.tasks is not None:
                lane.tasks.discard(task)
            self.handler_ended(lane, event, failure)

        task = start_task(self._loop, coroutine, lane.context, ended, name)
        lane.tasks.add(task)

    def handler_ended(
        self, lane: ConnectionLane, event: Any, failure: BaseException | None
    ) -> None:
        """Note the end of a coroutine that had suspended; go on with what waits."""
        lane.busy -= 1
        if failure is not None:
            self._failed(lane, event, failure)
        self._continue(lane)

    def _continue(self, lane: ConnectionLane) -> None:
        while lane.queue and not lane.opening and lane.busy < self._concurrency:
            self._handle(lane, lane.queue.popleft())
        self.resume_if_empty(lane)
        if lane.close_event is not None and not lane.busy and not lane.queue:
            self._finish(lane)

    def resume_if_empty(self, lane: ConnectionLane) -> None:
        """Let the engine read again once nothing waits."""
        if lane.paused and not lane.queue:
            lane.paused = False
            if lane.close_event is None:
                self._engine.resume_reading(lane.handle._key)

    def _failed(self, lane: ConnectionLane, event: Any, failure: BaseException) -> None:
        if isinstance(failure, asyncio.CancelledError):
            return  # somebody cancelled the handler on purpose; that is no error
        handle = lane.handle
        if isinstance(failure, ConnectionClosed) and handle.state is not ConnState.OPEN:
            return  # the peer left while its handler was sending: counted by the handle
        self.report(HandlerError(failure, handle, event))
        if self._closes_on_error and handle.state is not ConnState.CLOSED:
            handle.close(1011, sentence_of(1011))

    # Other events

    def ponged(self, key: int, payload: bytes) -> None:
        """See `Sink.ponged`. An idle connection gives its resident task back at this tick."""
        lane = self._lanes.get(key)
        if lane is None:
            return
        lane.handle._note_pong(payload)
        if lane.resident is not None and not lane.busy:
            lane.resident.release()
            lane.resident = None

    def drained(self, key: int) -> None:
        """See `Sink.drained`."""
        lane = self._lanes.get(key)
        if lane is not None:
            lane.handle._note_drained()

    def closing(self, key: int, sent: int | None, received: int | None) -> None:
        """See `Sink.closing`."""
        lane = self._lanes.get(key)
        if lane is None:
            return
        if sent is None and received is None:
            # Good first, then fail: what was received before is handled and answered.
            if (lane.busy or lane.queue) and not lane.paused:
                lane.paused = True
                self._engine.pause_reading(key)
            return
        lane.handle._note_closing(sent, received)

    def failed(self, error: HandlerError) -> None:
        """See `Sink.failed`."""
        self.report(error)

    # The end

    def closed(self, key: int, sent: int | None, received: int | None, reason: str) -> None:
        """See `Sink.closed`."""
        lane = self._lanes.pop(key, None)
        if lane is None:
            return
        self._ending.add(lane)
        code = 1006 if received is None else received
        lane.handle._note_closed(sent, code)
        lane.close_event = CloseEvent(code, reason, sent, lane.handle)
        if log.isEnabledFor(logging.INFO):
            log.info("connection %d closed: sent %s, received %s", lane.handle.id, sent, code)
        if not lane.busy and not lane.queue:
            self._finish(lane)
            return
        if lane.pull_waiter is not None:
            _wake(lane)
        timeout = self._registry.limits.close_timeout_s
        lane.deadline = self._registry.clock.call_later(timeout, self._cut, lane, False)

    def _cut(self, lane: ConnectionLane, insisted: bool) -> None:
        """Cancel handlers that outlived the close; if even that fails, end without them."""
        if lane.queue:
            lane.queue.clear()
        if insisted:
            log.warning("connection %d: a handler ignores its cancellation", lane.handle.id)
            self._finish(lane)
            return
        timeout = self._registry.limits.close_timeout_s
        lane.deadline = self._registry.clock.call_later(timeout, self._cut, lane, True)
        self._cancel(lane)

    def _cancel(self, lane: ConnectionLane) -> None:
        for task in tuple(lane.tasks or ()):
            task.cancel()
        if lane.resident is not None and lane.busy:
            lane.resident.task.cancel()

    def cut_all(self) -> None:
        """Cancel every handler of closed connections now: the drain is over."""
        for lane in tuple(self._ending):
            if lane.deadline is not None:
                lane.deadline.cancel()
                self._cut(lane, False)

    def _finish(self, lane: ConnectionLane) -> None:
        event, lane.close_event = lane.close_event, None
        if event is None:
            return
        if lane.deadline is not None:
            lane.deadline.cancel()
            lane.deadline = None
        handlers = lane.handlers.close if lane.entered else ()
        coroutine = self._end(lane, handlers, event)
        self._drive(lane, coroutine, event)

    async def _end(
        self, lane: ConnectionLane, handlers: tuple[Handler, ...], event: CloseEvent
    ) -> None:
        try:
            await self._call_each(lane, handlers, event)
        finally:
            # Break the cycle connection → handlers → closures → connection at once.
            lane.handlers = _NO_HANDLERS
            lane.connection = None
            if lane.resident is not None:
                self._loop.call_soon(lane.resident.release)
                lane.resident = None
            self._ending.discard(lane)
            if self._quiet is not None and self.quiet() and not self._quiet.done():
                self._quiet.set_result(None)

    # Errors

    def report(self, error: HandlerError) -> None:
        """Give `error` to `on_error`, or to the log if none is registered. Never raises."""
        self.handler_errors += 1
        if not self.registrations.error:
            where = f"connection {error.handle.id}" if error.handle is not None else "server"
            log.error("%s: handler failed", where, exc_info=error.exception)
        for handler in self.registrations.error:
            try:
                result = handler.call(error)
            except Exception:
                log.exception("on_error itself failed")
                continue
            if inspect.isawaitable(result):
                self._run_in_background(_logged(result))

    def _run_in_background(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        task = self._loop.create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def run_shutdown_handlers(self) -> None:
        """Run the `on_shutdown` handlers one after another; failures are reported."""
        for handler in self.registrations.shutdown:
            try:
                result = handler.call()
                if inspect.isawaitable(result):
                    await result
            except Exception as error:
                self.report(HandlerError(error))

    async def stop(self) -> None:
        """Cancel what is left: pending requests, running handlers, error reports."""
        for lane in tuple(self._ending):
            self._cancel(lane)
        tasks = [*self._requests.values(), *self._background]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _wake(lane: ConnectionLane) -> None:
    waiter, lane.pull_waiter = lane.pull_waiter, None
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


async def _wait_for(awaitable: Any) -> None:
    await awaitable


async def _logged(awaitable: Any) -> None:
    try:
        await awaitable
    except Exception:
        log.exception("on_error itself failed")


def _upgrade_required() -> Response:
    return Response(
        "This address speaks WebSocket only.\n", status=426, headers={"Upgrade": "websocket"}
    )
