"""The public test kit: your application and in-memory clients, no port, no network.

    async with serve(app) as server:
        client = await server.connect("/chat")
        await client.send_text("hello")
        assert await client.receive_text() == "Echo: hello"

On the native engine a client is one end of a socket pair and speaks RFC 6455 through the client
role of our protocol crate; on the portable engine it is the `receive` and `send` of ASGI. Every
receive has a timeout. `client.pause_reading()` makes it a slow reader; `server.clock` is a
`FakeClock` if asked for, so that keepalive and close deadlines take no real time.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import socket
from abc import ABC, abstractmethod
from collections import deque
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from wynd.codes import check_close
from wynd.errors import ConnectionClosed, WyndError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from wynd.app import Wynd
    from wynd.engines.base import Engine

__all__ = ["Client", "FakeClock", "Refused", "Server", "serve"]

RECEIVE_TIMEOUT_S = 5.0  # long for a busy machine, short for a failing test
READ_BYTES = 65_536
IN_MEMORY = 0  # the listener number of connections no listener brought


class Refused(WyndError):
    """The server answered the upgrade with something else than 101.

    Attributes:
        status: the HTTP status.
        body: the body, as bytes.
    """

    def __init__(self, status: int, body: bytes = b"") -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


class FakeClock:
    """Monotonic time that moves only when told to; also keeps the library's timers."""

    def __init__(self, start: float = 1000.0) -> None:
        self._now = start
        self._timers: list[tuple[float, int, _FakeTimer]] = []
        self._serial = itertools.count()
        self._listeners: list[Callable[[], object]] = []

    def time(self) -> float:
        """Return the current time in seconds."""
        return self._now

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> _FakeTimer:
        """Call `callback(*args)` when `advance` has moved the time by `delay`."""
        timer = _FakeTimer(callback, args)
        heapq.heappush(self._timers, (self._now + delay, next(self._serial), timer))
        return timer

    def on_advance(self, callback: Callable[[], object]) -> None:
        """Call `callback` after every step of `advance`."""
        self._listeners.append(callback)

    def advance(self, seconds: float) -> None:
        """Move the time forward; timers that fall due run in order, on their moment."""
        if seconds < 0:
            raise ValueError("time does not go back")
        end = self._now + seconds
        while self._timers and self._timers[0][0] <= end:
            self._now, _, timer = heapq.heappop(self._timers)
            timer.run()
        self._now = end
        for callback in self._listeners:
            callback()


