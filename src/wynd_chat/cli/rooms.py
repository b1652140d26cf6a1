"""`wynd-chat room`: rooms, from the machine the chat runs on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from wynd_chat.adapters.clock import SystemClock, SystemTokens
from wynd_chat.cli.options import ConfigOption, DataOption, on_store, settings_of
from wynd_chat.cli.output import say, table, time_text, warn
from wynd_chat.cli.users import find_user
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.events import Joined
from wynd_chat.domain.models import Membership, Room, RoomKind, RoomRole
from wynd_chat.domain.names import parse_room_name, room_key
from wynd_chat.domain.text import accept_text, clean_line
from wynd_chat.services.messaging import author_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wynd_chat.ports.store import Snapshot, Transaction
    from wynd_chat.settings import Settings

__all__ = ["all_rooms", "app", "find_room"]

app = typer.Typer(help="List, make, archive and purge rooms.", no_args_is_help=True)

PAGE = 500
RoomArgument = Annotated[str, typer.Argument(help="The room's name, # optional.")]


def find_room(snapshot: Snapshot, name: str) -> Room:
    """Return the room of this name.

    Raises:
        ChatError: `not_found`.
    """
    key = room_key(name)
    room = None if key is None else snapshot.room_by_key(key)
    if room is None:
        shown = clean_line(name.removeprefix("#"))[:32]
        raise ChatError(ErrorCode.NOT_FOUND, f"there is no room #{shown}")
    return room


def all_rooms(snapshot: Snapshot) -> Iterator[Room]:
    """Yield every room and conversation, by id."""
    last = ""
    while ids := snapshot.room_ids(after_id=last, limit=PAGE):
        last = ids[-1]
        for room_id in ids:
            room = snapshot.room(room_id)
            if room is not None:
                yield room


@app.command("list")
def list_(data: DataOption = None, config: ConfigOption = None) -> None:
    """List all rooms, also private and archived ones: state, members, messages, made, topic."""
    settings = settings_of(data, config)

    def work(snapshot: Snapshot) -> list[tuple[Room, int, int]]:
        rooms = [room for room in all_rooms(snapshot) if not room.is_direct]
        return [
            (room, len(snapshot.member_ids(room.id)), snapshot.count_messages(room.id))
            for room in sorted(rooms, key=lambda room: room.name_key or "")
        ]

    table(
        ("name", "state", "members", "messages", "made", "topic"),
        (
            (
                f"#{room.name}",
                room.kind if room.archived_at is None else f"{room.kind}, archived",
                str(members),
                str(messages),
                time_text(room.created_at),
                room.topic,
            )
            for room, members, messages in on_store(settings, lambda store: store.read(work))
        ),
    )


@app.command()
def create(
    name: RoomArgument,
    private: Annotated[bool, typer.Option("--private", help="By invitation only.")] = False,
    topic: Annotated[str, typer.Option("--topic", help="What it is about.")] = "",
    owner: Annotated[
        str | None, typer.Option("--owner", help="The account that owns it.", show_default=False)
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a room."""
    settings = settings_of(data, config)
    key = parse_room_name(name)
    subject = clean_line(accept_text(topic, settings.limits.topic_chars_max, "topic"))
    room_id, now = SystemTokens().new_id("r_"), SystemClock().now_ms()

    def work(tx: Transaction) -> None:
        if tx.room_by_key(key) is not None:
            raise ChatError(ErrorCode.CONFLICT, f"there is a room #{key} already")
        user = None if owner is None else find_user(tx, owner)
        room = Room(
            id=room_id,
            kind=RoomKind.PRIVATE if private else RoomKind.PUBLIC,
            name=key,
            name_key=key,
            topic=subject,
            created_by=None if user is None else user.id,
            created_at=now,
        )
        tx.put_room(room)
        if user is not None:
            tx.put_membership(
                Membership(room_id=room_id, user_id=user.id, role=RoomRole.OWNER, joined_seq=0)
            )
            tx.raise_read(room_id, user.id, tx.append(room_id, Joined(author_of(user)), now).seq)

    on_store(settings, lambda store: store.write(work))
    say(f"Made #{key}")


@app.command()
def archive(
    name: RoomArgument,
    undo: Annotated[bool, typer.Option("--undo", help="Open it again.")] = False,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a room read-only."""
    settings = settings_of(data, config)
    now = SystemClock().now_ms()

    def work(tx: Transaction) -> Room:
        room = find_room(tx, name)
        _refuse_lobby(room, settings, "archived")
        tx.put_room(replace(room, archived_at=None if undo else now))
        return room

    room = on_store(settings, lambda store: store.write(work))
    say(f"{'Opened' if undo else 'Archived'} #{room.name}")


@app.command()
def purge(
    name: RoomArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Delete a room for good, with its messages and files; a running server notices."""
    settings = settings_of(data, config)

    def look(snapshot: Snapshot) -> tuple[Room, int]:
        room = find_room(snapshot, name)
        _refuse_lobby(room, settings, "purged")
        return room, snapshot.count_messages(room.id)

    room, messages = on_store(settings, lambda store: store.read(look))
    question = f"Delete #{room.name}, its {messages} messages and its files for good?"
    if not yes and not typer.confirm(question, err=True):
        raise typer.Exit(1)

    def work(tx: Transaction) -> int:
        current = tx.room(room.id)  # the one that was asked about, whatever has its name now
        if current is None:
            raise ChatError(ErrorCode.NOT_FOUND, f"there is no room #{room.name} any more")
        deleted = tx.count_messages(room.id)
        tx.drop_room(room.id)
        return deleted

    deleted = on_store(settings, lambda store: store.write(work))
    say(f"Purged #{room.name} and {deleted} messages")
    warn("nobody can open its files any more; a server takes them off the disk within a day")


def _refuse_lobby(room: Room, settings: Settings, what: str) -> None:
    if room.name_key == parse_room_name(settings.rooms.lobby):
        raise ChatError(ErrorCode.FORBIDDEN, f"the lobby can't be {what}")
