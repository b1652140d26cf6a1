"""The text face: the tutorial's frames byte for byte, and every reply as it is specified."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wynd_chat.wire.strategies import HOSTILE, ROOMS, USERS
from tests.wynd_chat.wire.terminal import assert_one_frame, assert_one_line
from wynd_chat.domain.commands import COMMANDS, find
from wynd_chat.domain.errors import ChatError, ErrorCode, UsageError
from wynd_chat.domain.models import Room, RoomKind, RoomRole, ServerRole, User, UserKind
from wynd_chat.domain.names import parse_user_name
from wynd_chat.wire import text_face
from wynd_chat.wire.text_face import Whois, WhoMember

DEV = Room(
    id="r_1",
    kind=RoomKind.PUBLIC,
    name="dev",
    name_key="dev",
    topic="Release 1.2",
    created_by=None,
    created_at=0,
)
PLAIN = Room(
    id="r_2", kind=RoomKind.PUBLIC, name="ops", name_key="ops", created_by=None, created_at=0
)
AT = 1_795_461_845_123


def person(name: str, kind: UserKind = UserKind.HUMAN, **fields: object) -> User:
    values = {"id": "u_A", "name_key": None, "name_skeleton": None, "created_at": 0} | fields
    return User(name=name, kind=kind, **{"last_seen_at": AT} | values)  # type: ignore[arg-type]


# The tutorial


def test_the_tutorials_blocks_are_byte_equal() -> None:
    assert text_face.WELCOME == (
        "\nWelcome to the chat! Available commands:\n"
        "- /name <name> - Set your display name\n"
        "- /users - List all online users\n"
        "- /help - Show this help message\n"
        "- /quit - Disconnect from the server\n"
    )
    assert text_face.HELP == (
        "\nAvailable commands:\n"
        "- /name <name> - Set your display name\n"
        "- /users - List all online users\n"
        "- /help - Show this help message\n"
        "- /quit - Disconnect from the server\n"
    )


def test_the_tutorials_lines_are_byte_equal() -> None:
    assert text_face.you_are("Alice") == "You are now known as Alice"
    assert text_face.joined_chat("Alice") == "Alice joined the chat"
    assert text_face.left_chat("Alice") == "Alice left the chat"
    assert text_face.USAGE_NAME == "Usage: /name <your_name>"
    assert text_face.INVALID_NAME == "Please provide a valid name"
    assert text_face.online_users(["Bob", "Alice"]) == "Online users: Alice, Bob"
    assert text_face.GOODBYE == "Goodbye!"
    assert text_face.UNKNOWN_COMMAND == "Unknown command. Type /help for available commands."
    assert text_face.NAME_FIRST == "Please set your name first with: /name <your_name>"


def test_where_the_tutorial_is_wrong() -> None:
    assert text_face.renamed("Alice", "Bob") == "Alice is now known as Bob"
    assert text_face.left_chat("Alice", "see you") == "Alice left the chat (see you)"
    assert text_face.left_chat("Alice", " \x1b[0m ") == "Alice left the chat"
    assert text_face.TEXT_ONLY == "Error: text frames only [text_only]"


def test_online_users_are_sorted_without_case() -> None:
    names = ["bob", "Äda", "Alice", "Bob", "carol", "alice"]
    assert text_face.online_users(names) == "Online users: Alice, alice, Bob, bob, carol, Äda"
    assert text_face.online_users([]) == "Online users: "


def test_online_users_beyond_a_hundred_are_counted() -> None:
    names = [f"user{n:03}" for n in range(137)]
    whole = "Online users: " + ", ".join(names)
    assert text_face.online_users(names[:100]) == "Online users: " + ", ".join(names[:100])
    assert text_face.online_users(reversed(names)) == (
        "Online users: " + ", ".join(names[:100]) + ", … and 37 more"
    )
    assert text_face.online_users(names, strict=True) == whole


# Errors


@pytest.mark.parametrize("code", ErrorCode)
def test_an_error_has_its_sentence_and_code(code: ErrorCode) -> None:
    error = ChatError(code, "Alice is taken, try /name Alice2")
    assert text_face.error_line(error) == f"Error: Alice is taken, try /name Alice2 [{code.value}]"


@pytest.mark.parametrize(
    "sentence",
    [
        text_face.USAGE_NAME,
        text_face.INVALID_NAME,
        text_face.NAME_FIRST,
        text_face.UNKNOWN_COMMAND,
    ],
)
def test_the_tutorials_sentences_stand_alone(sentence: str) -> None:
    assert text_face.error_line(ChatError(ErrorCode.BAD_NAME, sentence)) == sentence


def test_name_errors_are_as_specified() -> None:
    def refused(name: str) -> str:
        with pytest.raises(ChatError) as caught:
            parse_user_name(name)
        return text_face.error_line(caught.value)

    assert refused("@") == text_face.INVALID_NAME
    assert refused("Alice Smith") == (
        "Error: names can't contain spaces, try /name Alice_Smith [bad_name]"
    )


def test_a_usage_error_is_the_syntax_alone() -> None:
    name = find("name")
    assert name is not None
    assert text_face.error_line(UsageError(name.syntax)) == text_face.USAGE_NAME
    assert text_face.error_line(UsageError("/topic [TEXT|-]")) == "Usage: /topic [TEXT|-]"


# Help


def test_more_commands_are_those_beside_the_tutorials() -> None:
    frame = text_face.more_commands(COMMANDS)
    assert frame is not None
    lines = frame.split("\n")
    assert lines[:3] == [
        "More commands, explained by /help COMMAND:",
        "Talking:",
        "- /who [#ROOM|@USER] - Show who is in a room, or who somebody is",
    ]
    assert [line for line in lines if not line.startswith("- ")][1:] == [
        "Talking:",
        "Rooms:",
        "Moderation:",
        "Me:",
        "Server:",
    ]
    assert len(lines) == 6 + len(COMMANDS) - 4
    assert "Set your display name" not in frame


def test_no_more_commands_are_no_frame() -> None:
    assert text_face.more_commands([]) is None
    assert text_face.more_commands(COMMANDS[:4]) is None


def test_help_for_one_command_is_one_frame() -> None:
    for spec in COMMANDS:
        frame = text_face.command_help(spec)
        assert spec.syntax in frame
        assert spec.example in frame
    assert text_face.did_you_mean("history") == "Did you mean /history?"


# Replies


def test_the_server_speaks_behind_two_dashes() -> None:
    assert text_face.server_line("Maintenance at 18:00") == "-- Maintenance at 18:00"
    assert text_face.server_line("one\ntwo") == "-- one\n  | two"


@pytest.mark.parametrize(
    ("joined", "left", "line"),
    [
        (12, 3, "-- 12 joined, 3 left"),
        (12, 0, "-- 12 joined"),
        (0, 3, "-- 3 left"),
        (0, 0, "-- 0 joined"),
    ],
)
def test_joins_are_collapsed(joined: int, left: int, line: str) -> None:
    assert text_face.collapsed_joins(joined, left) == line


def test_a_history_ends_with_where_to_go_on() -> None:
    footer = text_face.history_footer
    assert footer(20, 1234, 23) == "-- 20 of 1234; /history before 23 for more"
    assert footer(20, 20, 1) == "-- 20 of 20"
    assert footer(0, 0, None) == "-- 0 of 0"
    assert footer(3, 20, 1, has_more=False) == "-- 3 of 20"


def test_who_is_in_a_room() -> None:
    members = [
        WhoMember("Dave", away="lunch"),
        WhoMember("Carol", is_silenced=True),
        WhoMember("bea", away=""),
        WhoMember("Bob", RoomRole.OP),
        WhoMember("zoe", RoomRole.OWNER),
        WhoMember("Alice", RoomRole.OWNER),
    ]
    assert text_face.who_line(DEV, members) == (
        "#dev (6): ~Alice, ~zoe, @Bob, bea (away), !Carol, Dave (away: lunch)"
    )
    assert text_face.who_line(DEV, []) == "#dev (0): "
    many = [WhoMember(f"user{n:03}") for n in range(103)]
    assert text_face.who_line(DEV, many).endswith("user099, … and 3 more")


def test_who_somebody_is() -> None:
    guest = Whois(
        user=person("Bob", UserKind.GUEST),
        online_since=AT,
        idle_s=301,
        shared_rooms=(DEV, PLAIN),
    )
    assert text_face.whois_lines(guest) == (
        "-- Bob is a guest, online since 2026-11-23 19:24 UTC, idle 6m\n-- in #dev, #ops"
    )
    admin = Whois(
        user=person("Alice", role=ServerRole.ADMIN, away="lunch"),
        online_since=None,
        address="192.0.2.7",
    )
    assert text_face.whois_lines(admin) == (
        "-- Alice is an account and admin of the server, last seen 2026-11-23 19:24 UTC\n"
        "-- away: lunch\n"
        "-- from 192.0.2.7"
    )


@pytest.mark.parametrize(
    ("room", "unread", "line"),
    [
        (DEV, 3, "#dev 12 here, 3 unread: Release 1.2"),
        (DEV, 99, "#dev 12 here, 99 unread: Release 1.2"),
        (DEV, 100, "#dev 12 here, 99+ unread: Release 1.2"),
        (DEV, 0, "#dev 12 here: Release 1.2"),
        (PLAIN, 0, "#ops 12 here"),
    ],
)
def test_a_room_is_listed(room: Room, unread: int, line: str) -> None:
    assert text_face.rooms_line(room, 12, unread) == line


def test_replies_about_rooms() -> None:
    assert text_face.now_in(DEV, 12) == "Now in #dev: Release 1.2 (12 here)"
    assert text_face.now_in(PLAIN, 1) == "Now in #ops (1 here)"
    assert text_face.now_writing_to("Bob") == "Now writing to Bob"
    assert text_face.stopped_writing_to("Bob") == "No longer writing to Bob"
    assert text_face.you_left(DEV) == "You left #dev"
    assert text_face.topic_line(DEV) == "Topic of #dev: Release 1.2"
    assert text_face.topic_line(PLAIN) == "#ops has no topic"
    assert (
        text_face.kicked_line(DEV, "Alice", "spam") == "You were kicked from #dev by Alice (spam)"
    )
    assert text_face.purged_line(DEV) == "#dev was deleted"
    assert text_face.kicked_line(DEV, "Alice") == "You were kicked from #dev by Alice"
    assert text_face.kicked_line(DEV, "Al", is_ban=True) == "You were banned from #dev by Al"
    assert text_face.invite_link(DEV, "https://host/join/k3J") == "Join #dev: https://host/join/k3J"


def test_replies_about_people_and_accounts() -> None:
    assert text_face.away_line("Bob", "lunch") == "Bob is away: lunch"
    assert text_face.away_line("Bob", "") == "Bob is away"
    assert text_face.registered("Alice") == "Registered Alice"
    assert text_face.login_code("https://host/link", "ABCD-1234") == (
        "open https://host/link and enter ABCD-1234"
    )
    assert text_face.upload_command("https://host/u/9fQ2/") == "curl -T FILE https://host/u/9fQ2/"


# Terminal safety


@given(HOSTILE, HOSTILE, ROOMS)
def test_no_reply_leaves_its_line_or_commands_a_terminal(name: str, text: str, room: Room) -> None:
    for line in (
        text_face.you_are(name),
        text_face.joined_chat(name),
        text_face.left_chat(name, text),
        text_face.renamed(name, text),
        text_face.online_users([name, text]),
        text_face.error_line(ChatError(ErrorCode.NAME_TAKEN, text)),
        text_face.who_line(room, [WhoMember(name, away=text)]),
        text_face.rooms_line(room, 1, 1),
        text_face.now_in(room, 1),
        text_face.now_writing_to(name),
        text_face.stopped_writing_to(name),
        text_face.topic_line(room),
        text_face.kicked_line(room, name, text),
        text_face.away_line(name, text),
        text_face.registered(name),
        text_face.login_code(text, "ABCD-1234"),
        text_face.upload_command(text),
        text_face.invite_link(room, text),
    ):
        assert_one_line(line)
    assert_one_frame(text_face.server_line(text))


@given(USERS, st.none() | st.integers(0, 2**63), st.none() | HOSTILE, st.lists(ROOMS, max_size=3))
def test_whois_has_server_lines_only(
    user: User, online_since: int | None, address: str | None, rooms: list[Room]
) -> None:
    whois = Whois(user=user, online_since=online_since, address=address, shared_rooms=rooms)
    for line in text_face.whois_lines(whois).split("\n"):
        assert line.startswith("-- ")
        assert_one_line(line)
