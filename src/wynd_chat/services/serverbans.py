"""`ServerBans`: what administrators do on the whole server: banning users, addresses, newcomers.

A ban ends logins and connections at once. While it lasts, nobody logs in, resumes or connects
(`bans` has the questions). Bans from rooms are `moderation`. Knows no face.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.permissions import Rank, check_above, check_rank
from wynd_chat.domain.text import accept_text, clean_line
from wynd_chat.ports.outlet import AddressBanned, UserRemoved
from wynd_chat.services.bans import (
    active_bans,
    ban_infos,
    lift_ban,
    new_ban,
    parse_address,
    parse_network,
    purge,
    replace_ban,
)
from wynd_chat.services.messaging import author_of

if TYPE_CHECKING:
    from wynd_chat.domain.limits import ChatLimits
    from wynd_chat.domain.models import Ban, User
    from wynd_chat.ports.clock import Clock, Tokens
    from wynd_chat.ports.outlet import Outlet
    from wynd_chat.ports.store import Snapshot, Store, Transaction
    from wynd_chat.services.bans import AddressBans, BanInfo
    from wynd_chat.services.feed import Feed

__all__ = ["ServerBans"]


class ServerBans:
    """Keeps people out of the chat."""

    def __init__(
        self,
        store: Store,
        outlet: Outlet,
        feed: Feed,
        clock: Clock,
        tokens: Tokens,
        limits: ChatLimits,
        addresses: AddressBans,
    ) -> None:
        self._store = store
        self._outlet = outlet
        self._feed = feed
        self._clock = clock
        self._tokens = tokens
        self._limits = limits
        self._addresses = addresses

    async def check_address(self, address: str) -> None:
        """Refuse a banned address.

        Raises:
            ChatError: `banned`.
            StoreFailure: the bans cannot be read.
        """
        await self._addresses.check(address)

    async def ban(
        self,
        user: User,
        target: User | None,
        seconds: int | None = None,
        reason: str = "",
        *,
        purge_s: int | None = None,
    ) -> Ban:
        """Keep somebody out of the chat and end all their logins at once; None: all newcomers.

        Args:
            user: Who bans; an administrator.
            target: Who is banned; no administrator.
            seconds: For how long; None: until it is lifted.
            reason: What people read.
            purge_s: Delete what they wrote in the last seconds, everywhere.

        Raises:
            ChatError: `forbidden`, `too_large`.
        """
        reason = self._reason(reason)
        now = self._clock.now_ms()
        ban_id = self._tokens.new_id("b_")
        ban = new_ban(ban_id, None, user, target, reason=reason, at=now, seconds=seconds)

        def work(tx: Transaction) -> set[str]:
            _judge(tx, user)
            if target is not None and (tx.user(target.id) or target).is_admin:
                check_above(Rank.ADMIN, Rank.ADMIN)
            replace_ban(tx, ban, now)
            if target is None:
                return set()
            for session in tx.sessions_of(target.id):
                tx.drop_session(session.token_hash)
            return purge(tx, target, purge_s, now, None)

        for room_id in await self._store.write(work):
            self._feed.forget(room_id)
        if target is not None:
            self._outlet.notice(UserRemoved(target.id, None, author_of(user), reason, True))
        return ban

    async def ban_address(
        self,
        user: User,
        network: str,
        seconds: int | None = None,
        reason: str = "",
        *,
        own_address: str = "",
    ) -> Ban:
        """Refuse an address or network, `192.0.2.0/24`; who is connected from there is put out.

        Args:
            user: Who bans; an administrator.
            network: Which.
            seconds: For how long; None: until it is lifted.
            reason: What people read.
            own_address: Of who bans; a network that holds it is refused.

        Raises:
            ChatError: `bad_request`: no network, or one's own; `forbidden`, `too_large`.
        """
        reason = self._reason(reason)
        stored = parse_network(network)
        if stored is None:
            sentence = "name an address or network, such as 192.0.2.0/24"
            raise ChatError(ErrorCode.BAD_REQUEST, sentence)
        notice = AddressBanned(stored, author_of(user), reason)
        if notice.holds(parse_address(own_address)):
            raise ChatError(ErrorCode.BAD_REQUEST, "you are connected from there yourself")
        now = self._clock.now_ms()
        ban_id = self._tokens.new_id("b_")
        ban = new_ban(
            ban_id, None, user, None, network=stored, reason=reason, at=now, seconds=seconds
        )

        def work(tx: Transaction) -> None:
            _judge(tx, user)
            replace_ban(tx, ban, now)

        await self._store.write(work)
        self._addresses.forget()
        self._outlet.notice(notice)
        return ban

    async def unban(self, user: User, target: User | None, network: str | None = None) -> None:
        """Lift a ban: of a user, of a network, or (both None) of newcomers.

        Raises:
            ChatError: `not_found`: there is none; `forbidden`.
        """
        now = self._clock.now_ms()
        stored = None if network is None else parse_network(network) or network

        def work(tx: Transaction) -> None:
            _judge(tx, user)
            lift_ban(tx, None, None if target is None else target.id, stored, now)

        await self._store.write(work)
        self._addresses.forget()

    async def bans(self, user: User) -> list[BanInfo]:
        """Return the bans that have not ended, oldest first.

        Raises:
            ChatError: `forbidden`.
        """
        now = self._clock.now_ms()

        def work(snapshot: Snapshot) -> list[BanInfo]:
            _judge(snapshot, user)
            return ban_infos(snapshot, active_bans(snapshot, None, now))

        return await self._store.read(work)

    def _reason(self, text: str) -> str:
        return clean_line(accept_text(text, self._limits.reason_chars_max, "reason"))


def _judge(snapshot: Snapshot, user: User) -> None:
    current = snapshot.user(user.id)
    if current is None or not current.is_admin:
        check_rank(Rank.NONE, Rank.ADMIN)
