"""Who is online: the rules by which connections become the coming and going of people.

A pure state machine over connections that have a name. Time is an argument (seconds that never go
back); what is told to whom, and what a user is called, is decided elsewhere.

Rules:

1. A user is online from the first connection until told as left; coming and leaving alternate.
2. `connected` says "came" exactly when the user was not online.
3. A text connection that ends is gone at once. A JSON connection that ends counts for 10 s more, so
   that reloading a page is silent, whichever other connections end meanwhile.
4. A user without connections leaves when the last such time is over: `gone` returns who left at
   once, `expire` those whose time is over. Each leaving is returned once, by one of them.
5. Whoever comes back before the leaving was returned never left, even if the time was over.
6. A connection belongs to one user. One that becomes another user's is gone from the former at
   once; `expire` then returns the former if that was the last.
7. A name is held for a user who is online, until the time is over; `is_online` asks what others
   were told, `is_held` what the time says.

                     connected: came                     gone, text
        (unknown) ─────────────────────► connected ───────────────────────► (unknown): left
            ▲                             │      ▲
            │             gone, JSON:     ▼      │ connected
            └─────────── 10 s more ───── lingering
              expire: left
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

__all__ = ["LINGER_S", "Face", "Presence"]

LINGER_S = 10.0  # a page has reloaded and reconnected by then (chat.md 2.4; held names: 5.5)


class Face(StrEnum):
    """The protocol that a connection speaks."""

    TEXT = "text"
    JSON = "json"


@dataclass(slots=True)
class _Person:
    connections: set[int] = field(default_factory=set)
    until: float = -inf
    """When the connections that have ended stop to count (rule 3)."""


class Presence:
    """Everybody who is online here. Connections are numbers that are never used twice."""

    __slots__ = ("_deadlines", "_linger_s", "_owners", "_people")

    def __init__(self, linger_s: float = LINGER_S) -> None:
        self._linger_s = linger_s
        self._people: dict[str, _Person] = {}
        self._owners: dict[int, tuple[str, Face]] = {}
        # (until, user) of those who linger, and of some who came back; read with `_is_due`.
        self._deadlines: list[tuple[float, str]] = []

    def connected(self, connection: int, user_id: str, face: Face, now: float) -> bool:
        """Note that a connection is a user's; return whether the user came with it.

        The same once more changes nothing. After a connection has changed hands (rule 6), call
        `expire`.
        """
        owner = self._owners.get(connection)
        if owner is not None:
            if owner[0] == user_id:
                return False
            former = self._release(connection, owner[0], until=now)
            if not former.connections:
                heappush(self._deadlines, (former.until, owner[0]))
        has_come = user_id not in self._people
        self._people.setdefault(user_id, _Person()).connections.add(connection)
        self._owners[connection] = (user_id, face)
        return has_come

    def gone(self, connection: int, now: float) -> str | None:
        """Note that a connection has ended; return the id of the user who left with it.

        None where the user has others, where the user lingers (then see `next_deadline`), and for
        a connection without a name, so that calling twice does no harm.
        """
        owner = self._owners.get(connection)
        if owner is None:
            return None
        user_id, face = owner
        until = now + self._linger_s if face is Face.JSON else now
        person = self._release(connection, user_id, until)
        if person.connections:
            return None
        if person.until > now:
            heappush(self._deadlines, (person.until, user_id))
            return None
        del self._people[user_id]
        return user_id

    def expire(self, now: float) -> list[str]:
        """Return the ids of those who have left because their time is over, earliest first."""
        left = []
        while self._deadlines and self._deadlines[0][0] <= now:
            entry = heappop(self._deadlines)
            if self._is_due(entry):
                del self._people[entry[1]]
                left.append(entry[1])
        return left

    def next_deadline(self) -> float | None:
        """Return when `expire` has to be called next; None while nobody lingers."""
        while self._deadlines and not self._is_due(self._deadlines[0]):
            heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def is_online(self, user_id: str) -> bool:
        """Tell whether a user came and has not left (rule 1)."""
        return user_id in self._people

    def is_held(self, user_id: str, now: float) -> bool:
        """Tell whether a user's name must stay theirs (rule 7)."""
        person = self._people.get(user_id)
        return person is not None and (bool(person.connections) or now < person.until)

    def user_of(self, connection: int) -> str | None:
        """Return whose a connection is; None without a name."""
        owner = self._owners.get(connection)
        return None if owner is None else owner[0]

    def connections_of(self, user_id: str) -> frozenset[int]:
        """Return a user's connections; none for those who linger."""
        person = self._people.get(user_id)
        return frozenset() if person is None else frozenset(person.connections)

    def online_ids(self) -> AbstractSet[str]:
        """Return the ids of those who are online: a live view, in the order of their coming."""
        return self._people.keys()

    def _release(self, connection: int, user_id: str, until: float) -> _Person:
        person = self._people[user_id]
        del self._owners[connection]
        person.connections.remove(connection)
        person.until = max(person.until, until)
        return person

    def _is_due(self, entry: tuple[float, str]) -> bool:
        """Tell whether an entry is of somebody who lingers until then, and not of the past."""
        until, user_id = entry
        person = self._people.get(user_id)
        return person is not None and not person.connections and person.until == until
