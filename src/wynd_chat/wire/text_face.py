"""The text face: the tutorial's frames byte for byte, replies to commands, errors.

Decides every wording that is no event (those are in `lines`). What came from a user is cleaned by
`domain.text`, so that it stays on its line and does nothing to a terminal. Who receives a frame is
the gateway's. With `text.strict_tutorial` the gateway sends only what the tutorial has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from wynd_chat.domain.commands import CommandSpec, help_lines
from wynd_chat.domain.durations import short_duration
from wynd_chat.domain.errors import ChatError, UsageError
from wynd_chat.domain.models import RoomRole, User, UserKind
from wynd_chat.domain.text import clean_for_terminal, clean_line
from wynd_chat.wire.lines import name_text, reason_text, room_text
from wynd_chat.wire.times import minute_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wynd_chat.domain.models import Room

__all__ = [
    "GOODBYE",
    "HELP",
    "INVALID_NAME",
    "NAMES_MAX",
    "NAME_FIRST",
    "TEXT_ONLY",
    "UNKNOWN_COMMAND",
    "USAGE_NAME",
    "WELCOME",
    "WhoMember",
    "Whois",
    "away_line",
    "collapsed_joins",
    "command_help",
    "did_you_mean",
    "error_line",
    "history_footer",
    "invite_link",
    "joined_chat",
    "kicked_line",
    "left_chat",
    "login_code",
    "more_commands",
    "now_in",
    "now_writing_to",
    "online_users",
    "purged_line",
    "registered",
    "renamed",
    "rooms_line",
    "server_line",
    "stopped_writing_to",
    "topic_line",
    "upload_command",
    "who_line",
    "whois_lines",
    "you_are",
    "you_left",
]

# The tutorial's frames. They are a compatibility contract and never change.
_TUTORIAL_COMMANDS = """\
- /name <name> - Set your display name
- /users - List all online users
- /help - Show this help message
- /quit - Disconnect from the server
"""
WELCOME = f"\nWelcome to the chat! Available commands:\n{_TUTORIAL_COMMANDS}"
HELP = f"\nAvailable commands:\n{_TUTORIAL_COMMANDS}"
USAGE_NAME = "Usage: /name <your_name>"
INVALID_NAME = "Please provide a valid name"
NAME_FIRST = "Please set your name first with: /name <your_name>"
UNKNOWN_COMMAND = "Unknown command. Type /help for available commands."
GOODBYE = "Goodbye!"

TEXT_ONLY = "Error: text frames only [text_only]"
NAMES_MAX = 100  # chat.v1 §2.4; more is no list that anybody reads in a terminal
_UNREAD_MAX = 99  # the store counts to 100, which means "and more"
_BARE = frozenset({USAGE_NAME, INVALID_NAME, NAME_FIRST, UNKNOWN_COMMAND})
_IN_TUTORIAL = frozenset({"name", "users", "help", "quit"})
_ROLE_MARKS = {RoomRole.OWNER: "~", RoomRole.OP: "@", RoomRole.MEMBER: ""}
_ROLE_ORDER = (RoomRole.OWNER, RoomRole.OP, RoomRole.MEMBER)
_KINDS = {
    UserKind.HUMAN: "an account",
    UserKind.GUEST: "a guest",
    UserKind.BOT: "a bot",
    UserKind.SYSTEM: "the server",
}


# The tutorial's lines


def you_are(name: str) -> str:
    """Return what a user with a new name reads, after `/name` and `/login`."""
    return f"You are now known as {name_text(name)}"


def joined_chat(name: str) -> str:
    """Return what the others read when a user's first connection has a name."""
    return f"{name_text(name)} joined the chat"


def left_chat(name: str, message: str | None = None) -> str:
    """Return what the others read when a user's last connection has gone, with `/quit MESSAGE`."""
    return f"{name_text(name)} left the chat{reason_text(message)}"


def renamed(old: str, new: str) -> str:
    """Return what the others read of another name."""
    return f"{name_text(old)} is now known as {name_text(new)}"


