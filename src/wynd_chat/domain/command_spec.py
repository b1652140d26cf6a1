"""What a command is: name, arguments, who may run it, help and example.

Only the shape; the commands themselves are in `command_table`, reading a line is in `commands`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Argument", "CommandSpec", "Group", "Who"]


class Who(StrEnum):
    """Who may run a command. What it may be done to is judged in the room (`permissions`)."""

    ANYONE = "anyone"
    """Also a connection without a name."""
    NAMED = "named"
    """Whoever has a name, guests too."""
    ACCOUNT = "account"
    """Who has a password, or is a bot."""
    OP = "op"
    """Ops and owners of the room."""
    OWNER = "owner"
    """Owners of the room."""
    ADMIN = "admin"
    """Administrators of the server."""


class Group(StrEnum):
    """The heading of a command, in the order help has them."""

    TALKING = "talking"
    ROOMS = "rooms"
    MODERATION = "moderation"
    ME = "me"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a command."""

    name: str
    """In lower case, such as "user"; what the JSON face shows."""
    required: bool = True
    rest: bool = False
    """Takes the rest of the line verbatim; only the last argument can."""
    hint: str = ""
    """What to type there: a placeholder for autocomplete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """One command."""

    name: str
    """Without the slash, in lower case."""
    aliases: tuple[str, ...] = ()
    arguments: tuple[Argument, ...] = ()
    who: Who
    summary: str
    """What it does, as a short imperative sentence without a full stop."""
    example: str
    syntax: str
    """As `Usage: ` prints it; `[…]` may be left out, `|` separates alternatives."""
    group: Group
