"""The text face: what is typed is read without surprise, and what others read of it is one frame.

The input: a byte of flags, then texts between line feeds of 0xFF: the line that is typed, the
author's name, a topic or reason. The line is taken as `TextClient` and `Router` take it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.fuzz.attempts import attempt
from tests.fuzz.drawing import Draw, text_of
from tests.wynd_chat.domain.rows import a_room, a_user
from tests.wynd_chat.wire.terminal import UNSAFE, assert_one_frame, assert_one_line
from wynd_chat.domain.commands import (
    COMMANDS,
    Who,
    did_you_mean,
    find,
    help_lines,
    is_command,
    may_run,
    parse,
    split,
    unescape,
)
from wynd_chat.domain.durations import DURATION_MAX_S, is_duration, parse_duration, short_duration
from wynd_chat.domain.errors import ChatError, ErrorCode, UsageError
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
from wynd_chat.domain.models import RoomKind, RoomRole, UserKind
from wynd_chat.domain.permissions import Rank
from wynd_chat.domain.text import accept_text
from wynd_chat.wire import text_face
from wynd_chat.wire.lines import TextPrefs, event_line, history_line, message_line

if TYPE_CHECKING:
    from wynd_chat.domain.commands import CommandSpec
    from wynd_chat.domain.events import EventBody
    from wynd_chat.domain.models import Room

__all__ = ["check"]

BETWEEN = b"\n\xff\n"
TEXT_MAX = 8000
_NAMES = [name for spec in COMMANDS for name in (spec.name, *spec.aliases)]
_OWN_CODES = re.compile("\x1b\\[(3[1-6]|0)m")
_AT = 1_795_435_445_123


def check(data: bytes) -> None:
    """Fail where a line is misread, or another's screen could be written to."""
    draw = Draw(data)
    flags = draw.number(255)
    parts = [text_of(part) for part in draw.rest().split(BETWEEN, 2)]
    typed, name, other = (*parts, "", "")[:3]
    text = typed.replace("\x00", "").strip()
    if is_command(text):
        _check_command(text)
    else:
        _check_spoken(unescape(text), name, other, flags)
    _check_lines(name, other, flags)


def _check_command(line: str) -> None:
    invocation = parse(line)
    assert line.startswith(f"/{invocation.word}")
    assert line.endswith(invocation.rest)
    assert invocation.word.split() in ([], [invocation.word])
    assert invocation.spec is find(invocation.word) or not invocation.word
    spec = invocation.spec
    if spec is None:
        meant = did_you_mean(invocation.word, _NAMES)
        assert meant is None or meant in _NAMES
        if meant is not None:
            assert_one_line(text_face.did_you_mean(meant))
        return
    _check_spec(spec)
    words = split(invocation.rest, max(1, len(spec.arguments)))
    assert len(words) <= max(1, len(spec.arguments))
    assert all(words)
    assert "".join("".join(words).split()) == "".join(invocation.rest.split())
    for word in words:
        _check_duration(word)
        refusal = ChatError(ErrorCode.NOT_FOUND, f"there is no {word}")
        assert_one_line(text_face.error_line(refusal))


def _check_spec(spec: CommandSpec) -> None:
    assert text_face.error_line(UsageError(spec.syntax)).startswith("Usage: ")
    for line in help_lines(spec):
        assert UNSAFE.search(line) is None
    admin = a_user(role="admin")
    assert may_run(spec, admin, Rank.OWNER) or spec.who is Who.ADMIN


def _check_duration(word: str) -> None:
    seconds = attempt(ChatError, parse_duration, word)
    if isinstance(seconds, ChatError):
        assert seconds.code is ErrorCode.BAD_REQUEST
        return
    assert is_duration(word)
    if seconds is not None:
        assert 0 < seconds <= DURATION_MAX_S
        again = parse_duration(short_duration(seconds))
        assert again is not None
        assert again >= seconds