def online_users(names: Iterable[str], *, strict: bool = False) -> str:
    """Return the reply to `/users`: sorted without case.

    Beyond 100 names it ends "… and 37 more", unless `strict`, where the list is whole.
    """
    return f"Online users: {_some(_by_name(map(name_text, names)), whole=strict)}"


def error_line(error: ChatError) -> str:
    """Return a refusal: `Error: sentence [code]`; usage and the tutorial's own sentences as is."""
    sentence = clean_line(error.sentence)
    if isinstance(error, UsageError) or sentence in _BARE:
        return sentence
    return f"Error: {sentence} [{error.code.value}]"


# Help


def more_commands(specs: Iterable[CommandSpec]) -> str | None:
    """Return the frame after the help block, or None where there is nothing to say.

    Args:
        specs: The commands the caller may run, in the order of the registry; those of the
            tutorial's own block are left out.
    """
    lines = ["More commands, explained by /help COMMAND:"]
    group = None
    for spec in specs:
        if spec.name in _IN_TUTORIAL:
            continue
        if spec.group != group:
            group = spec.group
            lines.append(f"{group.value.capitalize()}:")
        lines.append(f"- {spec.syntax} - {spec.summary}")
    return "\n".join(lines) if group is not None else None


def command_help(spec: CommandSpec) -> str:
    """Return the reply to `/help COMMAND`, one frame: syntax, example, who may."""
    return "\n".join(help_lines(spec))


def did_you_mean(word: str) -> str:
    """Return the hint after the unknown-command line.

    Args:
        word: A command that exists, without its slash.
    """
    return f"Did you mean /{word}?"


# What the server says


def server_line(text: str) -> str:
    """Return a message of the server: `-- text`."""
    return f"-- {clean_for_terminal(text)}"


def collapsed_joins(joined: int, left: int) -> str:
    """Return what a large room reads instead of single lines: `-- 12 joined, 3 left`."""
    parts = [f"{joined} joined"] if joined or not left else []
    return f"-- {', '.join([*parts, f'{left} left'] if left else parts)}"


def history_footer(
    shown: int, total: int, first_seq: int | None, *, has_more: bool | None = None
) -> str:
    """Return what ends a history: `-- 20 of 1234; /history before 23 for more`.

    Args:
        shown: Messages that were listed.
        total: Messages the room has.
        first_seq: The first listed; None for none.
        has_more: Whether there are older ones; by default, where fewer than all were shown.
    """
    line = f"-- {shown} of {total}"
    has_more = shown < total if has_more is None else has_more
    return f"{line}; /history before {first_seq} for more" if has_more and first_seq else line


# Rooms and people


class WhoMember(NamedTuple):
    """A member as `/who` shows one."""

    name: str
    role: RoomRole = RoomRole.MEMBER
    is_silenced: bool = False
    away: str | None = None
    """None: here. "" or a text: away."""


def who_line(room: Room, members: Iterable[WhoMember]) -> str:
    """Return `#dev (4): ~Alice, @Bob, !Carol, Dave (away: lunch)`.

    Owners, ops, then the others, each sorted by name without case; beyond 100 the rest is counted.
    """
    ranked = sorted(
        members, key=lambda member: (_ROLE_ORDER.index(member.role), *_sort_key(member.name))
    )
    shown = [
        f"{_ROLE_MARKS[member.role]}{'!' if member.is_silenced else ''}"
        f"{name_text(member.name)}{_away_mark(member.away)}"
        for member in ranked
    ]
    return f"{room_text(room)} ({len(shown)}): {_some(shown)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Whois:
    """What one may know of a user."""

    user: User
    online_since: int | None
    """Milliseconds UTC; None: not here."""
    idle_s: float = 0.0
    shared_rooms: Sequence[Room] = ()
    address: str | None = None
    """Only for administrators."""


def whois_lines(whois: Whois) -> str:
    """Return the reply to `/who @USER`, one frame of server lines."""
    user = whois.user
    kind = _KINDS[user.kind] + (" and admin of the server" if user.is_admin else "")
    if whois.online_since is None:
        state = f"last seen {minute_text(user.last_seen_at)}"
    else:
        idle = short_duration(whois.idle_s)
        state = f"online since {minute_text(whois.online_since)}, idle {idle}"
    lines = [f"-- {name_text(user.name)} is {kind}, {state}"]
    if user.away is not None:
        lines.append(f"-- away{_after_colon(user.away)}")
    if whois.shared_rooms:
        lines.append(f"-- in {_some(_by_name(map(room_text, whois.shared_rooms)))}")
    if whois.address is not None:
        lines.append(f"-- from {clean_line(whois.address)}")
    return "\n".join(lines)


