"""Events as lines: wording, prefixes, preferences; and that no text can pass for another line."""

from __future__ import annotations

import re
from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wynd_chat.wire.strategies import EVENTS, HOSTILE, MESSAGE_EVENTS, ROOMS
from tests.wynd_chat.wire.terminal import assert_one_frame, assert_one_line
from wynd_chat.domain.events import (
    Author,
    Event,
    EventBody,
    FileInfo,
    Joined,
    LeaveHow,
    Left,
    Message,
    MessageKind,
    RoleChanged,
    TopicChanged,
    hidden,
)
from wynd_chat.domain.models import Room, RoomKind, RoomRole, UserKind
from wynd_chat.wire.lines import (
    TextPrefs,
    event_line,
    history_line,
    message_line,
    name_text,
    size_text,
)

AT = 1_795_461_845_123  # 2026-11-23 19:24:05 UTC
ALICE = Author("u_A", "Alice", UserKind.HUMAN)
BOB = Author("u_B", "Bob", UserKind.GUEST)
DEV = Room(
    id="r_1", kind=RoomKind.PUBLIC, name="dev", name_key="dev", created_by=None, created_at=0
)
DIRECT = Room(id="r_2", kind=RoomKind.DM, name=None, name_key=None, created_by=None, created_at=0)
CAT = FileInfo("f_1", "cat.png", "image/png", 120_000, 640, 480)
DOG = FileInfo("f_2", "dog.png", "image/png", 999, None, None)


def link(file: FileInfo) -> str:
    return f"https://host/files/{file.id}/{file.name}"


def event(body: EventBody) -> Event:
    return Event("r_1", 42, AT, body)


def message(text: str, kind: MessageKind = MessageKind.TEXT, **fields: Any) -> Event:
    fields = {"author": ALICE} | fields
    return event(Message(id="m_1", kind=kind, text=text, **fields))


def said(of: Event, room: Room = DEV, **view: Any) -> str:
    view.setdefault("is_current", True)
    view.setdefault("viewer_id", "u_B")
    return message_line(of, room, file_link=link, **view)


def seen(body: EventBody, room: Room = DEV, **view: Any) -> str | None:
    view.setdefault("is_current", True)
    view.setdefault("viewer_id", "u_B")
    return event_line(event(body), room, file_link=link, **view)


# Messages


def test_the_current_room_has_no_prefix_and_others_have() -> None:
    assert said(message("hi")) == "Alice: hi"
    assert said(message("hi"), is_current=False) == "[#dev] Alice: hi"
    assert said(message("hi"), viewer_id="u_A") == "Alice: hi"
    assert said(message("hi"), viewer_id=None) == "Alice: hi"


@pytest.mark.parametrize("is_current", [True, False])
def test_a_direct_message_says_to_or_from_whom(is_current: bool) -> None:
    view: dict[str, Any] = {"room": DIRECT, "is_current": is_current}
    assert said(message("hi"), **view, peer_name="Alice") == "[from Alice] hi"
    assert said(message("hi"), **view, viewer_id="u_A", peer_name="Bob") == "[to Bob] hi"
    assert said(message("hi"), **view, viewer_id="u_A") == "[to r_2] hi"


def test_an_action_has_a_star() -> None:
    waves = message("waves", MessageKind.ME)
    assert said(waves) == "* Alice waves"
    assert said(waves, is_current=False) == "[#dev] * Alice waves"
    assert said(waves, room=DIRECT) == "[from Alice] * Alice waves"


def test_the_server_speaks_behind_two_dashes() -> None:
    assert said(message("Back at 18:00", MessageKind.SYSTEM)) == "-- Back at 18:00"


def test_a_file_has_its_size_and_address() -> None:
    one = message("", MessageKind.FILE, files=(CAT,))
    shared = "shared cat.png (120 kB): https://host/files/f_1/cat.png"
    assert said(one) == f"Alice {shared}"
    assert said(one, is_current=False) == f"[#dev] Alice {shared}"
    assert said(one, room=DIRECT) == f"[from Alice] {shared}"


def test_several_files_and_a_text_are_one_frame() -> None:
    cat = "shared cat.png (120 kB): https://host/files/f_1/cat.png"
    dog = "shared dog.png (999 B): https://host/files/f_2/dog.png"
    pair = message("", MessageKind.FILE, files=(CAT, DOG))
    assert said(pair) == f"Alice {cat}\n  | {dog}"
    described = message("look", MessageKind.FILE, files=(CAT,))
    assert said(described) == f"Alice: look\n  | {cat}"
    assert said(described, room=DIRECT) == f"[from Alice] look\n  | {cat}"


