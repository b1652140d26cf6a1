"""What must hold: everything the clients of a simulation saw, against what the disk has.

1. What was acknowledged is stored, once per (author, cid), where the acknowledgement said.
2. A number of a room stands for one event, the same for everybody, live or replayed.
3. Nobody is shown an event of a time at which they were not in the room.
4. What one connection sent in an order, and sent once, is stored in that order.

What one client knows about its own rooms is checked by the client.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wynd_chat.domain.events import Message
from wynd_chat.wire.json_face import event_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.simulation.database import Disk
    from tests.simulation.loop import VirtualLoop
    from wynd_chat.domain.events import Event
    from wynd_chat.domain.models import Room

__all__ = ["Ledger", "mark_of"]

_MARK = re.compile(r"\b[a-z]+\d*#\d+$")
EVENTS_MAX = 100_000


def mark_of(line: str) -> str | None:
    """Return what makes a message of the simulation unlike all others, as `ann1#12`."""
    found = _MARK.search(line)
    return None if found is None else found.group()


@dataclass(slots=True)
class _Span:
    """A time in a room, by numbers: above `start`, up to `end`."""

    start: int
    end: int | None = None
    ended_at: float | None = None


class Ledger:
    """Remembers everything, and what was wrong with it."""

    def __init__(self, loop: VirtualLoop, disk: Disk, *, keeps_lines: bool = False) -> None:
        self._loop = loop
        self._disk = disk
        self._keeps_lines = keeps_lines
        self._digest = hashlib.sha256()
        self.lines: list[str] = []
        """The trace, if it is kept."""
        self.problems: list[str] = []
        self.counts: dict[str, int] = {}
        """How often what happened; a simulation in which nothing happens proves nothing."""
        self.acknowledged: dict[tuple[str, str], tuple[str, int]] = {}
        """(author, cid) → (room, seq)."""
        self.tries: dict[tuple[str, str], int] = {}
        """(author, cid) → how often it was sent."""
        self.orders: list[list[tuple[str, str]]] = []
        """By connection: what it sent, in that order."""
        self.read: dict[tuple[str, str], int] = {}
        """(user, room) → highest marker that was acknowledged."""
        self.head_of: Callable[[str], int | None] = lambda _room_id: None
        """Up to which number the server has shown a room."""
        self.accounts: set[str] = set()
        """Ids of those who are no guests."""
        self.restores = 0
        """How often the disk was put back."""
        self._seen: dict[tuple[str, int], dict[str, Any]] = {}
        self._spans: dict[tuple[str, str], list[_Span]] = {}
        self._committed_at: dict[tuple[str, int], float] = {}
        self._present: set[tuple[str, str]] = set()

    # The trace

    def note(self, who: str, what: str) -> None:
        """Write a line of the trace."""
        line = f"{self._loop.time() - 1000:10.4f} {who}: {what}"
        self._digest.update(line.encode())
        if self._keeps_lines:
            self.lines.append(line)

    @property
    def hash(self) -> str:
        """What the whole trace comes to."""
        return self._digest.hexdigest()

    def wrong(self, who: str, what: str) -> None:
        """Note that something must not be."""
        self.note(who, f"WRONG: {what}")
        self.problems.append(f"{self._loop.time() - 1000:.4f} {who}: {what}")

    def count(self, what: str) -> None:
        """Count what happened."""
        self.counts[what] = self.counts.get(what, 0) + 1

    # While it runs

    def changed(self) -> None:
        """Look at who is in which room, after a commit."""
        tables = self._disk.tables
        present = {
            (room_id, user_id)
            for room_id, members in tables.memberships.items()
            for user_id in members
        }
        if present == self._present:
            return
        for room_id, user_id in sorted(present - self._present):
            start = tables.memberships[room_id][user_id].joined_seq
            head = self.head_of(room_id)  # what is stored already may be shown a little later
            start = start if head is None else min(start, head)
            shown = tables.rooms[room_id].shown
            self._spans.setdefault((shown, user_id), []).append(_Span(start))
        for room_id, user_id in sorted(self._present - present):
            room = tables.rooms[room_id]
            span = self._spans[room.shown, user_id][-1]
            span.end, span.ended_at = room.last_seq, self._loop.time()
            self.read.pop((user_id, room.shown), None)
        self._present = present

    def restored(self) -> None:
        """Forget what the disk does not know any more."""
        tables = self._disk.tables
        heads = {room.shown: room.last_seq for room in tables.rooms.values()}
        self._seen = {
            (room, seq): event
            for (room, seq), event in self._seen.items()
            if seq <= heads.get(room, 0)
        }
        self.acknowledged = {
            key: place for key, place in self.acknowledged.items() if key in tables.places_by_cid
        }
        self.restores += 1
        self.orders.clear()
        self.read.clear()
        self._committed_at.clear()
        self._spans.clear()
        self._present = set()
        self.changed()

    def saw(self, who: str, user_id: str, event: dict[str, Any], *, is_live: bool) -> None:
        """Take an event that a client was shown."""
        room, seq = event["room"], event["seq"]
        event = {key: value for key, value in event.items() if key != "cid"}
        known = self._seen.setdefault((room, seq), event)
        if known != event:
            self.wrong(who, f"#{room} {seq} is {event}, and was {known}")
        if is_live and not self.was_member(user_id, room, seq):
            self.wrong(who, f"was shown #{room} {seq} and was not in it: {event}")

    def committed(self, happened: list[tuple[Room, Event]]) -> None:
        """Take the events of a commit."""
        for room, event in happened:
            self._committed_at[room.shown, event.seq] = self._loop.time()

    def was_member(self, user_id: str, room: str, seq: int) -> bool:
        """Tell whether a user was in a room when this number was given.

        A guest's leaving is no event; what is committed in one group with it is still shown.
        """
        at = self._committed_at.get((room, seq))
        return any(
            span.start < seq
            and (
                span.end is None
                or seq <= span.end
                or (at == span.ended_at and user_id not in self.accounts)
            )
            for span in self._spans.get((room, user_id), ())
        )

    def was_ever_member(self, user_id: str, room: str) -> bool:
        """Tell whether a user was ever in a room."""
        return (room, user_id) in self._spans

    def has_left(self, user_id: str, room: str) -> bool:
        """Tell whether a user ever left a room."""
        return any(span.end is not None for span in self._spans.get((room, user_id), ()))

    def floor_of(self, shown: str) -> int:
        """Return the lowest number of a room that is still in its log."""
        tables = self._disk.tables
        for room in tables.rooms.values():
            if room.shown == shown:
                return min(tables.events.get(room.id, ()), default=room.last_seq + 1)
        return 0

    def acknowledged_as(
        self, who: str, key: tuple[str, str], place: tuple[str, int], *, is_repeat: bool
    ) -> None:
        """Take an acknowledgement of a message."""
        self.count("acknowledgements")
        known = self.acknowledged.setdefault(key, place)
        if known != place:
            self.wrong(who, f"{key} is acknowledged at {place}, and was at {known}")
        if is_repeat:
            self.count("repeats")
            if self.tries.get(key, 0) < 2:
                self.wrong(who, f"{key} was sent once and is called a repeat")

    # At the end

    def check(self) -> None:
        """Compare with the disk."""
        stored = self._stored()
        by_key: dict[tuple[str, str], tuple[str, int]] = {}
        marks: dict[str, int] = {}
        for (room, seq), event in stored.items():
            if event["type"] == "message" and "cid" in event:
                key = (event["from"]["id"], event["cid"])
                if key in by_key:
                    self.wrong("disk", f"{key} is stored at {by_key[key]} and at {(room, seq)}")
                by_key[key] = (room, seq)
            elif event["type"] == "message":
                marks[event["text"]] = marks.get(event["text"], 0) + 1
        for text, times in marks.items():
            if times > 1:
                self.wrong("disk", f"{text!r} is stored {times} times")
        for key, place in self.acknowledged.items():
            if by_key.get(key) != place:
                self.wrong("disk", f"{key} was acknowledged at {place}, stored: {by_key.get(key)}")
        floors = {
            room.shown: self.floor_of(room.shown) for room in self._disk.tables.rooms.values()
        }
        for (room, seq), event in self._seen.items():
            expected = {k: v for k, v in stored.get((room, seq), {}).items() if k != "cid"}
            if expected != event and seq >= floors.get(room, 0):
                self.wrong("disk", f"#{room} {seq} was shown as {event}, stored: {expected}")
        self._check_orders(by_key)

    def _check_orders(self, by_key: dict[tuple[str, str], tuple[str, int]]) -> None:
        for order in self.orders:
            last: dict[str, int] = {}
            for key in order:
                if self.tries.get(key) == 1 and key in by_key:
                    room, seq = by_key[key]
                    if seq < last.get(room, 0):
                        self.wrong("disk", f"{key} is stored before what was sent before it")
                    last[room] = seq

    def _stored(self) -> dict[tuple[str, int], dict[str, Any]]:
        stored = {}
        for room in self._disk.tables.rooms.values():
            numbers = []
            for event in self.events_of(room):
                stored[room.shown, event["seq"]] = event
                numbers.append(event["seq"])
            for message in self._disk.now.messages(room.id, limit=EVENTS_MAX):
                event = event_object(message, room.shown, with_cid=True)
                stored[room.shown, event["seq"]] = event
            if numbers and numbers != list(range(numbers[0], room.last_seq + 1)):
                self.wrong("disk", f"the numbers of #{room.shown} are {numbers}")
        return stored

    def events_of(self, room: Room) -> Iterable[dict[str, Any]]:
        """Return what a room has, as its members are shown it."""
        floor = self.floor_of(room.shown)
        page = self._disk.now.events_after(room.id, floor - 1, EVENTS_MAX)
        return [event_object(event, room.shown, with_cid=True) for event in page.events]

    def unread_of(self, user_id: str, room: Room, read_seq: int) -> int:
        """Return how many messages of others a user has not read."""
        events = self._disk.now.messages(room.id, after=read_seq, limit=EVENTS_MAX)
        bodies = [event.body for event in events]
        others = [one for one in bodies if isinstance(one, Message) and one.author.id != user_id]
        return min(100, len(others))
