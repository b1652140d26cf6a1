"""Pages and plain answers of the chat's port: the page, health, the discovery document.

Static files are those of `wynd_chat.web`. What REST answers is `rest`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

__all__ = ["upgrade_required", "well_known"]


async def upgrade_required(request: Request) -> Response:
    """Answer a plain request on a WebSocket's path (RFC 9110 §15.5.22)."""
    headers = {"upgrade": "websocket", "connection": "Upgrade"}
    return PlainTextResponse("This is a WebSocket.\n", status_code=426, headers=headers)


def well_known(base_url: Callable[[Request], str]) -> Route:
    """Return `/.well-known/chat`: endpoints and subprotocols."""

    async def answer(request: Request) -> Response:
        base = base_url(request)
        return JSONResponse(
            {
                "websocket": base.replace("http", "ws", 1) + "/ws",
                "subprotocols": ["chat.v1.json", "chat.v1.text"],
                "api": f"{base}/api/v1",
                "openapi": f"{base}/api/openapi.json",
                "asyncapi": f"{base}/api/asyncapi.json",
            }
        )

    return Route("/.well-known/chat", answer)


def page(text: str, policy: str) -> Callable[[Request], Response]:
    """Return an endpoint that answers with a page under a content policy."""

    def answer(request: Request) -> Response:
        return HTMLResponse(text, headers={"content-security-policy": policy})

    return answer
