"""Moderation: `/kick` to `/owner`. Who may act on whom is decided by the services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from wynd_chat.domain.durations import is_duration, parse_duration, short_duration
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import RoomRole
from wynd_chat.gateway.calls import Outcome
from wynd_chat.services.moderation import TIMEOUT_S
from wynd_chat.wire import json_face, text_face
from wynd_chat.wire.times import minute_text, time_text

if TYPE_CHECKING:
    from wynd_chat.domain.models import Ban, User
    from wynd_chat.gateway.calls import Call
    from wynd_chat.services.bans import BanInfo

__all__ = ["EVERYBODY", "HANDLERS", "ban_object"]

SERVER = "--server"
PURGE = "--purge"
EVERYBODY = "*"
_ROLES = {RoomRole.OWNER: "an owner", RoomRole.OP: "an op", RoomRole.MEMBER: "a member"}


class _Order(NamedTuple):
    """The arguments of `/ban` and `/unban`, options taken out."""

    is_server: bool
    purge_s: int | None
    target: str
    seconds: int | None
    reason: str


async def kick(call: Call) -> Outcome:
    """`/kick USER [REASON]`: out of this room; may come back."""
    target = await call.services.accounts.find(call.word(0))
    room = await call.services.moderation.kick(call.user, call.room, target, call.word(1))
    line = text_face.server_line(f"kicked {target.name} from #{room.name}")
    return Outcome([line], {"room": room.shown, "user": json_face.user_object(target)})


async def ban(call: Call) -> Outcome:
    """`/ban [--server] [--purge DURATION] USER|*|IP [DURATION] [REASON]`."""
    order = _order(call)
    services = call.services
    if order.is_server:
        _need_admin(call)
        if _is_address(order.target):
            return await _ban_address(call, order)
        target = await _target(call, order)
        made = await services.server_bans.ban(
            call.user, target, order.seconds, order.reason, purge_s=order.purge_s
        )
        where = "this server"
    else:
        target = await _target(call, order)
        made = await services.moderation.ban(
            call.user, call.room, target, order.seconds, order.reason, purge_s=order.purge_s
        )
        where = f"#{call.room.name}"
    who = "all newcomers" if target is None else target.name
    return _banned(call, made, who, where, target)


async def _ban_address(call: Call, order: _Order) -> Outcome:
    if order.purge_s is not None:
        raise call.usage()  # who wrote from an address is not known
    made = await call.services.server_bans.ban_address(
        call.user, order.target, order.seconds, order.reason, own_address=call.caller.address
    )
    return _banned(call, made, made.ip_net or "", "this server", None)


def _banned(call: Call, made: Ban, who: str, where: str, target: User | None) -> Outcome:
    how_long = ""
    if made.until is not None:
        how_long = f" for {short_duration((made.until - made.at) / 1000)}"
    line = text_face.server_line(f"banned {who} from {where}{how_long}")
    return Outcome([line], ban_object(made, target, call.user))


async def unban(call: Call) -> Outcome:
    """`/unban [--server] USER|*|IP`: lift a ban."""
    order = _order(call)
    if order.purge_s is not None or order.seconds is not None or order.reason:
        raise call.usage()
    if order.is_server:
        _need_admin(call)
        is_address = _is_address(order.target)
        target = None if is_address else await _target(call, order)
        network = order.target if is_address else None
        await call.services.server_bans.unban(call.user, target, network)
        state = "may come in again"
    else:
        target = await _target(call, order)
        await call.services.moderation.unban(call.user, call.room, target)
        state = f"may join #{call.room.name} again"
    who = order.target if target is None else target.name
    if order.target == EVERYBODY:
        who = "newcomers"
    room = None if order.is_server else call.room.shown
    return Outcome([text_face.server_line(f"{who} {state}")], {"room": room, "unbanned": who})


async def bans(call: Call) -> Outcome:
    """`/bans [--server]`: those that have not ended."""
    scope = call.word(0)
    if scope not in ("", SERVER):
        raise call.usage()
    if scope == SERVER:
        _need_admin(call)
        found = await call.services.server_bans.bans(call.user)
        where = "this server"
    else:
        found = await call.services.moderation.bans(call.user, call.room)
        where = f"#{call.room.name}"
    lines = [_ban_line(info) for info in found]
    if not lines:
        lines = [text_face.server_line(f"nobody is banned from {where}")]
    result = {"bans": [ban_object(info.ban, info.user, info.by) for info in found]}
    return Outcome(["\n".join(lines)], result)


async def timeout(call: Call) -> Outcome:
    """`/timeout USER [10m] [REASON]`, `/timeout USER off`."""
    word, reason = call.word(1), call.word(2)
    seconds: int | None = TIMEOUT_S
    if word and is_duration(word):
        seconds = parse_duration(word)
    elif word:
        reason = f"{word} {reason}".rstrip()
    target = await call.services.accounts.find(call.word(0))
    until = await call.services.moderation.timeout(
        call.user, call.room, target, seconds, "" if seconds is None else reason
    )
    name = call.room.name
    state = f"may write in #{name} again"
    if seconds is not None:
        state = f"is silenced in #{name} for {short_duration(seconds)}"
    result: dict[str, Any] = {"room": call.room.shown, "user": json_face.user_object(target)}
    result["silenced_until"] = None if until is None else time_text(until)
    return Outcome([text_face.server_line(f"{target.name} {state}")], result)


async def op(call: Call) -> Outcome:
    """`/op USER`."""
    return await _role(call, RoomRole.OP)


async def deop(call: Call) -> Outcome:
    """`/deop USER`."""
    return await _role(call, RoomRole.MEMBER)


async def owner(call: Call) -> Outcome:
    """`/owner USER`."""
    return await _role(call, RoomRole.OWNER)


async def _role(call: Call, role: RoomRole) -> Outcome:
    target = await call.services.accounts.find(call.word(0))
    is_new = await call.services.moderation.set_role(call.user, call.room, target, role)
    when = "now" if is_new else "already"
    line = text_face.server_line(f"{target.name} is {_ROLES[role]} of #{call.room.name} {when}")
    result = {"room": call.room.shown, "user": json_face.user_object(target)}
    return Outcome([line], {**result, "room_role": role.value, "changed": is_new})


def ban_object(ban: Ban, user: User | None, by: User | None) -> dict[str, Any]:
    """Return a ban as programs read it: one of `user`, `address` and `newcomers` says whom."""
    value: dict[str, Any] = {"id": ban.id}
    if ban.ip_net is not None:
        value["address"] = ban.ip_net
    elif ban.user_id is None:
        value["newcomers"] = True
    elif user is not None:
        value["user"] = {"id": user.id, "name": user.name, "kind": user.kind.value}
    value["reason"] = ban.reason
    value["by"] = None if by is None else {"id": by.id, "name": by.name, "kind": by.kind.value}
    value["at"] = time_text(ban.at)
    value["until"] = None if ban.until is None else time_text(ban.until)
    return value


def _ban_line(info: BanInfo) -> str:
    ban = info.ban
    who = ban.ip_net or ("all newcomers" if info.user is None else info.user.name)
    until = "" if ban.until is None else f" until {minute_text(ban.until)}"
    by = "" if info.by is None else f", by {info.by.name}"
    reason = f" ({ban.reason})" if ban.reason else ""
    return text_face.server_line(f"{who}{until}{by}{reason}")


def _order(call: Call) -> _Order:
    """Take `[--server] [--purge DURATION] TARGET [DURATION] [REASON]` apart.

    Options stand before the target, so that a reason may hold any word.
    """
    rest, is_server, purge_s = call.rest, False, None
    while rest.startswith("--"):
        option, _, rest = rest.partition(" ")
        rest = rest.lstrip()
        if option == SERVER:
            is_server = True
        elif option == PURGE:
            word, _, rest = rest.partition(" ")
            if not word:
                raise call.usage()
            purge_s = parse_duration(word)
            rest = rest.lstrip()
        else:
            raise call.usage()
    target, *more = rest.split(None, 1)[:2] or [""]
    if not target:
        raise call.usage()
    reason = more[0] if more else ""
    seconds = None
    first, *after = reason.split(None, 1)[:2] or [""]
    if first and is_duration(first):
        seconds = parse_duration(first)
        reason = after[0] if after else ""
    if reason == SERVER or reason.startswith((f"{SERVER} ", PURGE)):
        raise call.usage()  # meant as an option; as a reason nobody would notice
    return _Order(is_server, purge_s, target, seconds, reason)


async def _target(call: Call, order: _Order) -> User | None:
    """Return who is meant; None for `*`, everybody who is not in yet."""
    if order.target == EVERYBODY:
        if order.purge_s is not None:
            raise call.usage()
        return None
    return await call.services.accounts.find(order.target)


def _is_address(target: str) -> bool:
    """Tell whether an address or network is meant; no name begins with a colon."""
    if target.startswith("@"):
        return False
    return target.replace(".", "").replace("/", "").isdecimal() or target.count(":") > 1


def _need_admin(call: Call) -> None:
    if not call.user.is_admin:
        raise ChatError(ErrorCode.FORBIDDEN, "only admins can do that")


HANDLERS = {
    "kick": kick,
    "ban": ban,
    "unban": unban,
    "bans": bans,
    "timeout": timeout,
    "op": op,
    "deop": deop,
    "owner": owner,
}
