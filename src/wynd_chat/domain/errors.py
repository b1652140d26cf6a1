"""`ChatError`: what a request can end with, one code for all faces.

Decides codes, their HTTP status and whether the same request may succeed later. Services raise it,
faces format it; nobody else's text ever reaches a peer.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["ChatError", "ErrorCode", "UsageError"]


class ErrorCode(StrEnum):
    """What went wrong, as every face names it."""

    BAD_REQUEST = "bad_request"
    UNSUPPORTED = "unsupported"
    TEXT_ONLY = "text_only"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_MEMBER = "not_member"
    BANNED = "banned"
    SILENCED = "silenced"
    NOT_FOUND = "not_found"
    NOT_ONLINE = "not_online"
    NAME_TAKEN = "name_taken"
    NAME_REGISTERED = "name_registered"
    CONFLICT = "conflict"
    EXPIRED = "expired"
    TOO_LARGE = "too_large"
    BAD_NAME = "bad_name"
    RATE_LIMITED = "rate_limited"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"

    @property
    def status(self) -> int:
        """The HTTP status that REST answers with."""
        return _STATUS[self]

    @property
    def is_temporary(self) -> bool:
        """Whether the same request may succeed later."""
        return self in _TEMPORARY


_STATUS = {
    ErrorCode.BAD_REQUEST: 400,
    ErrorCode.UNSUPPORTED: 400,
    ErrorCode.TEXT_ONLY: 400,
    ErrorCode.UNAUTHORIZED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NOT_MEMBER: 403,
    ErrorCode.BANNED: 403,
    ErrorCode.SILENCED: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.NOT_ONLINE: 409,
    ErrorCode.NAME_TAKEN: 409,
    ErrorCode.NAME_REGISTERED: 409,
    ErrorCode.CONFLICT: 409,
    ErrorCode.EXPIRED: 410,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.BAD_NAME: 422,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.INTERNAL: 500,
    ErrorCode.UNAVAILABLE: 503,  # the store refuses writes: full disk, locked, unreachable
}
_TEMPORARY = frozenset(
    {
        ErrorCode.SILENCED,
        ErrorCode.NOT_ONLINE,
        ErrorCode.RATE_LIMITED,
        ErrorCode.INTERNAL,
        ErrorCode.UNAVAILABLE,
    }
)


class ChatError(Exception):
    """A request that is refused, with what the user reads.

    Attributes:
        code: The shared code.
        sentence: A fixed sentence that says what was wrong and what to do; never exception text.
        retry_after: Seconds until the same request may succeed, where that is known.
    """

    def __init__(self, code: ErrorCode, sentence: str, *, retry_after: float | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.retry_after = retry_after

    def __repr__(self) -> str:
        return f"ChatError({self.code.value!r}, {self.sentence!r})"


class UsageError(ChatError):
    """A command whose arguments do not fit; the sentence is `Usage: ` and the syntax."""

    def __init__(self, syntax: str) -> None:
        super().__init__(ErrorCode.BAD_REQUEST, f"Usage: {syntax}")
