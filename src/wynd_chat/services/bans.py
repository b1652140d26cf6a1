"""Bans as they are asked about: who is kept out of the chat, from which addresses, and silences.

The table of bans is the only truth; nothing else remembers one, so that a ban ends by itself when
its time is over. Who may ban whom is `moderation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

from wynd_chat.domain.durations import short_duration
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import Ban

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from wynd_chat.domain.models import Membership, User
    from wynd_chat.ports.clock import Clock
    from wynd_chat.ports.store import Snapshot, Store, Transaction

__all__ = [
    "AddressBans",
    "BanInfo",
    "active_bans",
    "ban_infos",
    "check_newcomer",
    "check_not_banned",
    "hold_silence",
    "lift_ban",
    "new_ban",
    "parse_address",
    "parse_network",
    "purge",
    "replace_ban",
]

REREAD_S = 5.0  # another process, such as the command line, may have changed the table
HELD_REASON = "left while silenced"


@dataclass(frozen=True, slots=True)
class BanInfo:
    """A ban as a list shows it."""

    ban: Ban
    user: User | None
    """Who is banned; None: an address, or all newcomers."""
    by: User | None
    """None: nobody any more, or the server itself."""


def active_bans(snapshot: Snapshot, room_id: str | None, now: int) -> list[Ban]:
    """Return the bans of a room, or of the server (None), that have not ended, oldest first."""
    return [ban for ban in snapshot.bans(room_id) if ban.until is None or ban.until > now]


def check_not_banned(snapshot: Snapshot, user: User, lobby_id: str, now: int) -> None:
    """Refuse somebody who is banned from the server, or from the lobby, where everybody is.

    Raises:
        ChatError: `banned`.
    """
    if user.is_admin:
        return
    for room_id in (None, lobby_id):
        for ban in active_bans(snapshot, room_id, now):
            if ban.user_id == user.id:
                raise ChatError(ErrorCode.BANNED, f"you are banned here{_until(ban, now)}")


def check_newcomer(snapshot: Snapshot, lobby_id: str, now: int) -> None:
    """Refuse somebody new while all newcomers are: from the server, or from the lobby.

    Raises:
        ChatError: `banned`.
    """
    for room_id in (None, lobby_id):
        for ban in active_bans(snapshot, room_id, now):
            if ban.user_id is None and ban.ip_net is None:
                raise ChatError(ErrorCode.BANNED, f"nobody new may come in{_until(ban, now)}")


def hold_silence(tx: Transaction, membership: Membership, ban_id: str, now: int) -> None:
    """Keep a silence in force for a member who goes: no coming back until it would have ended.

    Without it, leaving and joining again would end every timeout.
    """
    until = membership.silenced_until
    if until is None or until <= now:
        return
    for ban in active_bans(tx, membership.room_id, now):
        if ban.user_id == membership.user_id and (ban.until is None or ban.until >= until):
            return
    tx.put_ban(
        Ban(
            id=ban_id,
            room_id=membership.room_id,
            user_id=membership.user_id,
            ip_net=None,
            reason=HELD_REASON,
            by_id=None,
            at=now,
            until=until,
        )
    )


def new_ban(
    ban_id: str,
    room_id: str | None,
    by: User,
    target: User | None,
    *,
    network: str | None = None,
    reason: str,
    at: int,
    seconds: int | None,
) -> Ban:
    """Return a ban: from a room or the server (None), for seconds or until it is lifted (None)."""
    return Ban(
        id=ban_id,
        room_id=room_id,
        user_id=None if target is None else target.id,
        ip_net=network,
        reason=reason,
        by_id=by.id,
        at=at,
        until=None if seconds is None else at + seconds * 1000,
    )


def replace_ban(tx: Transaction, ban: Ban, now: int) -> None:
    """Store a ban instead of another of the same; those that have ended go along."""
    for old in tx.bans(ban.room_id):
        is_same = (old.user_id, old.ip_net) == (ban.user_id, ban.ip_net)
        if is_same or (old.until is not None and old.until <= now):
            tx.drop_ban(old.id)
    tx.put_ban(ban)


def lift_ban(
    tx: Transaction, room_id: str | None, user_id: str | None, network: str | None, now: int
) -> None:
    """Lift the ban of a user, of a network, or (both None) of newcomers.

    Raises:
        ChatError: `not_found`: there is none.
    """
    found = False
    for ban in tx.bans(room_id):
        if (ban.user_id, ban.ip_net) == (user_id, network):
            found = found or ban.until is None or ban.until > now
            tx.drop_ban(ban.id)
    if not found:
        raise ChatError(ErrorCode.NOT_FOUND, "there is no such ban")


def purge(
    tx: Transaction, target: User, seconds: int | None, now: int, room_id: str | None
) -> set[str]:
    """Delete what somebody wrote in the last seconds (None: nothing), in a room or everywhere.

    Returns:
        The ids of the rooms where that was; the feed has to forget their recent events.
    """
    if seconds is None:
        return set()
    since = now - seconds * 1000
    return {room for room, _ in tx.delete_messages(target.id, since=since, at=now, room_id=room_id)}


def ban_infos(snapshot: Snapshot, bans: list[Ban]) -> list[BanInfo]:
    """Return bans with those whom they name."""
    ids = {one for ban in bans for one in (ban.user_id, ban.by_id) if one is not None}
    users = snapshot.users(ids)
    return [
        BanInfo(
            ban,
            None if ban.user_id is None else users.get(ban.user_id),
            None if ban.by_id is None else users.get(ban.by_id),
        )
        for ban in bans
    ]


def parse_network(text: str) -> str | None:
    """Return a network or address as it is stored, `192.0.2.0/24`, or None where it is neither.

    Bits below the prefix are cleared; IPv4 addresses inside IPv6 are those of IPv4.
    """
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return None
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= 96:
        return str(ip_network(f"{mapped}/{network.prefixlen - 96}", strict=False))
    return str(network)


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address of a peer; None where there is none, as on Unix sockets."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@dataclass(frozen=True, slots=True)
class _Known:
    networks: tuple[tuple[IPv4Network | IPv6Network, int | None], ...]
    """Each with the end of its ban."""
    read_at: float


class AddressBans:
    """The addresses that are banned from the server, kept at hand: every upgrade asks."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: _Known | None = None

    def forget(self) -> None:
        """Read the table again at the next question; it was changed."""
        self._known = None

    async def check(self, address: str) -> None:
        """Refuse a banned address.

        Raises:
            ChatError: `banned`.
            StoreFailure: the bans cannot be read.
        """
        peer = parse_address(address)
        if peer is None:
            return
        now = self._clock.now_ms()
        for network, until in await self._networks(now):
            if peer.version == network.version and peer in network and (not until or until > now):
                raise ChatError(ErrorCode.BANNED, "this address is banned here")

    async def _networks(self, now: int) -> tuple[tuple[IPv4Network | IPv6Network, int | None], ...]:
        known, at = self._known, self._clock.monotonic()
        if known is None or at >= known.read_at + REREAD_S:
            bans = await self._store.read(lambda snapshot: active_bans(snapshot, None, now))
            networks = tuple((ip_network(ban.ip_net), ban.until) for ban in bans if ban.ip_net)
            known = self._known = _Known(networks, at)
        return known.networks


def _until(ban: Ban, now: int) -> str:
    return "" if ban.until is None else f" for {short_duration((ban.until - now) / 1000)}"
