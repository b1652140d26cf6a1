"""The tutorial's two endpoints, unversioned and for ever, and what the codes of refusals mean."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.gateway.rest.answers import answer
from wynd_chat.gateway.rest.context import context_of
from wynd_chat.gateway.rest.identity import Anyone
from wynd_chat.gateway.rest.models import ErrorMeaning, ErrorMeanings, OnlineUsers, Status
from wynd_chat.gateway.rest.problems import TITLES, refusals

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["Overview"])


@router.get("/status", summary="Read the status", response_model=Status, responses=refusals())
async def read_status(request: Request) -> Response:
    """Return that the server is there, and how many are."""
    context = context_of(request)
    services = context.services
    return answer(
        {
            "users": services.presences.count(),
            "status": "online",
            "version": context.version,
            "uptime_s": int(services.clock.monotonic() - context.started_at),
            "rooms": await services.rooms.count(),
        }
    )


@router.get(
    "/users",
    summary="List who is online",
    response_model=OnlineUsers,
    responses=refusals(ErrorCode.UNAUTHORIZED),
)
async def read_online(request: Request, caller: Anyone) -> Response:
    """Return the names of those online. Where guests are off, strangers get the count alone."""
    context = context_of(request)
    names = [user.name for user in context.services.presences.online()]
    may_see = caller.user is not None or context.doorman.are_guests_allowed()
    return answer({"users": names if may_see else [], "count": len(names)})


@router.get(
    "/errors", summary="List error codes", response_model=ErrorMeanings, responses=refusals()
)
async def read_errors() -> Response:
    """Return all codes of refusals."""
    return answer({"errors": [_meaning(code) for code in ErrorCode]})


@router.get(
    "/errors/{code}",
    summary="Read an error code",
    response_model=ErrorMeaning,
    responses=refusals(ErrorCode.NOT_FOUND),
)
async def read_error(code: str) -> Response:
    """Return what a code means; `type` of a problem leads here."""
    if code not in set(ErrorCode):
        raise ChatError(ErrorCode.NOT_FOUND, "there is no such code")
    return answer(_meaning(ErrorCode(code)))


def _meaning(code: ErrorCode) -> dict[str, object]:
    return {
        "code": code.value,
        "title": TITLES[code],
        "status": code.status,
        "temporary": code.is_temporary,
    }
