"""Users: the list of accounts, one user, and the caller: settings, rooms, read markers."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request, Response

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import User
from wynd_chat.gateway.rest import objects
from wynd_chat.gateway.rest.answers import answer
from wynd_chat.gateway.rest.bodies import api_router
from wynd_chat.gateway.rest.context import context_of
from wynd_chat.gateway.rest.cursors import decode_cursor, encode_cursor
from wynd_chat.gateway.rest.identity import Known
from wynd_chat.gateway.rest.models import Me, MePatch, MyRoomList, ReadMarks, UserDetails, UserList
from wynd_chat.gateway.rest.parameters import LIST_DEFAULT, Cursor, Limit, UserRef
from wynd_chat.gateway.rest.problems import refusals
from wynd_chat.services.bundle import Services
from wynd_chat.wire.times import time_text

__all__ = ["router"]

router = api_router("Users")

PASSWORDS = {"old_password", "password"}


@router.get(
    "/users",
    summary="List accounts",
    response_model=UserList,
    responses=refusals(ErrorCode.UNAUTHORIZED),
)
async def read_users(
    request: Request,
    caller: Known,
    q: Annotated[str, Query(description="What the name begins with.", max_length=200)] = "",
    cursor: Cursor = None,
    limit: Limit = LIST_DEFAULT,
) -> Response:
    """Return accounts by name, those whose name begins with `q`; guests are not among them."""
    services = context_of(request).services
    after = decode_cursor("users", cursor)
    found = await services.accounts.list_users(q, after, limit + 1)
    page, last = found[:limit], found[limit - 1] if len(found) > limit else None
    following = None if last is None else encode_cursor("users", last.name_key or "")
    return answer({"users": [_info(services, user) for user in page], "next_cursor": following})


@router.get(
    "/users/me",
    summary="Read the caller",
    response_model=Me,
    responses=refusals(ErrorCode.UNAUTHORIZED),
)
async def read_me(request: Request, caller: Known) -> Response:
    """Return the caller."""
    return answer(_me(context_of(request).services, caller.me))


@router.patch(
    "/users/me",
    summary="Change the caller",
    response_model=Me,
    responses=refusals(
        ErrorCode.UNAUTHORIZED,
        ErrorCode.FORBIDDEN,
        ErrorCode.NAME_TAKEN,
        ErrorCode.NAME_REGISTERED,
        ErrorCode.TOO_LARGE,
        ErrorCode.BAD_NAME,
        ErrorCode.RATE_LIMITED,
    ),
)
async def change_me(request: Request, caller: Known, body: MePatch) -> Response:
    """Change name, away text or preferences, all that is sent or nothing.

    A password is changed by itself.
    """
    services = context_of(request).services
    services.rate_limits.command(caller.me.id)
    user = caller.me
    if body.model_fields_set & PASSWORDS:
        if body.model_fields_set != PASSWORDS or not (body.password and body.old_password):
            raise ChatError(ErrorCode.BAD_REQUEST, "send old_password and password, nothing else")
        await services.logins.change_password(
            user, body.old_password, body.password, caller.token_hash
        )
        return answer(_me(services, user))
    user = await services.accounts.change(
        user,
        name=body.name,
        sets_away="away" in body.model_fields_set,
        away=body.away,
        prefs=None if body.prefs is None else body.prefs.model_dump(exclude_none=True),
    )
    return answer(_me(services, user))


@router.get(
    "/users/me/rooms",
    summary="List the caller's rooms",
    response_model=MyRoomList,
    responses=refusals(ErrorCode.UNAUTHORIZED),
)
async def read_my_rooms(request: Request, caller: Known) -> Response:
    """Return the caller's rooms by name, then conversations, each with what is unread."""
    infos = await context_of(request).services.rooms.infos(caller.me, with_open=False)
    return answer({"rooms": [objects.my_room(info) for info in infos]})


@router.put(
    "/users/me/read",
    summary="Raise read markers",
    response_model=ReadMarks,
    responses=refusals(
        ErrorCode.UNAUTHORIZED,
        ErrorCode.NOT_MEMBER,
        ErrorCode.NOT_FOUND,
        ErrorCode.TOO_LARGE,
        ErrorCode.RATE_LIMITED,
    ),
)
async def mark_read(request: Request, caller: Known, body: ReadMarks) -> Response:
    """Raise the read markers of some rooms, all or none; return those in force."""
    services = context_of(request).services
    services.rate_limits.command(caller.me.id)
    return answer({"rooms": await services.rooms.mark_all_read(caller.me, body.rooms)})


@router.get(
    "/users/{user:path}",
    summary="Read a user",
    response_model=UserDetails,
    responses=refusals(ErrorCode.UNAUTHORIZED, ErrorCode.NOT_FOUND),
)
async def read_user(request: Request, caller: Known, user: UserRef) -> Response:
    """Return a user and the rooms shared with the caller. Never an address."""
    services = context_of(request).services
    target = await services.accounts.find(user)
    shared = await services.rooms.shared(caller.me, target)
    return answer(_info(services, target) | {"rooms": [room.shown for room in shared]})


def _info(services: Services, user: User) -> dict[str, Any]:
    return objects.user_info(user, is_online=services.presences.is_online(user.id))


def _me(services: Services, user: User) -> dict[str, Any]:
    return _info(services, user) | {
        "prefs": dict(user.prefs),
        "created_at": time_text(user.created_at),
    }
