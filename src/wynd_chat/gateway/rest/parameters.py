"""Parameters that endpoints share: the room of the path, cursors and limits of lists."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query, Request

from wynd_chat.domain.models import Room
from wynd_chat.gateway.rest.context import context_of
from wynd_chat.gateway.rest.cursors import CURSOR_CHARS_MAX
from wynd_chat.gateway.rest.identity import Known

__all__ = ["LIST_DEFAULT", "LIST_MAX", "Cursor", "Limit", "ReachedRoom", "SeenRoom", "UserRef"]

LIST_DEFAULT = 50
LIST_MAX = 200

RoomRef = Annotated[
    str,
    Path(
        description="`dev`, the id of a room or conversation, or `@Bob` for that with Bob.",
        examples=["dev"],
        max_length=200,
    ),
]
UserRef = Annotated[
    str, Path(description="A user's name; `@` is optional.", examples=["Bob"], max_length=400)
]
Cursor = Annotated[
    str | None,
    Query(description="`next_cursor` of the page before.", max_length=CURSOR_CHARS_MAX),
]
Limit = Annotated[int, Query(ge=1, le=LIST_MAX, description="How many at most.")]


async def seen_room(request: Request, room: RoomRef, caller: Known) -> Room:
    """Return the room of the path, if the caller may know of it; opens no conversation.

    Raises:
        ChatError: `not_found`.
    """
    found = await context_of(request).services.rooms.find_existing(caller.me, room)
    caller.move_to(found)
    return found


async def reached_room(request: Request, room: RoomRef, caller: Known) -> Room:
    """Return the room of the path to write to; `@Bob` opens a conversation where there is none.

    Raises:
        ChatError: `not_found`, `not_online`.
    """
    found = await context_of(request).router.room(caller, caller.me, room)
    caller.move_to(found)
    return found


SeenRoom = Annotated[Room, Depends(seen_room)]
ReachedRoom = Annotated[Room, Depends(reached_room)]
