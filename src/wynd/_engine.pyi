"""Types of the native module. Private: use `wynd`."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NoReturn, final

from typing_extensions import disjoint_base

from wynd.compression import Compression
from wynd.engines.base import Prepared, QuickPath
from wynd.limits import Limits

__all__ = [
    "BinaryMessage",
    "Certificates",
    "ClientProtocol",
    "Completed",
    "Engine",
    "Frame",
    "HandleBase",
    "LaneBase",
    "ServerProtocol",
    "ServerSession",
    "Stepper",
    "TextMessage",
    "encode_frame",
    "is_origin_allowed",
    "mask",
]

@final
class Frame:
    """A message framed once: what `Prepared` keeps for this engine. Made by the first send."""

    def __len__(self) -> int:
        """Return the bytes on the wire, header included."""

@final
class TextMessage:
    """A text message; see `wynd.events`."""

    def __new__(cls, data: str, handle: Any) -> TextMessage: ...
    @property
    def data(self) -> str:
        """The whole message; "" is a message."""

    @property
    def handle(self) -> Any:
        """The connection it came from."""

    def __reduce__(self) -> NoReturn: ...

@final
class BinaryMessage:
    """A binary message; see `wynd.events`."""

    def __new__(cls, data: bytes, handle: Any) -> BinaryMessage: ...
    @property
    def data(self) -> bytes:
        """The whole message; b"" is a message."""

    @property
    def handle(self) -> Any:
        """The connection it came from."""

    def __bytes__(self) -> bytes: ...
    def __reduce__(self) -> NoReturn: ...

class Completed:
    """What a `Sent` that is done with None is built on; see `wynd.sent`."""

    def __await__(self) -> Any:
        """Return an iterator that is exhausted."""

@disjoint_base
class LaneBase:
    """What `ConnectionLane` is built on; see `wynd.lane`."""

    def __new__(cls, handle: Any, context: Any, handlers: Any, *_others: Any) -> LaneBase: ...
    @property
    def handle(self) -> Any:
        """The connection's handle."""

    @property
    def context(self) -> Any:
        """What its handlers run in."""

    handlers: Any
    task: Any
    queue: Any
    busy: int
    opening: bool

@disjoint_base
class HandleBase:
    """What `ConnectionHandle` is built on; see `wynd.sending`."""

    def __new__(cls, registry: Any, key: int, *_others: Any) -> HandleBase: ...
    @property
    def _key(self) -> int:
        """The engine's name for the connection."""

    @property
    def _takes_messages(self) -> bool:
        """Whether sends are still taken."""

    def _refuse_messages(self) -> None:
        """Refuse sends from now on."""

    def send_text(self, message: str | Prepared) -> Any:
        """Send one text message; see `wynd.sending`."""

    def send_binary(self, message: bytes | bytearray | memoryview | Prepared) -> Any:
        """Send one binary message; see `wynd.sending`."""

@final
class Stepper:
    """The receiver `received` that calls the handlers of idle connections by itself.

    Args:
        received: the plain twin, for every other message.
        quick: what it calls beside handlers.
    """

    def __new__(cls, received: Callable[[int, Any], object], quick: QuickPath) -> Stepper: ...
    def changed(self) -> None:
        """Forget what is remembered of a lane; see `QuickPath.watch`."""

    def __call__(self, key: int, message: str | bytes) -> None:
        """Give a message to the plain twin."""

@final
class Certificates:
    """A certificate chain and its key, read from PEM files; listeners may share it.

    Raises:
        ValueError: one sentence with the file and the reason.
    """

    def __new__(cls, certificate: str, key: str) -> Certificates: ...

