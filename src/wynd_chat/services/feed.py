"""`Feed`: committed events on their way to who is listening, once and in order per room.

1. The head of a room is the seq up to which its events were shown; it only rises, by one.
2. An event at or below the head is not shown again; one above head + 1 is preceded by what the
   store has in between.
3. The ring holds the events (floor, head], without a gap. It serves those who reconnect, so that a
   storm of them reads the history of a room once; the store has the rest.
4. Nothing here is needed for correctness: what is missing is read from the store.

Knows no faces and no connections.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wynd_chat.ports.faults import NoFaults
from wynd_chat.ports.outlet import RoomPurged
from wynd_chat.ports.store import StoreFailure

if TYPE_CHECKING:
    from wynd_chat.domain.events import Event
    from wynd_chat.domain.models import Room
    from wynd_chat.ports.broker import Broker
    from wynd_chat.ports.clock import Clock
    from wynd_chat.ports.faults import Faults
    from wynd_chat.ports.outlet import Outlet
    from wynd_chat.ports.store import EventsPage, Snapshot, Store

__all__ = ["Feed", "Stretch"]

log = logging.getLogger("wynd_chat.feed")

RING_S = 120.0  # a reconnect within two minutes needs no store (reliability: 5.2)
RING_EVENTS_MAX = 2_000  # of one room; a sync takes at most 500
EVENTS_MAX = 100_000  # of all rings; those unused longest are emptied (about 1 KB an event)
CATCH_UP_EVENTS = 1_000  # read at once when events were missed


@dataclass(frozen=True, slots=True)
class Stretch:
    """Events of one room above a position, as they were when they were read."""

    after: int
    """The position."""
    events: list[Event]
    """Without a gap; none where some were trimmed, or the position lay in the future."""
    changes: int
    """How often the room's past had been changed before."""


@dataclass(slots=True)
class _Track:
    """What was shown of one room."""

    head: int
    floor: int
    ring: deque[tuple[float, Event]] = field(default_factory=deque)
    is_catching_up: bool = False
    wanted: int = 0
    """The newest seq that a wake-up spoke of."""
    changes: int = 0
    """How often its past was changed (`Feed.forget`)."""


