"""What administrators do over HTTP: bans from the server, its numbers, and backups."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.gateway.commands.moderation import EVERYBODY, ban_object
from wynd_chat.gateway.rest.answers import answer, nothing
from wynd_chat.gateway.rest.banmodels import (
    BackupInfo,
    BanInfo,
    BanList,
    NewServerBan,
    Numbers,
)
from wynd_chat.gateway.rest.bans import target_of
from wynd_chat.gateway.rest.bodies import api_router
from wynd_chat.gateway.rest.context import context_of
from wynd_chat.gateway.rest.identity import Known, RestCaller
from wynd_chat.gateway.rest.problems import refusals

__all__ = ["router"]

router = api_router("Administration")

_READING = (ErrorCode.UNAUTHORIZED, ErrorCode.FORBIDDEN)
_ACTING = (*_READING, ErrorCode.NOT_FOUND, ErrorCode.RATE_LIMITED)


@router.get(
    "/admin/bans",
    summary="List bans from the server",
    response_model=BanList,
    responses=refusals(*_READING),
)
async def read_bans(request: Request, caller: Known) -> Response:
    """Return the bans from the server that have not ended."""
    found = await context_of(request).services.server_bans.bans(caller.me)
    return answer({"bans": [ban_object(one.ban, one.user, one.by) for one in found]})


@router.post(
    "/admin/bans",
    summary="Ban from the server",
    status_code=201,
    response_model=BanInfo,
    responses=refusals(*_ACTING, ErrorCode.TOO_LARGE),
)
async def make_ban(request: Request, caller: Known, body: NewServerBan) -> Response:
    """Keep a user, an address or all newcomers out; logins and connections end at once."""
    _need_admin(caller)
    services = context_of(request).services
    services.rate_limits.command(caller.me.id)
    if body.address is not None:
        if body.user is not None or body.purge_seconds is not None:
            sentence = "an address is banned without a user and without deleting"
            raise ChatError(ErrorCode.BAD_REQUEST, sentence)
        made = await services.server_bans.ban_address(
            caller.me, body.address, body.seconds, body.reason, own_address=caller.address
        )
        return answer(ban_object(made, None, caller.me), 201)
    target = await target_of(services, body.user)
    made = await services.server_bans.ban(
        caller.me, target, body.seconds, body.reason, purge_s=body.purge_seconds
    )
    return answer(ban_object(made, target, caller.me), 201)


@router.delete(
    "/admin/bans",
    summary="Lift a ban from the server",
    status_code=204,
    response_class=Response,
    responses=refusals(*_ACTING),
)
async def lift_ban(
    request: Request,
    caller: Known,
    user: Annotated[
        str | None, Query(description="A user's name, or `*` for newcomers.", max_length=400)
    ] = None,
    address: Annotated[str | None, Query(description="Or a network.", max_length=100)] = None,
) -> Response:
    """Let somebody come in again."""
    _need_admin(caller)
    if (user is None) is (address is None):
        raise ChatError(ErrorCode.BAD_REQUEST, "name a user or an address")
    services = context_of(request).services
    services.rate_limits.command(caller.me.id)
    target = await target_of(services, None if user in (None, EVERYBODY) else user)
    await services.server_bans.unban(caller.me, target, address)
    return nothing()


@router.get(
    "/admin/stats",
    summary="Read the server's numbers",
    response_model=Numbers,
    responses=refusals(*_READING),
)
async def read_statistics(request: Request, caller: Known) -> Response:
    """Return what `/stats` prints."""
    _need_admin(caller)
    control = context_of(request).router.control
    assert control is not None  # the composition root sets it before anything listens
    return answer(await control.statistics())


@router.post(
    "/admin/backup",
    summary="Make a backup",
    status_code=201,
    response_model=BackupInfo,
    responses=refusals(
        *_READING, ErrorCode.RATE_LIMITED, ErrorCode.CONFLICT, ErrorCode.UNSUPPORTED
    ),
)
async def make_backup(request: Request, caller: Known) -> Response:
    """Write a backup into the server's folder of backups, and check it; the answer comes then."""
    _need_admin(caller)
    context = context_of(request)
    context.services.rate_limits.command(caller.me.id)
    control = context.router.control
    assert control is not None  # the composition root sets it before anything listens
    made = await control.backup()
    return answer({"name": made.name, "bytes": made.size, "missing": made.missing}, 201)


def _need_admin(caller: RestCaller) -> None:
    if not caller.me.is_admin:
        raise ChatError(ErrorCode.FORBIDDEN, "only admins can do that")
