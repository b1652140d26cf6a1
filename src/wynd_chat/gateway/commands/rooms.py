"""Rooms: `/join` to `/slow`. Who may do what is decided by the services."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from wynd_chat.domain.durations import parse_duration, short_duration
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import RoomKind
from wynd_chat.domain.names import room_key
from wynd_chat.gateway.calls import Outcome
from wynd_chat.gateway.commands.talking import history_lines
from wynd_chat.wire import text_face

if TYPE_CHECKING:
    from wynd_chat.domain.models import Room
    from wynd_chat.gateway.calls import Call
    from wynd_chat.services.rooms import Entry, RoomInfo

__all__ = ["HANDLERS"]

JOIN_HISTORY = 10  # lines shown on joining
JOINS_AT_ONCE = 10


async def join(call: Call) -> Outcome:
    """`/join #ROOM[,#ROOM] [KEY]`: enter, or switch."""
    names = [one for one in call.word(0).split(",") if one]
    if not names or len(names) > JOINS_AT_ONCE:
        raise call.usage()
    total = Outcome()
    joined: list[dict[str, Any]] = []
    for ref in names:
        if ref.startswith("@"):
            raise call.usage()
        if room_key(ref) not in {room.name for room in call.caller.rooms.values()}:
            call.services.rate_limits.join(call.user.id)  # switching is no joining
        entry = await call.services.rooms.join(call.user, ref, call.word(1) or None)
        total.lines += await _entered(call, entry)
        joined.append(_entry_object(entry))
    total.result = joined[0] if len(joined) == 1 else {"rooms": joined}
    return total


async def _entered(call: Call, entry: Entry) -> list[str]:
    call.caller.move_to(entry.room)
    here = await call.services.rooms.here(entry.room)
    lines = [text_face.now_in(entry.room, here)]
    if entry.is_new_member and not entry.is_new_room:
        page = await call.services.histories.page(call.user, entry.room, limit=JOIN_HISTORY)
        lines += history_lines(call, page, with_footer=False)
    return lines


def _entry_object(entry: Entry) -> dict[str, Any]:
    return {
        "room": entry.room.shown,
        "kind": entry.room.kind.value,
        "topic": entry.room.topic,
        "created": entry.is_new_room,
    }


async def leave(call: Call) -> Outcome:
    """`/leave [#ROOM] [REASON]`."""
    ref, reason = call.word(0), call.word(1)
    mine = {one.name for one in call.caller.rooms.values()}
    if ref and not ref.startswith(("#", "r_")) and room_key(ref) not in mine:
        ref, reason = "", call.rest
    room = await call.router.room(call.caller, call.user, ref) if ref else call.room
    client = call.hub.clients.get(call.caller.number)
    current = call.caller.current
    if room.is_direct and client is not None and current is not None and current.id == room.id:
        peer = await call.services.rooms.peer(call.user, room)
        client.move_back()  # the conversation stays: what the other side writes must arrive
        return Outcome([text_face.stopped_writing_to(peer.name)], {"room": room.shown})
    left = await call.services.rooms.leave(call.user, room, reason)
    return Outcome([text_face.you_left(left)], {"room": left.shown})


async def rooms(call: Call) -> Outcome:
    """`/rooms [PATTERN]`: the public ones, and one's own."""
    pattern = call.word(0).removeprefix("#").casefold()
    infos = await call.services.rooms.infos(call.user)
    if pattern:
        wanted = pattern if any(one in pattern for one in "*?[") else f"*{pattern}*"
        infos = [one for one in infos if one.room.name and fnmatchcase(one.room.name, wanted)]
    shown = [info for info in infos if not info.room.is_direct]
    lines = [text_face.rooms_line(info.room, info.here, info.unread) for info in shown]
    text = "\n".join(lines) if lines else text_face.server_line("no rooms match")
    return Outcome([text], {"rooms": [room_object(info) for info in infos]})


def room_object(info: RoomInfo) -> dict[str, Any]:
    """Return a room of a list as programs read it."""
    value: dict[str, Any] = {
        "room": info.room.shown,
        "kind": info.room.kind.value,
        "topic": info.room.topic,
        "here": info.here,
        "member": info.membership is not None,
        "unread": info.unread,
        "mentions": info.mentions,
    }
    if info.peer is not None:
        value["with"] = {
            "id": info.peer.id,
            "name": info.peer.name,
            "kind": info.peer.kind.value,
        }
    return value


