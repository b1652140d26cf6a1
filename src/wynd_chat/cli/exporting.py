"""`wynd-chat user export`: everything the chat knows of one user, as JSON.

For the user: profile, logins, rooms, and every message by that user in any room, also in rooms the
user has left. Hashes of passwords and tokens are not in it. Messages are written as they are read,
so that a long history needs no memory.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from wynd_chat.cli.options import ConfigOption, DataOption, on_store, settings_of
from wynd_chat.cli.rooms import all_rooms
from wynd_chat.cli.users import NameArgument, find_user
from wynd_chat.domain.events import Message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wynd_chat.domain.events import Event
    from wynd_chat.domain.models import Room, User
    from wynd_chat.ports.store import Snapshot

__all__ = ["export"]

PAGE = 1_000


def export(
    name: NameArgument,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="A file; standard output.", show_default=False),
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Write everything the chat knows of a user, as JSON."""
    settings = settings_of(data, config)
    on_store(settings, lambda store: store.read(lambda snapshot: find_user(snapshot, name)))
    with ExitStack() as held:
        target: IO[str] = sys.stdout
        if to is not None:
            descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            target = held.enter_context(os.fdopen(descriptor, "w", encoding="utf-8"))
        on_store(
            settings, lambda store: store.read(lambda snapshot: _write(snapshot, name, target))
        )


def _write(snapshot: Snapshot, name: str, target: IO[str]) -> None:
    """Write one object; all of it is of one moment."""
    user = find_user(snapshot, name)
    head = {
        "user": _profile(user),
        "logins": [
            {
                "label": session.label,
                "kind": session.kind,
                "ip": session.ip,
                "user_agent": session.user_agent,
                "created_at": _time(session.created_at),
                "last_seen_at": _time(session.last_seen_at),
                "expires_at": _time(session.expires_at),
            }
            for session in snapshot.sessions_of(user.id)
        ],
        "rooms": [
            {
                "room": room.shown,
                "role": membership.role,
                "read_seq": membership.read_seq,
                "notify": membership.notify,
            }
            for room, membership in snapshot.rooms_of(user.id)
        ],
        "ignores": sorted(
            other.name for other in snapshot.users(snapshot.ignored_by(user.id)).values()
        ),
    }
    text = json.dumps(head, indent=1)
    target.write(text.removesuffix("\n}") + ',\n "messages": [')
    separator = "\n  "
    for room in all_rooms(snapshot):
        for event in _messages_by(snapshot, room, user):
            target.write(separator + json.dumps(_message(room, event)))
            separator = ",\n  "
    target.write("\n ]\n}\n")


def _messages_by(snapshot: Snapshot, room: Room, user: User) -> Iterator[Event]:
    after = 0
    while page := snapshot.messages(room.id, after=after, limit=PAGE, newest=False):
        after = page[-1].seq
        for event in page:
            if isinstance(event.body, Message) and event.body.author.id == user.id:
                yield event


def _profile(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "name": user.name,
        "kind": user.kind,
        "role": user.role,
        "status": user.status,
        "away": user.away,
        "prefs": dict(user.prefs),
        "created_at": _time(user.created_at),
        "last_seen_at": _time(user.last_seen_at),
    }


def _message(room: Room, event: Event) -> dict[str, Any]:
    body = event.body
    assert isinstance(body, Message)
    return {
        "room": room.shown,
        "seq": event.seq,
        "at": _time(event.at),
        "kind": body.kind,
        "text": body.text,
        "deleted": body.is_deleted,
        "reply_to": body.reply_to,
        "files": [{"id": one.id, "name": one.name, "size": one.size} for one in body.files],
    }


def _time(at_ms: int | None) -> str | None:
    """Return RFC 3339, UTC, with milliseconds."""
    if at_ms is None:
        return None
    at = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"
