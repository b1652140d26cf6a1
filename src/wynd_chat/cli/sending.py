"""`wynd-chat send`: says something in a room, from a script or a cron job."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from wynd_chat.adapters.clock import SystemClock, SystemTokens
from wynd_chat.cli.options import ConfigOption, DataOption, on_store, settings_of
from wynd_chat.cli.output import Failure
from wynd_chat.cli.rooms import RoomArgument, find_room
from wynd_chat.cli.users import find_user
from wynd_chat.domain.events import Author
from wynd_chat.domain.models import UserKind
from wynd_chat.ports.faults import NoFaults
from wynd_chat.services.messaging import Messaging

if TYPE_CHECKING:
    from wynd_chat.ports.store import Store
    from wynd_chat.settings import Settings

__all__ = ["send"]

SERVER = Author(None, "Server", UserKind.SYSTEM)


def send(
    room: RoomArgument,
    text: Annotated[
        str | None,
        typer.Argument(help="What to say; without it standard input.", show_default=False),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option("--as", help="The account that says it; the server.", show_default=False),
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Say something in a room; the whole of standard input is one message."""
    settings = settings_of(data, config)
    words = _from_stdin(settings) if text is None else text
    on_store(settings, lambda store: _send(store, settings, room, words, user))


async def _send(store: Store, settings: Settings, room: str, text: str, user: str | None) -> None:
    messaging = Messaging(store, SystemClock(), SystemTokens(), settings.limits, NoFaults())
    target = await store.read(lambda snapshot: find_room(snapshot, room))
    if user is None:
        await messaging.announce(SERVER, target, text)
    else:
        author = await store.read(lambda snapshot: find_user(snapshot, user))
        await messaging.post(author, target, text)


def _from_stdin(settings: Settings) -> str:
    if sys.stdin.isatty():
        raise Failure("say what to send, or pipe it in")
    limit = settings.limits.message_chars_max
    text = sys.stdin.read(limit + 2)  # one more than fits, and a line's end
    return text.rstrip("\r\n")