class Feed:
    """Shows the events of all rooms of this node to an outlet."""

    def __init__(
        self, store: Store, broker: Broker, clock: Clock, faults: Faults | None = None
    ) -> None:
        self._store = store
        self._broker = broker
        self._clock = clock
        self._faults: Faults = faults or NoFaults()
        self._tracks: OrderedDict[str, _Track] = OrderedDict()
        self._outlet: Outlet | None = None
        self._reads: dict[tuple[str, int], asyncio.Task[EventsPage]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._kept = 0  # events in all rings
        self.history_reads = 0
        """How often the store was read for those who reconnect."""
        store.on_commit(self._committed)
        broker.subscribe(self._woken)

    def attach(self, outlet: Outlet) -> None:
        """Show events to `outlet` from now on."""
        self._outlet = outlet

    def _committed(self, room: Room, event: Event) -> None:
        """Show an event that was just committed, then wake up the other nodes."""
        self._faults.passed("after_commit")
        track = self._tracks.get(room.id)
        if track is None:
            track = self._track(room.id, event.seq - 1)
        if event.seq == track.head + 1:
            self._show(track, room, event)
        elif event.seq > track.head:
            self._catch_up(room.id, event.seq)
        self._faults.passed("before_publish")
        self._broker.publish(room.id, event.seq)

    def head(self, room_id: str, stored: int) -> int:
        """Return up to which seq a room was shown; `stored` begins a room nobody listened to."""
        track = self._tracks.get(room_id)
        if track is None:
            track = self._track(room_id, stored)
        return track.head

    def forget(self, room_id: str) -> None:
        """Empty the ring of a room whose past was changed, so that nobody is shown the old one."""
        track = self._tracks.get(room_id)
        if track is not None:
            self._kept -= len(track.ring)
            track.ring.clear()
            track.floor = track.head
            track.changes += 1
        for key in [key for key in self._reads if key[0] == room_id]:
            del self._reads[key]  # whoever asks from now on reads anew

    async def refresh(self) -> None:
        """Look for what another program committed, in every room that was ever listened to.

        A room that it purged is forgotten, and the outlet told.

        Raises:
            StoreFailure: the store cannot be read.
        """
        room_ids = tuple(self._tracks)

        def work(snapshot: Snapshot) -> dict[str, int]:
            rooms = (snapshot.room(room_id) for room_id in room_ids)
            return {room.id: room.last_seq for room in rooms if room is not None}

        heads = await self._store.read(work)
        for room_id in room_ids:
            if room_id in heads:
                self._woken(room_id, heads[room_id])
            else:
                self.forget(room_id)
                if self._outlet is not None:
                    self._outlet.notice(RoomPurged(room_id))

    def known_head(self, room_id: str) -> int | None:
        """Return the head of a room that is listened to."""
        track = self._tracks.get(room_id)
        return None if track is None else track.head

    def recent(self, room_id: str, after: int) -> list[Event] | None:
        """Return all events above `after` up to the head, or None where the ring lacks some."""
        track = self._tracks.get(room_id)
        if track is None or after < track.floor or after > track.head:
            return None
        return [event for _, event in track.ring if event.seq > after]

    async def read(self, room_id: str, after: int, limit: int) -> Stretch:
        """Return events above `after`, for `join`: the ring's, or the store's where it lacks some.

        Those who ask for the same at the same time share one read.

        Args:
            room_id: A room with a head.
            after: The position.
            limit: More than this many are of no use.

        Raises:
            StoreFailure: it cannot be read.
        """
        track = self._tracks[room_id]
        changes = track.changes
        if after > track.head:
            return Stretch(after, [], changes)
        recent = self.recent(room_id, after)
        if recent is not None:
            return Stretch(after, recent, changes)
        page = await self._read(room_id, after, limit)
        if not page.is_complete:
            return Stretch(after, [], changes)
        if track.changes == changes:
            self._backfill(track, after, [one for one in page.events if one.seq <= track.head])
        return Stretch(after, list(page.events), changes)

    def join(self, room_id: str, read: Stretch) -> list[Event] | None:
        """Return all events above the position that was read from, up to the head.

        None: some were trimmed, or the past was changed since they were read, or the position lies
        in the future.

        Args:
            room_id: A room with a head.
            read: What `read` returned; the ring may have let go of it since.
        """
        recent = self.recent(room_id, read.after)
        if recent is not None:
            return recent
        track = self._tracks[room_id]
        if read.changes != track.changes:
            return None
        head = track.head
        known = [event for event in read.events if event.seq <= head]
        if not known or known[0].seq != read.after + 1:
            return None
        if known[-1].seq == head:
            return known
        newer = self.recent(room_id, known[-1].seq)
        return None if newer is None else known + newer

    async def close(self) -> None:
        """Stop catching up."""
        for task in [*self._tasks, *self._reads.values()]:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._reads.values(), return_exceptions=True)

    def _track(self, room_id: str, head: int) -> _Track:
        track = self._tracks[room_id] = _Track(head, head)
        return track

    def _show(self, track: _Track, room: Room, event: Event) -> None:
        now = self._clock.monotonic()
        track.head = event.seq
        ring = track.ring
        ring.append((now, event))
        self._kept += 1
        while len(ring) > RING_EVENTS_MAX or ring[0][0] < now - RING_S:
            track.floor = ring.popleft()[1].seq
            self._kept -= 1
        self._tracks.move_to_end(room.id)
        self._bound()
        if self._outlet is not None:
            self._outlet.event(room, event)

    def _backfill(self, track: _Track, after: int, events: list[Event]) -> None:
        """Keep what was read, so that the next one who reconnects needs no store."""
        older = [event for event in events if event.seq <= track.floor]
        if not older or older[0].seq != after + 1 or older[-1].seq != track.floor:
            return
        if len(track.ring) + len(older) > RING_EVENTS_MAX:
            return
        at = track.ring[0][0] if track.ring else self._clock.monotonic()
        track.ring.extendleft((at, event) for event in reversed(older))
        track.floor = after
        self._kept += len(older)
        self._bound()

    def _bound(self) -> None:
        """Empty the rings unused longest while all together hold too much."""
        if self._kept <= EVENTS_MAX:
            return
        for track in self._tracks.values():
            self._kept -= len(track.ring)
            track.ring.clear()
            track.floor = track.head
            if self._kept <= EVENTS_MAX:
                return

    async def _read(self, room_id: str, after: int, limit: int) -> EventsPage:
        """Read events once for all who ask for the same at the same time."""
        key = (room_id, after)
        reading = self._reads.get(key)
        if reading is None:
            self.history_reads += 1

            def work(snapshot: Snapshot) -> EventsPage:
                return snapshot.events_after(room_id, after, max(limit, 500) + 1)

            reading = asyncio.get_running_loop().create_task(self._store.read(work))
            self._reads[key] = reading
            reading.add_done_callback(lambda done: self._read_ended(key, done))
        return await asyncio.shield(reading)

    def _read_ended(self, key: tuple[str, int], reading: asyncio.Task[EventsPage]) -> None:
        if self._reads.get(key) is reading:  # else another one has begun since
            del self._reads[key]

    def _woken(self, room_id: str, seq: int) -> None:
        track = self._tracks.get(room_id)
        if track is not None and seq > track.head:
            self._catch_up(room_id, seq)

    def _catch_up(self, room_id: str, seq: int) -> None:
        track = self._tracks[room_id]
        track.wanted = max(track.wanted, seq)
        if not track.is_catching_up:
            track.is_catching_up = True
            task = asyncio.get_running_loop().create_task(self._caught_up(room_id, track))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _caught_up(self, room_id: str, track: _Track) -> None:
        """Show what the store has between the head and what was spoken of."""
        delay = 0.05
        try:
            while track.head < track.wanted:
                head = track.head

                def work(snapshot: Snapshot, head: int = head) -> tuple[Room | None, EventsPage]:
                    page = snapshot.events_after(room_id, head, CATCH_UP_EVENTS)
                    return snapshot.room(room_id), page

                try:
                    room, page = await self._store.read(work)
                except StoreFailure:
                    log.warning("room %s: what was missed cannot be read yet", room_id)
                    await self._clock.sleep(delay)
                    delay = min(delay * 2, 5.0)
                    continue
                if room is None or not page.events:
                    return
                if not page.is_complete:  # trimmed meanwhile: listeners see the gap and sync
                    track.head = page.events[0].seq - 1
                    track.floor = track.head
                    self._kept -= len(track.ring)
                    track.ring.clear()
                for event in page.events:
                    if event.seq == track.head + 1:
                        self._show(track, room, event)
        finally:
            track.is_catching_up = False