def test_an_answer_says_to_what() -> None:
    answer = message("yes", reply_to=40)
    assert said(answer) == "Alice (re 40): yes"
    assert said(answer, room=DIRECT) == "[from Alice] (re 40) yes"


def test_a_deleted_message_has_no_text() -> None:
    assert said(message("", is_deleted=True)) == "~ 42 was deleted"


def test_a_message_of_somebody_ignored_is_not_shown() -> None:
    shown = Message(id="m_1", author=ALICE, kind=MessageKind.TEXT, text="hi")
    assert seen(hidden(shown)) is None
    listed = history_line(event(hidden(shown)), DEV, file_link=link)
    assert listed == "[42 19:24] ~ 42 is hidden, you ignore its author"


def test_a_line_cannot_forge_another() -> None:
    assert said(message("hi\nBob: I quit")) == "Alice: hi\n  | Bob: I quit"
    assert said(message("hi\r\n-- bye\u2028x")) == "Alice: hi\n  | -- bye\n  | x"
    assert said(message("\x1b[2J\x1b]0;t\x07\u202ehi\x9b1m")) == "Alice: hi"


def test_only_messages_are_said() -> None:
    with pytest.raises(TypeError, match="Joined"):
        said(event(Joined(BOB)))


# Other events


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (Joined(ALICE), "Alice joined #dev"),
        (Left(ALICE, LeaveHow.LEAVE), "Alice left #dev"),
        (Left(ALICE, LeaveHow.LEAVE, None, "back\nsoon"), "Alice left #dev (back soon)"),
        (Left(BOB, LeaveHow.KICK, ALICE, "spam"), "Bob was kicked from #dev by Alice (spam)"),
        (Left(BOB, LeaveHow.BAN, ALICE), "Bob was banned from #dev by Alice"),
        (Left(BOB, LeaveHow.BAN), "Bob was banned from #dev"),
        (TopicChanged(ALICE, "hi"), "-- Alice set the topic of #dev: hi"),
        (TopicChanged(ALICE, ""), "-- Alice cleared the topic of #dev"),
        (RoleChanged(BOB, RoomRole.OP, ALICE), "-- Bob is an op of #dev now, by Alice"),
        (RoleChanged(BOB, RoomRole.OWNER, ALICE), "-- Bob is an owner of #dev now, by Alice"),
        (RoleChanged(BOB, RoomRole.MEMBER, ALICE), "-- Bob is a member of #dev now, by Alice"),
        (
            RoleChanged(BOB, RoomRole.MEMBER, ALICE, AT + 600_000),
            "-- Bob is silenced in #dev for 10m, by Alice",
        ),
        (
            RoleChanged(BOB, RoomRole.MEMBER, ALICE, AT + 600_000, "too\nloud"),
            "-- Bob is silenced in #dev for 10m, by Alice (too loud)",
        ),
        (
            RoleChanged(BOB, RoomRole.MEMBER, ALICE, 0),
            "-- Bob may write in #dev again, by Alice",
        ),
    ],
)
def test_events_name_their_room(body: EventBody, line: str) -> None:
    assert seen(body) == line
    assert seen(body, is_current=False) == line


def test_an_event_line_of_a_message_is_its_line() -> None:
    said_hi = Message(id="m_1", author=ALICE, kind=MessageKind.TEXT, text="hi")
    assert seen(said_hi, is_current=False) == "[#dev] Alice: hi"


# Preferences


def test_marks_are_asked_for() -> None:
    hi = message("hi")
    assert said(hi, prefs=TextPrefs(timestamps=True)) == "[19:24] Alice: hi"
    assert said(hi, prefs=TextPrefs(ids=True)) == "[42] Alice: hi"
    both = TextPrefs(ids=True, timestamps=True)
    assert said(hi, prefs=both) == "[42 19:24] Alice: hi"
    assert said(hi, prefs=both, is_current=False) == "[42 19:24] [#dev] Alice: hi"
    assert said(hi, prefs=both, room=DIRECT) == "[42 19:24] [from Alice] hi"
    assert seen(Joined(ALICE), prefs=both) == "[42 19:24] Alice joined #dev"


def test_joins_can_be_hidden_but_not_kicks() -> None:
    quiet = TextPrefs(joins=False)
    assert seen(Joined(ALICE), prefs=quiet) is None
    assert seen(Left(ALICE, LeaveHow.LEAVE), prefs=quiet) is None
    assert seen(Left(BOB, LeaveHow.KICK, ALICE), prefs=quiet) is not None
    assert seen(TopicChanged(ALICE, "hi"), prefs=quiet) is not None


