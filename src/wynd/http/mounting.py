"""Where a `Wynd` stands among an application's routes.

An upgrade on a mounted path goes to the `Wynd`, before any other route is asked. Everything else
goes to the routes; where none takes it, a request on a mounted path gets 426.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import PlainTextResponse
from starlette.routing import Match, WebSocketRoute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from wynd.app import Wynd

__all__ = ["UpgradeRequired", "WyndRoute", "wynd_of"]


class WyndRoute(WebSocketRoute):
    """A mounted `Wynd`; takes WebSocket connections of exactly its path."""

    def __init__(self, path: str, handler: Any) -> None:
        super().__init__(path, _Endpoint(handler), name=None)
        self.wynd = wynd_of(handler)
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
            answer = PlainTextResponse(
                "This address speaks WebSocket only.\n", 426, {"Upgrade": "websocket"}
            )
            await answer(scope, receive, send)
            return
        await self._otherwise(scope, receive, send)


def wynd_of(handler: Any) -> Wynd:
    """Return the `Wynd` behind what `wynd.handler()` returned.

    Raises:
        TypeError: it is something else.
    """
    found = getattr(handler, "wynd", None)
    if found is None:
        raise TypeError(f"use_wynd takes a path and wynd.handler(), not {handler!r}")
    return found  # type: ignore[no-any-return]
