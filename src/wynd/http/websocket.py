"""`WyndProtocol`: ASGI WebSocket connections of uvicorn on the framing of `crates/wynd-protocol`.

Decides when an application's events come and when its frames leave. The order of a connection:

```text
 HEAD ── valid upgrade ──► ASKED ── accept ──► OPEN ──► CLOSING ──► LOST
   │ refused                 │ close, denial     │ transport lost     ▲
   └─────────────────────────┴───────────────────┴────────────────────┘
```

1. An application has one task. A message costs none: it goes into a queue with one waiter.
2. Frames of one turn of the loop leave in one write. The first leaves at once if no further message
   waits to be answered, so that a lone reply needs no extra turn.
3. Messages that came before the peer's end are received before the disconnect; the peer's close
   frame is answered when they were, or at the close deadline.
4. Reading stops while `ws_max_queue` messages or 256 KiB wait for the application.
5. `send` waits while the transport's buffer is above its high mark, until it is below its low one.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.utils import (
    ClientDisconnected,
    get_client_addr,
    get_local_addr,
    get_path_with_query_string,
    get_remote_addr,
    is_ssl,
)

from wynd._engine import ServerSession
from wynd.http.opening import accepting, denying, head_of, scope_of

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

__all__ = ["WyndProtocol"]

HEAD, ASKED, DENYING, OPEN, CLOSING, LOST = range(6)
PONG_OR_BYTES_OUT, PEER_ENDED, HOLDS_INPUT = 1, 4, 8  # bits of `ServerSession.flags`

CLOSE_TIMEOUT_S = 10.0  # uvicorn's: for the peer's half of the closing handshake
HELD_BYTES_MAX = 256 * 1024  # one read of asyncio; what waits for the application beyond pauses it
EARLY_BYTES_MAX = 64 * 1024  # bytes after the head, before the application accepted


class WyndProtocol(asyncio.BufferedProtocol):
    """One connection; uvicorn makes it from a request that asks for an upgrade.

    `ws_max_size` (bytes after inflating), `ws_max_queue`, `ws_ping_interval`, `ws_ping_timeout` and
    `ws_per_message_deflate` of uvicorn's configuration hold. Compression keeps no context between
    messages, and leaves those below 1 KiB plain.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self.config = config
        self.logger: logging.Logger = logging.getLogger("uvicorn.error")
        self.loop: asyncio.AbstractEventLoop = _loop or asyncio.get_event_loop()
        self.app_state = app_state
        self.server_state = server_state
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)  # until it is made
        self.scope: dict[str, Any] = {}
        self._state = HEAD
        self._session = ServerSession(
            message_bytes_max=config.ws_max_size, messages_max=config.ws_max_queue
        )
        self._accept_key = b""
        self._extensions = ""
        self._buffer = _shared_buffer()
        self._early = bytearray()
        self._denial: dict[str, Any] = {}
        self._denial_body = bytearray()
        # receiving
        self._queue: deque[dict[str, Any]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._disconnect: dict[str, Any] | None = None
        self._queue_max = max(config.ws_max_queue, 1)
        self._held_bytes = 0
        self._is_held = False
        self._ended_by_peer = False
        # sending
        self._may_write_now = False
        self._flush_armed = False
        self._is_choked = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._closed_by_application = False
        # time
        self._is_heard = False
        self._unsent_bytes = 0
        self._keepalive: asyncio.TimerHandle | None = None
        self._deadline: asyncio.TimerHandle | None = None

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self.transport = cast("asyncio.Transport", transport)
        self.server_state.connections.add(self)  # type: ignore[arg-type]  # a union of its own

    def get_buffer(self, sizehint: int) -> bytearray:
        """Return where the transport puts what it reads; it is taken from there at once."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what the transport put into the buffer."""
        if self._state < OPEN:
            self._receive_early(self._buffer[:nbytes])
        else:
            self._received(self._session.receive_from(self._buffer, nbytes), nbytes)

    def data_received(self, data: bytes) -> None:
        """Take what the peer sent before: uvicorn gives the request's head."""
        if self._state < OPEN:
            self._receive_early(data)
        else:
            self._received(self._session.receive(data), len(data))

    def _received(self, messages: list[dict[str, Any]], size: int) -> None:
        self._is_heard = self._may_write_now = True
        if messages and self._state == OPEN:
            self._queue.extend(messages)
            self._held_bytes += max(size, self._session.decoded) if self._extensions else size
            self._wake()
        flags = self._session.flags
        if flags or self._held_bytes > HELD_BYTES_MAX or len(self._queue) >= self._queue_max:
            self._attend(flags)

    def eof_received(self) -> None:
        """Let the transport close: what the peer will not read need not be sent."""

    def pause_writing(self) -> None:
        """Let `send` wait: the transport's buffer is above its high mark."""
        self._is_choked = True
        self._writable.clear()
        self._session.choke(True)

    def resume_writing(self) -> None:
        """Let `send` go on: the transport's buffer is below its low mark."""
        self._is_choked = False
        self._writable.set()
        self._session.choke(False)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """End: the application gets its disconnect, whoever waits in `send` an OSError."""
        self._state = LOST
        self._stop_timers()
        self.server_state.connections.discard(self)
        if self._disconnect is None:
            self._disconnect = _disconnect(1006, "")
        self._is_choked = False
        self._writable.set()
        self._wake()

    # The opening handshake

    def _receive_early(self, data: bytes | bytearray) -> None:
        self._early += data
        if self._state == HEAD:
            end = self._early.find(b"\r\n\r\n") + 4
            if end < 4:
                return  # uvicorn hands over whole heads
            head = bytes(self._early[:end])
            del self._early[:end]
            self._open(head)
        elif len(self._early) > EARLY_BYTES_MAX:
            self._end_transport()

    def _open(self, head: bytes) -> None:
        deflates = self.config.ws_per_message_deflate
        accept_key, self._extensions, refusal = self._session.judge(head, deflates=deflates)
        self._state = ASKED
        if accept_key is None:
            self._state = CLOSING
            self.transport.write(refusal)
            self._end_transport()
            return
        self._accept_key = accept_key
        target, headers = head_of(head)
        self.scope = scope_of(
            target,
            headers,
            root_path=self.config.root_path,
            asgi_version=self.config.asgi_version,
            secure=is_ssl(self.transport),
            client=get_remote_addr(self.transport),
            server=get_local_addr(self.transport),
            state=self.app_state,
        )
        self._queue.append({"type": "websocket.connect"})
        fresh = contextvars.Context() if getattr(self.config, "reset_contextvars", False) else None
        task = self.loop.create_task(self._run(), context=fresh)
        self.server_state.tasks.add(task)
        task.add_done_callback(self.server_state.tasks.discard)

    def _accept(self, message: dict[str, Any]) -> None:
        defaults = self.server_state.default_headers
        offered, key = self.scope["subprotocols"], self._accept_key
        answer = accepting(key, offered, message, defaults, self._extensions)
        self._log("[accepted]")
        self._state = OPEN
        self.transport.write(answer)
        if self.config.ws_ping_interval:
            self._keepalive = self.loop.call_later(self.config.ws_ping_interval, self._ping)
        if self._early:
            early, self._early = bytes(self._early), bytearray()
            self.data_received(early)

    def _deny(self, status: int, headers: Any = (), body: bytes = b"") -> None:
        answer = denying(status, headers, body, self.server_state.default_headers)
        self._log(str(status))
        self._state = CLOSING
        self._closed_by_application = True
        self._disconnect = _disconnect(1006, "")
        self.transport.write(answer)
        self._end_transport()
        self._wake()

    def _log(self, outcome: str) -> None:
        if self.logger.isEnabledFor(logging.INFO):
            path = get_path_with_query_string(cast("Any", self.scope))
            client = get_client_addr(cast("Any", self.scope))
            self.logger.info('%s - "WebSocket %s" %s', client, path, outcome)

    # The application

    async def _run(self) -> None:
        code, reason = 1000, ""
        try:
            result = await self.config.loaded_app(self.scope, self.receive, self.send)
        except ClientDisconnected:
            pass
        except asyncio.CancelledError:
            code = 1012  # the server ends and waits no longer
            raise
        except BaseException:
            self.logger.exception("Exception in ASGI application\n")
            code, reason = 1011, "Internal error."
        else:
            if self._state in (ASKED, DENYING):
                self.logger.error("ASGI callable returned without completing handshake.")
            elif result is not None:
                self.logger.error("ASGI callable should return None, but returned '%s'.", result)
                code, reason = 1011, "Internal error."
        finally:
            self._application_ended(code, reason)

    def _application_ended(self, code: int, reason: str) -> None:
        self._queue.clear()
        if self._state in (ASKED, DENYING):
            self._deny(500, (), b"Internal Server Error")
        elif self._state == OPEN:
            if self._ended_by_peer:
                self._answer_end()
            else:
                self._close(code, reason)
        if self._is_held:  # what comes now is discarded, up to the peer's close frame
            self._refill()

    async def receive(self) -> dict[str, Any]:
        """Return the next event: connect, messages in order, then the disconnect.

        Raises:
            RuntimeError: two tasks wait at a time.
        """
        queue = self._queue
        while not queue:
            self._held_bytes = 0
            if self._is_held and self._refill():
                continue
            if self._disconnect is not None:
                if self._ended_by_peer and self._state == OPEN:
                    self._answer_end()
                return self._disconnect
            if self._waiter is not None and not self._waiter.done():
                raise RuntimeError("two tasks wait in receive() of one connection")
            self._waiter = self.loop.create_future()
            await self._waiter
        return queue.popleft()

    async def send(self, message: dict[str, Any]) -> None:
        """Carry out an event of the application; wait while the peer takes nothing.

        Raises:
            OSError: the connection has ended (ASGI 2.4).
            RuntimeError: an event that does not fit here, such as one after the close.
            TypeError, ValueError: see `ServerSession.send`, `opening.accepting`.
        """
        if self._state == OPEN and not self._is_choked:
            frame = self._session.send(message, self._may_write_now and not self._queue)
            if frame is None:
                if not self._flush_armed:
                    self._flush_armed = True
                    self.loop.call_soon(self._flush_turn)
                return
            if frame is not False:
                self._may_write_now = False
                self.transport.write(frame)
                return
        await self._send_slowly(message)

    async def _send_slowly(self, message: dict[str, Any]) -> None:
        await self._writable.wait()
        kind = message["type"]
        if self._closed_by_application:
            raise RuntimeError(f"Unexpected ASGI message '{kind}', after the connection was closed")
        if self._state >= CLOSING:
            raise ClientDisconnected
        if self._state == OPEN and kind == "websocket.send":
            await self.send(message)
        elif self._state == OPEN and kind == "websocket.close":
            code = message.get("code")
            self._close(1000 if code is None else code, message.get("reason") or "")
            self._closed_by_application = True
        elif self._state == ASKED and kind == "websocket.accept":
            self._accept(message)
        elif self._state == ASKED and kind == "websocket.close":
            self._deny(403)
        elif self._state == ASKED and kind == "websocket.http.response.start":
            self._state, self._denial = DENYING, message
        elif self._state == DENYING and kind == "websocket.http.response.body":
            self._denial_body += message.get("body", b"")
            if not message.get("more_body", False):
                headers = self._denial.get("headers") or ()
                self._deny(self._denial["status"], headers, bytes(self._denial_body))
        else:
            raise RuntimeError(f"Unexpected ASGI message '{kind}'")

    # Turns

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _flush_turn(self) -> None:
        self._flush_armed = False
        self._flush()

    def _flush(self) -> None:
        if self._state == OPEN:
            self._may_write_now = True
            frames = self._session.take()
            if frames:
                self.transport.write(frames)

    def _attend(self, flags: int) -> None:
        """Do what a read left over: answer pings, end, stop reading."""
        if flags & PEER_ENDED and not self._ended_by_peer:
            self._peer_ended()
        if flags & PONG_OR_BYTES_OUT and not self._is_choked and not self._flush_armed:
            self._flush_armed = True
            self.loop.call_soon(self._flush_turn)
        queued, held = len(self._queue), self._held_bytes
        full = queued >= self._queue_max or (queued and held > HELD_BYTES_MAX)
        if (full or flags & HOLDS_INPUT) and not self._is_held and self._state == OPEN:
            self._is_held = True
            self.transport.pause_reading()
        elif flags & HOLDS_INPUT and self._state == CLOSING:
            self._refill()

    def _refill(self) -> bool:
        """Decode what is held, then read on; True if the application has something to receive."""
        while True:
            messages = self._session.receive(b"")
            flags = self._session.flags
            if messages and self._state == OPEN:
                self._queue.extend(messages)
                break
            if not flags & HOLDS_INPUT:
                break
        if flags & (PEER_ENDED | PONG_OR_BYTES_OUT):
            self._attend(flags & ~HOLDS_INPUT)
        if self._is_held and not flags & HOLDS_INPUT:
            self._is_held = False
            if not self.transport.is_closing():
                self.transport.resume_reading()
        return bool(self._queue)

    # The end

    def _peer_ended(self) -> None:
        """Take the peer's close frame, or the rule that it broke."""
        ending = self._session.ending
        assert ending is not None
        code, reason, _ = ending
        self._ended_by_peer = True
        if self._state == CLOSING:  # the closing handshake that we began is complete
            self._disconnect = self._disconnect or _disconnect(code, reason)
            self._end_transport()
        elif self._state == OPEN:
            self._disconnect = _disconnect(code, reason)
            self._stop_timers()
            if self._queue:
                self._deadline = self.loop.call_later(CLOSE_TIMEOUT_S, self._answer_end)
            else:
                self._answer_end()
        self._wake()

    def _answer_end(self) -> None:
        if self._state != OPEN:
            return
        self._state = CLOSING
        ending = self._session.ending
        self.transport.write(self._session.answer_end())
        if ending is not None and not ending[2] and self.transport.can_write_eof():
            # What the peer still sends is read and dropped: a reset would destroy the close code.
            self.transport.write_eof()
            self._set_deadline()
        else:
            self._end_transport()

    def _close(self, code: int, reason: str) -> None:
        """Send our close frame; the peer has the close timeout for its own."""
        last = self._session.close(code, reason)
        self._state = CLOSING
        self.transport.write(last)
        if self._ended_by_peer:
            self._end_transport()
        else:
            self._set_deadline()

    def shutdown(self) -> None:
        """End because the server does: 1012, or 500 before the handshake is complete."""
        if self._state in (ASKED, DENYING):
            self._deny(500, (), b"Internal Server Error")
        elif self._state == OPEN:
            self._disconnect = self._disconnect or _disconnect(1012, "")
            self._close(1012, "")
            self._wake()
        elif self._state == HEAD:
            self.transport.close()

    def _set_deadline(self) -> None:
        self._stop_timers()
        self._deadline = self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)

    def _end_transport(self) -> None:
        """Close when all is written, at the latest when the close timeout is over."""
        self._set_deadline()
        self.transport.close()

    def _stop_timers(self) -> None:
        for timer in (self._keepalive, self._deadline):
            if timer is not None:
                timer.cancel()
        self._keepalive = self._deadline = None

    # The keepalive

    def _ping(self) -> None:
        """Ask for a sign of life; any byte is one, and so is a byte that the peer takes."""
        self._is_heard = False
        self._unsent_bytes = self.transport.get_write_buffer_size()
        if not self._is_choked:
            self._session.ping(b"")
            self._flush()
        timeout = self.config.ws_ping_timeout
        if timeout:
            self._keepalive = self.loop.call_later(timeout, self._judge_silence)
        else:
            self._rest(0.0)

    def _judge_silence(self) -> None:
        takes = self.transport.get_write_buffer_size() < self._unsent_bytes
        if self._is_heard or self._is_held or takes:
            self._rest(self.config.ws_ping_timeout or 0.0)
            return
        self._disconnect = _disconnect(1006, "")
        self._state = CLOSING
        self.transport.write(self._session.close(1011, "keepalive ping timeout"))
        self._end_transport()
        self._wake()

    def _rest(self, already_s: float) -> None:
        interval = self.config.ws_ping_interval or 0.0
        self._keepalive = self.loop.call_later(max(interval - already_s, 0.0), self._ping)


_of_thread = threading.local()


def _shared_buffer() -> bytearray:
    """Return this thread's read buffer. A buffer per read costs asyncio more than the read."""
    buffer: bytearray | None = getattr(_of_thread, "buffer", None)
    if buffer is None:
        buffer = _of_thread.buffer = bytearray(HELD_BYTES_MAX)
    return buffer


def _disconnect(code: int, reason: str) -> dict[str, Any]:
    return {"type": "websocket.disconnect", "code": code, "reason": reason}
