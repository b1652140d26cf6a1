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
from wynd.connection import Handler, Handlers
from wynd.engines.base import QuickPath
from wynd.errors import ConnectionClosed, HandlerError, Reject
from wynd.events import BinaryMessage, CloseEvent, ConnState, TextMessage
from wynd.handle import ConnectionHandle
from wynd.lane import ConnectionLane
from wynd.middleware import run_chain
from wynd.request import Accept, Response
from wynd.sent import Sent
from wynd.stepping import CAN_STEP, CURRENT_TASKS, Resident, start_task

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from wynd.middleware import Middleware
    from wynd.registry import Registry
    from wynd.request import Request

__all__ = ["ConnectionLane", "Dispatcher", "Registrations"]

log: logging.Logger = logging.getLogger("wynd.dispatch")

Message = TextMessage | BinaryMessage
_NO_HANDLERS = Handlers()

USE_QUICK_PATH = True
"""Private, for tests: False runs everything here, also where the engine could do it quicker."""


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
        self._is_cut = False
        self.handler_errors: int = 0
        self.quick_path: QuickPath | None = None
        """Lets a native engine call the handlers of idle connections; it does what is here."""
        self.lanes_changed: Callable[[], object] = _nothing
        """Called when a lane's handlers change or it becomes busy, for what an engine remembers."""
        if USE_QUICK_PATH and concurrency == 1 and CURRENT_TASKS is not None:
            self.quick_path = QuickPath(
                self._lanes,
                self._loop,
                CURRENT_TASKS,
                self._follow,
                self._suspended,
                self._failed,
                asyncio.CancelledError,
                Sent.completed(),
                self._watch_lanes,
            )

    def _watch_lanes(self, changed: Callable[[], object]) -> None:
        self.lanes_changed = changed

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
        lane = self._lanes[key] = ConnectionLane(
            handle, copy_context(), self.registrations.handlers, self
        )
        if log.isEnabledFor(logging.INFO):
            log.info("connection %d open from %s", handle.id, handle.addr)
        chain = self.registrations.middleware
        if chain:
            assert lane.connection is not None  # dropped only after the close
            enter = run_chain(chain, lane.connection, handle, partial(self._connect, lane))
            self._drive(lane, self._open(lane, enter), None)
        else:
            self._open_directly(lane)

    def _open_directly(self, lane: ConnectionLane) -> None:
        """Open without a coroutine, as long as no handler returns something to await."""
        lane.entered = True
        handlers = self.registrations.connection
        try:
            for position, handler in enumerate(handlers, start=1):
                result = lane.context.run(handler.call, lane.connection)
                if result is not None and inspect.isawaitable(result):
                    rest = self._connect_rest(lane, result, handlers[position:])
                    self._drive(lane, self._open(lane, rest), None)
                    return
        except Exception as error:
            lane.opening = False
            self._opening_failed(lane, error)
            return
        except BaseException:
            lane.opening = False
            raise
        if lane.handlers.open:
            self._drive(lane, self._open(lane, None), None)
        else:
            self._note_open(lane)
            lane.opening = False

    async def _open(self, lane: ConnectionLane, enter: Awaitable[bool] | None) -> None:
        """Open after `enter`, which says whether the connection was let through."""
        try:
            if enter is not None and not await enter:
                raise Reject(1008)
            await self.open_now(lane)
        except Exception as error:
            self._opening_failed(lane, error)
        finally:
            lane.opening = False

    def _opening_failed(self, lane: ConnectionLane, error: Exception) -> None:
        """Never let a connection in whose check failed, or whose handlers are half registered."""
        if isinstance(error, Reject):
            lane.handlers = _NO_HANDLERS
            lane.handle.close(error.code, error.reason)
        elif isinstance(error, ConnectionClosed):
            self._failed(lane, None, error)
        else:
            self.report(HandlerError(error, lane.handle))
            lane.handle.close(1011, sentence_of(1011))

    async def _connect(self, lane: ConnectionLane) -> None:
        lane.entered = True
        await self._call_connection_handlers(lane, self.registrations.connection)

    async def _connect_rest(
        self, lane: ConnectionLane, begun: Awaitable[Any], rest: tuple[Handler, ...]
    ) -> bool:
        await begun
        await self._call_connection_handlers(lane, rest)
        return True

    async def _call_connection_handlers(
        self, lane: ConnectionLane, handlers: tuple[Handler, ...]
    ) -> None:
        for handler in handlers:
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
            lane.wake()
        if not lane.paused:
            lane.paused = True
            self._engine.pause_reading(lane.handle._key)

    def _handle(self, lane: ConnectionLane, event: Message) -> None:
        kind = lane.handlers
        handlers = kind.text if type(event) is TextMessage else kind.binary
        if len(handlers) == 1:
            call, count, _ = handlers[0]
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
            resident = Resident(self._loop, lane.context, name, lane.interrupted)
            lane.keep_resident(resident)
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

    def _suspended(
        self, lane: ConnectionLane, coroutine: Coroutine[Any, Any, Any], yielded: Any, event: Any
    ) -> None:
        """Go on with a coroutine the engine stepped once with the resident task as current."""
        lane.busy += 1
        lane.current = event
        assert lane.resident is not None  # it was the current task a moment ago
        lane.resident.hold(coroutine, yielded, lane.ended)

    def _step_ended(self, lane: ConnectionLane, event: Any, failure: BaseException | None) -> None:
        lane.busy -= 1
        if failure is not None:
            self._failed(lane, event, failure)
        if lane.close_event is not None:  # the connection ended while the step ran
            self._loop.call_soon(self._continue, lane)

    def _spawn(self, lane: ConnectionLane, coroutine: Coroutine[Any, Any, Any], event: Any) -> None:
        """Run in a task of its own: the plain twin of stepping."""
        lane.busy += 1
        self.lanes_changed()
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
            lane.keep_resident(None)

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
            lane.wake()
        if self._is_cut:
            self._cut(lane, False)
            return
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
        """Cancel every handler of closed connections, of those to come too: the drain is over."""
        self._is_cut = True
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
        if handlers:
            self._drive(lane, self._end(lane, handlers, event), event)
        else:
            self._forget(lane)

    async def _end(
        self, lane: ConnectionLane, handlers: tuple[Handler, ...], event: CloseEvent
    ) -> None:
        try:
            await self._call_each(lane, handlers, event)
        finally:
            self._forget(lane)

    def _forget(self, lane: ConnectionLane) -> None:
        """Let go of a lane whose last handler has run."""
        # Break the cycle connection → handlers → closures → connection at once.
        lane.handlers = _NO_HANDLERS
        lane.connection = None
        if lane.resident is not None:
            self._loop.call_soon(lane.resident.release)
            lane.keep_resident(None)
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


def _nothing() -> None:
    pass


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
