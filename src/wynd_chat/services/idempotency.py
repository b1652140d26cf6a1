"""`Idempotency`: what a repeated request was answered with, for a day (chat.md 8).

A key is reserved before its request is carried out, in a transaction of its own, and its answer is
kept when it is done. So a request that is repeated after a crash in between is not carried out
twice: that it began is known, what came of it is not, and the user is told. Knows no HTTP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import IdempotentAnswer

if TYPE_CHECKING:
    from wynd_chat.domain.models import User
    from wynd_chat.ports.clock import Clock
    from wynd_chat.ports.store import Store, Transaction

__all__ = ["KEPT_MS", "KEY_BYTES_MAX", "Idempotency"]

KEPT_MS = 24 * 3600 * 1000
KEY_BYTES_MAX = 64
CLEANING_MS = 3600 * 1000  # between two rounds of forgetting
RESERVED = 0  # status of a key whose request is under way
FREE_AT = 0  # time of a key that is free again; older than anything kept


class Idempotency:
    """Remembers answers."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._cleaned_at = 0

    async def reserve(self, user: User, key: str, request_hash: str) -> IdempotentAnswer | None:
        """Return what a key was answered with; None where it is new, and now reserved.

        Args:
            user: Whose key it is.
            key: As the client chose it.
            request_hash: What tells one request from another.

        Raises:
            ChatError: `bad_request`: no possible key; `conflict`: another request had it, or the
                first one was cut off.
        """
        if not 1 <= len(key.encode()) <= KEY_BYTES_MAX:
            raise ChatError(
                ErrorCode.BAD_REQUEST, f"an Idempotency-Key has 1 to {KEY_BYTES_MAX} bytes"
            )
        now = self._clock.now_ms()
        is_cleaning = now - self._cleaned_at >= CLEANING_MS

        def work(tx: Transaction) -> IdempotentAnswer | None:
            if is_cleaning:
                tx.drop_idempotent_answers(now - KEPT_MS)
            found = tx.idempotent_answer(user.id, key)
            if found is not None and found.at > now - KEPT_MS:
                return found
            tx.put_idempotent_answer(_row(user, key, request_hash, RESERVED, "", now))
            return None

        found = await self._store.write(work)
        if is_cleaning:
            self._cleaned_at = now
        if found is None:
            return None
        if found.request_hash != request_hash:
            raise ChatError(ErrorCode.CONFLICT, "this Idempotency-Key was of another request")
        if found.status == RESERVED:
            raise ChatError(
                ErrorCode.CONFLICT,
                "the first request with this Idempotency-Key was cut off; see what came of it, "
                "then send it with another key",
            )
        return found

    async def keep(self, user: User, key: str, request_hash: str, status: int, body: str) -> None:
        """Keep the answer of a reserved key."""
        answer = _row(user, key, request_hash, status, body, self._clock.now_ms())
        await self._store.write(lambda tx: tx.put_idempotent_answer(answer))

    async def release(self, user: User, key: str) -> None:
        """Free a reserved key: its request was refused, and changed nothing."""
        free = _row(user, key, "", RESERVED, "", FREE_AT)
        await self._store.write(lambda tx: tx.put_idempotent_answer(free))


def _row(
    user: User, key: str, request_hash: str, status: int, body: str, at: int
) -> IdempotentAnswer:
    return IdempotentAnswer(
        user_id=user.id, key=key, request_hash=request_hash, status=status, body=body, at=at
    )