def _check_spoken(text: str, name: str, other: str, flags: int) -> None:
    """What was typed is a message: everybody's line of it is one frame."""
    kept = attempt(ChatError, accept_text, text, TEXT_MAX, "message")
    if isinstance(kept, ChatError):
        assert kept.code in (ErrorCode.BAD_REQUEST, ErrorCode.TOO_LARGE)
        assert_one_line(text_face.error_line(kept))
        return
    assert len(kept) <= TEXT_MAX
    kinds = list(MessageKind)
    body = Message(
        id="m_1",
        author=Author("u_1" if flags & 1 else None, name, UserKind.HUMAN),
        kind=kinds[flags % len(kinds)],
        text=kept,
        mentions=("u_2",),
        files=(FileInfo("f_1", other, "text/plain", flags * 999, None, None),) * (flags >> 1 & 1),
        reply_to=7 if flags & 4 else None,
        edited_at=None,
        is_deleted=flags & 0x18 == 0x18,
        cid=None,
    )
    event = Event("r_1", 42, _AT, body)
    for room in (a_room(), a_room(None, RoomKind.DM)):
        for viewer in ("u_1", "u_2"):
            _check_event(event, room, viewer, other)
    assert message_line(
        event, a_room(), is_current=True, viewer_id=None, file_link=_link
    ) == event_line(event, a_room(), is_current=True, viewer_id=None, file_link=_link)


def _check_lines(name: str, other: str, flags: int) -> None:
    """Names, topics and reasons in every other line."""
    one, by = Author("u_1", name, UserKind.GUEST), Author("u_2", other, UserKind.HUMAN)
    role = (RoomRole.OWNER, RoomRole.OP, RoomRole.MEMBER)[flags % 3]
    until = (None, 0, _AT + flags * 1000)[flags % 3]
    bodies: tuple[EventBody, ...] = (
        TopicChanged(one, other),
        Joined(one),
        Left(one, list(LeaveHow)[flags % len(LeaveHow)], by, other),
        RoleChanged(one, role, by, until, other),
    )
    room = a_room(topic=other)
    for body in bodies:
        _check_event(Event("r_1", 42, _AT, body), room, "u_2", other)
    user = a_user("x", away=other)
    lines = [
        text_face.you_are(name),
        text_face.joined_chat(name),
        text_face.left_chat(name, other),
        text_face.renamed(name, other),
        text_face.online_users([name, other, "Bob"]),
        text_face.who_line(room, [text_face.WhoMember(name, role, True, other)]),
        text_face.rooms_line(room, 3, flags),
        text_face.now_in(room, 3),
        text_face.now_writing_to(name),
        text_face.stopped_writing_to(name),
        text_face.topic_line(room),
        text_face.kicked_line(room, name, other, is_ban=bool(flags & 1)),
        text_face.away_line(name, other),
        text_face.registered(name),
        text_face.error_line(ChatError(ErrorCode.FORBIDDEN, other)),
    ]
    for line in lines:
        assert_one_line(line)
    assert_one_frame(text_face.server_line(other))
    whois = text_face.Whois(user=user, online_since=None, shared_rooms=[room], address=name)
    for line in text_face.whois_lines(whois).split("\n"):
        assert line.startswith("-- ")
        assert_one_line(line)


def _check_event(event: Event, room: Room, viewer: str, peer: str) -> None:
    def line(prefs: TextPrefs) -> str:
        made = event_line(
            event,
            room,
            is_current=False,
            viewer_id=viewer,
            file_link=_link,
            peer_name=peer,
            prefs=prefs,
        )
        assert made is not None
        return made

    plain = line(TextPrefs())
    assert_one_frame(plain)
    assert_one_frame(line(TextPrefs(timestamps=True, ids=True)))
    assert line(TextPrefs(bell=True)) in (plain, plain + "\a")
    assert _OWN_CODES.sub("", line(TextPrefs(color=True))) == plain
    assert_one_frame(history_line(event, room, file_link=_link))


def _link(file: FileInfo) -> str:
    return f"https://host/files/{file.id}/{file.name}"
