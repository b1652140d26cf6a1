"""Rooms: the list, making, reading, changing and archiving them. Members are `members`."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from wynd_chat.domain.errors import ErrorCode
from wynd_chat.domain.models import Room
from wynd_chat.gateway.rest import objects
from wynd_chat.gateway.rest.answers import answer, nothing
from wynd_chat.gateway.rest.bodies import api_router
from wynd_chat.gateway.rest.context import Context, context_of
from wynd_chat.gateway.rest.cursors import sliced
from wynd_chat.gateway.rest.identity import Known, RestCaller
from wynd_chat.gateway.rest.models import NewRoom, RoomDetails, RoomList, RoomPatchBody
from wynd_chat.gateway.rest.parameters import LIST_DEFAULT, Cursor, Limit, SeenRoom
from wynd_chat.gateway.rest.problems import refusals
from wynd_chat.services.roomsettings import RoomPatch

__all__ = ["router"]

router = api_router("Rooms")


@router.get(
    "/rooms",
    summary="List rooms",
    response_model=RoomList,
    responses=refusals(ErrorCode.UNAUTHORIZED),
)
async def read_rooms(
    request: Request, caller: Known, cursor: Cursor = None, limit: Limit = LIST_DEFAULT
) -> Response:
    """Return the public rooms and the caller's own, by name. Conversations: `/users/me/rooms`."""
    infos = await context_of(request).services.rooms.infos(caller.me)
    named = [info for info in infos if not info.room.is_direct]
    page, following = sliced("rooms", named, lambda info: info.room.shown, cursor, limit)
    return answer(
        {"rooms": [objects.room_summary(info) for info in page], "next_cursor": following}
    )


@router.post(
    "/rooms",
    summary="Make a room",
    status_code=201,
    response_model=RoomDetails,
    responses=refusals(
        ErrorCode.UNAUTHORIZED,
        ErrorCode.FORBIDDEN,
        ErrorCode.NOT_FOUND,
        ErrorCode.CONFLICT,
        ErrorCode.TOO_LARGE,
        ErrorCode.BAD_NAME,
        ErrorCode.RATE_LIMITED,
    ),
)
async def make_room(request: Request, caller: Known, body: NewRoom) -> Response:
    """Make a room with its first settings; the caller owns it and is in it."""
    context = context_of(request)
    context.services.rate_limits.join(caller.me.id)
    entry = await context.services.rooms.create(
        caller.me, body.name, topic=body.topic, is_private=body.private, key=body.key
    )
    details = await _details(context, caller, entry.room)
    return answer(details, 201, headers={"location": f"rooms/{entry.room.shown}"})


@router.get(
    "/rooms/{room}",
    summary="Read a room",
    response_model=RoomDetails,
    responses=refusals(ErrorCode.UNAUTHORIZED, ErrorCode.NOT_FOUND),
)
async def read_room(request: Request, room: SeenRoom, caller: Known) -> Response:
    """Return a room with its settings, without the key."""
    return answer(await _details(context_of(request), caller, room))


@router.patch(
    "/rooms/{room}",
    summary="Change a room",
    response_model=RoomDetails,
    responses=refusals(
        ErrorCode.UNAUTHORIZED,
        ErrorCode.FORBIDDEN,
        ErrorCode.NOT_MEMBER,
        ErrorCode.NOT_FOUND,
        ErrorCode.TOO_LARGE,
        ErrorCode.RATE_LIMITED,
    ),
)
async def change_room(
    request: Request, room: SeenRoom, caller: Known, body: RoomPatchBody
) -> Response:
    """Change settings, all of them or none. The topic of a public room: members; the rest: ops."""
    context = context_of(request)
    context.services.rate_limits.command(caller.me.id)
    patch = RoomPatch(
        topic=body.topic,
        is_private=body.private,
        is_locked=body.locked,
        slow_s=body.slow_s,
        key=body.key,
    )
    changed = await context.services.room_settings.update(caller.me, room, patch)
    return answer(await _details(context, caller, changed))


@router.delete(
    "/rooms/{room}",
    summary="Archive a room",
    status_code=204,
    response_class=Response,
    responses=refusals(
        ErrorCode.UNAUTHORIZED,
        ErrorCode.FORBIDDEN,
        ErrorCode.NOT_MEMBER,
        ErrorCode.NOT_FOUND,
        ErrorCode.TOO_LARGE,
        ErrorCode.RATE_LIMITED,
    ),
)
async def archive_room(request: Request, room: SeenRoom, caller: Known) -> Response:
    """Make a room read-only for ever; only its owner may. Nothing of it is deleted."""
    services = context_of(request).services
    services.rate_limits.command(caller.me.id)
    await services.room_settings.archive(caller.me, room)
    return nothing()


async def _details(context: Context, caller: RestCaller, room: Room) -> dict[str, Any]:
    """Return `RoomDetails`, as the caller is in the room or not."""
    rooms = context.services.rooms
    peer = await rooms.peer(caller.me, room) if room.is_direct else None
    membership = await rooms.membership(caller.me, room)
    return objects.room_details(room, membership, await rooms.here(room), peer)
