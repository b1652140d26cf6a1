"""`Housekeeping`: removes what has had its time: logins, links, guests, answers, old events.

Runs by the clock. One run does a bounded amount of work, each step in a transaction of its own, so
that it never holds up those who post; where something is left to do, the next run comes soon. Files
are `files`' own affair.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from wynd_chat.ports.store import StoreFailure
from wynd_chat.services.rooms import hand_over

if TYPE_CHECKING:
    from wynd_chat.domain.models import User
    from wynd_chat.ports.clock import Clock
    from wynd_chat.ports.store import Snapshot, Store, Transaction
    from wynd_chat.services.presence import Presences

__all__ = ["Housekeeping", "Tidied"]

log = logging.getLogger("wynd_chat.housekeeping")

DAY_MS = 24 * 3600 * 1000
GUEST_MS = DAY_MS  # chat.md 7: a guest row without messages goes after 24 h
ANSWER_MS = DAY_MS  # chat.md 8: of an Idempotency-Key
EVENT_MS = 30 * DAY_MS  # chat.md 7, Trimming
EVENTS_MAX = 10_000  # of one room
ENDED_PER_RUN = 500  # of each kind
GUESTS_PER_RUN = 100  # each is a transaction that may touch many rows
ROOMS_PER_RUN = 200
TRIMMED_PER_STEP = 2_000  # events of one room; about 10 ms
RUN_EVERY_S = 300.0
RUN_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Tidied:
    """What one run removed."""

    ended: int = 0
    """Logins, invitations, codes, rights to upload."""
    guests: int = 0
    """Guests whose rows are gone, or only their names and memberships."""
    events: int = 0
    is_done: bool = True
    """Whether nothing was left that a further run would remove now."""


class Housekeeping:
    """Upkeep of one store."""

    def __init__(self, store: Store, presences: Presences, clock: Clock) -> None:
        self._store = store
        self._presences = presences
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._room_id = ""  # the last one looked at; the next run goes on behind it

    def start(self) -> None:
        """Run now and then from now on."""
        self._task = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Stop; a step under way is carried out."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def run(self) -> Tidied:
        """Remove what has had its time, as much of it as one run does.

        Raises:
            StoreFailure: not now.
        """
        now = self._clock.now_ms()
        ended = await self._store.write(lambda tx: tx.drop_ended(now, ENDED_PER_RUN))
        await self._store.write(lambda tx: tx.drop_idempotent_answers(now - ANSWER_MS))
        guests = await self._guests(now)
        events, is_trimmed = await self._events(now)
        is_done = ended < ENDED_PER_RUN and guests < GUESTS_PER_RUN and is_trimmed
        return Tidied(ended, guests, events, is_done)

    async def _keep(self) -> None:
        while True:
            wait = RUN_EVERY_S
            try:
                tidied = await self.run()
            except StoreFailure as error:
                log.warning("upkeep has to wait: %s", error)
            except Exception:
                log.exception("upkeep failed; it is tried again")
            else:
                if tidied.ended or tidied.guests or tidied.events:
                    log.info(
                        "removed %d ended rows, %d guests, %d events",
                        *(tidied.ended, tidied.guests, tidied.events),
                    )
                wait = RUN_EVERY_S if tidied.is_done else RUN_AGAIN_S
            await self._clock.sleep(wait)

    async def _guests(self, now: int) -> int:
        """Let guests go whose tokens have ended; return how many."""
        after, gone = "", 0
        while gone < GUESTS_PER_RUN:
            page = await self._store.read(partial(_stale, now - GUEST_MS, after))
            for guest in page:
                after = guest.id
                if gone < GUESTS_PER_RUN and not self._presences.is_held(guest.id):
                    gone += await self._store.write(partial(_let_go, guest, now))
            if len(page) < GUESTS_PER_RUN:
                break
        return gone

    async def _events(self, now: int) -> tuple[int, bool]:
        """Trim some rooms, behind those of the last run; return events, and whether all is done."""
        after = self._room_id
        room_ids = await self._store.read(
            lambda snapshot: snapshot.room_ids(after_id=after, limit=ROOMS_PER_RUN)
        )
        trimmed, is_done = 0, True
        for room_id in room_ids:
            count = await self._store.write(partial(_trim, room_id, now - EVENT_MS))
            trimmed += count
            is_done = is_done and count < TRIMMED_PER_STEP
        if len(room_ids) < ROOMS_PER_RUN:
            self._room_id = ""
            return trimmed, is_done
        self._room_id = room_ids[-1]
        return trimmed, False


def _stale(before: int, after_id: str, snapshot: Snapshot) -> list[User]:
    return snapshot.stale_guests(before, after_id=after_id, limit=GUESTS_PER_RUN)


def _trim(room_id: str, before: int, tx: Transaction) -> int:
    return tx.trim_old_events(room_id, before=before, keep=EVENTS_MAX, limit=TRIMMED_PER_STEP)


def _let_go(guest: User, now: int, tx: Transaction) -> bool:
    """Remove a guest who never wrote; of one who did, name and memberships go."""
    current = tx.user(guest.id)
    if current is None or not current.is_guest or current.last_seen_at >= now - GUEST_MS:
        return False
    if tx.sessions_of(guest.id):
        return False
    for room, _ in tx.rooms_of(guest.id):
        tx.drop_membership(room.id, guest.id)
        hand_over(tx, room, current, now)
    if tx.has_messages(guest.id):
        tx.put_user(replace(current, name_key=None, name_skeleton=None))
    else:
        tx.drop_user(guest.id)
    return True