@final
class Engine:
    """One shard: sockets, connections, rooms and timers of one event loop.

    Made on the loop's thread, which alone may call what is not marked "any thread". A key names a
    connection. After a fork every call raises `RuntimeError`.

    Args:
        limits: bounds; read once.
        origins: `"same-host"`, `"*"`, or a list of `scheme://host[:port]`.
        subprotocols: what may be agreed on.
        seed: draws the phases of the keepalive.
        schedule: called on the loop's thread at the first command outside a turn; it must see to
            it that `flush` and `settle` are called soon. From other threads the poller's
            descriptor is made readable instead.
        clock: float seconds that never go back; None is the system's monotonic clock.
        compression: which offers of permessage-deflate are taken; None declines all.

    Raises:
        OSError: no descriptor is left for the poller.
        ValueError: an origin that is none.
    """

    def __new__(
        cls,
        limits: Limits,
        origins: str | Sequence[str],
        subprotocols: Sequence[str],
        *,
        seed: int,
        schedule: Callable[[], object],
        clock: Callable[[], float] | None = None,
        compression: Compression | None = None,
    ) -> Engine: ...

    # The turn: poll, dispatch and flush until flush is false or time is up, settle.

    def fileno(self) -> int:
        """Return the poller's descriptor, readable while `poll` would find something."""

    def poll(self) -> bool:
        """Accept, receive, decode, judge deadlines; true if there are events to dispatch.

        Does nothing while events of an earlier turn wait. Releases the interpreter.
        """

    def dispatch(self, receivers: tuple[Callable[..., object], ...], slice_s: float) -> bool:
        """Tell events until all are told (true); false if `slice_s` passed or much is queued.

        An event counts as told when its receiver is called. An exception of a receiver travels
        on; the events after it wait for the next call.

        Args:
            receivers: fourteen callables: `requested(key, socket, head, address, secure)`,
                `opened(key, head, address, secure, subprotocol)` with an empty head if `requested`
                told it, `received(key, message)`, `ponged(key, payload)`, `drained(key)`,
                `closing(key, sent, received)` (both None: a rule was broken),
                `closed(key, sent, received, reason)`,
                `handshake_lost(key)`, `failed(socket or None, errno, text)` (without a socket a
                bug was met; 1 for the errno: nothing is served any more); of HTTP connections
                `http_opened(key, socket, address, own address or None, secure)`,
                `http_data(key, data)`, `http_ended(key)` (the peer ended its direction),
                `http_drained(key)`, and `http_closed(key)` at the end or before `opened`.
            slice_s: seconds by the engine's clock.
        """

    def flush(self) -> bool:
        """Apply what is queued and send; true if events are left to dispatch.

        Releases the interpreter.
        """

    def settle(self) -> float:
        """End a turn: return when the next one is due, in the seconds of `now`.

        -1.0 is at once; infinity is when the descriptor is readable, or at the next command.
        """

    def now(self) -> float:
        """Return the seconds since the engine was made."""

    def turn_s(self) -> float:
        """Return the seconds since the last `poll`."""

    # Listeners and sockets; a descriptor given is owned by the engine, also if the call fails.

    def add_listener(
        self,
        listener: int,
        fd: int,
        is_unix: bool,
        asks: bool,
        http_idle_s: float | None = None,
    ) -> None:
        """Start accepting on a listening socket under a number the caller chose.

        Args:
            listener: the number.
            fd: the socket.
            is_unix: whether it is a Unix socket.
            asks: whether each request is told by `requested`.
            http_idle_s: seconds a connection may wait for its next request; None serves
                WebSockets only. Else plain requests are told by `http_data`, and upgrades by
                `requested`.

        Raises:
            OSError: the descriptor cannot be watched.
        """

    def remove_listener(self, listener: int) -> None:
        """Stop accepting and close the listening socket; its connections go on."""

    def expect_proxies(self, listener: int, proxies: list[str]) -> bool: ...
    def use_certificates(self, listener: int, certificates: Certificates) -> bool:
        """Serve connections accepted from now on over TLS; false if there is no such listener.

        Right after `add_listener` it makes a listener speak TLS only; later it replaces what new
        connections are served with.
        """

    def adopt(self, fd: int, listener: int, asks: bool) -> int:
        """Take over a connected socket before its handshake; return its key.

        Raises:
            OSError: the descriptor is no connected socket.
        """

    def set_room_policy(self, pattern: str, kind: str, code: int, reason: str) -> None:
        """Set the policy of rooms whose name matches `pattern`; the first that matches counts."""

    # Commands; see `wynd.engines.base.Engine`.

    def send(self, key: int, opcode: int, payload: str | bytes | Prepared) -> int:
        """Queue one message; return the connection's unsent bytes, -1 if it takes none.

        Any thread.

        Raises:
            ValueError: a str with a lone surrogate, or text as bytes that are no UTF-8.
        """

    def publish(
        self,
        room: str | None,
        opcode: int,
        payload: str | bytes | Prepared,
        *,
        exclude: int | None = None,
        key: str | None = None,
        droppable: bool = False,
    ) -> None:
        """Queue one message to a room, or to all admitted connections if None. Any thread.

        Raises:
            ValueError: as `send`.
        """

    def join(self, key: int, room: str) -> None:
        """Add to a room. Any thread."""

    def leave(self, key: int, room: str) -> None:
        """Remove from a room. Any thread."""

    def admit(self, key: int) -> None:
        """Let broadcasts reach a connection. Any thread."""

    def ping(self, key: int, payload: bytes) -> bool:
        """Send a ping of at most 125 bytes; true. Any thread."""

    def close(self, key: int, code: int, reason: str) -> None:
        """Start the closing handshake after what is queued. Any thread."""

    def abort(self, key: int) -> None:
        """End the transport at once. Any thread."""

    def pause_reading(self, key: int) -> None:
        """Read and decode nothing of a connection."""

    def resume_reading(self, key: int) -> None:
        """Undo `pause_reading`."""

    def accept(self, key: int, subprotocol: str | None, headers: Sequence[tuple[str, str]]) -> None:
        """Answer a request with 101. Headers were checked by `wynd.request`."""

    def respond(
        self, key: int, status: int, headers: Sequence[tuple[str, str]], body: bytes
    ) -> None:
        """Answer a request with plain HTTP. Headers were checked by `wynd.request`."""

    # HTTP connections

    def http_write(self, key: int, data: bytes, tell_from: int) -> int:
        """Queue bytes of an answer; return the connection's unsent bytes, -1 if it takes none.

        With `tell_from` of them or more, `http_drained` follows.
        """

    def http_done(self, key: int) -> None:
        """Say that the present request is answered whole; the next one may be told."""

    def http_close(self, key: int) -> None:
        """End an HTTP connection after what is queued; `http_closed` follows."""

    def http_pass(self, key: int) -> None:
        """Take an upgrade's connection as it is: `http_data` tells what comes after its head."""

    # Looking

    def buffered_bytes(self, key: int) -> int:
        """Return the unsent bytes of a connection; 0 if unknown. Any thread."""

    def statistics(self) -> dict[str, Any]:
        """Return the fields of `EngineStatistics`. Any thread."""

    def sockets(self) -> int:
        """Return how many connections are held, refused and closing ones included."""

    # The end

    def abort_all(self) -> None:
        """Abort every connection; their events are to be dispatched."""

    def shut_down(self) -> None:
        """Close every descriptor; afterwards commands do nothing. Twice is once."""

    def refuse(self) -> None:
        """Refuse every further call: this process is a fork's child."""

