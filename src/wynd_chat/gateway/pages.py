"""Pages and plain answers of the chat's port: the page, its files, the discovery document.

What the files are is decided in `wynd_chat.web`, what REST answers in `rest`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from wynd_chat.web.assets import IMMUTABLE, PAGE_HEADERS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from wynd_chat.web.assets import Asset, Assets

__all__ = ["page_routes", "upgrade_required", "well_known"]

ASSET_HEADERS = {"cache-control": IMMUTABLE, "x-content-type-options": "nosniff"}


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


def page_routes(assets: Assets) -> list[Route]:
    """Return the page at `/` and its permalinks, the tutorial's at `/basic`, and their files."""

    async def asset(request: Request) -> Response:
        found = assets.find(request.path_params["version"], request.path_params["path"])
        if found is None:
            return PlainTextResponse("There is no such file.\n", status_code=404)
        return _served(request, found, ASSET_HEADERS)

    return [
        Route("/", _page(assets.index)),
        Route("/r/{room}", _permalink),
        Route("/r/{room}/{seq:int}", _permalink),
        Route("/basic", _page(assets.basic)),
        Route("/assets/{version}/{path:path}", asset),
    ]


async def _permalink(request: Request) -> Response:
    """Send the browser to the page, which reads room and message behind the `#`."""
    room, seq = request.path_params["room"], request.path_params.get("seq")
    up, place = ("../", quote(room)) if seq is None else ("../../", f"{quote(room)}/{seq}")
    return RedirectResponse(f"{up}#/{place}", status_code=307)


def _page(page: Asset) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return _served(request, page, PAGE_HEADERS)

    return answer


def _served(request: Request, asset: Asset, headers: Mapping[str, str]) -> Response:
    """Return a file: nothing where the browser has it, compressed where it takes that."""
    fields = {**headers, "etag": asset.etag, "vary": "accept-encoding"}
    if asset.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=fields)
    if asset.gzipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
        fields["content-encoding"] = "gzip"
        return Response(asset.gzipped, media_type=asset.media_type, headers=fields)
    return Response(asset.body, media_type=asset.media_type, headers=fields)
