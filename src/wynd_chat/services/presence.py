"""`Presences`: who is online, with the user's row at hand; says who came and who went.

The rules (first connection, lingering, held names) are `domain.presence`; here are time and the
rows. Knows no sockets: a connection is a number and a face.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from wynd_chat.domain.presence import LINGER_S

if TYPE_CHECKING:
    from wynd_chat.domain.models import User
    from wynd_chat.domain.presence import Face, Presence
    from wynd_chat.ports.clock import Clock, Timer

__all__ = ["Presences", "Watcher"]


class Watcher(Protocol):
    """Is told who came and went; returns at once and never raises."""

    def came(self, user: User, connection: int) -> None:
        """A user's first connection was named."""

    def went(self, user: User, farewell: str | None) -> None:
        """A user's last connection has gone, and the time to come back has passed."""


EXPECTED_S = LINGER_S  # from having a name to being connected under it: a read of the store


class Presences:
    """Everybody who is online on this node."""

    def __init__(self, presence: Presence, clock: Clock) -> None:
        self._presence = presence
        self._clock = clock
        self._users: dict[str, User] = {}
        self._farewells: dict[str, str] = {}
        self._watcher: Watcher | None = None
        self._timer: Timer | None = None
        self._next: float | None = None
        self._expected: dict[str, float] = {}  # who has a name and is about to be connected

    def attach(self, watcher: Watcher) -> None:
        """Tell `watcher` from now on."""
        self._watcher = watcher

    def connected(self, connection: int, user: User, face: Face) -> None:
        """A connection has a name now, or another one."""
        self._users[user.id] = user
        self._farewells.pop(user.id, None)
        self._expected.pop(user.id, None)
        has_come = self._presence.connected(connection, user.id, face, self._clock.monotonic())
        self._expire()  # the connection may have been somebody else's last
        if has_come:
            assert self._watcher is not None  # attached by the composition root
            self._watcher.came(user, connection)

    def gone(self, connection: int, farewell: str | None = None) -> None:
        """A connection has ended; `farewell` is what its user said last."""
        now = self._clock.monotonic()
        user_id = self._presence.user_of(connection)
        if user_id is not None and farewell:
            self._farewells[user_id] = farewell
        left = self._presence.gone(connection, now)
        if left is not None:
            self._went(left)
        self._arm()

    def update(self, user: User) -> None:
        """Take a changed row of somebody who is online."""
        if user.id in self._users:
            self._users[user.id] = user

    def user(self, user_id: str) -> User | None:
        """Return the row of somebody who is online, or lingers."""
        return self._users.get(user_id)

    def is_online(self, user_id: str) -> bool:
        """Tell whether a user is shown as online."""
        return self._presence.is_online(user_id)

    def expect(self, user_id: str) -> None:
        """Hold the name of a user who is about to be connected, for some seconds."""
        now = self._clock.monotonic()
        while self._expected and next(iter(self._expected.values())) <= now:
            self._expected.pop(next(iter(self._expected)))
        self._expected.pop(user_id, None)  # the last one again: the oldest end first
        self._expected[user_id] = now + EXPECTED_S

    def is_held(self, user_id: str) -> bool:
        """Tell whether a guest's name is still theirs.

        Changes nothing and reads what single steps of the loop write, so that a store's thread
        may ask too.
        """
        now = self._clock.monotonic()
        return self._presence.is_held(user_id, now) or now < self._expected.get(user_id, now)

    def online(self) -> list[User]:
        """Return everybody who is online, by name without case."""
        ids = self._presence.online_ids()
        users = [self._users[user_id] for user_id in ids]
        return sorted(users, key=lambda user: (user.name.casefold(), user.name))

    def count(self) -> int:
        """Return how many users are online."""
        return len(self._presence.online_ids())

    def online_ids(self) -> frozenset[str]:
        """Return the ids of those who are online."""
        return frozenset(self._presence.online_ids())

    def connections_of(self, user_id: str) -> frozenset[int]:
        """Return a user's named connections."""
        return self._presence.connections_of(user_id)

    def close(self) -> None:
        """Stop waiting for those who linger."""
        if self._timer is not None:
            self._timer.cancel()

    def _went(self, user_id: str) -> None:
        user = self._users.get(user_id)
        farewell = self._farewells.pop(user_id, None)
        if user is not None and self._watcher is not None:
            self._watcher.went(user, farewell)
        if not self._presence.is_online(user_id):
            self._users.pop(user_id, None)

    def _arm(self) -> None:
        deadline = self._presence.next_deadline()
        if deadline is None or (self._next is not None and self._next <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._next = deadline
        delay = max(0.0, deadline - self._clock.monotonic())
        self._timer = self._clock.call_later(delay, self._expire)

    def _expire(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._next = None
        for user_id in self._presence.expire(self._clock.monotonic()):
            self._went(user_id)
        self._arm()
