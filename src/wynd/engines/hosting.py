"""Runs uvicorn inside the process for one listener of the portable engine.

The only module that imports uvicorn, and only when a listener opens. Of uvicorn it uses `Config`,
`Server` (`serve`, `startup`, its set of connections, their transports) and `WSProtocol`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from wynd.codes import sentence_of
from wynd.engines.sockets import close_sockets, path_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from wynd.limits import Limits

__all__ = ["Host"]

# uvicorn counts a message while it arrives and answers with a sentence of its own. This much more
# lets the engine see a message just over the limit and close with the library's sentence.
MESSAGE_MARGIN_BYTES = 64 * 1024

# Turns of the loop from asyncio's accept to the protocol being in uvicorn's set (it needs three):
# a connection accepted just before the listener closed is ended too.
ACCEPT_TURNS = 5
TASKS_TIMEOUT_S = 1.0  # a task that ignores the end of its connection is cancelled

Application = Callable[..., Coroutine[Any, Any, None]]


class Host:
    """One uvicorn server on sockets that are open already."""

    def __init__(
        self,
        application: Application,
        sockets: list[socket.socket],
        limits: Limits,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._sockets = sockets
        self._paths = [path for path in map(path_of, sockets) if path is not None]
        self._serving: asyncio.Task[None] | None = None
        for sock in sockets:
            _set_user_timeout(sock, limits.outbox_stall_s)
        self._server = _server_class()(_config(application, limits, context))

    async def start(self) -> None:
        """Begin to accept.

        Raises:
            OSError: the sockets could not be used; nothing is left open then.
        """
        serve = self._server.serve(sockets=self._sockets)
        self._serving = asyncio.get_running_loop().create_task(serve, name="wynd-uvicorn")
        up = asyncio.ensure_future(self._server.up.wait())
        try:
            await asyncio.wait({self._serving, up}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            up.cancel()
            await asyncio.gather(up, return_exceptions=True)
        if self._serving.done():
            self.stop_listening()
            await self._serving  # raises what went wrong
            raise OSError("uvicorn ended at its start")

    def stop_listening(self) -> None:
        """Close the listening sockets; connections go on."""
        for server in getattr(self._server, "servers", ()):
            server.close()  # first: asyncio must forget a descriptor before it is closed
        close_sockets(self._sockets)
        for path in self._paths:
            path.unlink()

    async def stop(self) -> None:
        """End everything at once: listeners, connections, tasks."""
        self.stop_listening()
        for _ in range(ACCEPT_TURNS):
            await asyncio.sleep(0)
        state = self._server.server_state
        for protocol in tuple(state.connections):
            transport = getattr(protocol, "transport", None)
            if transport is not None:
                transport.abort()
        tasks = set(state.tasks)
        if tasks:  # they end by themselves, as their connections are gone
            await asyncio.wait(tasks, timeout=TASKS_TIMEOUT_S)
        if self._serving is not None:
            tasks.add(self._serving)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _config(application: Application, limits: Limits, context: ssl.SSLContext | None = None) -> Any:
    import uvicorn

    config = uvicorn.Config(
        application,
        http="h11",  # the one that bounds the head
        h11_max_incomplete_event_size=limits.head_bytes_max,
        ws=_protocol_class(),
        ws_max_size=limits.message_bytes_max + MESSAGE_MARGIN_BYTES,
        ws_ping_interval=limits.ping_interval_s,
        ws_ping_timeout=limits.ping_timeout_s,
        ws_per_message_deflate=False,  # it inflates a whole frame before it looks at ws_max_size
        lifespan="off",
        log_config=None,
        log_level="warning",  # at INFO it logs paths with their query, where tokens travel
        access_log=False,
        proxy_headers=False,  # a forwarded address counts only from a proxy that was named
        server_header=False,
    )
    config.load()
    config.ssl = context  # made from the files already, with errors that name them
    return config


def _protocol_class() -> Any:
    from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

    class Protocol(WSProtocol):
        """uvicorn's WebSocket protocol, exact about the end of a connection.

        uvicorn reports a disconnect as soon as the application's close frame is sent; here it
        comes when the transport ended, with what the peer answered. For broken framing wsproto
        makes an event like that of a close frame, and uvicorn takes it for one and ends without a
        word; here the peer is told the code.
        """

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._lost = self.loop.create_future()
            self._is_closed_by_application = False
            self._answer: tuple[int, str | None] | None = None

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if not self._lost.done():
                self._lost.set_result(None)

        def handle_close(self, event: Any) -> None:
            if self.close_sent:
                self._answer = (event.code, event.reason)
            elif self.conn.state.name == "OPEN":  # no close frame came: the peer broke the rules
                self.close_sent = True
                self.queue.put_nowait({"type": "websocket.disconnect", "code": 1006})
                answer = type(event)(code=event.code, reason=sentence_of(event.code))
                self.transport.write(self.conn.send(answer))
                self.transport.close()
                return
            super().handle_close(event)

        async def send(self, message: Any) -> None:
            await super().send(message)
            if message["type"] == "websocket.close":
                self._is_closed_by_application = True

        async def receive(self) -> Any:
            event = await super().receive()
            if event["type"] != "websocket.disconnect" or not self._is_closed_by_application:
                return event
            await self._lost
            code, reason = self._answer or (1006, "")
            return {"type": "websocket.disconnect", "code": code, "reason": reason or ""}

    return Protocol


def _server_class() -> Any:
    import uvicorn

    class Server(uvicorn.Server):
        """A server that leaves signals alone and says when it is up."""

        def __init__(self, config: uvicorn.Config) -> None:
            super().__init__(config)
            self.up = asyncio.Event()

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            self.up.set()

    return Server


def _set_user_timeout(sock: socket.socket, seconds: float) -> None:
    """Let the kernel drop peers that take no data for so long; accepted sockets inherit it."""
    if hasattr(socket, "TCP_USER_TIMEOUT") and sock.family != getattr(socket, "AF_UNIX", None):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))