def test_a_name_has_its_own_color() -> None:
    color = TextPrefs(color=True)
    line = said(message("hi"), prefs=color)
    assert re.fullmatch("\x1b\\[3[1-6]mAlice\x1b\\[0m: hi", line)
    renamed = Author("u_A", "Alicia", UserKind.HUMAN)
    assert said(message("hi", author=renamed), prefs=color)[:5] == line[:5]


def test_the_bell_rings_for_me_only() -> None:
    bell = TextPrefs(bell=True)
    mention = message("@Bob", mentions=("u_B",))
    assert said(mention, prefs=bell) == "Alice: @Bob\a"
    assert said(message("hi"), room=DIRECT, prefs=bell) == "[from Alice] hi\a"
    assert said(mention) == "Alice: @Bob"
    assert said(message("hi"), prefs=bell) == "Alice: hi"
    assert said(mention, prefs=bell, viewer_id="u_C") == "Alice: @Bob"
    assert said(message("hi"), room=DIRECT, prefs=bell, viewer_id="u_A", peer_name="Bob")[-1] == "i"


def test_preferences_come_from_the_users_row() -> None:
    assert TextPrefs.of({}) == TextPrefs(joins=True)
    assert TextPrefs.of({"ids": True, "joins": False, "typing": True}) == TextPrefs(
        ids=True, joins=False
    )


# History


def test_history_has_seq_and_time() -> None:
    def line(of: Event, **view: Any) -> str:
        return history_line(of, DEV, file_link=link, **view)

    assert line(message("hi")) == "[42 19:24] Alice: hi"
    assert line(message("hi"), zone=timezone(timedelta(hours=2))) == "[42 21:24] Alice: hi"
    assert line(message("one\ntwo")) == "[42 19:24] Alice: one\n  | two"
    assert line(message("waves", MessageKind.ME)) == "[42 19:24] * Alice waves"
    assert line(event(TopicChanged(ALICE, "x"))) == "[42 19:24] -- Alice set the topic of #dev: x"
    assert history_line(message("hi"), DIRECT, file_link=link) == "[42 19:24] Alice: hi"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1234, "1.2 kB"),
        (9949, "9.9 kB"),
        (9950, "10 kB"),
        (120_000, "120 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (26_214_400, "26 MB"),
        (5 * 10**9, "5 GB"),
        (5 * 10**15, "5000 TB"),
    ],
)
def test_sizes_are_short(size: int, text: str) -> None:
    assert size_text(size) == text


# Whatever users write

VIEWS = st.fixed_dictionaries(
    {
        "is_current": st.booleans(),
        "viewer_id": st.none() | st.sampled_from(["u_A", "u_B"]),
        "peer_name": st.none() | HOSTILE,
        "prefs": st.builds(TextPrefs, st.booleans(), st.booleans(), st.booleans()),
    }
)


@given(EVENTS, ROOMS, VIEWS)
def test_every_event_is_one_safe_frame(of: Event, room: Room, view: dict[str, Any]) -> None:
    line = event_line(of, room, file_link=link, **view)
    if line is None:
        is_hidden = isinstance(of.body, Message) and of.body.is_hidden
        assert is_hidden or not view["prefs"].joins
    else:
        assert_one_frame(line)
        if not isinstance(of.body, Message):
            assert_one_line(line)
    assert_one_frame(history_line(of, room, file_link=link, prefs=view["prefs"]))


@given(MESSAGE_EVENTS, ROOMS, VIEWS)
def test_a_message_begins_with_what_the_server_wrote(
    of: Event, room: Room, view: dict[str, Any]
) -> None:
    body = of.body
    assert isinstance(body, Message)
    line = message_line(of, room, file_link=link, **view | {"prefs": TextPrefs()})
    author = name_text(body.author.name)
    starts: tuple[str, ...] = (f"{author}: ", f"{author} (re ", f"{author} shared ")
    if body.is_deleted or body.is_hidden:
        starts = ("~ ",)
    elif body.kind is MessageKind.SYSTEM:
        starts = ("-- ",)
    elif body.kind is MessageKind.ME:
        starts = (f"* {author} ",)
    if room.is_direct:
        starts = ("[to ", "[from ")
    elif not view["is_current"]:
        starts = ("[#dev] ", "[#ops] ", "[this conversation] ")
    assert line.startswith(starts)


@given(EVENTS, ROOMS)
def test_color_and_bell_add_their_own_codes_only(of: Event, room: Room) -> None:
    prefs = TextPrefs(color=True, bell=True)
    line = event_line(of, room, is_current=True, viewer_id="u_A", file_link=link, prefs=prefs)
    if line is None:
        assert isinstance(of.body, Message)
        return
    assert_one_frame(re.sub("\x1b\\[(3[1-6]|0)m", "", line.removesuffix("\a")))
