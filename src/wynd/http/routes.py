"""Where a `Wynd` stands among an application's routes.

An upgrade on a mounted path goes to the `Wynd`, before any other route is asked. Everything else
goes to the routes; where none takes it, a request on a mounted path gets 426.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Match, Mount, WebSocketRoute

from wynd.engines.asgi import require_upgrade
from wynd.http.hosts import Mounted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from wynd.app import Wynd

__all__ = ["UpgradeRequired", "WyndRoute", "middleware_for_upgrades", "mounts_of", "wynd_of"]


_HTTP_ONLY = (CORSMiddleware, GZipMiddleware)
"""Middleware that lets every `websocket` scope through as it is."""


class WyndRoute(WebSocketRoute):
    """A mounted `Wynd`; takes WebSocket connections of exactly its path."""

    def __init__(self, path: str, handler: Any) -> None:
        super().__init__(path, _Endpoint(handler), name=None)
        self.wynd: Wynd = wynd_of(handler)
        self.handler = handler

    def is_path_of(self, scope: Scope) -> bool:
        """Return whether a request names this path."""
        return self.matches({**scope, "type": "websocket"})[0] is Match.FULL


class _Endpoint:
    """An object and no function, so that Starlette takes it as the ASGI application it is."""

    def __init__(self, handler: ASGIApp) -> None:
        self._handler = handler
        self.__name__ = "wynd"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._handler(scope, receive, send)


class UpgradeRequired:
    """The last of the routes: 426 on a mounted path, else what the router would have said."""

    def __init__(self, mounted: Sequence[WyndRoute], otherwise: ASGIApp) -> None:
        self._mounted = mounted
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and any(route.is_path_of(scope) for route in self._mounted):
            await require_upgrade(scope, send)
            return
        await self._otherwise(scope, receive, send)


def middleware_for_upgrades(app: Any) -> list[str]:
    """Return names of an application's middleware that might act on a `websocket` scope."""
    middleware = [one.cls for one in getattr(app, "user_middleware", ())]
    return [
        getattr(one, "__name__", repr(one))
        for one in middleware
        if one not in _HTTP_ONLY and not _is_http_only(one)
    ]


def _is_http_only(middleware: Any) -> bool:
    return isinstance(middleware, type) and issubclass(middleware, BaseHTTPMiddleware)


def mounts_of(app: Any) -> list[Mounted]:
    """Return the Wynds a native host may serve itself: the application, or its sub-mounts.

    A Starlette or FastAPI application with middleware of its own keeps its mounts to itself, since
    an upgrade that the engine takes passes no middleware; so does one that wraps another.
    """
    if getattr(app, "wynd", None) is not None:
        return [Mounted("/{path:path}", app.wynd)]
    if middleware_for_upgrades(app):
        return []
    return [
        Mounted(f"{route.path}/{{path:path}}", route.app.wynd)  # type: ignore[attr-defined]
        for route in getattr(app, "routes", ())
        if isinstance(route, Mount) and getattr(route.app, "wynd", None) is not None
    ]


def wynd_of(handler: Any) -> Wynd:
    """Return the `Wynd` behind what `wynd.handler()` returned.

    Raises:
        TypeError: it is something else.
    """
    found = getattr(handler, "wynd", None)
    if found is None:
        raise TypeError(f"use_wynd takes a path and wynd.handler(), not {handler!r}")
    return found  # type: ignore[no-any-return]
