"""Every exception the library raises, and what applications raise to refuse a peer.

A leaf: imports only the close codes. Wrong arguments raise plain `TypeError` or `ValueError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wynd.codes import check_close

if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "CertificateError",
    "ConnectionClosed",
    "EngineUnavailable",
    "HandlerError",
    "LimitExceeded",
    "ProtocolError",
    "Reject",
    "WyndError",
]


class WyndError(Exception):
    """Base of every error this library defines."""


class CertificateError(WyndError):
    """Certificate and key of a `Tls` cannot be used: one sentence with the file and the reason."""


class ConnectionClosed(WyndError):
    """A send, ping or receive met a connection that is closed or closing.

    Attributes:
        received: close code the peer sent; 1005 if its close frame had none, 1006 if the
            transport ended without one, None if nothing was received yet.
        sent: close code we sent, or None.
    """

    def __init__(self, sent: int | None = None, received: int | None = None) -> None:
        super().__init__(sent, received)
        self.sent = sent
        self.received = received

    def __str__(self) -> str:
        return f"connection is closed (sent {self.sent}, received {self.received})"


class LimitExceeded(WyndError):
    """The caller asked for more than `Limits` allows.

    Attributes:
        limit: name of the field of `Limits`.
        value: the configured limit.
    """

    def __init__(self, limit: str, value: float) -> None:
        super().__init__(limit, value)
        self.limit = limit
        self.value = value

    def __str__(self) -> str:
        return f"{self.limit} is {self.value}; raise Limits({self.limit}=...) or use less"


class ProtocolError(WyndError):
    """A peer broke RFC 6455; `code` is the close code it was sent."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code

    def __str__(self) -> str:
        return f"peer broke the protocol (close code {self.code})"


class EngineUnavailable(WyndError):
    """`engine="native"` was asked for, but the native module cannot be used here."""


class Reject(WyndError):
    """Raise in a middleware or `on_connection` to close the connection with a code.

    The peer gets `code` and `reason`, nothing else; no further handler of the connection runs.

    Raises:
        ValueError: the code cannot be sent or the reason is over 123 bytes.
    """

    def __init__(self, code: int = 1008, reason: str = "") -> None:
        check_close(code, reason)
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class HandlerError(WyndError):
    """What `on_error` receives: a handler raised, or a listener failed.

    Attributes:
        exception: what was raised.
        handle: the connection's handle, or None for a server-level error.
        event: the event the handler was given, or None.
    """

    def __init__(self, exception: BaseException, handle: Any = None, event: Any = None) -> None:
        super().__init__(exception)
        self.exception = exception
        self.handle = handle
        self.event = event

    def __str__(self) -> str:
        return f"{type(self.exception).__name__}: {self.exception}"
