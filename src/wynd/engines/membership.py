"""Who is in which room, and which policy a room has. The portable engine's; knows no sockets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Generic, TypeVar

from wynd.engines.base import Policy

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Room", "Rooms"]

M = TypeVar("M")

_DEFAULT_POLICY = Policy.close()


class Room(Generic[M]):
    """One room with at least one member; members by key, in the order they joined."""

    __slots__ = ("members", "policy")

    def __init__(self, policy: Policy) -> None:
        self.policy: Policy = policy
        self.members: dict[int, M] = {}


class Rooms(Generic[M]):
    """All rooms; an empty one does not exist."""

    __slots__ = ("_policies", "_rooms")

    def __init__(self) -> None:
        self._rooms: dict[str, Room[M]] = {}
        self._policies: list[tuple[re.Pattern[str], Policy]] = []

    def __len__(self) -> int:
        return len(self._rooms)

    def get(self, name: str) -> Room[M] | None:
        """Return a room, or None if nobody is in it."""
        return self._rooms.get(name)

    def join(self, name: str, key: int, member: M) -> None:
        """Add a member; twice is once."""
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = Room(self._policy_of(name))
        room.members[key] = member

    def leave(self, names: Iterable[str], key: int) -> None:
        """Remove a member from some rooms; no error where it is none."""
        for name in names:
            room = self._rooms.get(name)
            if room is not None and room.members.pop(key, None) is not None and not room.members:
                del self._rooms[name]

    def set_policy(self, pattern: str, policy: Policy) -> None:
        """Add a rule, for rooms that exist too; the first pattern that matches counts."""
        parts = (re.escape(part) for part in re.split(r"\*+", pattern))
        self._policies.append((re.compile(".*".join(parts), re.DOTALL), policy))
        for name, room in self._rooms.items():
            room.policy = self._policy_of(name)

    def _policy_of(self, name: str) -> Policy:
        for pattern, policy in self._policies:
            if pattern.fullmatch(name):
                return policy
        return _DEFAULT_POLICY
