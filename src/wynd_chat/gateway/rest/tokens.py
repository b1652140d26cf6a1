"""Tokens for programs, and codes by which another device logs in."""

from __future__ import annotations

from fastapi import Request, Response

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import SessionKind
from wynd_chat.domain.sessions import is_token
from wynd_chat.gateway.admission import limit_key
from wynd_chat.gateway.rest.answers import answer, nothing
from wynd_chat.gateway.rest.bodies import api_router
from wynd_chat.gateway.rest.context import context_of
from wynd_chat.gateway.rest.identity import Known, SameOrigin
from wynd_chat.gateway.rest.login_models import (
    LinkAsked,
    LinkShown,
    LinkTaken,
    NewToken,
    TokenGiven,
    TokenList,
)
from wynd_chat.gateway.rest.problems import refusals
from wynd_chat.gateway.rest.sessions import origin_of
from wynd_chat.services.links import LINK_S
from wynd_chat.wire.json_face import user_object
from wynd_chat.wire.json_logins import login_object

__all__ = ["router"]

router = api_router("Tokens", has_secrets=True)


@router.get(
    "/tokens",
    summary="List tokens",
    response_model=TokenList,
    responses=refusals(ErrorCode.UNAUTHORIZED),
)
async def read_tokens(request: Request, caller: Known) -> Response:
    """Return the caller's tokens, oldest first; never the tokens themselves."""
    found = await context_of(request).services.sessions.list_of(caller.me)
    tokens = [login_object(one, caller.token_hash) for one in found if is_token(one)]
    return answer({"tokens": tokens})


@router.post(
    "/tokens",
    summary="Make a token",
    status_code=201,
    response_model=TokenGiven,
    responses=refusals(
        ErrorCode.UNAUTHORIZED,
        ErrorCode.FORBIDDEN,
        ErrorCode.CONFLICT,
        ErrorCode.TOO_LARGE,
        ErrorCode.RATE_LIMITED,
    ),
)
async def make_token(request: Request, caller: Known, body: NewToken) -> Response:
    """Make a token with which a program acts as the caller. It is shown this once."""
    services = context_of(request).services
    if caller.me.is_guest:
        raise ChatError(ErrorCode.FORBIDDEN, "only accounts can do that, use /register")
    services.rate_limits.command(caller.me.id)
    token, session = await services.sessions.new_token(
        caller.me, body.label, days=body.days, origin=origin_of(request)
    )
    return answer(login_object(session, caller.token_hash) | {"token": token}, 201)


@router.delete(
    "/tokens/{token}",
    summary="Revoke a token",
    status_code=204,
    responses=refusals(ErrorCode.UNAUTHORIZED, ErrorCode.NOT_FOUND, ErrorCode.TOO_LARGE),
)
async def revoke_token(request: Request, caller: Known, token: str) -> Response:
    """End a token, by its id in the list, with all its connections."""
    await context_of(request).services.sessions.end(caller.me, token)
    return nothing()


@router.post(
    "/link",
    summary="Log in by another device",
    status_code=201,
    response_model=LinkShown | LinkTaken,
    responses=refusals(
        ErrorCode.UNAUTHORIZED, ErrorCode.EXPIRED, ErrorCode.TOO_LARGE, ErrorCode.RATE_LIMITED
    )
    | {200: {"model": LinkTaken, "description": "Not approved yet"}},
    dependencies=[SameOrigin],
)
async def begin_link(request: Request, body: LinkAsked | None = None) -> Response:
    """Without a body: return a code to show. With code and secret: the login, once approved."""
    context = context_of(request)
    services = context.services
    origin = origin_of(request)
    key = limit_key(origin.address)
    if key is not None:
        services.rate_limits.command(f"link from {key}")
    if body is None:
        code, secret = await services.links.begin()
        link = f"{context.base_url(request)}/link"
        return answer({"code": code, "link": link, "secret": secret, "expires_in_s": LINK_S}, 201)
    user = await services.links.take(body.code, body.secret)
    if user is None:
        return answer({"approved": False})
    token, _ = await services.sessions.begin(user, SessionKind.WEB, origin=origin)
    return answer({"approved": True, "user": user_object(user), "token": token}, 201)


@router.post(
    "/link/{code}",
    summary="Let another device log in",
    status_code=204,
    responses=refusals(
        ErrorCode.UNAUTHORIZED,
        ErrorCode.FORBIDDEN,
        ErrorCode.NOT_FOUND,  # what has a slash or a line break is no code's address
        ErrorCode.EXPIRED,
        ErrorCode.TOO_LARGE,
        ErrorCode.RATE_LIMITED,
    ),
)
async def approve_link(request: Request, caller: Known, code: str) -> Response:
    """Let the device that shows this code be the caller."""
    await context_of(request).services.links.approve(caller.me, code)
    return nothing()
