"""uvicorn's HTTP protocols on the engine's connections: the one file that knows how they are made.

Of uvicorn it uses `Config` (application, protocol classes, lifespan, log and proxy settings),
`ServerState`, and of its protocols the constructor, `shutdown()`, `timeout_keep_alive` and the
moment `on_response_complete()`. tests/contracts/test_uvicorn.py holds uvicorn to that.
"""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from uvicorn import Config
from uvicorn.server import ServerState

from wynd.http.hosts import StartFailed
from wynd.http.uvicorn import WyndProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wynd.http.transport import EngineTransport

__all__ = ["HttpServer", "http_config"]

NEVER_S = 1e7
"""The engine watches idle connections, so uvicorn's own timers must not fire: four months."""

TICK_S = 1.0  # the `Date` field has seconds


def http_config(
    app: Any,
    *,
    trusted_proxies: Sequence[str] = (),
    root_path: str = "",
    access_log: bool = True,
    **options: Any,
) -> Config:
    """Return uvicorn's settings for an application on the native engine.

    Args:
        app: an ASGI 3 application.
        trusted_proxies: addresses and networks whose `X-Forwarded-*` fields count; nobody's do
            by default.
        root_path: the part of the path that a proxy in front takes away.
        access_log: whether each answer is logged, by the logger "uvicorn.access".
        options: further arguments of `uvicorn.Config`; those about sockets have no effect. By
            default `ws` is `WyndProtocol` and `ws_per_message_deflate` is off.
    """
    defaults: dict[str, Any] = {
        "log_config": None,
        "server_header": False,
        "ws": WyndProtocol,
        "ws_per_message_deflate": False,
    }
    return Config(
        app,
        root_path=root_path,
        access_log=access_log,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        **(defaults | options),
    )


class HttpServer:
    """One application: its lifespan, its protocols, and what they share.

    Args:
        config: see `http_config`; `app` may be changed until `start`.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.state: ServerState = ServerState()
        self._lifespan: Any = None
        self._make: Callable[..., asyncio.Protocol] | None = None
        self._tick: asyncio.TimerHandle | None = None

    async def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Load the application and run its start-up.

        Raises:
            StartFailed: the application's start-up failed; uvicorn logged why.
        """
        if not self.config.loaded:
            self.config.load()
        self._make = _answering(self.config.http_protocol_class)
        self._lifespan = self.config.lifespan_class(self.config)
        await self._lifespan.startup()
        if self._lifespan.should_exit:
            raise StartFailed("the application's start-up failed")
        self._set_date(loop)

    def _set_date(self, loop: asyncio.AbstractEventLoop) -> None:
        date = [(b"date", formatdate(time.time(), usegmt=True).encode())]
        own = date if self.config.date_header else []
        self.state.default_headers = own + self.config.encoded_headers
        self._tick = loop.call_later(TICK_S, self._set_date, loop)

    def serve(self, transport: EngineTransport, loop: asyncio.AbstractEventLoop) -> None:
        """Give a new connection its protocol."""
        if self._make is None:
            raise RuntimeError("the application was not started")
        protocol = self._make(
            config=self.config,
            server_state=self.state,
            app_state=self._lifespan.state,
            _loop=loop,
        )
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    def finish(self) -> None:
        """End idle connections, and the others after their present answer."""
        for protocol in list(self.state.connections):
            protocol.shutdown()

    async def end_tasks(self, deadline: float, loop: asyncio.AbstractEventLoop) -> None:
        """Wait for requests that still run, then cancel them; `deadline` is a time of `loop`."""
        tasks = set(self.state.tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=max(0.0, deadline - loop.time()))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def stop(self) -> None:
        """Run the application's shut-down; once, and only after its start-up."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        lifespan, self._lifespan = self._lifespan, None
        if lifespan is not None:
            await lifespan.shutdown()


def _answering(base: Any) -> Any:
    """Return uvicorn's protocol class with what the engine has to know."""

    class Protocol(base):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.timeout_keep_alive = NEVER_S

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self.transport.response_done()

    return Protocol
