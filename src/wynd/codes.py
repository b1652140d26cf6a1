"""Close codes of RFC 6455 §7.4 and the fixed sentences that go with them.

Decides which codes exist and which may be sent; knows nothing of connections.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = ["CloseCode", "check_close", "sentence_of"]

REASON_BYTES_MAX = 123  # RFC 6455 §5.5: a control frame carries 125 bytes, two of them the code


class CloseCode(IntEnum):
    """Registered close codes (RFC 6455 §7.4.1 and the IANA registry)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    ABNORMAL = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


# What the library itself says with a code. Peers never see any other text of ours.
_SENTENCES = {
    1001: "Server is stopping.",
    1002: "Protocol error.",
    1007: "Invalid data.",
    1008: "Limit exceeded.",
    1009: "Message too big.",
    1011: "Internal error.",
    1012: "Server is restarting.",
    1013: "Server is busy.",
}

TOO_SLOW = "Too slow."  # 1013 for one slow reader; "Server is busy." is 1013 for overload

_NEVER_SENT = frozenset({1004, 1005, 1006, 1015})


def sentence_of(code: int) -> str:
    """Return the fixed sentence the library sends with `code`, or "" if it has none."""
    return _SENTENCES.get(code, "")


def check_close(code: int, reason: str) -> None:
    """Refuse a close code or reason that must not go on the wire.

    Raises:
        TypeError: `code` is not an int or `reason` is not a str.
        ValueError: the code is reserved or unassigned (RFC 6455 §7.4), or the reason is longer
            than 123 bytes as UTF-8 or cannot be encoded.
    """
    if not isinstance(code, int) or isinstance(code, bool):
        raise TypeError(f"close code must be an int, not {type(code).__name__}")
    if not isinstance(reason, str):
        raise TypeError(f"close reason must be a str, not {type(reason).__name__}")
    sendable = 1000 <= code <= 1014 and code not in _NEVER_SENT
    if not (sendable or 3000 <= code <= 4999):
        raise ValueError(
            f"close code {code} cannot be sent; use 1000, 1001, 1008, 1011 or one of 3000-4999"
        )
    try:
        size = len(reason.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise ValueError("close reason holds a lone surrogate and cannot be encoded") from error
    if size > REASON_BYTES_MAX:
        raise ValueError(
            f"close reason has {size} bytes as UTF-8, at most {REASON_BYTES_MAX} fit; shorten it"
        )
