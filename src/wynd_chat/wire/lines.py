"""Events as the text face prints them: one frame each, safe for a terminal.

Decides prefixes, wording and the user's preferences (`/set`). Every word of a user goes through
`domain.text`; a frame's first line begins with what the server wrote, every further line with
"  | ", so that no text can look like another user's line. Who receives a line is the gateway's.

| Event | Line |
|---|---|
| message in the current room, in another | `Alice: hi`, `[#ops] Alice: hi` |
| direct message | `[to Bob] hi`, `[from Alice] hi`; always with its prefix, it is private |
| action, the server's own, deleted | `* Alice waves`, `-- text`, `~ 42 was deleted` |
| of somebody ignored | none; in a list `~ 42 is hidden, you ignore its author` |
| file | `Alice shared cat.png (120 kB): https://…` |
| joined, left | `Alice joined #dev`, `Alice left #dev (reason)` |
| kicked, banned | `Alice was kicked from #dev by Bob (reason)` |
| topic | `-- Alice set the topic of #dev: hi`, `-- Alice cleared the topic of #dev` |
| role | `-- Bob is an op of #dev now, by Alice` |
| silenced | `-- Bob is silenced in #dev for 10m, by Alice (reason)`, `-- Bob may write again …` |
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING

from wynd_chat.domain.durations import short_duration
from wynd_chat.domain.events import (
    Author,
    Event,
    FileInfo,
    Joined,
    LeaveHow,
    Left,
    Message,
    MessageKind,
    RoleChanged,
    TopicChanged,
)
from wynd_chat.domain.models import RoomRole
from wynd_chat.domain.text import CONTINUATION, clean_for_terminal, clean_line
from wynd_chat.wire.times import clock_text

if TYPE_CHECKING:
    from wynd_chat.domain.models import Room

__all__ = [
    "DEFAULT_PREFS",
    "FileLink",
    "TextPrefs",
    "event_line",
    "history_line",
    "message_line",
    "name_text",
    "reason_text",
    "room_text",
    "size_text",
]

FileLink = Callable[[FileInfo], str]
"""Returns the address where a file is fetched, host included."""

_Happening = Joined | Left | TopicChanged | RoleChanged
_BELL = "\a"
_COLORS = (31, 32, 33, 34, 35, 36)  # SGR (ECMA-48 §8.3.117) of colours seen on dark and light
_ROLE_NAMES = {RoomRole.OWNER: "an owner", RoomRole.OP: "an op", RoomRole.MEMBER: "a member"}
_HOW = {LeaveHow.KICK: "kicked from", LeaveHow.BAN: "banned from"}


@dataclass(frozen=True, slots=True)
class TextPrefs:
    """What a user chose by `/set`. Equal ones have equal lines, so a line can be shared."""

    timestamps: bool = False
    """`[12:01] Alice: hi`, UTC."""
    ids: bool = False
    """`[42] Alice: hi`; with timestamps `[42 12:01] Alice: hi`."""
    joins: bool = True
    """Show who joins and leaves; kicks and bans are always shown."""
    color: bool = False
    """Colour names, each user's always the same."""
    bell: bool = False
    """Ring at the end of a mention and of a direct message."""

    @classmethod
    def of(cls, prefs: Mapping[str, bool]) -> TextPrefs:
        """Return the preferences of a user's row; unknown names are of other faces."""
        known = {part.name for part in fields(cls)}
        return cls(**{name: value for name, value in prefs.items() if name in known})


DEFAULT_PREFS = TextPrefs()


def message_line(
    event: Event,
    room: Room,
    *,
    is_current: bool,
    viewer_id: str | None,
    file_link: FileLink,
    peer_name: str | None = None,
    prefs: TextPrefs = DEFAULT_PREFS,
) -> str:
    """Return the frame of a message.

    Args:
        event: Its body is a `Message`.
        room: Where it was said.
        is_current: Whether the reader's connection writes to this room; then it has no prefix.
        viewer_id: The reader; of a direct message, the author reads `[to …]`.
        file_link: Makes addresses of files.
        peer_name: The reader's counterpart in a direct conversation.
        prefs: The reader's preferences.

    Raises:
        TypeError: The body is no message.
    """
    body = event.body
    if not isinstance(body, Message):
        raise TypeError(f"not a message: {type(body).__name__}; event_line prints it")
    is_own = viewer_id is not None and body.author.id == viewer_id
    prefix = _mark(event, prefs)
    if room.is_direct:
        who = room.id if peer_name is None else peer_name
        direct = f"to {name_text(who)}" if is_own else f"from {_colored(body.author, prefs)}"
        line = f"{prefix}[{direct}] {_said(event, body, file_link, prefs, is_direct=True)}"
    else:
        if not is_current:
            prefix += f"[{room_text(room)}] "
        line = prefix + _said(event, body, file_link, prefs)
    rings = prefs.bell and not is_own and (room.is_direct or viewer_id in body.mentions)
    return line + _BELL if rings else line


def event_line(
    event: Event,
    room: Room,
    *,
    is_current: bool,
    viewer_id: str | None,
    file_link: FileLink,
    peer_name: str | None = None,
    prefs: TextPrefs = DEFAULT_PREFS,
) -> str | None:
    """Return the frame of any event, or None where the reader does not want to see it.

    That is a message of somebody ignored and, where joins are off, who comes and goes.

    Events that are no messages name their room, so they need no prefix. Arguments as for
    `message_line`.
    """
    if isinstance(event.body, Message):
        if event.body.is_hidden:
            return None
        return message_line(
            event,
            room,
            is_current=is_current,
            viewer_id=viewer_id,
            file_link=file_link,
            peer_name=peer_name,
            prefs=prefs,
        )
    if not prefs.joins and _is_coming_or_going(event):
        return None
    return _mark(event, prefs) + _happened(event, event.body, room, prefs)


