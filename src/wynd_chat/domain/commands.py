"""Reads a frame that begins with a slash: which command it is, and with what.

The registry is `COMMANDS`. Here are its look-ups, the splitting of arguments, the guess at what a
mistyped word meant, and the help for one command. What a command does is not known here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wynd_chat.domain.command_spec import Argument, CommandSpec, Group, Who
from wynd_chat.domain.command_table import COMMANDS
from wynd_chat.domain.permissions import Rank

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wynd_chat.domain.models import User

__all__ = [
    "COMMANDS",
    "Argument",
    "CommandSpec",
    "Group",
    "Invocation",
    "Who",
    "did_you_mean",
    "find",
    "help_lines",
    "is_command",
    "may_run",
    "parse",
    "split",
    "unescape",
]

DISTANCE_MAX = 2  # two slips of the finger; with three, most short words mean each other

_BY_WORD = {
    word: spec for spec in COMMANDS for word in (spec.name, *spec.aliases)
}  # names and aliases never repeat; a test holds that
_WHO_SENTENCES = {
    Who.ANYONE: "anyone",
    Who.NAMED: "anyone with a name",
    Who.ACCOUNT: "accounts",
    Who.OP: "ops and owners of the room",
    Who.OWNER: "owners of the room",
    Who.ADMIN: "admins of the server",
}
_RANKS = {Who.OP: Rank.OP, Who.OWNER: Rank.OWNER}


class Invocation(NamedTuple):
    """A line that is a command."""

    word: str
    """As typed, without the slash; "" for a lone slash."""
    spec: CommandSpec | None
    """None: there is no such command."""
    rest: str
    """What follows the word, verbatim but for the white space between; "" where nothing does."""


def is_command(text: str) -> bool:
    """Tell whether a trimmed frame is a command: `/x` and `/` are, `//x` is a message."""
    return text.startswith("/") and not text.startswith("//")


def unescape(text: str) -> str:
    """Return what a message says: `//text` says `/text`, everything else itself."""
    return text[1:] if text.startswith("//") else text


def find(name: str) -> CommandSpec | None:
    """Return the command of this name or alias, in any case, with or without its slash."""
    return _BY_WORD.get(name.removeprefix("/").lower())


def parse(line: str) -> Invocation:
    """Take a line apart that begins with `/`; any white space ends the word."""
    body = line.removeprefix("/")
    if not body or body[0].isspace():
        return Invocation("", None, body.lstrip())
    word, *rest = body.split(None, 1)
    return Invocation(word, _BY_WORD.get(word.lower()), rest[0] if rest else "")


def split(rest: str, n: int) -> list[str]:
    """Return up to `n` arguments: `n` - 1 words and, verbatim, what then remains.

    Fewer where there are fewer; [] for nothing. `n` is at least 1.
    """
    return rest.split(None, n - 1)


def may_run(spec: CommandSpec, user: User | None, rank: Rank = Rank.NONE) -> bool:
    """Tell whether somebody may run a command at all, for help and autocomplete.

    Args:
        spec: The command.
        user: None for a connection without a name.
        rank: The user's in the room where it is to run.
    """
    if spec.who is Who.ANYONE:
        return True
    if user is None:
        return False
    if spec.who is Who.ACCOUNT:
        return not user.is_guest
    if spec.who is Who.ADMIN:
        return user.is_admin
    return rank >= _RANKS.get(spec.who, Rank.NONE)


def help_lines(spec: CommandSpec) -> tuple[str, ...]:
    """Return what `/help COMMAND` prints: syntax and summary, aliases, an example, who may."""
    lines = [f"{spec.syntax} - {spec.summary}"]
    if spec.aliases:
        lines.append("Also: " + ", ".join(f"/{alias}" for alias in spec.aliases))
    lines += [f"Example: {spec.example}", f"Who may: {_WHO_SENTENCES[spec.who]}"]
    return tuple(lines)


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that a mistyped word most likely meant, the first of several equals.

    One with the same first letter and an edit distance of at most 2 (insertions, deletions,
    replacements and swaps of neighbours: optimal string alignment, Damerau 1964). None without
    such a one. Case does not matter.
    """
    typed = word.lower()
    best: str | None = None
    best_distance = DISTANCE_MAX + 1
    for candidate in candidates:
        name = candidate.lower()
        if typed[:1] != name[:1] or abs(len(typed) - len(name)) > DISTANCE_MAX:
            continue
        distance = _distance(typed, name)
        if distance < best_distance:
            best, best_distance = candidate, distance
    return best


def _distance(a: str, b: str) -> int:
    before: list[int] = []
    previous = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        row = [i]
        for j, right in enumerate(b, 1):
            cost = min(
                previous[j] + 1,
                row[j - 1] + 1,
                previous[j - 1] + (left != right),
            )
            if i > 1 and j > 1 and left == b[j - 2] and a[i - 2] == right:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, previous = previous, row
    return previous[-1]