@final
class ServerProtocol:
    """The server's end of RFC 6455 without a socket, after the handshake. Any thread.

    `extensions` is what a client offered of permessage-deflate; what a server agrees to that keeps
    contexts holds from then on. `level` is that of the compressor.

    Raises:
        ValueError: an offer that cannot be agreed to.
    """

    def __new__(
        cls,
        *,
        message_bytes_max: int = 1_048_576,
        message_fragments_max: int = 16_384,
        extensions: str | None = None,
        level: int = 6,
    ) -> ServerProtocol: ...
    def receive_data(self, data: bytes) -> list[tuple[Any, ...]]:
        """Decode what arrived; return its events in order.

        They are `("text", str)`, `("binary", bytes)`, `("ping", bytes)`, `("pong", bytes)`,
        `("close", code or None, reason)`, `("failed", code)`.
        `("failed", code)` is the last one ever: the peer broke a rule. What was returned before
        stays good. Bytes after it, or after a close frame, are discarded.
        """

    def send_text(self, text: str) -> bytes:
        """Return the frame of a text message.

        Raises:
            ConnectionClosed: after `send_close`; so do the other senders.
        """

    def send_binary(self, payload: bytes) -> bytes:
        """Return the frame of a binary message."""

    def send_ping(self, payload: bytes = ...) -> bytes:
        """Return a ping frame. Raises ValueError beyond 125 bytes."""

    def send_pong(self, payload: bytes = ...) -> bytes:
        """Return a pong frame. Raises ValueError beyond 125 bytes."""

    def send_close(self, code: int | None = None, reason: str = "") -> bytes:
        """Return a close frame. Raises ValueError for what must not be on the wire."""

    def fail(self) -> bytes:
        """Return the close frame that answers a `failed` event; empty if there is none to send."""

    @property
    def buffered(self) -> int:
        """Bytes held for an unfinished message."""

    @property
    def state(self) -> str:
        """ "open", "close_sent", "close_received", "closed", "failing" or "failed"."""

