"""Logging in and out over HTTP, making accounts, and what links of this server are good for."""

from __future__ import annotations

from fastapi import Request, Response

from wynd_chat.domain.errors import ErrorCode
from wynd_chat.domain.models import SessionKind, User
from wynd_chat.domain.names import user_key
from wynd_chat.domain.sessions import is_token
from wynd_chat.gateway.admission import limit_key
from wynd_chat.gateway.cookies import drop_cookie, give_cookie
from wynd_chat.gateway.rest.answers import answer, nothing
from wynd_chat.gateway.rest.bodies import api_router
from wynd_chat.gateway.rest.context import context_of
from wynd_chat.gateway.rest.identity import Anyone, Known, SameOrigin
from wynd_chat.gateway.rest.login_models import (
    Claimed,
    InviteTaken,
    LoginGiven,
    LoginList,
    NewAccount,
    NewLogin,
    Registration,
)
from wynd_chat.gateway.rest.problems import refusals
from wynd_chat.services.sessions import Origin
from wynd_chat.wire.json_face import user_object
from wynd_chat.wire.json_logins import login_object

__all__ = ["is_secure", "origin_of", "router"]

router = api_router("Session", has_secrets=True)

CURRENT = "current"


def is_secure(request: Request) -> bool:
    """Tell whether a request came over TLS, ours or a trusted proxy's."""
    return request.url.scheme == "https"


def origin_of(request: Request) -> Origin:
    """Return where a login of this request comes from."""
    address = "" if request.client is None else request.client.host
    return Origin(address, request.headers.get("user-agent", ""))


@router.post(
    "/sessions",
    summary="Log in",
    status_code=201,
    response_model=LoginGiven,
    responses=refusals(
        ErrorCode.UNAUTHORIZED, ErrorCode.BANNED, ErrorCode.TOO_LARGE, ErrorCode.RATE_LIMITED
    ),
    dependencies=[SameOrigin],
)
async def log_in(request: Request, body: NewLogin) -> Response:
    """Check name and password; give a session as a cookie, or as a token."""
    services = context_of(request).services
    origin = origin_of(request)
    user = await services.logins.check(body.name, body.password, limit_key(origin.address))
    token, session = await services.sessions.begin(
        user, SessionKind.WEB, label=body.label, origin=origin
    )
    value = {
        "user": user_object(user),
        "session": login_object(session, session.token_hash),
    }
    if not body.cookie:
        return answer(value | {"token": token}, 201)
    response = answer(value, 201)
    give_cookie(response, token, is_secure=is_secure(request))
    return response


@router.get(
    "/sessions",
    summary="List logins",
    response_model=LoginList,
    responses=refusals(ErrorCode.UNAUTHORIZED),
)
async def read_sessions(request: Request, caller: Known) -> Response:
    """Return where the caller is logged in, oldest first; tokens are a list of their own."""
    found = await context_of(request).services.sessions.list_of(caller.me)
    logins = [login_object(one, caller.token_hash) for one in found if not is_token(one)]
    return answer({"sessions": logins})


@router.delete(
    "/sessions/{session}",
    summary="Log out",
    status_code=204,
    responses=refusals(ErrorCode.UNAUTHORIZED, ErrorCode.NOT_FOUND, ErrorCode.TOO_LARGE),
)
async def end_session(request: Request, caller: Known, session: str) -> Response:
    """End a login of the caller with all its connections; `current` is the one that asks."""
    ref = caller.token_hash or "" if session == CURRENT else session
    ended = await context_of(request).services.sessions.end(caller.me, ref)
    response = nothing()
    if ended.token_hash == caller.token_hash:
        drop_cookie(response, is_secure=is_secure(request))
    return response


@router.post(
    "/users",
    summary="Make an account",
    status_code=201,
    response_model=Registration,
    responses=refusals(
        ErrorCode.UNAUTHORIZED,
        ErrorCode.FORBIDDEN,
        ErrorCode.BANNED,
        ErrorCode.NAME_TAKEN,
        ErrorCode.NAME_REGISTERED,
        ErrorCode.EXPIRED,
        ErrorCode.TOO_LARGE,
        ErrorCode.BAD_NAME,
        ErrorCode.RATE_LIMITED,
    ),
    dependencies=[SameOrigin],
)
async def register(request: Request, caller: Anyone, body: NewAccount) -> Response:
    """Make an account where that is open, or by an invitation. It logs nobody in."""
    services = context_of(request).services
    address = limit_key(caller.address)
    if _is_own_name(caller.user, body.name):
        user = await services.logins.register_guest(caller.me, body.password, address, body.invite)
        return answer({"user": user_object(user), "room": None}, 201)
    made = await services.logins.register(body.name, body.password, address, body.invite)
    room = None if made.room is None else made.room.shown
    return answer({"user": user_object(made.user), "room": room}, 201)


@router.post(
    "/claim/{code}",
    summary="Claim the server",
    response_model=Claimed,
    responses=refusals(
        ErrorCode.UNAUTHORIZED,
        ErrorCode.FORBIDDEN,
        ErrorCode.NOT_FOUND,
        ErrorCode.EXPIRED,
        ErrorCode.TOO_LARGE,
    ),
)
async def claim(request: Request, caller: Known, code: str) -> Response:
    """Make the caller administrator of a server that has none, by the link of its first start."""
    user = await context_of(request).services.logins.claim(caller.me, code)
    return answer({"user": user_object(user)})


@router.post(
    "/join/{code}",
    summary="Accept an invitation",
    response_model=InviteTaken,
    responses=refusals(
        ErrorCode.UNAUTHORIZED,
        ErrorCode.FORBIDDEN,
        ErrorCode.BANNED,
        ErrorCode.NOT_FOUND,
        ErrorCode.EXPIRED,
        ErrorCode.TOO_LARGE,
        ErrorCode.RATE_LIMITED,
    ),
)
async def join(request: Request, caller: Known, code: str) -> Response:
    """Enter the room that an invitation leads to."""
    services = context_of(request).services
    services.rate_limits.join(caller.me.id)
    entry = await services.rooms.accept_invite(caller.me, code)
    return answer({"room": entry.room.shown, "added": entry.is_new_member})


def _is_own_name(user: User | None, name: str) -> bool:
    """Tell whether a guest asks to keep the own name."""
    return user is not None and user.is_guest and user_key(name) == user_key(user.name)
