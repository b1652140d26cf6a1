"""Members of rooms: the list, joining and adding, leaving and removing, invitations."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request, Response

from wynd_chat.domain.errors import ErrorCode
from wynd_chat.domain.models import Room, User
from wynd_chat.gateway.rest import objects
from wynd_chat.gateway.rest.answers import answer, nothing
from wynd_chat.gateway.rest.bodies import api_router
from wynd_chat.gateway.rest.context import Context, context_of
from wynd_chat.gateway.rest.cursors import sliced
from wynd_chat.gateway.rest.identity import Known, RestCaller
from wynd_chat.gateway.rest.models import Invitation, Joining, MemberChange, MemberList
from wynd_chat.gateway.rest.parameters import LIST_DEFAULT, Cursor, Limit, SeenRoom, UserRef
from wynd_chat.gateway.rest.problems import refusals
from wynd_chat.services.messaging import author_of
from wynd_chat.services.rooms import INVITE_MS, INVITE_USES
from wynd_chat.wire.json_face import author_object
from wynd_chat.wire.times import time_text

__all__ = ["router"]

router = api_router("Members")

ME = "me"  # `@me` is somebody of that name
_CHANGING = (
    ErrorCode.UNAUTHORIZED,
    ErrorCode.FORBIDDEN,
    ErrorCode.NOT_MEMBER,
    ErrorCode.NOT_FOUND,
    ErrorCode.TOO_LARGE,
    ErrorCode.RATE_LIMITED,
)


@router.get(
    "/rooms/{room}/members",
    summary="List members",
    response_model=MemberList,
    responses=refusals(ErrorCode.UNAUTHORIZED, ErrorCode.NOT_FOUND),
)
async def read_members(
    request: Request,
    room: SeenRoom,
    caller: Known,
    cursor: Cursor = None,
    limit: Limit = LIST_DEFAULT,
) -> Response:
    """Return the members by name without case; guests only while they are online."""
    services = context_of(request).services
    now = services.clock.now_ms()
    found = await services.rooms.members(caller.me, room)
    page, following = sliced(
        "members", found, lambda one: f"{one[0].name.casefold()}\n{one[0].id}", cursor, limit
    )
    members = [
        objects.member_info(user, membership, is_online=is_online, now=now)
        for user, membership, is_online in page
    ]
    return answer({"members": members, "next_cursor": following})


@router.put(
    "/rooms/{room}/members/{user:path}",
    summary="Join, or add somebody",
    response_model=MemberChange,
    responses=refusals(*_CHANGING, ErrorCode.BANNED, ErrorCode.NOT_ONLINE)
    | {201: {"model": MemberChange, "description": "A member now"}},
)
async def add_member(
    request: Request,
    room: SeenRoom,
    caller: Known,
    user: UserRef,
    body: Joining | None = None,
) -> Response:
    """Make `me` or another user a member; 200 where that was so already."""
    context = context_of(request)
    target = await _target(context, caller, user)
    if target.id == caller.me.id:
        is_new = await _join(context, caller, room, None if body is None else body.key)
    else:
        context.services.rate_limits.command(caller.me.id)
        is_new = await context.services.rooms.invite(caller.me, target, room)
    value: dict[str, Any] = {
        "room": room.shown,
        "user": author_object(author_of(target)),
        "added": is_new,
    }
    return answer(value, 201 if is_new else 200)


@router.delete(
    "/rooms/{room}/members/{user:path}",
    summary="Leave, or remove somebody",
    status_code=204,
    response_class=Response,
    responses=refusals(*_CHANGING),
)
async def remove_member(
    request: Request,
    room: SeenRoom,
    caller: Known,
    user: UserRef,
    reason: Annotated[str, Query(description="What others read.", max_length=2000)] = "",
) -> Response:
    """End the membership of `me` or, as `/kick` does, of somebody below the caller's role."""
    context = context_of(request)
    target = await _target(context, caller, user)
    context.services.rate_limits.command(caller.me.id)
    if target.id == caller.me.id:
        await context.services.rooms.leave(caller.me, room, reason)
    else:
        await context.services.moderation.kick(caller.me, room, target, reason)
    return nothing()


@router.post(
    "/rooms/{room}/invites",
    summary="Make an invitation",
    status_code=201,
    response_model=Invitation,
    responses=refusals(*_CHANGING),
)
async def make_invitation(request: Request, room: SeenRoom, caller: Known) -> Response:
    """Make a link that lets others in: 7 days, 25 uses. In private rooms only ops may."""
    services = context_of(request).services
    services.rate_limits.command(caller.me.id)
    expires_at = services.clock.now_ms() + INVITE_MS
    code = await services.rooms.invite_link(caller.me, room)
    value = {
        "code": code,
        "link": f"{caller.base_url}/join/{code}",
        "uses": INVITE_USES,
        "expires_at": time_text(expires_at),
    }
    return answer(value, 201)


async def _target(context: Context, caller: RestCaller, ref: str) -> User:
    return caller.me if ref == ME else await context.services.accounts.find(ref)


async def _join(context: Context, caller: RestCaller, room: Room, key: str | None) -> bool:
    services = context.services
    services.rate_limits.join(caller.me.id)
    if room.name is None:
        return False  # whoever may know of a conversation is one of the two
    entry = await services.rooms.join(caller.me, room.name, key)
    return entry.is_new_member
