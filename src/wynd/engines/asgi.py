"""`PortableEngine`: the library on any ASGI server, which does the framing.

Decides how connections come: scopes, handshakes, refusals, and reading from the host. `peers` has
what happens while they are open, `hosting` runs uvicorn for `listen`.

What ASGI cannot express: pings (`ping` answers False), the bytes the host itself buffers, the
limits named in `_OPEN_LIMITS`, and what the peer answered to our close frame (`hosting` knows it).
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import TYPE_CHECKING, Any

from wynd.engines.certificates import replace_certificates, server_context
from wynd.engines.hosting import Host
from wynd.engines.peer import Peer, State
from wynd.engines.peers import RETRY_AFTER_S, PeerEngine
from wynd.engines.sockets import address_of, open_sockets
from wynd.errors import HandlerError
from wynd.request import Accept, Request, Response

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, MutableMapping, Sequence

    from wynd.compression import Compression
    from wynd.engines.base import Address, ListenerOptions, Sink
    from wynd.engines.hosting import Application
    from wynd.engines.peer import Event, Send
    from wynd.limits import Limits
    from wynd.request import Origins
    from wynd.tls import Tls

    Receive = Callable[[], Awaitable[Event]]

__all__ = ["PortableEngine", "answer_lifespan", "require_upgrade"]

log: logging.Logger = logging.getLogger("wynd")

_OPEN_LIMITS = (
    "handshake_timeout_s before the head is complete",
    "head_fields_max",
    "message_fragments_max",
    "pong_bytes_max",
    "early_bytes_max",
    "descriptors_reserved",
    "connections_max=None",
    "and, unless listen() runs it: head_bytes_max, ping_interval_s, ping_timeout_s",
)
# The same sentences as the native engine's, in crates/wynd-protocol/src/response.rs.
_BODIES = {
    403: "This Origin is not allowed.\n",
    426: "This address speaks WebSocket only.\n",
    429: "Too many connections from this address.\n",
    500: "Internal error.\n",
    503: "The server is busy.\n",
}
_TOO_LATE = "The server did not answer in time.\n"


class PortableEngine(PeerEngine):
    """The engine for hosts: `application` is the ASGI application, `listen` runs uvicorn."""

    name = "portable"

    def __init__(
        self,
        limits: Limits,
        origins: Origins,
        subprotocols: Sequence[str],
        compression: Compression | None = None,
    ) -> None:
        super().__init__(limits, origins, subprotocols, compression)
        self._keys = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Accept | Response]] = {}
        self._hosts: dict[int, Host] = {}
        self._contexts: dict[int, tuple[ssl.SSLContext, Tls]] = {}  # of listeners with TLS

    # Start, listen, stop

    def start(self, loop: asyncio.AbstractEventLoop, sink: Sink) -> None:
        """See `Engine.start`."""
        super().start(loop, sink)
        log.info("portable engine: the host server bounds %s", "; ".join(_OPEN_LIMITS))
        if self.compression is not None:
            log.info(
                "portable engine: the host server decides about compression; listen() declines it"
            )

    async def listen(self, listener: int, options: ListenerOptions) -> tuple[Address, ...]:
        """See `Engine.listen`."""
        context = None if options.tls is None else server_context(options.tls)
        sockets = await open_sockets(options)
        addresses = tuple(address_of(sock) for sock in sockets)
        application = self._application_of(listener, options.asks)
        host = Host(application, sockets, self.limits, context)
        await host.start()
        self._hosts[listener] = host
        if context is not None and options.tls is not None:
            self._contexts[listener] = (context, options.tls)
        return addresses

    def reload_certificates(self) -> None:
        """See `Engine.reload_certificates`."""
        contexts = tuple(self._contexts.values())
        for _, tls in contexts:
            server_context(tls)  # all of them, before the first is replaced
        for context, tls in contexts:
            replace_certificates(context, tls)

    def _application_of(self, listener: int, asks: bool) -> Application:
        async def application(
            scope: MutableMapping[str, Any], receive: Receive, send: Send
        ) -> None:
            await self.application(scope, receive, send, listener=listener, asks=asks)

        return application

    async def stop_listening(self, listener: int) -> None:
        """See `Engine.stop_listening`."""
        self._contexts.pop(listener, None)
        host = self._hosts.get(listener)
        if host is not None:
            host.stop_listening()

    async def stop(self) -> None:
        """See `Engine.stop`."""
        self._stopped = True
        for host in self._hosts.values():
            host.stop_listening()
        for key in tuple(self._answers):
            self.respond(key, _refusal(503))
        for peer in tuple(self._peers.values()):
            if peer.state is not State.REQUESTED:  # those get their 503 first
                self._end_after(peer, 0.0)
        try:
            async with asyncio.timeout(self.limits.close_timeout_s):
                while self._peers:
                    self._emptied = self._loop.create_future()
                    await self._emptied
        except TimeoutError:  # a host that does not give its task back
            for peer in tuple(self._peers.values()):
                self._finish(peer, 1006, "")
                self._deliver(peer)
        for host in self._hosts.values():
            await host.stop()
        self._hosts.clear()
        if self._sweeping is not None:
            self._sweeping.cancel()

    # The ASGI application

    async def application(
        self,
        scope: MutableMapping[str, Any],
        receive: Receive,
        send: Send,
        *,
        listener: int = 0,
        asks: bool = False,
    ) -> None:
        """Serve one ASGI scope: a WebSocket, a plain request, or the lifespan.

        Args:
            scope, receive, send: as in the ASGI specification, version 3.
            listener: what `Sink.requested` is told; 0 for an application a host mounted.
            asks: whether `Sink.requested` decides about each request.
        """
        kind = scope["type"]
        if kind == "lifespan":
            await answer_lifespan(receive, send)
        elif kind == "websocket":
            await self._serve_websocket(scope, receive, send, listener if asks else None)
        elif kind == "http":
            await self._serve_http(scope, send, listener if asks else None)
        else:
            raise ValueError(f"ASGI scope of type {kind!r} is not known here")

    async def _serve_http(
        self, scope: MutableMapping[str, Any], send: Send, asked: int | None
    ) -> None:
        self._counted["accepted"] += 1
        answer: Accept | Response | None = None
        if asked is not None:
            key = next(self._keys)
            try:
                async with asyncio.timeout(self.limits.handshake_timeout_s):
                    answer = await self._ask(key, asked, Request.from_scope(scope))
            except TimeoutError:
                self._hits["handshake_timeout_s"] += 1
                self._sink.handshake_lost(key)
                answer = _refusal(503, _TOO_LATE)
        response = answer if isinstance(answer, Response) else _refusal(426)
        await self._respond_http(scope, send, response, "http.response")

    async def _ask(self, key: int, listener: int, request: Request) -> Accept | Response:
        answer: asyncio.Future[Accept | Response] = self._loop.create_future()
        self._answers[key] = answer
        try:
            self._sink.requested(key, listener, request)
            return await answer
        finally:
            del self._answers[key]

    def accept(self, key: int, accept: Accept) -> None:
        """See `Engine.accept`."""
        self._answer(key, accept)

    def respond(self, key: int, response: Response) -> None:
        """See `Engine.respond`."""
        self._answer(key, response)

    def _answer(self, key: int, answer: Accept | Response) -> None:
        waiting = self._answers.get(key)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    async def _deny(self, scope: MutableMapping[str, Any], send: Send, response: Response) -> None:
        if "websocket.http.response" in (scope.get("extensions") or {}):
            await self._respond_http(scope, send, response, "websocket.http.response")
        else:  # ASGI: closing before the accept is answered 403 by the host
            self._refused[403] += 1
            await send({"type": "websocket.close", "code": 1008, "reason": ""})

    async def _respond_http(
        self, scope: MutableMapping[str, Any], send: Send, response: Response, kind: str
    ) -> None:
        self._refused[response.status] += 1
        await _send_response(scope, send, response, kind)

    # Opening

    async def _serve_websocket(
        self, scope: MutableMapping[str, Any], receive: Receive, send: Send, asked: int | None
    ) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        self._counted["accepted"] += 1
        request = Request.from_scope(scope)
        status = self._judge(request)
        if status is not None:
            await self._deny(scope, send, _refusal(status))
            return
        peer = Peer(next(self._keys), request, send, self._ledger)
        self._peers[peer.key] = peer
        self._admission.enter(request.client)
        received, reason = 1006, ""
        try:
            async with asyncio.timeout(self.limits.handshake_timeout_s) as peer.deadline:
                if await self._shake_hands(peer, scope, receive, asked):
                    received, reason = await self._read(peer, receive)
        except TimeoutError:
            if peer.state is State.REQUESTED and not self._stopped:
                self._hits["handshake_timeout_s"] += 1
                self._sink.handshake_lost(peer.key)
                await self._deny(scope, send, _refusal(503, _TOO_LATE))
        except OSError:  # ASGI: the host's `send` says so that the peer is gone
            log.debug("connection key %d: lost in the handshake", peer.key)
        finally:
            self._finish(peer, received, reason)
            await _end_tasks(peer.writer, peer.early)

    def _judge(self, request: Request) -> int | None:
        """Return the status an upgrade is refused with before anybody is asked."""
        if self._stopped:
            return 503
        is_one = len(request.headers.getlist("origin")) <= 1  # RFC 6454 §7.3: not more than one
        if not is_one or not self.origins.allows(request.origin, request.host, request.secure):
            return 403
        held = self._ledger.held_bytes
        return self._admission.judge(request.client, held, self._loop.time())

    async def _shake_hands(
        self, peer: Peer, scope: MutableMapping[str, Any], receive: Receive, asked: int | None
    ) -> bool:
        """Answer the upgrade; True if the connection is open."""
        answer: Accept | Response | None = Accept()
        if asked is not None:
            answer = await self._ask_or_lose(peer, receive, asked)
        if answer is None:
            self._sink.handshake_lost(peer.key)
            return False
        if isinstance(answer, Response):
            await self._deny(scope, peer.send, answer)
            return False
        offered = peer.request.subprotocols
        chosen = answer.subprotocol
        if chosen is None:
            chosen = next((name for name in offered if name in self.subprotocols), None)
        elif chosen not in offered:
            wrong = ValueError(f"subprotocol {chosen!r} was not offered by the client")
            self._sink.failed(HandlerError(wrong))
            await self._deny(scope, peer.send, _refusal(500))
            return False
        headers = [
            (name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers
        ]
        await peer.send({"type": "websocket.accept", "subprotocol": chosen, "headers": headers})
        self._open(peer, chosen)
        return True

    async def _ask_or_lose(
        self, peer: Peer, receive: Receive, listener: int
    ) -> Accept | Response | None:
        """Wait for the answer, or None if the peer leaves first."""
        answer = self._loop.create_task(self._ask(peer.key, listener, peer.request))
        await asyncio.sleep(0)
        if not answer.done():
            peer.early = self._loop.create_task(_event(receive))
        try:
            if peer.early is not None:
                await asyncio.wait({answer, peer.early}, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            return None
        finally:
            await _end_tasks(answer)

    # Receiving

    async def _read(self, peer: Peer, receive: Receive) -> tuple[int, str]:
        """Read until the host says that the connection ended; return code and reason."""
        task = asyncio.current_task()
        assert task is not None  # an application runs in a task
        while True:
            while peer.state is State.OPEN and self._is_full(peer):
                peer.reader_waits = self._loop.create_future()
                await peer.reader_waits
            if peer.early is not None:
                event = await peer.early
                peer.early = None
            else:
                peer.receiver = task
                try:
                    event = await receive()
                except asyncio.CancelledError:
                    if not peer.yields or peer.writer is None or task.uncancel():
                        raise
                    peer.yields = False
                    await asyncio.wait({peer.writer})  # no longer than `peer.deadline`
                    continue
                finally:
                    peer.receiver = None
            if event["type"] == "websocket.disconnect":
                return _close_of(event, peer.sent)
            message = event.get("text")
            if message is None:
                message = event.get("bytes")
            if message is None or peer.state is not State.OPEN or peer.failure is not None:
                continue  # after our close frame, input is discarded
            if not isinstance(message, str):
                message = bytes(message)
            self._take(peer, message)


def _close_of(event: Event, sent: int | None) -> tuple[int, str]:
    """Return code and reason of a disconnect, after a close frame of ours with code `sent`.

    Hosts differ: after our close frame most report its code, 1000 or 1005, whatever the peer
    answered. Before one, ASGI says 1005 for a close frame without a code and for none at all;
    where no frame came, hosts leave out the reason.
    """
    code = event.get("code")
    reason = event.get("reason") or ""
    if sent is not None:
        return (sent if code in (None, 1000, 1005) else int(code)), reason
    if code is None or (code == 1005 and "reason" not in event):
        code = 1006
    return int(code), reason


def _refusal(status: int, body: str = "") -> Response:
    headers = {}
    if status in (429, 503):
        headers["Retry-After"] = str(RETRY_AFTER_S)
    elif status == 426:
        headers["Upgrade"] = "websocket"
    return Response(body or _BODIES[status], status, headers)


async def _event(receive: Receive) -> Event:
    return await receive()


async def _end_tasks(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel tasks of ours and wait for them."""
    live = [task for task in tasks if task is not None]
    for task in live:
        task.cancel()
    if live:
        await asyncio.gather(*live, return_exceptions=True)


async def answer_lifespan(
    receive: Receive, send: Send, stop: Callable[[], Awaitable[None]] | None = None
) -> None:
    """Speak the lifespan protocol; `stop` is run at the shut-down."""
    while True:
        kind = (await receive())["type"]
        if kind == "lifespan.shutdown" and stop is not None:
            await stop()
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def require_upgrade(scope: MutableMapping[str, Any], send: Send) -> None:
    """Answer a plain request with 426 (RFC 9110 §15.5.22)."""
    await _send_response(scope, send, _refusal(426), "http.response")


async def _send_response(
    scope: MutableMapping[str, Any], send: Send, response: Response, kind: str
) -> None:
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in response.headers]
    headers.append((b"content-length", b"%d" % len(response.body)))
    if scope.get("http_version", "1.1").startswith("1"):
        headers.append((b"connection", b"close"))
    await send({"type": f"{kind}.start", "status": response.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": response.body, "more_body": False})
