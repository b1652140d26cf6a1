"""`Doorman`: who a connection is: credentials, entering under a name, refusals and their end.

Decides what happens to connections that misbehave. What they say is the affair of the faces.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.sessions import is_over
from wynd_chat.gateway.revocation import Revocation
from wynd_chat.observability.metrics import Metrics
from wynd_chat.ports.store import StoreFailure
from wynd_chat.services.accounts import UNKNOWN_TOKEN
from wynd_chat.services.bans import check_not_banned
from wynd_chat.services.ratelimits import TooFast
from wynd_chat.wire.close_codes import CloseCode, closing

if TYPE_CHECKING:
    from collections.abc import Callable

    from wynd_chat.domain.models import Membership, Room, Session, User
    from wynd_chat.gateway.client import Client
    from wynd_chat.gateway.hub import Hub
    from wynd_chat.ports.store import Snapshot
    from wynd_chat.services.bundle import Services

__all__ = ["Doorman"]

log = logging.getLogger("wynd_chat.gateway")

FLOOD_S = 30.0  # chat.md 6: new connections of a flooder get 429 for so long
FLOODERS_MAX = 10_000
UNWRITABLE = "the server can't store anything right now, try again soon"


class Doorman:
    """Lets connections in and out."""

    def __init__(
        self,
        services: Services,
        hub: Hub,
        lobby_id: str,
        are_guests_allowed: Callable[[], bool],
        metrics: Metrics | None = None,
    ) -> None:
        self._services = services
        self._hub = hub
        self._lobby_id = lobby_id
        self._are_guests_allowed = are_guests_allowed
        self._flooders: dict[str, float] = {}
        self._metrics = metrics or Metrics()
        self.takes_query_tokens: Callable[[], bool] = lambda: False
        """Whether a token in an address counts; set by the composition root."""
        self.revocation = Revocation(services, hub)
        """Looks after the logins of those who are in."""

    def now(self) -> float:
        """Return monotonic seconds."""
        return self._services.clock.monotonic()

    # Who it is

    def are_guests_allowed(self) -> bool:
        """Tell whether a name is enough to enter."""
        return self._are_guests_allowed()

    def check_guests(self) -> None:
        """Refuse guests where they are off.

        Raises:
            ChatError: `unauthorized`.
        """
        if not self._are_guests_allowed():
            raise ChatError(ErrorCode.UNAUTHORIZED, "guests are off here, use /login")

    async def resume(self, token: str) -> tuple[User, Session]:
        """Return whose token it is.

        Raises:
            ChatError: `unauthorized`.
        """
        try:
            found = await self._services.accounts.resume(token)
        except ChatError:
            self._metrics.authenticated("failed")
            raise
        self._metrics.authenticated("ok")
        return found

    async def enter(self, client: Client, user: User, token_hash: str | None) -> None:
        """Make a connection somebody's: note it, load what it listens to, tell the others."""
        for room_id in tuple(client.rooms):
            self._hub.unsubscribe(client, room_id)
        self._hub.attach(client, user)
        client.token_hash = token_hash
        client.entries += 1
        entry, now = client.entries, self._services.clock.now_ms()
        while True:
            changes = client.changes
            try:
                current, rooms, ignored, session = await self._services.store.read(
                    _entering(user, token_hash, self._lobby_id, now)
                )
            except ChatError as error:  # banned, or logged out, since the login was looked at
                if client.entries == entry:
                    self._turn_away(client, error)
                return
            if client.entries != entry or client.is_ended:
                return  # it became somebody else meanwhile, or its login ended
            if client.changes == changes:  # else a row or a membership changed while it was read
                break
        client.user = user = current  # as it is now: another tab may have renamed it since
        self.revocation.entered(client, session)
        client.ignored = ignored
        for room, _, peer in rooms:
            if peer is not None:
                self._hub.note_peer(room, user, peer)
        client.entered([room for room, _, _ in rooms], self._lobby_id)
        self._services.presences.connected(client.number, user, client.face)

    def _turn_away(self, client: Client, error: ChatError) -> None:
        """End a connection whose user may not come in any more."""
        is_banned = error.code is ErrorCode.BANNED
        if is_banned:
            client.removed(error.sentence)
        client.end(CloseCode.REMOVED if is_banned else CloseCode.UNAUTHORIZED)

    async def left(self, client: Client) -> None:
        """Forget what belonged to a connection that has gone; note when its user was last here."""
        self._services.rate_limits.forget(client.number)
        user = client.user
        if user is None or self._services.presences.connections_of(user.id):
            return
        try:
            await self._services.accounts.note_seen(user)
        except ChatError:
            pass  # there is no such user any more
        except StoreFailure as error:
            log.warning("%r: when its user was last here is not known: %s", client, error)

    def lobby_of(self, client: Client) -> Room | None:
        """Return the lobby, as a client listens to it."""
        return client.rooms.get(self._lobby_id)

    # Refusals

    def admit_frame(self, client: Client) -> None:
        """Take one frame from what a connection may send.

        Raises:
            ChatError: `rate_limited`.
        """
        self._services.rate_limits.frame(client.number)

    def refuse_binary(self, client: Client) -> None:
        """Answer a binary frame, which neither face has."""
        client.refused(ChatError(ErrorCode.TEXT_ONLY, "text frames only"))
        try:
            self.admit_frame(client)
        except ChatError as error:
            self.note_refusal(client, error)

    def note_refusal(self, client: Client, error: ChatError) -> None:
        """Count a refusal; the third strike of too many messages ends the connection."""
        if isinstance(error, TooFast) and self._services.rate_limits.is_flooding(client.number):
            until = self.now() + FLOOD_S
            if len(self._flooders) >= FLOODERS_MAX:
                self._flooders.pop(next(iter(self._flooders)))
            self._flooders[client.address] = until
            if client.user is not None:
                self._flooders[client.user.id] = until
            log.info("client %d: closed for flooding", client.number)
            code, reason = closing(CloseCode.FLOODING, retry_after_s=FLOOD_S)
            client.handle.close(code, reason)

    def flood_wait(self, key: str) -> float | None:
        """Return how many seconds an address or user id must still wait after flooding."""
        until = self._flooders.get(key)
        if until is None:
            return None
        if until <= self.now():
            del self._flooders[key]
            return None
        return until - self.now()

    def failure_of(self, error: BaseException, what: object) -> ChatError:
        """Return what a peer is told of a failure; the log has the rest."""
        return failure_of(error, what, self._services.tokens.new_id("e_"))

    def note_sync(self, recovered: int, gaps: int) -> None:
        """Count rooms of a `sync` reply."""
        self._metrics.resumed("recovered", recovered)
        self._metrics.resumed("gap", gaps)

    def judge(self, client: Client, now: float) -> None:
        """Look at a connection every 25 s: one without a name ends after some minutes."""
        unnamed_s = self._services.limits.unnamed_s
        if client.user is None and unnamed_s and now - client.opened_at > unnamed_s:
            client.handle.close(CloseCode.UNNAMED, CloseCode.UNNAMED.reason)
        self.revocation.judge(client, now)


