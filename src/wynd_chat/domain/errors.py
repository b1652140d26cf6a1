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
    """Malformed, a field is missing, or a value is impossible."""
    UNSUPPORTED = "unsupported"
    """An unknown type or option, or something this face does not do."""
    TEXT_ONLY = "text_only"
    """A binary frame."""
    UNAUTHORIZED = "unauthorized"
    """A login is needed, or it failed or has ended."""
    FORBIDDEN = "forbidden"
    """The caller's role does not allow it, or the room is locked."""
    NOT_MEMBER = "not_member"
    """The caller is not in the room."""
    BANNED = "banned"
    """The caller is banned, from the room or from the server."""
    SILENCED = "silenced"
    """The caller may read here, not write, until `retry_after` is over."""
    NOT_FOUND = "not_found"
    """There is no such thing, or the caller may not know of it."""
    NOT_ONLINE = "not_online"
    """A guest who is not here cannot be written to."""
    NAME_TAKEN = "name_taken"
    """Somebody has this name, or one that looks like it."""
    NAME_REGISTERED = "name_registered"
    """The name belongs to an account."""
    CONFLICT = "conflict"
    """It is there already, was changed meanwhile, or the key is of another request."""
    EXPIRED = "expired"
    """A link or code is used up or too old."""
    TOO_LARGE = "too_large"
    """A text, file or list is larger than its limit."""
    BAD_NAME = "bad_name"
    """The name breaks the rules of names."""
    RATE_LIMITED = "rate_limited"
    """Too many in too short a time, or slow mode; try after `retry_after`."""
    INTERNAL = "internal"
    """A fault of the server; its log has the id that the message shows."""
    UNAVAILABLE = "unavailable"
    """The store cannot write or read now: full disk, locked, unreachable."""

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
