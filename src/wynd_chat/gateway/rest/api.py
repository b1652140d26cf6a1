"""`make_api`: the FastAPI application of the chat's port, put together from its areas.

One file of endpoints per area; each has a `router` and is named in `ROUTERS`. What holds for every
answer is here: problems, header fields, HEAD.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.requests import Request

from wynd_chat.gateway.rest import (
    admin,
    bans,
    commands,
    files,
    members,
    messages,
    overview,
    problems,
    rooms,
    sessions,
    tokens,
    users,
)
from wynd_chat.gateway.rest.context import Context
from wynd_chat.gateway.rest.documents import document_routes
from wynd_chat.gateway.rest.idempotency import Answers
from wynd_chat.gateway.rest.origins import Origins
from wynd_chat.services.idempotency import Idempotency

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from wynd_chat.gateway.calls import Router
    from wynd_chat.gateway.doorman import Doorman

__all__ = ["ROUTERS", "make_api"]

ROUTERS = (
    overview.router,
    rooms.router,
    members.router,
    messages.router,
    sessions.router,
    tokens.router,
    users.router,
    commands.router,
    files.router,
    bans.router,
    admin.router,
)
"""In the order of the document; a route that is more exact than another comes before it."""


def make_api(
    router: Router,
    doorman: Doorman,
    *,
    version: str,
    base_url: Callable[[Request], str],
    origins: str | Sequence[str] = "same-host",
) -> FastAPI:
    """Return the application; it is mounted beside the WebSocket.

    Args:
        router: Runs commands and takes messages.
        doorman: Knows who somebody is.
        version: Of this program.
        base_url: Where a request reached the server, without a slash at the end.
        origins: Pages that may write with a cookie; see `Origins`.
    """
    services = router.services
    api = FastAPI(
        title="wynd-chat", version=version, openapi_url=None, docs_url=None, redoc_url=None
    )
    api.router.redirect_slashes = False
    api.state.context = Context(
        router=router,
        doorman=doorman,
        origins=Origins(origins),
        base_url=base_url,
        answers=Answers(Idempotency(services.store, services.clock)),
        version=version,
        started_at=services.clock.monotonic(),
    )
    documents = document_routes(api)
    problems.install(
        api, doorman, [*(route for one in ROUTERS for route in one.routes), *documents]
    )
    for one in ROUTERS:
        api.include_router(one)
    api.router.routes.extend(documents)
    api.add_middleware(Envelope, doorman=doorman)
    return api


class Envelope:
    """What holds for every answer: HEAD is GET without the body, failures are problems."""

    def __init__(self, app: ASGIApp, doorman: Doorman) -> None:
        self._app = app
        self._doorman = doorman

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_head = scope["method"] == "HEAD"
        has_begun = False

        async def sending(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                headers = MutableHeaders(scope=message)
                headers.setdefault("x-content-type-options", "nosniff")
                headers.setdefault("cache-control", "no-store")
            elif is_head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        inner = {**scope, "method": "GET", "wynd_chat.is_head": True} if is_head else scope
        try:
            await self._app(inner, receive, sending)
        except Exception as error:
            if has_begun:
                raise
            what = f"{scope['method']} {problems.path_for_log(scope['path'])}"
            told = self._doorman.failure_of(error, what)
            await problems.problem(told)(inner, receive, sending)