def rooms_line(room: Room, here: int, unread: int = 0) -> str:
    """Return one line of `/rooms`: `#dev 12 here, 3 unread: Release 1.2`.

    Args:
        room: The room.
        here: People online in it.
        unread: The caller's unread messages; from 100 on it reads "99+".
    """
    count = f"{_UNREAD_MAX}+" if unread > _UNREAD_MAX else str(unread)
    more = f", {count} unread" if unread else ""
    return f"{room_text(room)} {here} here{more}{_after_colon(room.topic)}"


def now_in(room: Room, here: int) -> str:
    """Return the reply to `/join`: `Now in #dev: Release 1.2 (12 here)`."""
    return f"Now in {room_text(room)}{_after_colon(room.topic)} ({here} here)"


def now_writing_to(name: str) -> str:
    """Return the reply to `/msg USER` without text, which makes the user the current target."""
    return f"Now writing to {name_text(name)}"


def stopped_writing_to(name: str) -> str:
    """Return the reply to `/leave` in a direct conversation, which ends only being current."""
    return f"No longer writing to {name_text(name)}"


def you_left(room: Room) -> str:
    """Return the reply to `/leave`."""
    return f"You left {room_text(room)}"


def topic_line(room: Room) -> str:
    """Return the reply to `/topic`: `Topic of #dev: hi`, or `#dev has no topic`."""
    topic = _after_colon(room.topic)
    return f"Topic of {room_text(room)}{topic}" if topic else f"{room_text(room)} has no topic"


def kicked_line(room: Room | None, by: str, reason: str = "", *, is_ban: bool = False) -> str:
    """Return what the victim reads: `You were kicked from #dev by Alice (reason)`.

    Args:
        room: Where it was; None: the server.
        by: Who did it.
        reason: Why.
        is_ban: Whether the victim may not come back.
    """
    how = "banned" if is_ban else "kicked"
    where = "this server" if room is None else room_text(room)
    return f"You were {how} from {where} by {name_text(by)}{reason_text(reason)}"


def purged_line(room: Room) -> str:
    """Return what those read who were in a room that is no more: `#dev was deleted`."""
    return f"{room_text(room)} was deleted"


def away_line(name: str, text: str) -> str:
    """Return what somebody reads who writes to an absent user: `Bob is away: lunch`."""
    return f"{name_text(name)} is away{_after_colon(text)}"


# Accounts, links


def registered(name: str) -> str:
    """Return the reply to `/register`."""
    return f"Registered {name_text(name)}"


def login_code(link: str, code: str) -> str:
    """Return the reply to `/login` alone: where to enter which code."""
    return f"open {clean_line(link)} and enter {code}"


def upload_command(link: str) -> str:
    """Return the reply to `/upload`: a command for a shell.

    Args:
        link: The one-time address, which ends with a slash: curl then adds the file's name.
    """
    return f"curl -T FILE {clean_line(link)}"


def invite_link(room: Room, link: str) -> str:
    """Return the reply to `/invite` alone."""
    return f"Join {room_text(room)}: {clean_line(link)}"


# Parts


def _sort_key(name: str) -> tuple[str, str]:
    return name.casefold(), name


def _by_name(names: Iterable[str]) -> list[str]:
    return sorted(names, key=_sort_key)


def _some(items: Sequence[str], *, whole: bool = False) -> str:
    if whole or len(items) <= NAMES_MAX:
        return ", ".join(items)
    return f"{', '.join(items[:NAMES_MAX])}, … and {len(items) - NAMES_MAX} more"


def _after_colon(text: str) -> str:
    cleaned = clean_line(text)
    return f": {cleaned}" if cleaned else ""


def _away_mark(away: str | None) -> str:
    return "" if away is None else f" (away{_after_colon(away)})"