async def topic(call: Call) -> Outcome:
    """`/topic [TEXT|-]`: show, set, clear."""
    text = call.rest
    room = call.room
    if not text:
        room = await call.services.rooms.find(call.user, room.id)
        return Outcome([text_face.topic_line(room)], {"topic": room.topic})
    changed, event = await call.services.room_settings.set_topic(
        call.user, room, "" if text == "-" else text
    )
    return Outcome([text_face.topic_line(changed)], {"topic": changed.topic, "seq": event.seq})


async def invite(call: Call) -> Outcome:
    """`/invite USER [#ROOM]`; alone: a link."""
    services = call.services
    if not call.word(0):
        code = await services.rooms.invite_link(call.user, call.room)
        link = f"{call.caller.base_url}/join/{code}"
        return Outcome([text_face.invite_link(call.room, link)], {"link": link})
    ref = call.word(1)
    room = await call.router.room(call.caller, call.user, ref) if ref else call.room
    target = await services.accounts.find(call.word(0))
    is_new = await services.rooms.invite(call.user, target, room)
    said = f"added {target.name} to" if is_new else f"{target.name} is already in"
    line = text_face.server_line(f"{said} #{room.name}")
    return Outcome([line], {"room": room.shown, "user": target.id, "added": is_new})


async def private(call: Call) -> Outcome:
    """`/private on|off`."""
    room = await call.services.room_settings.set_private(call.user, call.room, _is_on(call))
    is_private = room.kind is RoomKind.PRIVATE
    state = "private now, only ops invite" if is_private else "public now"
    return _changed(room, state, {"kind": room.kind.value})


async def key(call: Call) -> Outcome:
    """`/key [KEY|-]`: show whether there is one, set, remove."""
    word = call.rest
    if not word:
        room = await call.services.rooms.find(call.user, call.room.id)
        has_key = room.key_hash is not None
        state = "has a key" if has_key else "has no key"
        return Outcome([text_face.server_line(f"#{room.name} {state}")], {"key": has_key})
    if word != "-" and len(word.split()) > 1:
        raise call.usage()
    room = await call.services.room_settings.set_key(
        call.user, call.room, None if word == "-" else word
    )
    has_key = room.key_hash is not None
    return _changed(room, "needs a key now" if has_key else "needs no key now", {"key": has_key})


async def lock(call: Call) -> Outcome:
    """`/lock on|off`: only ops write."""
    room = await call.services.room_settings.set_locked(call.user, call.room, _is_on(call))
    state = "locked now, only ops write" if room.locked else "open to everybody now"
    return _changed(room, state, {"locked": room.locked})


async def slow(call: Call) -> Outcome:
    """`/slow DURATION|off`: one message per member and duration."""
    seconds = parse_duration(call.word(0))
    room = await call.services.room_settings.set_slow(call.user, call.room, seconds)
    state = "without slow mode now"
    if room.slow_s:
        state = f"slow now, one message per {short_duration(room.slow_s)}"
    return _changed(room, state, {"slow_s": room.slow_s})


def _is_on(call: Call) -> bool:
    word = call.word(0).lower()
    if word not in ("on", "off"):
        raise call.usage()
    return word == "on"


def _changed(room: Room, state: str, result: dict[str, Any]) -> Outcome:
    verb = "" if state.startswith(("has", "needs")) else "is "
    line = text_face.server_line(f"#{room.name} {verb}{state}")
    return Outcome([line], {"room": room.shown, **result})


def check_room(room: Room | None) -> Room:
    """Return the room.

    Raises:
        ChatError: `bad_request` where there is none.
    """
    if room is None:
        raise ChatError(ErrorCode.BAD_REQUEST, "name a room")
    return room


HANDLERS = {
    "join": join,
    "leave": leave,
    "rooms": rooms,
    "topic": topic,
    "invite": invite,
    "private": private,
    "key": key,
    "lock": lock,
    "slow": slow,
}