class _FakeTimer:
    __slots__ = ("_args", "_callback")

    def __init__(self, callback: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._callback: Callable[..., Any] | None = callback
        self._args = args

    def cancel(self) -> None:
        """Withdraw the call."""
        self._callback = None

    def run(self) -> None:
        """Make the call, unless it was withdrawn."""
        if self._callback is not None:
            self._callback(*self._args)


class Client(ABC):
    """One in-memory peer. Made by `Server.connect`."""

    def __init__(self) -> None:
        self.subprotocol: str | None = None
        """The agreed subprotocol."""
        self.is_compressed: bool = False
        """Whether permessage-deflate was agreed on."""
        self.close_code: int | None = None
        """What the server's close frame said; 1005 without a code, 1006 without a frame."""
        self.close_reason: str = ""
        self._inbox: deque[str | bytes] = deque()
        self._changed = asyncio.Event()
        self._reading = True

    @abstractmethod
    async def send_text(self, text: str) -> None:
        """Send one text message. Raises ConnectionClosed after the end."""

    @abstractmethod
    async def send_binary(self, data: bytes) -> None:
        """Send one binary message. Raises ConnectionClosed after the end."""

    @abstractmethod
    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame."""

    @abstractmethod
    def abort(self) -> None:
        """End the transport without a close frame: the application sees 1006."""

    def pause_reading(self) -> None:
        """Become a slow reader: take nothing from the transport until `resume_reading`."""
        self._reading = False

    def resume_reading(self) -> None:
        """Read again."""
        self._reading = True
        self._changed.set()

    async def receive(self, timeout: float = RECEIVE_TIMEOUT_S) -> str | bytes:
        """Return the next message: str for text, bytes for binary.

        Raises:
            TimeoutError: none within `timeout` seconds.
            ConnectionClosed: the connection ended and nothing is left to receive.
        """
        async with asyncio.timeout(timeout):
            while not self._inbox:
                if self.close_code is not None:
                    raise ConnectionClosed(None, self.close_code)
                await self._change()
        return self._inbox.popleft()

    async def receive_text(self, timeout: float = RECEIVE_TIMEOUT_S) -> str:
        """Return the next message, which must be a text; see `receive`.

        Raises:
            AssertionError: it is binary.
        """
        message = await self.receive(timeout)
        if not isinstance(message, str):
            raise AssertionError(f"expected a text message, got binary {message!r:.80}")
        return message

    async def receive_binary(self, timeout: float = RECEIVE_TIMEOUT_S) -> bytes:
        """Return the next message, which must be binary; see `receive`.

        Raises:
            AssertionError: it is a text.
        """
        message = await self.receive(timeout)
        if not isinstance(message, bytes):
            raise AssertionError(f"expected a binary message, got text {message!r:.80}")
        return message

    async def wait_closed(self, timeout: float = RECEIVE_TIMEOUT_S) -> tuple[int, str]:
        """Wait for the end; return the close code and reason. Messages not received stay."""
        async with asyncio.timeout(timeout):
            while self.close_code is None:
                await self._change()
        return self.close_code, self.close_reason

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _got(self, message: str | bytes) -> None:
        self._inbox.append(message)
        self._changed.set()

    def _ended(self, code: int, reason: str) -> None:
        if self.close_code is None:
            self.close_code = code
            self.close_reason = reason
        self._changed.set()


class SocketClient(Client):
    """A client on one end of a socket pair, for the native engine."""

    def __init__(self, sock: socket.socket) -> None:
        from wynd._engine import ClientProtocol

        super().__init__()
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._protocol = ClientProtocol()
        self._watching = False
        self.pongs: deque[bytes] = deque()
        """Payloads of the pongs received."""

    async def open(
        self,
        path: str,
        subprotocols: Sequence[str],
        headers: Mapping[str, str],
        compression: bool = False,
    ) -> None:
        """Do the opening handshake. Raises Refused."""
        head = self._protocol.handshake_request(
            path, "localhost", list(subprotocols), list(headers.items()), compression
        )
        await self._loop.sock_sendall(self._sock, head)
        answer = b""
        async with asyncio.timeout(RECEIVE_TIMEOUT_S):
            while b"\r\n\r\n" not in answer:
                data = await self._loop.sock_recv(self._sock, READ_BYTES)
                if not data:
                    raise ConnectionClosed(None, 1006)
                answer += data
            head, _, rest = answer.partition(b"\r\n\r\n")
            status = int(head.split(b" ", 2)[1])
            if status != 101:
                while data := await self._loop.sock_recv(self._sock, READ_BYTES):
                    rest += data
                self._sock.close()
                raise Refused(status, rest)
        self.subprotocol: str | None = self._protocol.handshake_response(head + b"\r\n\r\n")
        self.is_compressed: bool = self._protocol.compressed
        self._take(rest)
        self._watch()

    def _watch(self) -> None:
        if self._reading and not self._watching and self.close_code is None:
            self._watching = True
            self._loop.add_reader(self._sock, self._readable)

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            self._loop.remove_reader(self._sock)

    def pause_reading(self) -> None:
        super().pause_reading()
        self._unwatch()

    def resume_reading(self) -> None:
        super().resume_reading()
        self._watch()

    def _readable(self) -> None:
        try:
            data = self._sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._take(data)
        else:
            self._finish(1006, "")

    def _take(self, data: bytes) -> None:
        event: tuple[Any, ...]
        for event in self._protocol.receive_data(data):
            kind, *fields = event
            if kind in ("text", "binary"):
                self._got(fields[0])
            elif kind == "ping":
                self._write(self._protocol.send_pong(fields[0]))
            elif kind == "pong":
                self.pongs.append(fields[0])
                self._changed.set()
            elif kind == "close":
                code, reason = fields
                with suppress(ValueError, ConnectionClosed):  # the answer; ours may be out already
                    self._write(self._protocol.send_close(code, ""))
                self._finish(1005 if code is None else code, reason)
                return
            else:
                raise AssertionError(f"the server broke the protocol: {kind} {fields}")

    def _write(self, data: bytes) -> None:
        with suppress(OSError):
            self._sock.send(data)

    def _finish(self, code: int, reason: str) -> None:
        self._unwatch()
        self._sock.close()
        self._ended(code, reason)

    def _open_or_raise(self) -> None:
        if self.close_code is not None:
            raise ConnectionClosed(None, self.close_code)

    async def send_text(self, text: str) -> None:
        self._open_or_raise()
        await self._loop.sock_sendall(self._sock, self._protocol.send_text(text))

    async def send_binary(self, data: bytes) -> None:
        self._open_or_raise()
        await self._loop.sock_sendall(self._sock, self._protocol.send_binary(data))

    async def send_raw(self, data: bytes) -> None:
        """Send bytes as they are, to test what a hostile peer would do."""
        self._open_or_raise()
        await self._loop.sock_sendall(self._sock, data)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self._open_or_raise()
        await self._loop.sock_sendall(self._sock, self._protocol.send_close(code, reason))

    def abort(self) -> None:
        if self.close_code is None:
            self._finish(1006, "")


class AsgiClient(Client):
    """A client that is the other side of an ASGI `receive` and `send`, for the portable engine."""

    def __init__(self, application: Callable[..., Any]) -> None:
        super().__init__()
        self._application = application
        self._to_server: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None
        self._body = b""
        self._status = 0

    async def open(
        self,
        path: str,
        subprotocols: Sequence[str],
        headers: Mapping[str, str],
        compression: bool = False,
    ) -> None:
        """Do the opening handshake. Raises Refused."""
        del compression  # an ASGI application sees messages, not frames
        raw_path, _, query = path.partition("?")
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": raw_path,
            "raw_path": raw_path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(b"host", b"localhost")]
            + [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 80),
            "subprotocols": list(subprotocols),
            "extensions": {"websocket.http.response": {}},
        }
        self._to_server.put_nowait({"type": "websocket.connect"})
        self._task = asyncio.create_task(
            self._application(scope, self._to_server.get, self._from_server)
        )
        self._task.add_done_callback(self._server_ended)
        async with asyncio.timeout(RECEIVE_TIMEOUT_S):
            await self._accepted

    async def _from_server(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind == "websocket.accept":
            self.subprotocol: str | None = event.get("subprotocol")
            self._accepted.set_result(None)
        elif kind == "websocket.http.response.start":
            self._status = event["status"]
        elif kind == "websocket.http.response.body":
            self._body += event.get("body", b"")
            if not event.get("more_body"):
                self._accepted.set_exception(Refused(self._status, self._body))
        elif kind == "websocket.send":
            while not self._reading and self.close_code is None:
                await self._change()
            text = event.get("text")
            self._got(text if text is not None else event["bytes"])
        elif kind == "websocket.close":
            if not self._accepted.done():
                self._accepted.set_exception(Refused(403))
                return
            code = event.get("code", 1000)
            self._leave(code)
            self._ended(code, event.get("reason") or "")

    def _server_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if not self._accepted.done():
            self._accepted.set_exception(error or Refused(500))
        self._ended(1006, "")

    def _leave(self, code: int, reason: str = "") -> None:
        self._to_server.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})

    async def send_text(self, text: str) -> None:
        await self._put({"type": "websocket.receive", "text": text})

    async def send_binary(self, data: bytes) -> None:
        await self._put({"type": "websocket.receive", "bytes": data})

    async def _put(self, event: dict[str, Any]) -> None:
        if self.close_code is not None:
            raise ConnectionClosed(None, self.close_code)
        self._to_server.put_nowait(event)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        check_close(code, reason)
        if self.close_code is None:
            self._leave(code, reason)
            self._ended(code, "")

    def abort(self) -> None:
        if self.close_code is None:
            self._leave(1006)
            self._ended(1006, "")


class Server:
    """A running application without a port; made by `serve`."""

    def __init__(self, wynd: Wynd, engine: Engine, clock: FakeClock | None) -> None:
        self.wynd = wynd
        self.clock = clock
        self._engine = engine
        self._clients: list[Client] = []

    async def connect(
        self,
        path: str = "/",
        *,
        subprotocols: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        compression: bool = False,
    ) -> Client:
        """Open a connection, as a browser would; `headers` may hold `Origin` or `Cookie`.

        With `compression` it offers permessage-deflate, and the client's `is_compressed` tells
        whether the server agreed; never on the portable engine, where no frames are made.

        Raises:
            Refused: the server did not accept.
            TimeoutError: no answer within five seconds.
        """
        from wynd.engines.asgi import PortableEngine

        asks = self.wynd._asks_mounted()
        client: SocketClient | AsgiClient
        if isinstance(self._engine, PortableEngine):
            engine = self._engine

            async def application(scope: Any, receive: Any, send: Any) -> None:
                await engine.application(scope, receive, send, asks=asks)

            client = AsgiClient(application)
        else:
            from wynd.engines.native import NativeEngine

            assert isinstance(self._engine, NativeEngine)
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            theirs.setblocking(False)
            self._engine.adopt(theirs, listener=IN_MEMORY, asks=asks)
            client = SocketClient(ours)
        self._clients.append(client)
        await client.open(path, subprotocols, headers or {}, compression)
        return client


@asynccontextmanager
async def serve(wynd: Wynd, *, clock: FakeClock | None = None) -> AsyncIterator[Server]:
    """Run `wynd` without a port inside an `async with` block; it is stopped at the end.

    `clock` replaces the time of the library's deadlines (keepalive, handshake, close, ping) on
    the native engine, and of its own timers on both; `asyncio` itself keeps real time.
    """
    wynd._clock = clock
    engine = wynd._serve_in_memory()
    turn = getattr(engine, "turn", None)
    if clock is not None and turn is not None:
        clock.on_advance(turn)
    server = Server(wynd, engine, clock)
    try:
        yield server
    finally:
        for client in server._clients:
            client.abort()
        wynd._clock = None
        await wynd.stop(drain=1.0)
