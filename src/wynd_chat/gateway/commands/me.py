"""Me: `/mute` to `/set`: what somebody sets for themselves. Logging in is `accounts`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wynd_chat.domain.models import Notify
from wynd_chat.gateway.calls import Outcome
from wynd_chat.wire import json_face, text_face

if TYPE_CHECKING:
    from wynd_chat.domain.models import Room
    from wynd_chat.gateway.calls import Call

__all__ = ["HANDLERS"]


async def mute(call: Call) -> Outcome:
    """`/mute [#ROOM|@USER]`: my notifications only."""
    return await _notify(call, Notify.NOTHING, "muted")


async def unmute(call: Call) -> Outcome:
    """`/unmute [#ROOM|@USER]`."""
    return await _notify(call, Notify.ALL, "no longer muted")


async def _notify(call: Call, notify: Notify, state: str) -> Outcome:
    ref = call.word(0)
    room: Room = call.room
    if ref:
        room = await call.router.room(call.caller, call.user, ref)
    await call.services.rooms.set_notify(call.user, room, notify)
    name = f"#{room.name}"
    if room.is_direct:
        name = f"@{(await call.services.rooms.peer(call.user, room)).name}"
    line = text_face.server_line(f"{name} is {state}")
    return Outcome([line], {"room": room.shown, "notify": notify.value})


async def ignore(call: Call) -> Outcome:
    """`/ignore [USER]`: hide somebody's messages; alone lists."""
    accounts = call.services.accounts
    if not call.word(0):
        users = await accounts.ignored(call.user)
        names = ", ".join(user.name for user in users) or "nobody"
        line = text_face.server_line(f"you ignore {names}")
        return Outcome([line], {"users": [json_face.user_object(user) for user in users]})
    target = await accounts.ignore(call.user, call.word(0))
    line = text_face.server_line(f"you no longer see what {target.name} writes")
    return Outcome([line], {"user": json_face.user_object(target), "ignored": True})


async def unignore(call: Call) -> Outcome:
    """`/unignore USER`."""
    target = await call.services.accounts.unignore(call.user, call.word(0))
    line = text_face.server_line(f"you see what {target.name} writes again")
    return Outcome([line], {"user": json_face.user_object(target), "ignored": False})


async def away(call: Call) -> Outcome:
    """`/away [TEXT]`; alone toggles."""
    if call.user.away is not None and not call.rest:
        return await back(call)
    user = await call.services.accounts.set_away(call.user, call.rest)
    call.caller.user = user
    reason = f": {user.away}" if user.away else ""
    return Outcome([text_face.server_line(f"you are away{reason}")], {"away": user.away})


async def back(call: Call) -> Outcome:
    """`/back`."""
    call.caller.user = await call.services.accounts.set_away(call.user, None)
    return Outcome([text_face.server_line("you are back")], {"away": None})


async def set_(call: Call) -> Outcome:
    """`/set timestamps|ids|joins|color|bell on|off`."""
    name, state = call.word(0).lower(), call.word(1).lower()
    if state not in ("on", "off"):
        raise call.usage()
    user = await call.services.accounts.set_preference(call.user, name, state == "on")
    return Outcome([text_face.server_line(f"{name} is {state}")], {"prefs": dict(user.prefs)})


HANDLERS = {
    "mute": mute,
    "unmute": unmute,
    "ignore": ignore,
    "unignore": unignore,
    "away": away,
    "back": back,
    "set": set_,
}
