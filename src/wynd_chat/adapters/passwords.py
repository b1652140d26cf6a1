"""Argon2id password hashes (RFC 9106) in a few worker threads.

Decides cost, how many run at once and how many may wait: memory is `workers_max` times the cost,
whatever arrives. Knows no users and no rate limits.
"""

from __future__ import annotations

import asyncio
import logging
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import argon2
from argon2.exceptions import (
    Argon2Error,
    InvalidHashError,
    VerificationError,
    VerifyMismatchError,
)
from argon2.low_level import error_to_str

from wynd_chat.domain.errors import ChatError, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PASSWORD_BYTES_MAX", "ArgonPasswords", "PasswordCost"]

log = logging.getLogger("wynd_chat.passwords")

T = TypeVar("T")

PASSWORD_BYTES_MAX = 1024  # OWASP: allow long ones, but not without end
PASSWORD_CHARS_MIN = 15  # OWASP, without a second factor
WORKERS_MAX = 2  # 2 x 19 MiB; one check takes about 24 ms of a core
WAITING_MAX = 64  # the last of them waits under a second on two cores
RETRY_AFTER_S = 1.0
NO_MEMORY = error_to_str(-22)  # ARGON2_MEMORY_ALLOCATION_ERROR; the library tells it by text only


@dataclass(frozen=True, slots=True)
class PasswordCost:
    """What one hash costs; the default is OWASP's first choice for Argon2id."""

    memory_kib: int = 19_456
    passes: int = 2
    lanes: int = 1


class ArgonPasswords:
    """`Passwords` by argon2-cffi, which computes without the interpreter's lock.

    Args:
        chars_min: Characters a new password has at least, or what returns how many now; existing
            ones are not judged by it.
        cost: Cost of new hashes.
        workers_max: How many are computed at once.
        waiting_max: How many may wait beside them; more are refused.
    """

    def __init__(
        self,
        *,
        chars_min: int | Callable[[], int] = PASSWORD_CHARS_MIN,
        cost: PasswordCost | None = None,
        workers_max: int = WORKERS_MAX,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        price = cost or PasswordCost()
        self._chars_min = chars_min
        self._hasher = argon2.PasswordHasher(
            time_cost=price.passes,
            memory_cost=price.memory_kib,
            parallelism=price.lanes,
            type=argon2.Type.ID,
        )
        self._pool = ThreadPoolExecutor(workers_max, thread_name_prefix="wynd-chat-passwords")
        self._running_max = workers_max + waiting_max
        self._running = 0
        self._nobody = self._hasher.hash("the password of nobody")  # same cost, never matches

    @property
    def chars_min(self) -> int:
        """Characters a new password has at least, now."""
        return self._chars_min if isinstance(self._chars_min, int) else self._chars_min()

    async def hash(self, password: str) -> str:
        """Return a new hash, as `Passwords` says."""
        if len(password) < self.chars_min:
            raise ChatError(
                ErrorCode.BAD_REQUEST, f"a password has at least {self.chars_min} characters"
            )
        prepared = _prepared(password)
        if prepared is None:
            raise ChatError(
                ErrorCode.BAD_REQUEST, f"a password has at most {PASSWORD_BYTES_MAX} bytes of text"
            )
        return await self._run(lambda: self._hasher.hash(prepared))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Tell whether a password fits, as `Passwords` says."""
        prepared = _prepared(password)
        if prepared is None:
            return False  # too long for any; takes no time, whoever is asked about
        known = self._nobody if password_hash is None else password_hash
        fits = await self._run(lambda: self._verify(known, prepared))
        return fits and password_hash is not None

    def needs_rehash(self, password_hash: str) -> bool:
        """Tell whether a hash was made at another cost."""
        try:
            return self._hasher.check_needs_rehash(password_hash)
        except InvalidHashError:
            return True

    def close(self) -> None:
        """Finish what runs, drop what waits; callers of the latter are cancelled."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _verify(self, password_hash: str, prepared: bytes) -> bool:
        try:
            return self._hasher.verify(password_hash, prepared)
        except VerifyMismatchError:
            return False
        except (InvalidHashError, VerificationError) as error:
            if str(error) == NO_MEMORY:
                raise
            log.error("a stored password hash cannot be read; its user needs a new password")
            self._verify(self._nobody, prepared)  # takes as long as for others
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        """Run `work` in a thread of the pool, or refuse."""
        if self._running >= self._running_max:
            raise ChatError(
                ErrorCode.UNAVAILABLE,
                "too many people log in right now, try again",
                retry_after=RETRY_AFTER_S,
            )
        self._running += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        future.add_done_callback(self._ended)
        try:
            return await asyncio.shield(future)
        except (Argon2Error, MemoryError) as error:
            log.error("a password could not be hashed: %s", error)
            raise ChatError(
                ErrorCode.UNAVAILABLE,
                "the server is out of memory, try again",
                retry_after=RETRY_AFTER_S,
            ) from None

    def _ended(self, future: asyncio.Future[Any]) -> None:
        self._running -= 1
        if not future.cancelled():
            future.exception()  # who waited has it; who was cancelled does not want it


def _prepared(password: str) -> bytes | None:
    """Return the bytes that are hashed; None for what is too long or no text.

    NFC, as RFC 8265 asks: keyboards of different systems write the same letters differently.
    """
    if len(password) > PASSWORD_BYTES_MAX:
        return None
    try:
        encoded = unicodedata.normalize("NFC", password).encode()
    except UnicodeEncodeError:  # lone surrogates
        return None
    return encoded if len(encoded) <= PASSWORD_BYTES_MAX else None