def history_line(
    event: Event,
    room: Room,
    *,
    file_link: FileLink,
    prefs: TextPrefs = DEFAULT_PREFS,
    zone: tzinfo = UTC,
) -> str:
    """Return an event as `/history` lists it: `[42 12:01] Alice: hi`.

    Of the preferences only colour counts.
    """
    mark = f"[{event.seq} {clock_text(event.at, zone)}] "
    if isinstance(event.body, Message):
        return mark + _said(event, event.body, file_link, prefs)
    return mark + _happened(event, event.body, room, prefs)


# Parts of lines


def name_text(name: str) -> str:
    """Return a user's name as lines show it; "?" where nothing visible is in it."""
    return clean_line(name) or "?"


def room_text(room: Room) -> str:
    """Return how lines name a room: `#dev`, or "this conversation"."""
    return "this conversation" if room.name is None else f"#{clean_line(room.name)}"


def reason_text(reason: str | None) -> str:
    """Return " (reason)", or nothing where there is none."""
    cleaned = clean_line(reason) if reason else ""
    return f" ({cleaned})" if cleaned else ""


def size_text(size: int) -> str:
    """Return bytes as people read them: "999 B", "120 kB", "1.2 MB" (decimal units, rounded)."""
    if size < 1000:
        return f"{size} B"
    amount = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        amount /= 1000
        if amount < 9.95:
            return f"{amount:.1f}".removesuffix(".0") + f" {unit}"
        if amount < 999.5:
            return f"{amount:.0f} {unit}"
    return f"{amount:.0f} TB"


def _mark(event: Event, prefs: TextPrefs) -> str:
    parts = [str(event.seq)] if prefs.ids else []
    if prefs.timestamps:
        parts.append(clock_text(event.at))
    return f"[{' '.join(parts)}] " if parts else ""


def _colored(author: Author, prefs: TextPrefs) -> str:
    name = name_text(author.name)
    if not prefs.color:
        return name
    key = author.name if author.id is None else author.id
    color = _COLORS[zlib.crc32(key.encode("utf-8", "replace")) % len(_COLORS)]
    return f"\x1b[{color}m{name}\x1b[0m"


def _said(
    event: Event,
    body: Message,
    file_link: FileLink,
    prefs: TextPrefs,
    *,
    is_direct: bool = False,
) -> str:
    """Return a message without prefixes; a direct one has its author in the prefix."""
    text = clean_for_terminal(body.text)
    if body.is_deleted:
        return f"~ {event.seq} was deleted"
    if body.is_hidden:
        return f"~ {event.seq} is hidden, you ignore its author"
    if body.kind is MessageKind.SYSTEM:
        return f"-- {text}"
    name = _colored(body.author, prefs)
    if body.kind is MessageKind.ME:
        parts = [f"* {name} {text}"]
    elif text or not body.files:
        reply = "" if body.reply_to is None else f" (re {body.reply_to})"
        if is_direct:
            parts = [f"{reply[1:]} {text}".lstrip(" ") if reply else text]
        else:
            parts = [f"{name}{reply}: {text}"]
    else:
        parts = []
    for file in body.files:
        shown = f"{clean_line(file.name) or file.id} ({size_text(file.size)})"
        verb = "shared " if is_direct or parts else f"{name} shared "
        parts.append(f"{verb}{shown}: {clean_line(file_link(file))}")
    return f"\n{CONTINUATION}".join(parts)


def _is_coming_or_going(event: Event) -> bool:
    body = event.body
    return isinstance(body, Joined) or (isinstance(body, Left) and body.how is LeaveHow.LEAVE)


def _happened(event: Event, body: _Happening, room: Room, prefs: TextPrefs) -> str:
    """Return an event that is no message, without marks."""
    where = room_text(room)
    if isinstance(body, Joined):
        return f"{_colored(body.user, prefs)} joined {where}"
    if isinstance(body, Left):
        name, reason = _colored(body.user, prefs), reason_text(body.reason)
        if body.how is LeaveHow.LEAVE:
            return f"{name} left {where}{reason}"
        by = "" if body.by is None else f" by {_colored(body.by, prefs)}"
        return f"{name} was {_HOW[body.how]} {where}{by}{reason}"
    if isinstance(body, TopicChanged):
        name, topic = _colored(body.by, prefs), clean_line(body.topic)
        if topic:
            return f"-- {name} set the topic of {where}: {topic}"
        return f"-- {name} cleared the topic of {where}"
    changed = f"{_changed(event, body, where, prefs)}, by {_colored(body.by, prefs)}"
    return f"-- {changed}{reason_text(body.reason)}"


def _changed(event: Event, body: RoleChanged, where: str, prefs: TextPrefs) -> str:
    name = _colored(body.user, prefs)
    if body.silenced_until is None:
        return f"{name} is {_ROLE_NAMES[body.role]} of {where} now"
    left_ms = body.silenced_until - event.at
    if left_ms <= 0:
        return f"{name} may write in {where} again"
    return f"{name} is silenced in {where} for {short_duration(left_ms / 1000)}"