def failure_of(error: BaseException, what: object, error_id: str) -> ChatError:
    """Return what a peer is told of a failure, and log it under an id.

    Args:
        error: What was raised.
        what: Whose request it was, for the log.
        error_id: A new id; the peer reads it too.
    """
    if isinstance(error, StoreFailure):
        log.error("%s: the store failed: %s", what, error)
        return ChatError(ErrorCode.UNAVAILABLE, UNWRITABLE, retry_after=1.0)
    log.error("%s: failure %s", what, error_id, exc_info=error)
    return ChatError(ErrorCode.INTERNAL, f"something went wrong here ({error_id})")


_Entered = tuple[
    "User", "list[tuple[Room, Membership, User | None]]", frozenset[str], "Session | None"
]


def _entering(
    user: User, token_hash: str | None, lobby_id: str, now: int
) -> Callable[[Snapshot], _Entered]:
    """Return what reads what somebody enters; refuses whose login has ended meanwhile."""

    def work(snapshot: Snapshot) -> _Entered:
        check_not_banned(snapshot, user, lobby_id, now)
        session = None if token_hash is None else snapshot.session(token_hash)
        if token_hash is not None and (session is None or is_over(session, now)):
            raise ChatError(ErrorCode.UNAUTHORIZED, UNKNOWN_TOKEN)
        rooms = []
        for room, membership in snapshot.rooms_of(user.id):
            peer = None
            if room.is_direct:
                peer = snapshot.user(room.peer_of(user.id))
            rooms.append((room, membership, peer))
        return snapshot.user(user.id) or user, rooms, snapshot.ignored_by(user.id), session

    return work
