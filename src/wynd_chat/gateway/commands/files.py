"""Files: `/upload`, which prints a one-time command. Uploading itself is HTTP's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wynd_chat.gateway.calls import Outcome
from wynd_chat.wire import text_face

if TYPE_CHECKING:
    from wynd_chat.gateway.calls import Call

__all__ = ["HANDLERS"]


async def upload(call: Call) -> Outcome:
    """`/upload [#ROOM]`: a command that shares one file there, within 15 minutes."""
    ref = call.word(0)
    room = await call.router.room(call.caller, call.user, ref) if ref else call.room
    code = await call.services.files.new_link(call.user, room)
    link = f"{call.caller.base_url}/u/{code}/"
    return Outcome([text_face.upload_command(link)], {"room": room.shown, "link": link})


HANDLERS = {"upload": upload}