@final
class ClientProtocol:
    """The client's end of RFC 6455 without a socket. Any thread.

    Args:
        random: `random(n)` returns n bytes, for masking keys; None is `os.urandom`.
    """

    def __new__(
        cls,
        *,
        random: Callable[[int], bytes] | None = None,
        message_bytes_max: int = 1_048_576,
        message_fragments_max: int = 16_384,
    ) -> ClientProtocol: ...
    def handshake_request(
        self,
        target: str = "/",
        host: str = "localhost",
        subprotocols: Sequence[str] = ...,
        headers: Sequence[tuple[str, str]] = ...,
        compression: bool = False,
    ) -> bytes:
        """Return an upgrade request; `headers` are appended as they are.

        With `compression` it offers permessage-deflate, and what the server agrees to is used.
        """

    def handshake_response(self, head: bytes) -> str | None:
        """Judge the head that answered, its empty line included; return the agreed subprotocol.

        Raises:
            ValueError: it makes no connection (RFC 6455 §4.1).
            RuntimeError: `handshake_request` was not called.
        """

    def receive_data(self, data: bytes) -> list[tuple[Any, ...]]:
        """Decode what arrived after the response; see `ServerProtocol.receive_data`."""

    def send_text(self, text: str) -> bytes:
        """Return the masked frame of a text message; see `ServerProtocol.send_text`."""

    def send_binary(self, payload: bytes) -> bytes:
        """Return the masked frame of a binary message."""

    def send_ping(self, payload: bytes = ...) -> bytes:
        """Return a masked ping frame. Raises ValueError beyond 125 bytes."""

    def send_pong(self, payload: bytes = ...) -> bytes:
        """Return a masked pong frame. Raises ValueError beyond 125 bytes."""

    def send_close(self, code: int | None = None, reason: str = "") -> bytes:
        """Return a masked close frame. Raises ValueError for what must not be on the wire."""

    @property
    def compressed(self) -> bool:
        """Whether the server agreed to compression."""

    @property
    def state(self) -> str:
        """See `ServerProtocol.state`."""

def encode_frame(
    opcode: int,
    payload: bytes,
    *,
    fin: bool = True,
    rsv1: bool = False,
    masking_key: bytes | None = None,
) -> bytes:
    """Return one frame, masked if a key of four bytes is given. Only the opcode is judged."""

def mask(key: bytes, data: bytes, *, offset: int = 0) -> bytes:
    """Return `data` masked or unmasked with a key of four bytes.

    `offset` is the position of its first byte in the payload.
    """

def is_origin_allowed(
    rules: str | Sequence[str], origin: bytes | None, host: str, secure: bool
) -> bool:
    """Return whether the native engine lets a request with these fields connect."""

@final
class ServerSession:
    """The server's end of a connection after its handshake, in ASGI events. The loop's thread."""

    def __new__(
        cls,
        *,
        message_bytes_max: int,
        message_fragments_max: int = 16_384,
        messages_max: int = 32,
    ) -> ServerSession: ...
    def judge(
        self,
        head: bytes,
        *,
        deflates: bool = False,
        head_bytes_max: int = 65_536,
        head_fields_max: int = 256,
    ) -> tuple[bytes | None, str, bytes]:
        """Judge the head of an upgrade request, its empty line included; before anything else.

        Returns the values of Sec-WebSocket-Accept and of Sec-WebSocket-Extensions (may be "") and
        b""; or None, "", and the refusing response. With `deflates` an offer of permessage-deflate
        is taken, without context takeover.
        """

    def receive(self, data: bytes) -> list[dict[str, Any]]:
        """Decode what arrived; return `websocket.receive` events, `messages_max` at most.

        What is left, also after 256 KiB of payload, is kept undecoded: call it again, with b"",
        while `flags` has the bit 8. Pings are answered into the turn's buffer.
        """

    def receive_from(self, buffer: bytearray, size: int) -> list[dict[str, Any]]:
        """Do the same with the first `size` bytes of a buffer."""

    def send(self, message: dict[str, Any], direct: bool) -> bytes | Literal[False] | None:
        """Frame a `websocket.send`.

        Returns None if the frame waits in the turn's buffer for `take`; the bytes to write now,
        earlier frames included, if `direct` or if the buffer is full (64 KiB); False for a message
        of another type, untouched.

        Raises:
            TypeError, ValueError: text that is no str or holds a lone surrogate, bytes that are
                none, neither of them, or our close frame was sent.
        """

    def ping(self, payload: bytes) -> None:
        """Put a ping into the turn's buffer; nothing after our close frame."""

    def take(self) -> bytes:
        """Take the turn's buffer."""

    def close(self, code: int | None = None, reason: str = "") -> bytes:
        """Take the turn's buffer with our close frame at its end, if none was sent before.

        Raises:
            ValueError: a code that must not be sent, a reason of over 123 bytes.
        """

    def answer_end(self) -> bytes:
        """Take the turn's buffer with the close frame that answers how the peer ended."""

    def choke(self, is_choked: bool) -> None:
        """Say whether the peer takes nothing: then only its latest ping is kept for an answer."""

    @property
    def decoded(self) -> int:
        """Payload bytes that the latest `receive` decoded."""

    @property
    def flags(self) -> int:
        """Sum of 1: bytes wait in the turn's buffer, 2: a pong arrived since the last reading, 4:
        the peer ended, 8: input is held undecoded."""

    @property
    def ending(self) -> tuple[int, str, bool] | None:
        """`(code, reason, whether it sent a close frame)` once the peer ended or broke a rule."""
