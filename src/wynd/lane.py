"""`ConnectionLane`: one connection's place in the dispatch.

What the native step reads of it lies in `LaneBase`, of which the native module has one of its own
that can be read without the interpreter's attribute look-ups; the class here is its plain twin.
Lanes hold state; `dispatch` alone decides what is done with it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from wynd.connection import Connection
from wynd.events import ConnState

if TYPE_CHECKING:
    from collections import deque
    from contextvars import Context

    from wynd.connection import Handler, Handlers
    from wynd.dispatch import Dispatcher
    from wynd.events import BinaryMessage, CloseEvent, TextMessage
    from wynd.handle import ConnectionHandle
    from wynd.registry import Timer
    from wynd.stepping import Resident

    Message = TextMessage | BinaryMessage

__all__ = ["ConnectionLane", "LaneBase"]


class LaneBase:
    """What decides how a connection's next message is handled.

    Attributes:
        handle: the connection's handle.
        context: what its handlers run in.
        handlers: the application's, or the connection's own.
        task: the resident task, while a handler's coroutine may be stepped with it as current.
        queue: messages that wait, oldest first.
        busy: handlers of this connection that are running; suspended ones count.
        opening: the middleware, `on_connection` or `on_open` has not finished: no message yet.
    """

    __slots__ = ("busy", "context", "handle", "handlers", "opening", "queue", "task")

    handle: ConnectionHandle
    context: Context
    handlers: Handlers
    task: asyncio.Task[None] | None
    queue: deque[Message] | None
    busy: int
    opening: bool

    def __new__(
        cls, handle: ConnectionHandle, context: Context, handlers: Handlers, *_others: Any
    ) -> LaneBase:
        """Make the lane of a connection that is opening."""
        made = super().__new__(cls)
        made.handle = handle
        made.context = context
        made.handlers = handlers
        made.task = None
        made.queue = None
        made.busy = 0
        made.opening = True
        return made


PlainLaneBase: type[LaneBase] = LaneBase
if not TYPE_CHECKING:
    with suppress(ImportError):  # a machine without the native module uses the twin
        from wynd._engine import LaneBase


class ConnectionLane(LaneBase):
    """One connection's place in the dispatch: its handlers, its queue, its resident task."""

    __slots__ = (
        "_dispatcher",
        "_owns_handlers",
        "close_event",
        "connection",
        "current",
        "deadline",
        "entered",
        "paused",
        "pull_waiter",
        "resident",
        "tasks",
    )

    def __init__(
        self,
        handle: ConnectionHandle,
        _context: Context,
        _handlers: Handlers,
        dispatcher: Dispatcher,
    ) -> None:
        self._dispatcher = dispatcher
        self._owns_handlers = False
        self.connection: Connection | None = Connection(handle, self)
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

    def keep_resident(self, resident: Resident | None) -> None:
        """Use `resident` from now on, or none."""
        self.resident = resident
        self.task: asyncio.Task[None] | None = None if resident is None else resident.task

    def interrupted(self) -> None:
        """Note that the resident task is of no more use; a new one is made when it is needed."""
        self.task = None
        self._dispatcher.lanes_changed()

    def wake(self) -> None:
        """Let `pull` look again."""
        waiter, self.pull_waiter = self.pull_waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def own_handlers(self) -> Handlers:
        """Return this connection's own record; the application's is copied at the first call."""
        if not self._owns_handlers:
            self._owns_handlers = True
            self.handlers: Handlers = self.handlers.copy()
        self._dispatcher.lanes_changed()
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
