"""`Listeners`: the ports: page, API and WebSocket on one, plain text on another.

Decides what stands at which path, and the order of the end. The library carries both.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from wynd.http import App
from wynd_chat.gateway.pages import page_routes, upgrade_required, well_known
from wynd_chat.gateway.rest import make_api
from wynd_chat.gateway.rest.problems import not_found

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from starlette.requests import Request

    from wynd import Request as Upgrade
    from wynd_chat.gateway.calls import Router
    from wynd_chat.gateway.doorman import Doorman
    from wynd_chat.gateway.forms import Forms
    from wynd_chat.gateway.hub import Hub
    from wynd_chat.gateway.operations import Operations
    from wynd_chat.gateway.sockets import Sockets
    from wynd_chat.web.assets import Assets

__all__ = ["Listeners"]

log = logging.getLogger("wynd_chat.gateway")

DRAIN_S = 25.0  # of the 30 s that the whole stop may take (chat.md 11.7)


class Listeners:
    """Both listeners of one chat.

    Args:
        hosts: Addresses to bind.
        port: Of page, API and WebSocket.
        plain_port: Of the plain-text face, or None.
        trusted_proxies: Whose forwarded addresses count.
        version: Of this program.
        router: Runs what comes over HTTP.
        doorman: Knows who somebody is.
        sockets: The WebSocket handlers.
        hub: Is told what listens.
        operations: Health and metrics.
        metrics_endpoint: `(host, port)` of a listener of their own, or None.
        assets: The page's files.
        forms: The pages that need no script.
        base_url: Where a request reached the server.
        origins: Pages of other sites that may write with a cookie; those of the sockets.
        inherited: Sockets that listen already, instead of the port and of the plain port.
    """

    def __init__(
        self,
        *,
        hosts: tuple[str, ...],
        port: int,
        plain_port: int | None,
        trusted_proxies: tuple[str, ...],
        version: str,
        router: Router,
        doorman: Doorman,
        sockets: Sockets,
        hub: Hub,
        operations: Operations,
        metrics_endpoint: tuple[str, int] | None,
        assets: Assets,
        forms: Forms,
        base_url: Callable[[Request | Upgrade], str],
        origins: str | Sequence[str] = "same-host",
        inherited: Sequence[socket.socket] = (),
    ) -> None:
        self._hosts = hosts
        self._port = port
        self._plain_port = plain_port
        self._inherited = inherited
        self._trusted_proxies = trusted_proxies
        self._sockets = sockets
        self._hub = hub
        self._stack = AsyncExitStack()
        self._metrics_endpoint = metrics_endpoint
        self._metrics_app = App(routes=operations.private_routes())
        self._app = App(
            routes=[
                Route("/ws", upgrade_required),
                well_known(base_url),
                *operations.public_routes(),
                *page_routes(assets),
                *forms.routes(),
            ]
        )
        self._app.use_wynd("/ws", sockets.main.handler())
        self._app.use_wynd("/", sockets.main.handler())
        self._app.add_exception_handler(404, not_found)
        self._app.mount(
            "/",
            make_api(router, doorman, version=version, base_url=base_url, origins=origins),
        )

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Where page, API and WebSocket are, `(host, port)` each."""
        return tuple(one for one in self._app.addresses if not isinstance(one, str))

    @property
    def metrics_addresses(self) -> tuple[tuple[str, int], ...]:
        """Where health and metrics have a listener of their own."""
        return tuple(one for one in self._metrics_app.addresses if not isinstance(one, str))

    @property
    def plain_addresses(self) -> tuple[tuple[str, int], ...]:
        """Where the plain-text face is."""
        return tuple(one for one in self._sockets.plain.addresses if not isinstance(one, str))

    async def open(self) -> None:
        """Listen on both ports.

        Raises:
            OSError: one is in use; then none is open.
        """
        has_plain = self._plain_port is not None or len(self._inherited) > 1
        try:
            await self._stack.enter_async_context(
                self._app.serving(
                    **self._place(0, self._port),
                    trusted_proxies=",".join(self._trusted_proxies),
                    drain_s=DRAIN_S,
                )
            )
            self._hub.listening(self._sockets.main)
            if has_plain:
                await self._stack.enter_async_context(
                    self._sockets.plain.serving(**self._place(1, self._plain_port))
                )
                self._hub.listening(self._sockets.plain)
            if self._metrics_endpoint is not None:
                at, port = self._metrics_endpoint
                await self._stack.enter_async_context(self._metrics_app.serving(port, host=at))
        except BaseException:
            await self._stack.aclose()
            raise

    def _place(self, index: int, port: int | None) -> dict[str, Any]:
        """Return where to listen, as the library takes it: a socket that is there, or a port."""
        if index < len(self._inherited):
            return {"sock": self._inherited[index]}
        return {"port": port, "host": list(self._hosts)}

    async def close(self, code: int) -> None:
        """Stop in order: no new connections, answers that have begun, close frames, the rest."""
        await asyncio.gather(self._app.stop(code), self._sockets.plain.stop(code, drain=DRAIN_S))
        await self._stack.aclose()
