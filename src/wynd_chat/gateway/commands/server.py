"""The server: `/announce`, `/stats`, `/reload`, `/shutdown`; for administrators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wynd_chat.domain.durations import parse_duration, short_duration
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.gateway.calls import Outcome
from wynd_chat.wire import text_face
from wynd_chat.wire.lines import size_text
from wynd_chat.wire.times import time_text

if TYPE_CHECKING:
    from wynd_chat.gateway.calls import Call
    from wynd_chat.gateway.control import Control

__all__ = ["HANDLERS"]


async def announce(call: Call) -> Outcome:
    """`/announce TEXT`: as the server, in the lobby; everybody reads it, the caller too."""
    posted = await _control(call).announce(call.rest)
    at = time_text(posted.event.at)
    return Outcome([], {"room": posted.room.shown, "seq": posted.event.seq, "at": at})


async def stats(call: Call) -> Outcome:
    """`/stats`: the server's numbers, one frame."""
    numbers = await _control(call).statistics()
    return Outcome([_stats_text(numbers)], numbers)


def _stats_text(numbers: dict[str, Any]) -> str:
    faces = ", ".join(f"{count} {face}" for face, count in numbers["connections"].items())
    refused = sum(numbers["refused"].values())
    lines = (
        f"wynd-chat {numbers['version']}, up {short_duration(numbers['uptime_s'])}",
        f"{numbers['users_online']} online; connections: {faces}",
        f"{numbers['accounts']} accounts, {numbers['rooms']} rooms",
        f"database {size_text(numbers['db_bytes'])}, files {size_text(numbers['upload_bytes'])}",
        f"{refused} requests refused by rate limits",
    )
    return "\n".join(text_face.server_line(line) for line in lines)


async def reload(call: Call) -> Outcome:
    """`/reload`: read the settings again, and say what takes a restart."""
    result = _control(call).reread()
    if result.problems:
        sentence = "; ".join(result.problems)
        raise ChatError(ErrorCode.BAD_REQUEST, f"nothing was changed: {sentence}")
    lines = []
    if result.applied:
        lines.append(f"changed {', '.join(result.applied)}")
    if result.waiting:
        lines.append(f"a restart is needed for {', '.join(result.waiting)}")
    if not lines:
        lines.append("nothing has changed")
    text = "\n".join(text_face.server_line(line) for line in lines)
    return Outcome([text], {"changed": list(result.applied), "waiting": list(result.waiting)})


async def shutdown(call: Call) -> Outcome:
    """`/shutdown DURATION REASON`: tell everybody and stop then; `/shutdown off REASON`."""
    word, reason = call.word(0), call.word(1)
    seconds = parse_duration(word) or 0
    if word.lower() == "off":
        await _control(call).keep_running(reason)
        return Outcome([], {"stops_in_s": None})
    await _control(call).stop_after(seconds, reason)
    return Outcome([], {"stops_in_s": seconds})


def _control(call: Call) -> Control:
    control = call.router.control
    assert control is not None  # the composition root sets it before anything listens
    return control


HANDLERS = {"announce": announce, "stats": stats, "reload": reload, "shutdown": shutdown}
