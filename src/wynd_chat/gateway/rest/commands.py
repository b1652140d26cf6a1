"""Commands over HTTP: the registry, and running one line in a room, as every face does."""

from __future__ import annotations

from fastapi import Request, Response

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.gateway.rest.answers import answer
from wynd_chat.gateway.rest.bodies import api_router
from wynd_chat.gateway.rest.context import context_of
from wynd_chat.gateway.rest.identity import Known
from wynd_chat.gateway.rest.models import CommandDone, CommandList, CommandText
from wynd_chat.gateway.rest.parameters import ReachedRoom
from wynd_chat.gateway.rest.problems import refusals

__all__ = ["router"]

router = api_router("Commands")


@router.get("/commands", summary="List commands", response_model=CommandList, responses=refusals())
async def read_commands(request: Request) -> Response:
    """Return the commands of this server in the order of help; no login is needed."""
    return answer({"commands": context_of(request).router.command_objects()})


@router.post(
    "/rooms/{room}/commands",
    summary="Run a command",
    response_model=CommandDone,
    responses=refusals(*ErrorCode),
)
async def run_command(
    request: Request, room: ReachedRoom, caller: Known, body: CommandText
) -> Response:
    """Run a command line in a room. Refused as the command is on every face."""
    line = body.text.strip()
    if not line.startswith("/"):
        raise ChatError(ErrorCode.BAD_REQUEST, "a command begins with a slash")
    outcome = await context_of(request).router.run(caller, line, room=room)
    return answer({"result": outcome.result, "lines": outcome.lines})
