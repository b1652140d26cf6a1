"""Talking: `/name` to `/history`. What may be said where is decided by the services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wynd_chat.domain.commands import find
from wynd_chat.domain.durations import is_duration, parse_duration
from wynd_chat.domain.errors import ChatError, ErrorCode, UsageError
from wynd_chat.domain.events import Message, MessageKind, without_ignored
from wynd_chat.gateway.calls import Mode, Outcome
from wynd_chat.wire import json_face, text_face
from wynd_chat.wire.lines import history_line, message_line
from wynd_chat.wire.times import time_text

if TYPE_CHECKING:
    from wynd_chat.domain.events import Event
    from wynd_chat.domain.models import User
    from wynd_chat.gateway.calls import Call
    from wynd_chat.ports.store import Posted
    from wynd_chat.services.history import Page

__all__ = ["HANDLERS", "history_lines"]

HISTORY_DEFAULT = 20
HISTORY_MAX = 200
DAY_S = 86_400


async def name(call: Call) -> Outcome:
    """`/name NAME`: enter as a guest, or have another name."""
    caller = call.caller
    text = call.word(0)
    accounts = call.services.accounts
    if caller.user is None:
        if caller.mode is not Mode.TEXT:
            raise ChatError(ErrorCode.UNAUTHORIZED, "say who you are first: auth or name")
        call.router.check_guests()
        await caller.become(await accounts.name_guest(text))
        return Outcome([], {"user": json_face.user_object(call.user)})
    before = caller.user.name
    caller.user = await accounts.rename(caller.user, text)
    is_told = caller.mode is Mode.TEXT and caller.user.name != before  # by the hub, before others
    lines = [] if is_told else [text_face.you_are(caller.user.name)]
    return Outcome(lines, {"user": json_face.user_object(caller.user)})


async def users(call: Call) -> Outcome:
    """`/users`: who is online."""
    names = [user.name for user in call.services.presences.online()]
    line = text_face.online_users(names, strict=call.router.is_strict)
    return Outcome([line], {"users": names, "count": len(names)})


async def help_(call: Call) -> Outcome:
    """`/help [COMMAND]`."""
    word = call.word(0)
    if word:
        spec = find(word)
        if spec is None or spec not in call.router.commands:
            raise ChatError(ErrorCode.NOT_FOUND, text_face.UNKNOWN_COMMAND)
        return Outcome([text_face.command_help(spec)], json_face.command_object(spec))
    lines = [text_face.HELP]
    allowed = await call.router.allowed(call.caller)
    if not call.router.is_strict:
        more = text_face.more_commands(allowed)
        lines += [] if more is None else [more]
    return Outcome(lines, {"commands": [json_face.command_object(spec) for spec in allowed]})


async def quit_(call: Call) -> Outcome:
    """`/quit [MESSAGE]`: say goodbye and end the connection."""
    call.caller.farewell = call.services.accounts.farewell(call.word(0)) or None
    return Outcome([text_face.GOODBYE], {}, is_goodbye=True)


async def who(call: Call) -> Outcome:
    """`/who [#ROOM|@USER]`: who is in a room, or what may be known of somebody."""
    ref = call.word(0)
    if ref.startswith("@") or call.typed.lower() == "whois":
        return await _whois(call, await call.services.accounts.find(ref or call.user.name))
    room = await call.router.room(call.caller, call.user, ref) if ref else call.room
    now = call.services.clock.now_ms()
    members = await call.services.rooms.members(call.user, room)
    here = [(user, membership) for user, membership, is_online in members if is_online]
    line = text_face.who_line(
        room,
        [
            text_face.WhoMember(
                user.name,
                membership.role,
                membership.silenced_until is not None and membership.silenced_until > now,
                user.away,
            )
            for user, membership in here
        ],
    )
    result = [
        {**json_face.user_object(user), "role": membership.role.value, "away": user.away}
        for user, membership in here
    ]
    return Outcome([line], {"room": room.shown, "members": result})


async def _whois(call: Call, target: User) -> Outcome:
    services = call.services
    mine = {room.id: room for room, _ in await services.rooms.mine(call.user)}
    theirs = [room for room, _ in await services.rooms.mine(target) if room.id in mine]
    shared = [room for room in theirs if not room.is_direct]
    clients = call.hub.clients_of(target.id)
    now, now_ms = services.clock.monotonic(), services.clock.now_ms()
    since = None
    if services.presences.is_online(target.id):
        opened = min((client.opened_at for client in clients), default=now)
        since = now_ms - int((now - opened) * 1000)
    idle = min((now - client.active_at for client in clients), default=0.0)
    addresses = sorted({client.address for client in clients if client.address})
    address = ", ".join(addresses) if call.user.is_admin and addresses else None
    whois = text_face.Whois(
        user=target, online_since=since, idle_s=idle, shared_rooms=shared, address=address
    )
    result: dict[str, Any] = {
        "user": json_face.user_object(target),
        "online": since is not None,
        "away": target.away,
        "rooms": [room.shown for room in shared],
    }
    if since is not None:
        result |= {"online_since": time_text(since), "idle_s": round(idle)}
    return Outcome([text_face.whois_lines(whois)], result)


async def msg(call: Call) -> Outcome:
    """`/msg TARGET [TEXT]`: write to somebody or into another room, or make it the target."""
    ref, text = call.word(0), call.word(1)
    is_room = ref.startswith(("#", "r_"))
    router, services = call.router, call.services
    if is_room:
        room, _ = await services.rooms.find_member(call.user, ref)
    else:
        room = await services.rooms.direct(call.user, f"@{ref.removeprefix('@')}")
    if not text:
        call.caller.move_to(room)
        if is_room:
            here = await services.rooms.here(room)
            return Outcome([text_face.now_in(room, here)], {"room": room.shown})
        peer = await services.rooms.peer(call.user, room)
        return Outcome([text_face.now_writing_to(peer.name)], {"room": room.shown})
    posted = await router.say(call.caller, call.user, room, text)
    return await _said(call, posted)


async def r(call: Call) -> Outcome:
    """`/r TEXT`: answer whoever last wrote directly."""
    room_id = call.hub.room_of_last_direct(call.user.id)
    if room_id is None:
        raise ChatError(ErrorCode.NOT_FOUND, "nobody has written to you yet, use /msg USER TEXT")
    room, _ = await call.services.rooms.find_member(call.user, room_id)
    posted = await call.router.say(call.caller, call.user, room, call.rest)
    return await _said(call, posted)


async def me(call: Call) -> Outcome:
    """`/me TEXT`: `* Alice waves`."""
    kind = MessageKind.ME
    posted = await call.router.say(call.caller, call.user, call.room, call.rest, kind=kind)
    return Outcome([], _posted_object(posted))


async def _said(call: Call, posted: Posted) -> Outcome:
    """Show the sender a direct message as sent, and that the other side is away."""
    room = posted.room
    if not room.is_direct:
        return Outcome([], _posted_object(posted))
    peer = await call.services.rooms.peer(call.user, room)
    line = message_line(
        posted.event,
        room,
        is_current=False,
        viewer_id=call.user.id,
        file_link=call.hub.file_link,
        peer_name=peer.name,
    )
    lines = [line, *await call.router.away_lines(call.user, posted)]
    return Outcome(lines, _posted_object(posted))


def _posted_object(posted: Posted) -> dict[str, Any]:
    at = time_text(posted.event.at)
    return {"room": posted.room.shown, "seq": posted.event.seq, "at": at}


async def history(call: Call) -> Outcome:
    """`/history [N|DURATION] [#ROOM|@USER]`, `/history before REF [N]`."""
    words = call.rest.split()
    room = call.at
    before: int | None = None
    since = 0
    limit = HISTORY_DEFAULT
    if words and words[0].lower() == "before":
        if not 2 <= len(words) <= 3:
            raise call.usage()
        before = await _seq_of(call, words[1])
        limit = _count(call, words[2]) if len(words) == 3 else limit
    else:
        for word in words[:2]:
            if word.isdecimal():
                limit = _count(call, word)
            elif is_duration(word):
                seconds = parse_duration(word)
                if seconds is None:
                    raise call.usage()
                since, limit = call.services.clock.now_ms() - seconds * 1000, HISTORY_MAX
            else:
                room = await call.router.room(call.caller, call.user, word)
        if len(words) > 2:
            raise call.usage()
    if room is None:
        raise call.usage()
    page = await call.services.histories.page(
        call.user, room, before=before, since=since, limit=limit, with_total=True
    )
    lines = history_lines(call, page)
    ignored = call.hub.ignored_by(call.user.id)
    result = {
        "messages": [
            json_face.event_object(without_ignored(event, ignored), room.shown, with_cid=False)
            for event in page.messages
        ],
        "has_before": page.has_before,
        "head": page.head,
    }
    return Outcome(lines, result)


def history_lines(call: Call, page: Page, *, with_footer: bool = True) -> list[str]:
    """Return the frames of a page of messages, and what ends it."""
    ignored = call.hub.ignored_by(call.user.id)
    shown = [event for event in page.messages if _author(event) not in ignored]
    lines = [history_line(event, page.room, file_link=call.hub.file_link) for event in shown]
    if with_footer:
        first = page.messages[0].seq if page.messages else None
        said = sum(not _is_deleted(event) for event in shown)  # as the total counts
        footer = text_face.history_footer(said, page.total, first, has_more=page.has_before)
        lines.append(footer)
    return lines


def _is_deleted(event: Event) -> bool:
    return isinstance(event.body, Message) and event.body.is_deleted


def _author(event: Event) -> str | None:
    return event.body.author.id if isinstance(event.body, Message) else None


def _count(call: Call, word: str) -> int:
    if not word.isdecimal() or not 1 <= int(word[:9]) <= HISTORY_MAX:
        raise UsageError(call.spec.syntax)
    return int(word)


async def _seq_of(call: Call, word: str) -> int:
    """Return the seq of a REF: a number, or `^` for the last message here."""
    if word == "^":
        page = await call.services.histories.page(call.user, call.room, limit=1)
        return page.messages[0].seq if page.messages else 1
    if not word.isdecimal():
        raise UsageError(call.spec.syntax)
    return int(word[:18])


HANDLERS = {
    "name": name,
    "users": users,
    "help": help_,
    "quit": quit_,
    "who": who,
    "msg": msg,
    "r": r,
    "me": me,
    "history": history,
}
