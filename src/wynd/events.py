"""What handlers receive, and the states of a connection.

Plain values; they know their connection's handle but do nothing with it. The native module has
messages of its own; where it is built, those are `TextMessage` and `BinaryMessage`, and the classes
here, which behave alike, are their plain twins.
"""

from __future__ import annotations

from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from wynd.handle import ConnectionHandle

__all__ = ["BinaryMessage", "CloseEvent", "ConnState", "TextMessage"]


class ConnState(Enum):
    """State of a connection, as in the browser's `WebSocket.readyState`."""

    CONNECTING = "connecting"
    """The opening handshake is complete, the middleware has not let it through yet."""
    OPEN = "open"
    CLOSING = "closing"
    """A close frame was sent or received; sends raise `ConnectionClosed`."""
    CLOSED = "closed"


class _Event:
    __slots__ = ("handle",)

    handle: ConnectionHandle

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} belongs to a live connection; pickle its data")


class TextMessage(_Event):
    """A text message.

    Attributes:
        data: the whole message; "" is a message.
        handle: the connection it came from.
    """

    __slots__ = ("data",)

    def __init__(self, data: str, handle: ConnectionHandle) -> None:
        self.data: str = data
        self.handle = handle

    def __str__(self) -> str:
        return self.data

    def __repr__(self) -> str:
        return f"TextMessage({self.data!r})"


class BinaryMessage(_Event):
    """A binary message.

    Attributes:
        data: the whole message; b"" is a message.
        handle: the connection it came from.
    """

    __slots__ = ("data",)

    def __init__(self, data: bytes, handle: ConnectionHandle) -> None:
        self.data: bytes = data
        self.handle = handle

    def __bytes__(self) -> bytes:
        return self.data

    def __repr__(self) -> str:
        return f"BinaryMessage({self.data!r})"


PlainTextMessage: type[TextMessage] = TextMessage
PlainBinaryMessage: type[BinaryMessage] = BinaryMessage
if not TYPE_CHECKING:
    with suppress(ImportError):  # a machine without the native module uses the twins
        from wynd._engine import BinaryMessage, TextMessage


class CloseEvent(_Event):
    """The end of a connection.

    Attributes:
        code: what the peer's close frame said; 1005 if it carried no code, 1006 if the transport
            ended without one.
        reason: the peer's reason, or "".
        sent: the code of our own close frame, or None if none was sent.
        handle: the connection that ended; `id`, `data` and `joined_rooms` are as they were.
    """

    __slots__ = ("code", "reason", "sent")

    def __init__(self, code: int, reason: str, sent: int | None, handle: ConnectionHandle) -> None:
        self.code: int = code
        self.reason: str = reason
        self.sent: int | None = sent
        self.handle = handle

    @property
    def clean(self) -> bool:
        """Whether both sides exchanged close frames (RFC 6455 §7.1.4)."""
        return self.code != 1006 and self.sent is not None

    def __repr__(self) -> str:
        return f"CloseEvent(code={self.code}, reason={self.reason!r}, sent={self.sent})"
