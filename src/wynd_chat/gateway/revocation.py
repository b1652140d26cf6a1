"""`Revocation`: no connection outlives its login: looked at again on time, and when others write.

A login that ends here (logout, ban, new password) is told at once, by `ConnectionsEnded`. This is
for the rest: logins that expire, those that another program ended, and a look every half hour at
all of them, which also renews those that are in use.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from typing import TYPE_CHECKING

from wynd_chat.domain.models import UserStatus
from wynd_chat.ports.outlet import ConnectionsEnded, UserChanged
from wynd_chat.ports.store import StoreFailure
from wynd_chat.services.sessions import BANNED_CODE, BANNED_REASON, ENDED_CODE, ENDED_REASON

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from wynd_chat.domain.models import Session, User
    from wynd_chat.gateway.client import Client
    from wynd_chat.gateway.hub import Hub
    from wynd_chat.ports.clock import Timer
    from wynd_chat.services.bundle import Services

__all__ = ["Revocation"]

log = logging.getLogger("wynd_chat.gateway")

RECHECK_S = 1800.0  # chat.md 4
POLL_S = 5.0  # for stores that do not notice what others write (reliability.md 5.4: within 10 s)
AGAIN_S = 5.0  # after the store failed
EXPIRY_SLACK_S = 0.05  # the timer must not come before the end it waits for
STALE_MAX = 1000  # ends of connections that are gone, before they are forgotten
TIMER_MAX_S = 3600.0  # the wall clock may be set meanwhile


class Revocation:
    """Looks after the logins of all connections of this node."""

    def __init__(self, services: Services, hub: Hub) -> None:
        self._services = services
        self._hub = hub
        self._ends: list[tuple[int, int]] = []  # (when, number of the connection), a heap
        self._timer: Timer | None = None
        self._poll: Timer | None = None
        self._due: set[int] = set()  # numbers of connections to look at
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    def start(self, is_told: bool) -> None:
        """Look after them from now on.

        Args:
            is_told: Whether `recheck` is called when another program wrote; else they are looked
                at every few seconds.
        """
        if not is_told:
            self._order_poll()

    async def close(self) -> None:
        """Stop."""
        self._is_closed = True
        for timer in (self._timer, self._poll):
            if timer is not None:
                timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def entered(self, client: Client, session: Session | None) -> None:
        """Note when the login of a connection ends by itself."""
        client.checked_at = self._services.clock.monotonic()
        if session is not None and session.expires_at is not None:
            heapq.heappush(self._ends, (session.expires_at, client.number))
            if len(self._ends) > 2 * len(self._hub.clients) + STALE_MAX:
                self._forget_stale()
            self._arm()

    def judge(self, client: Client, now: float) -> None:
        """Look at a login that was not looked at for half an hour."""
        if client.user is not None and now - client.checked_at >= RECHECK_S:
            self.recheck((client,))

    def recheck(self, clients: Collection[Client] | None = None) -> None:
        """Look at the logins of some connections, or of all, soon."""
        some = self._hub.clients.values() if clients is None else clients
        self._due.update(client.number for client in some if client.user is not None)
        if self._due and self._task is None and not self._is_closed:
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        try:
            while self._due:
                due, self._due = self._due, set()
                clients = [self._hub.clients[one] for one in due if one in self._hub.clients]
                try:
                    await self._look(clients)
                except StoreFailure as error:
                    log.warning("logins cannot be looked at right now: %s", error)
                    self._due |= due
                    await self._services.clock.sleep(AGAIN_S)
        finally:
            self._task = None

    async def _look(self, clients: Collection[Client]) -> None:
        """Compare connections with the store; end those whose login or user is gone."""
        hashes = {client.token_hash for client in clients if client.token_hash is not None}
        user_ids = {client.user.id for client in clients if client.user is not None}
        sessions, users = await self._services.sessions.standings(hashes, user_ids)
        in_use: dict[str, Session] = {}
        now = self._services.clock.monotonic()
        for client in clients:
            user = client.user
            if user is None:
                continue  # it lost its name meanwhile
            client.checked_at = now
            if self._has_ended(client, user, sessions, users):
                continue
            if client.token_hash is not None and client.token_hash in sessions:
                in_use[client.token_hash] = sessions[client.token_hash]
        for user_id, user in users.items():
            self._refresh(user_id, user)
        renewed = await self._services.sessions.renew(in_use.values())
        self._note_ends(clients, renewed)

    def _has_ended(
        self,
        client: Client,
        user: User,
        sessions: Mapping[str, Session],
        users: Mapping[str, User],
    ) -> bool:
        stored = users.get(user.id)
        token_hash = client.token_hash
        if stored is not None and stored.status is UserStatus.BANNED:
            notice = ConnectionsEnded(user.id, None, BANNED_CODE, BANNED_REASON)
        elif stored is None or stored.status is not UserStatus.ACTIVE:
            notice = ConnectionsEnded(user.id, None, ENDED_CODE, ENDED_REASON)
        elif token_hash is not None and token_hash not in sessions:
            hashes = frozenset({token_hash})
            notice = ConnectionsEnded(user.id, hashes, ENDED_CODE, ENDED_REASON)
        else:
            return False
        self._hub.notice(notice)
        return True

    def _refresh(self, user_id: str, stored: User) -> None:
        """Take over what another program changed: a role, a name."""
        for client in self._hub.clients_of(user_id)[:1]:
            known = client.user
            if known is not None and _is_other(known, stored):
                self._hub.notice(UserChanged(stored))

    def _note_ends(self, clients: Collection[Client], sessions: Collection[Session]) -> None:
        by_hash = {session.token_hash: session for session in sessions}
        for client in clients:
            if client.token_hash in by_hash and client.number in self._hub.clients:
                self.entered(client, by_hash[client.token_hash])

    # Ends that come by themselves

    def _forget_stale(self) -> None:
        """Keep the last end of each connection that is there; others were renewed, or went."""
        last: dict[int, int] = {}
        for ends, number in self._ends:
            if number in self._hub.clients:
                last[number] = max(ends, last.get(number, 0))
        self._ends = [(ends, number) for number, ends in last.items()]
        heapq.heapify(self._ends)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._ends and not self._is_closed:
            left = (self._ends[0][0] - self._services.clock.now_ms()) / 1000
            delay = min(max(0.0, left) + EXPIRY_SLACK_S, TIMER_MAX_S)
            self._timer = self._services.clock.call_later(delay, self._expired)

    def _expired(self) -> None:
        self._timer = None
        now = self._services.clock.now_ms()
        due = []
        while self._ends and self._ends[0][0] <= now:
            client = self._hub.clients.get(heapq.heappop(self._ends)[1])
            if client is not None:
                due.append(client)
        if due:
            self.recheck(due)  # it was renewed meanwhile, or has ended
        self._arm()

    def _order_poll(self) -> None:
        def poll() -> None:
            self.recheck()
            self._order_poll()

        self._poll = self._services.clock.call_later(POLL_S, poll)


def _is_other(known: User, stored: User) -> bool:
    """Tell whether what others see, or may do, changed."""
    return (known.name, known.role, known.kind) != (stored.name, stored.role, stored.kind)
