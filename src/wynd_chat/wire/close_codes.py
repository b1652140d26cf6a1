"""With which code and reason the chat closes a connection, and what the client then does.

Below 4000 as RFC 6455 §7.4 and the IANA registry have them; 4000 to 4499 ask the client to come
back, 4500 to 4999 to stay away. Knows nothing of connections; reasons are fixed, so that no text of
a user can stand in a close frame.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import NamedTuple

__all__ = ["REASON_BYTES_MAX", "Advice", "CloseCode", "Closing", "closing"]

REASON_BYTES_MAX = 123  # RFC 6455 §5.5: a control frame holds 125 bytes, two of them are the code


class Advice(StrEnum):
    """What a client does after a close."""

    STOP = "stop"
    BACKOFF = "reconnect with backoff"
    WAIT = "reconnect after retry_after seconds"
    SYNC = "reconnect, then sync"
    USER_ACTION = "reconnect when the user acts"
    REPORT = "report, do not repeat"
    LOGIN = "ask for login"
    TELL = "tell the user"


class CloseCode(IntEnum):
    """Every code this server closes with."""

    BYE = 1000
    SHUTDOWN = 1001
    PROTOCOL_ERROR = 1002
    BAD_UTF8 = 1007
    TOO_BIG = 1009
    RESTART = 1012
    OVERLOAD = 1013
    RESYNC = 4000
    SLOW_CONSUMER = 4008
    UNNAMED = 4010
    FLOODING = 4029
    MISUSE = 4500
    UNAUTHORIZED = 4501
    REMOVED = 4503
    REPLACED = 4509

    @property
    def reason(self) -> str:
        """The fixed reason, without `retry_after`."""
        return _MEANING[self][0]

    @property
    def advice(self) -> Advice:
        """What the client should do."""
        return _MEANING[self][1]


_MEANING: dict[CloseCode, tuple[str, Advice]] = {
    CloseCode.BYE: ("bye", Advice.STOP),
    CloseCode.SHUTDOWN: ("the server stops", Advice.BACKOFF),
    CloseCode.PROTOCOL_ERROR: ("broken framing", Advice.REPORT),
    CloseCode.BAD_UTF8: ("text is not UTF-8", Advice.REPORT),
    CloseCode.TOO_BIG: ("frame too big", Advice.REPORT),
    CloseCode.RESTART: ("the server restarts", Advice.WAIT),
    CloseCode.OVERLOAD: ("the server is overloaded", Advice.WAIT),
    CloseCode.RESYNC: ("resync needed", Advice.SYNC),
    CloseCode.SLOW_CONSUMER: ("slow consumer", Advice.SYNC),
    CloseCode.UNNAMED: ("no name for 10 minutes", Advice.USER_ACTION),
    CloseCode.FLOODING: ("flooding", Advice.WAIT),
    CloseCode.MISUSE: ("too many malformed frames", Advice.REPORT),
    CloseCode.UNAUTHORIZED: ("authentication failed", Advice.LOGIN),
    CloseCode.REMOVED: ("kicked or banned", Advice.TELL),
    CloseCode.REPLACED: ("replaced by another login", Advice.TELL),
}
_FLOODING_WAIT_S = 30.0  # as long as HTTP answers 429 after the third strike


class Closing(NamedTuple):
    """A close frame to be sent."""

    code: int
    reason: str
    """At most 123 bytes, ASCII."""


def closing(code: CloseCode, *, retry_after_s: float | None = None) -> Closing:
    """Return the close frame for `code`.

    Args:
        code: Why.
        retry_after_s: Seconds until a new connection is welcome; 1012 and 1013 must have it, 4029
            has 30 where nothing else is said. Written with at most one decimal, never below 0.

    Raises:
        ValueError: A code that says "wait" without for how long, or another with it.
    """
    if code is CloseCode.FLOODING and retry_after_s is None:
        retry_after_s = _FLOODING_WAIT_S
    if (code.advice is Advice.WAIT) is (retry_after_s is None):
        raise ValueError(f"{code.name} and retry_after_s={retry_after_s} do not fit")
    if retry_after_s is None:
        return Closing(int(code), code.reason)
    seconds = f"{max(0.0, retry_after_s):.1f}".removesuffix(".0")
    return Closing(int(code), f"{code.reason}; retry_after={seconds}")
