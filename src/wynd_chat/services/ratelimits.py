"""`RateLimits`: how often somebody may do something, and when refusals become flooding.

Buckets are kept per connection, user or address; loopback addresses are exempt. Knows no face; a
refusal is a `ChatError` with the time to wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.ratelimit import Backoff, Buckets, Rate, SlidingCount, Strikes

if TYPE_CHECKING:
    from collections.abc import Hashable

    from wynd_chat.domain.limits import ChatLimits
    from wynd_chat.ports.clock import Clock

__all__ = ["RateLimits", "TooFast"]

ACCOUNTS_MAX = 200_000  # accounts whose tries are counted; only names that exist get in
KEYS_MAX = 20_000  # users or addresses remembered per limit; above it the oldest are forgotten
MINUTE_S = 60.0
HOUR_S = 3600.0
DAY_S = 86_400.0


class TooFast(ChatError):
    """A refusal by one of these limits; many are flooding. Slow mode in a room is none."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(ErrorCode.RATE_LIMITED, "Slow down", retry_after=wait_s)


class RateLimits:
    """All limits of the server; every method takes one or raises."""

    def __init__(self, limits: ChatLimits, clock: Clock) -> None:
        self._clock = clock
        self._frames = Buckets(Rate(limits.frames_burst, limits.frames_per_second), KEYS_MAX)
        self._messages = Buckets(Rate(limits.messages_burst, limits.messages_per_second), KEYS_MAX)
        self._commands = Buckets(Rate(limits.commands_burst, limits.commands_per_second), KEYS_MAX)
        self._joins = SlidingCount(limits.joins_per_minute, MINUTE_S, KEYS_MAX)
        self._directs = SlidingCount(limits.new_directs_per_hour, HOUR_S, KEYS_MAX)
        self._uploads = SlidingCount(limits.uploads_per_minute, MINUTE_S, KEYS_MAX)
        self._logins = SlidingCount(limits.logins_per_3_minutes, 3 * MINUTE_S, KEYS_MAX)
        self._account_logins = SlidingCount(limits.logins_per_3_minutes, 3 * MINUTE_S, ACCOUNTS_MAX)
        self._guesses = Backoff(capacity=ACCOUNTS_MAX)
        self._vain_guesses = Backoff(capacity=KEYS_MAX)
        self._registrations = SlidingCount(limits.registrations_per_hour, HOUR_S, KEYS_MAX)
        self._strikes = Strikes(capacity=KEYS_MAX)
        self.refused: dict[str, int] = {}
        """How often each limit refused, by its name; for `/metrics`."""

    def frame(self, connection: int) -> None:
        """Take one frame of a connection."""
        self._take("frames", self._frames, connection)

    def message(self, user_id: str) -> None:
        """Take one message of a user."""
        self._take("messages", self._messages, user_id)

    def command(self, user_id: str | int) -> None:
        """Take one command of a user, or of a connection without one."""
        self._take("commands", self._commands, user_id)

    def join(self, user_id: str) -> None:
        """Take one joining of a room."""
        self._take("joins", self._joins, user_id)

    def new_direct(self, user_id: str) -> None:
        """Take one direct message to somebody new."""
        self._take("new_directs", self._directs, user_id)

    def upload(self, user_id: str) -> None:
        """Take one upload."""
        self._take("uploads", self._uploads, user_id)

    def login(self, address: str | None, account: str, *, is_known: bool) -> None:
        """Take one try at a password: of an address (None: exempt), then for an account.

        Tries at an account come ever later until one is right. Names that nobody has are judged
        alike, in tables of their own, so that many of them push no account out.

        Args:
            address: Whose try it is; what it is refused for is not counted against the account.
            account: The user's id, or the name that nobody has.
            is_known: Whether there is such an account.
        """
        if address is not None:
            self._take("logins", self._logins, f"address {address}")
        counts = self._account_logins if is_known else self._logins
        guesses = self._guesses if is_known else self._vain_guesses
        self._take("logins", guesses, f"account {account}")
        self._take("logins", counts, f"account {account}")

    def logged_in(self, account: str) -> None:
        """Note that a password was right: the delay of this account ends."""
        self._guesses.forgive(f"account {account}")

    def link_code(self, user_id: str) -> None:
        """Take one try at a code that another device shows."""
        self._take("logins", self._logins, f"code {user_id}")

    def check_registration(self, address: str | None) -> None:
        """Refuse an address (None: exempt) that has registered too many; takes nothing."""
        if address is not None:
            wait = self._registrations.wait(address, self._clock.monotonic())
            self._judge("registrations", wait)

    def registration(self, address: str | None) -> None:
        """Take one registration of an address (None: exempt)."""
        if address is not None:
            self._take("registrations", self._registrations, address)

    def is_flooding(self, connection: int) -> bool:
        """Note a refusal of a connection; tell whether it is the one too many."""
        return self._strikes.strike(connection, self._clock.monotonic())

    def rest(self, connection: int) -> float:
        """Return for how many seconds a flooding connection is not listened to; 0.0 for most."""
        return self._strikes.rest(connection, self._clock.monotonic())

    def forget(self, connection: int) -> None:
        """Forget a connection that has gone."""
        self._frames.forget(connection)
        self._commands.forget(connection)
        self._strikes.forget(connection)

    def _take(self, name: str, limit: Buckets | SlidingCount | Backoff, key: Hashable) -> None:
        self._judge(name, limit.take(key, self._clock.monotonic()))

    def _judge(self, name: str, wait: float | None) -> None:
        if wait is not None:
            self.refused[name] = self.refused.get(name, 0) + 1
            raise TooFast(round(wait, 1) or 0.1)
