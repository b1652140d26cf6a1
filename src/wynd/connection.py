"""`Connection`: what `on_connection` receives, and the handlers registered on it.

Registration is checked here, once: a handler with the wrong number of parameters is refused at
the call that registers it. How handlers are run is `dispatch`'s affair.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from inspect import CO_COROUTINE, CO_VARARGS
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from wynd.events import BinaryMessage, ConnState, TextMessage
    from wynd.handle import ConnectionHandle
    from wynd.request import ClientInfo, Request

__all__ = ["Connection", "Handler", "Handlers", "check_handler"]

F = TypeVar("F", bound=Callable[..., Any])


class Handler(NamedTuple):
    """A registered handler, how many arguments it takes, and what calling it does."""

    call: Callable[..., Awaitable[Any] | None]
    arguments: int
    is_async: bool
    """It is an `async def` function: the call only makes a coroutine, and runs none of its code."""


def is_async_function(function: Callable[..., Any]) -> bool:
    """Return whether `function` was made by `async def`; False for all that merely wraps one."""
    return type(function) is FunctionType and bool(function.__code__.co_flags & CO_COROUTINE)


def _takes(function: FunctionType, count: int) -> bool:
    """Return whether a plain function can be called with `count` positional arguments.

    What `inspect.signature` would say, forty times as fast: closures register per connection.
    """
    code = function.__code__
    required = code.co_argcount - len(function.__defaults__ or ())
    most = count if code.co_flags & CO_VARARGS else code.co_argcount
    return required <= count <= most and code.co_kwonlyargcount == len(
        function.__kwdefaults__ or ()
    )


def check_handler(kind: str, function: Callable[..., Any], *shapes: tuple[str, ...]) -> Handler:
    """Find out which of `shapes` a handler takes; the first that fits counts.

    Args:
        kind: name of the registering method, for the message.
        function: the handler, `def` or `async def`.
        shapes: parameter names per accepted form, longest first.

    Raises:
        TypeError: not callable, or it takes none of the shapes.
    """
    if type(function) is FunctionType and not function.__dict__:
        for shape in shapes:
            if _takes(function, len(shape)):
                return Handler(function, len(shape), is_async_function(function))
    forms = " or ".join(f"({', '.join(shape)})" for shape in shapes)
    if not callable(function):
        raise TypeError(f"{kind} needs a function that takes {forms}, not {function!r}")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some built-ins tell nothing; they take the short form
        return Handler(function, len(shapes[-1]), is_async_function(function))
    for shape in shapes:
        try:
            signature.bind(*shape)
        except TypeError:
            continue
        return Handler(function, len(shape), is_async_function(function))
    name = getattr(function, "__qualname__", repr(function))
    raise TypeError(f"{kind} handler {name}{signature} must take {forms}")


class Handlers:
    """The handlers of one connection, or those of the whole application."""

    __slots__ = ("binary", "close", "open", "text")

    def __init__(
        self,
        open: tuple[Handler, ...] = (),
        text: tuple[Handler, ...] = (),
        binary: tuple[Handler, ...] = (),
        close: tuple[Handler, ...] = (),
    ) -> None:
        self.open: tuple[Handler, ...] = open
        self.text: tuple[Handler, ...] = text
        self.binary: tuple[Handler, ...] = binary
        self.close: tuple[Handler, ...] = close

    def copy(self) -> Handlers:
        """Return a record of its own with the same handlers."""
        return Handlers(self.open, self.text, self.binary, self.close)


class Lane(Protocol):
    """What `Connection` needs of the dispatcher; `wynd.dispatch.ConnectionLane` is the one."""

    def own_handlers(self) -> Handlers:
        """Return the connection's own record of handlers, to add to."""

    def register_open(self, handler: Handler) -> None:
        """Add an `on_open` handler, or run it if the connection is open."""

    async def pull(self) -> TextMessage | BinaryMessage | None:
        """Return the next message, or None at the end of the connection."""


class Connection:
    """A new connection, to register handlers on.

    Inside `on_connection`, either register handlers with `on_open`, `on_text`, `on_binary` and
    `on_close`, or iterate: `async for message in conn`. Several handlers of one kind run one
    after another in the order of registration.
    """

    __slots__ = ("_handle", "_lane")

    def __init__(self, handle: ConnectionHandle, lane: Lane) -> None:
        self._handle = handle
        self._lane = lane

    @property
    def id(self) -> int:
        """See `ConnectionHandle.id`."""
        return self._handle.id

    @property
    def addr(self) -> ClientInfo:
        """See `ConnectionHandle.addr`."""
        return self._handle.addr

    @property
    def state(self) -> ConnState:
        """See `ConnectionHandle.state`."""
        return self._handle.state

    @property
    def request(self) -> Request:
        """See `ConnectionHandle.request`."""
        return self._handle.request

    @property
    def handle(self) -> ConnectionHandle:
        """What to send with."""
        return self._handle

    def on_open(self, function: F) -> F:
        """Register `function(handle)`, called when the middleware has let the connection through.

        Registered after that, it is called at once.
        """
        handler = check_handler("on_open", function, ("handle",))
        self._lane.register_open(handler)
        return function

    def on_text(self, function: F) -> F:
        """Register `function(message)` or `function(message, handle)` for text messages."""
        handler = check_handler("on_text", function, ("message", "handle"), ("message",))
        self._lane.own_handlers().text += (handler,)
        return function

    def on_binary(self, function: F) -> F:
        """Register `function(message)` or `function(message, handle)` for binary messages."""
        handler = check_handler("on_binary", function, ("message", "handle"), ("message",))
        self._lane.own_handlers().binary += (handler,)
        return function

    def on_close(self, function: F) -> F:
        """Register `function(event)` or `function(event, handle)`; runs exactly once."""
        handler = check_handler("on_close", function, ("event", "handle"), ("event",))
        self._lane.own_handlers().close += (handler,)
        return function

    def __aiter__(self) -> Connection:
        return self

    async def __anext__(self) -> TextMessage | BinaryMessage:
        """Return the next message; the iteration ends when the connection does.

        The first call opens the connection, as returning from `on_connection` would. Messages
        taken here do not go to `on_text` or `on_binary`. While nothing is taken, reading pauses
        at `Limits.inbound_messages_max`.

        Raises:
            RuntimeError: called while `on_connection` of this connection is not running.
        """
        message = await self._lane.pull()
        if message is None:
            raise StopAsyncIteration
        return message

    def __repr__(self) -> str:
        return f"<Connection {self._handle.id} {self._handle.state.value}>"
