"""Bans and timeouts of rooms, as `/ban`, `/unban`, `/bans` and `/timeout` have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Query, Request, Response

from wynd_chat.domain.errors import ErrorCode
from wynd_chat.gateway.commands.moderation import EVERYBODY, ban_object
from wynd_chat.gateway.rest.answers import answer, nothing
from wynd_chat.gateway.rest.banmodels import BanInfo, BanList, MemberSilence, NewBan, Silence
from wynd_chat.gateway.rest.bodies import api_router
from wynd_chat.gateway.rest.context import context_of
from wynd_chat.gateway.rest.identity import Known
from wynd_chat.gateway.rest.parameters import SeenRoom, UserRef
from wynd_chat.gateway.rest.problems import refusals
from wynd_chat.services.messaging import author_of
from wynd_chat.wire.json_face import author_object
from wynd_chat.wire.times import time_text

if TYPE_CHECKING:
    from wynd_chat.domain.models import User
    from wynd_chat.services.bundle import Services

__all__ = ["router", "target_of"]

router = api_router("Moderation")

Banned = Annotated[
    str, Query(description="Whose ban: a user's name, or `*` for newcomers.", max_length=400)
]
_ACTING = (
    ErrorCode.UNAUTHORIZED,
    ErrorCode.FORBIDDEN,
    ErrorCode.NOT_FOUND,
    ErrorCode.RATE_LIMITED,
)


@router.get(
    "/rooms/{room}/bans",
    summary="List bans",
    response_model=BanList,
    responses=refusals(ErrorCode.UNAUTHORIZED, ErrorCode.FORBIDDEN, ErrorCode.NOT_FOUND),
)
async def read_bans(request: Request, room: SeenRoom, caller: Known) -> Response:
    """Return the bans of a room that have not ended; for its ops."""
    found = await context_of(request).services.moderation.bans(caller.me, room)
    return answer({"bans": [ban_object(one.ban, one.user, one.by) for one in found]})


@router.post(
    "/rooms/{room}/bans",
    summary="Ban",
    status_code=201,
    response_model=BanInfo,
    responses=refusals(*_ACTING, ErrorCode.TOO_LARGE),
)
async def make_ban(request: Request, room: SeenRoom, caller: Known, body: NewBan) -> Response:
    """Put somebody below the caller's role out of a room and keep them out."""
    services = context_of(request).services
    services.rate_limits.command(caller.me.id)
    target = await target_of(services, body.user)
    made = await services.moderation.ban(
        caller.me, room, target, body.seconds, body.reason, purge_s=body.purge_seconds
    )
    return answer(ban_object(made, target, caller.me), 201)


@router.delete(
    "/rooms/{room}/bans",
    summary="Lift a ban",
    status_code=204,
    response_class=Response,
    responses=refusals(*_ACTING),
)
async def lift_ban(request: Request, room: SeenRoom, caller: Known, user: Banned) -> Response:
    """Let somebody join again, or newcomers."""
    services = context_of(request).services
    services.rate_limits.command(caller.me.id)
    target = await target_of(services, None if user == EVERYBODY else user)
    await services.moderation.unban(caller.me, room, target)
    return nothing()


@router.post(
    "/rooms/{room}/members/{user:path}/timeout",
    summary="Silence a member",
    response_model=MemberSilence,
    responses=refusals(*_ACTING, ErrorCode.TOO_LARGE),
)
async def silence(
    request: Request, room: SeenRoom, caller: Known, user: UserRef, body: Silence
) -> Response:
    """Let a member below the caller's role read and not write for a while, or write again."""
    services = context_of(request).services
    services.rate_limits.command(caller.me.id)
    target = await services.accounts.find(user)
    until = await services.moderation.timeout(caller.me, room, target, body.seconds, body.reason)
    return answer(
        {
            "user": author_object(author_of(target)),
            "silenced_until": None if until is None else time_text(until),
        }
    )


async def target_of(services: Services, name: str | None) -> User | None:
    """Return the user of a name; None for newcomers.

    Raises:
        ChatError: `not_found`.
    """
    return None if name is None else await services.accounts.find(name)
