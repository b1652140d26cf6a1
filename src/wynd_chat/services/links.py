"""`Links`: device login: one side shows a code, another that is logged in approves it.

So that no password is typed where it can be read (a terminal, a shared screen). A code holds for
ten minutes and works once. The waiting side has a secret besides the code: who only sees the code
can approve it, but not become anybody by it. Knows no face.
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import TYPE_CHECKING

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import LinkCode, UserStatus
from wynd_chat.services.accounts import hash_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from wynd_chat.domain.models import User
    from wynd_chat.ports.clock import Clock, Tokens
    from wynd_chat.ports.store import Store, Transaction
    from wynd_chat.services.ratelimits import RateLimits

__all__ = ["LINK_S", "Links", "clean_code"]

LINK_S = 600  # chat.md 3.5
WAITING_MAX = 10_000  # connections of this node that wait; those that wait longest are forgotten
SIGNS = 8
ENDED = "this code is wrong or has ended, ask the other device for a new one"


def clean_code(text: str) -> str:
    """Return a code as it was drawn, however it was typed: `abcd 1234` is `ABCD-1234`."""
    signs = "".join(sign for sign in text.upper() if sign.isalnum())
    return f"{signs[:4]}-{signs[4:]}" if len(signs) == SIGNS else text.strip()


class Links:
    """Device logins under way."""

    def __init__(self, store: Store, clock: Clock, tokens: Tokens, rate_limits: RateLimits) -> None:
        self._store = store
        self._clock = clock
        self._tokens = tokens
        self._rate_limits = rate_limits
        self._waiting: dict[str, tuple[int, Callable[[], None]]] = {}  # by hash of the code

    async def begin(self) -> tuple[str, str]:
        """Return a new code to show, and the secret that belongs to the waiting side."""
        code, secret = self._tokens.code(), self._tokens.secret()
        link = LinkCode(
            code_hash=hash_of(code),
            owner_id=None,
            target=hash_of(secret),
            uses_left=1,
            expires_at=self._clock.now_ms() + LINK_S * 1000,
        )

        def work(tx: Transaction) -> bool:
            found = tx.link_code(link.code_hash)
            if found is not None and found.expires_at > self._clock.now_ms():
                return False
            tx.put_link_code(link)
            return True

        if not await self._store.write(work):
            raise ChatError(ErrorCode.UNAVAILABLE, "try again", retry_after=1.0)
        return code, secret

    def wait(self, connection: int, code: str, on_approved: Callable[[], None]) -> None:
        """Call `on_approved` once a code is approved on this node; one code per connection."""
        self.forget(connection)
        while len(self._waiting) >= WAITING_MAX:
            self._waiting.pop(next(iter(self._waiting)))
        self._waiting[hash_of(code)] = (connection, on_approved)

    def forget(self, connection: int) -> None:
        """Wait no more for a connection; none is no error."""
        for code_hash in [key for key, (one, _) in self._waiting.items() if one == connection]:
            del self._waiting[code_hash]

    async def approve(self, user: User, text: str) -> None:
        """Let the device that shows a code be this user.

        Raises:
            ChatError: `expired`: wrong, used, or too old; `forbidden` for guests, who have nothing
                to log in with; `rate_limited`.
        """
        if user.is_guest:
            raise ChatError(ErrorCode.FORBIDDEN, "only accounts can do that, use /register")
        self._rate_limits.link_code(user.id)
        code_hash = hash_of(clean_code(text))

        def work(tx: Transaction) -> None:
            link = tx.link_code(code_hash)
            current = tx.user(user.id)
            if current is None or current.status is not UserStatus.ACTIVE:
                raise ChatError(ErrorCode.UNAUTHORIZED, "you may not log in any more")
            if (
                link is None
                or link.expires_at <= self._clock.now_ms()
                or link.owner_id not in (None, user.id)
            ):
                raise ChatError(ErrorCode.EXPIRED, ENDED)
            tx.put_link_code(replace(link, owner_id=user.id))

        await self._store.write(work)
        waiting = self._waiting.pop(code_hash, None)
        if waiting is not None:
            waiting[1]()

    async def take(self, code: str, secret: str) -> User | None:
        """Return who approved a code, once; None while nobody has.

        Raises:
            ChatError: `expired`: unknown, used, too old, or another's secret.
        """
        code_hash, now = hash_of(clean_code(code)), self._clock.now_ms()

        def work(tx: Transaction) -> User | None:
            link = tx.link_code(code_hash)
            if (
                link is None
                or link.expires_at <= now
                or not hmac.compare_digest(link.target, hash_of(secret))
            ):
                raise ChatError(ErrorCode.EXPIRED, ENDED)
            if link.owner_id is None:
                return None
            tx.drop_link_code(code_hash)
            return tx.user(link.owner_id)

        return await self._store.write(work)
