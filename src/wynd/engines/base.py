"""The interface between the library and its engines: `Engine` downwards, `Sink` upwards.

A connection is named by a `key`, an int the engine chose; a key is never reused within an engine.
All methods run on the loop's thread unless they say otherwise. Knows no engine and no handler.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from wynd.codes import TOO_SLOW, check_close

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable, Sequence

    from wynd.compression import Compression
    from wynd.errors import HandlerError
    from wynd.limits import Limits
    from wynd.request import Accept, Origins, Request, Response
    from wynd.tls import Tls

__all__ = [
    "Address",
    "Engine",
    "EngineStatistics",
    "HttpSink",
    "ListenerOptions",
    "Opcode",
    "Payload",
    "Policy",
    "Prepared",
    "QuickPath",
    "Sink",
]

Address = tuple[str, int] | str
"""`(host, port)` of TCP, IPv6 without its flow fields; the path of a Unix socket."""


class Opcode(IntEnum):
    """Opcodes of data frames (RFC 6455 §5.2)."""

    TEXT = 1
    BINARY = 2


class Prepared:
    """A message framed once and sent to many.

    `Prepared("text")` or `Prepared(b"bytes")`; `send_text`, `send_binary`, `to(room)` and
    `broadcast` take it, whichever matches its kind.

    Raises:
        TypeError: neither str nor bytes-like.
        ValueError: a str with a lone surrogate.
    """

    __slots__ = ("__weakref__", "_frame", "opcode", "payload")

    def __init__(self, message: str | bytes | bytearray | memoryview) -> None:
        if isinstance(message, str):
            self.opcode: Opcode = Opcode.TEXT
            try:
                self.payload: bytes = message.encode("utf-8")
            except UnicodeEncodeError as error:
                raise ValueError("text holds a lone surrogate and is not valid UTF-8") from error
        elif isinstance(message, (bytes, bytearray, memoryview)):
            self.opcode = Opcode.BINARY
            self.payload = bytes(message)
        else:
            raise TypeError(f"Prepared takes str or bytes, not {type(message).__name__}")
        self._frame: object = None  # an engine's framed form, made at first use

    def __repr__(self) -> str:
        return f"Prepared({self.opcode.name}, {len(self.payload)} bytes)"


Payload = str | bytes | Prepared
"""What `Engine.send` takes; a str is sent as UTF-8, its validity was not yet checked."""


class Policy:
    """What happens to a room member that does not keep up (`Limits.outbox_bytes_hard`).

    `Policy.close(code=1013, reason="Too slow.")` ends the connection. `Policy.drop_oldest`,
    `Policy.drop_newest` and `Policy.latest` drop whole messages of the room only, counted in
    `statistics()`; `latest` keeps the newest message per `key` of `to(room).text(..., key=...)`.
    """

    __slots__ = ("code", "kind", "reason")

    drop_oldest: ClassVar[Policy]
    drop_newest: ClassVar[Policy]
    latest: ClassVar[Policy]

    def __init__(self, kind: str, code: int = 1013, reason: str = TOO_SLOW) -> None:
        self.kind: str = kind
        self.code: int = code
        self.reason: str = reason

    @classmethod
    def close(cls, code: int = 1013, reason: str = TOO_SLOW) -> Policy:
        """Return the policy that closes a slow member; see `ConnectionHandle.close` for errors."""
        check_close(code, reason)
        return cls("close", code, reason)

    def __repr__(self) -> str:
        if self.kind == "close":
            return f"Policy.close(code={self.code}, reason={self.reason!r})"
        return f"Policy.{self.kind}"


Policy.drop_oldest = Policy("drop_oldest")
Policy.drop_newest = Policy("drop_newest")
Policy.latest = Policy("latest")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerOptions:
    """One listener. Exactly one of `port`, `sock`, `uds` is set."""

    port: int | None = None
    host: str | Sequence[str] = "localhost"
    sock: socket.socket | None = None
    uds: str | None = None
    reuse_port: bool = False
    asks: bool = False
    """Whether `Sink.requested` decides about each request of this listener."""
    tls: Tls | None = None
    """Where its connections come over TLS: the files of certificate and key."""
    proxies: tuple[str, ...] = ()
    """Addresses and networks of peers that must send the PROXY protocol's header; "*" is all."""


@dataclass(frozen=True, slots=True)
class EngineStatistics:
    """Counters since the engine started, and gauges of now."""

    connections_open: int = 0
    connections_accepted: int = 0
    handshakes_refused: dict[int, int] = field(default_factory=dict)
    """HTTP status → how often an upgrade or request was answered with it."""
    closes: dict[int, int] = field(default_factory=dict)
    """Close code the application saw → how often."""
    messages_received: int = 0
    messages_sent: int = 0
    messages_deflated: int = 0
    """How often a message was compressed; a broadcast counts once for all who share that form."""
    bytes_received: int = 0
    bytes_sent: int = 0
    outbox_bytes: int = 0
    messages_dropped: dict[str, int] = field(default_factory=dict)
    """Policy name → messages dropped by it."""
    limits_hit: dict[str, int] = field(default_factory=dict)
    """Field of `Limits` → how often it was reached."""
    rooms: int = 0
    accept_pauses: int = 0
    """How often a listener paused for want of descriptors."""
    tls_failures: int = 0
    """Connections that ended by a failure of TLS; 0 on the portable engine, which is not told."""


class QuickPath(NamedTuple):
    """What an engine needs to handle an idle connection's message by itself.

    An engine that can takes this from its sink's `quick_path`; see `crates/wynd-python`. Whatever
    it does not do itself it hands to the callables here, or to `Sink.received`.
    """

    lanes: dict[int, Any]
    """The dispatcher's `ConnectionLane` by key."""
    loop: asyncio.AbstractEventLoop
    current_tasks: dict[Any, Any]
    """asyncio's current task by loop; the engine enters a lane's `task` there, and takes it out."""
    follow: Callable[[Any, Any, Any], object]
    """`follow(lane, result, event)`: the handler returned something other than None."""
    suspended: Callable[[Any, Any, Any, Any], object]
    """`suspended(lane, coroutine, yielded, event)`: its first step did not finish it."""
    failed: Callable[[Any, Any, BaseException], object]
    """`failed(lane, event, error)`: the handler raised."""
    cancelled: type[BaseException]
    """`asyncio.CancelledError`, which ends a handler's coroutine and nothing else."""
    completed: object
    """The `Sent` of a send that need not wait; a handler that returns it has finished."""
    watch: Callable[[Callable[[], object]], None]
    """`watch(changed)`: has `changed()` called when a lane's handlers change, or a handler of it
    starts to run, other than by the engine's own doing. What was read of a lane holds until then,
    or until any other callable here is called."""


class Sink(Protocol):
    """What an engine tells the library. Every method returns at once and never raises."""

    def requested(self, key: int, listener: int, request: Request) -> None:
        """A complete, valid request head arrived on a listener that asks.

        Answer with `Engine.accept` or `Engine.respond`, now or later. A request that never gets
        an answer is answered 503 by the engine at the handshake deadline (`closed` is then not
        called: the connection was never open).
        """

    def opened(self, key: int, request: Request, subprotocol: str | None) -> None:
        """The opening handshake is complete; messages may be sent."""

    def received(self, key: int, message: str | bytes) -> None:
        """A whole message: str for text, bytes for binary.

        At most `Limits.inbound_messages_max` messages (and `message_bytes_max` bytes, or one
        message) arrive before the engine looks whether `pause_reading` was called.
        """

    def ponged(self, key: int, payload: bytes) -> None:
        """A pong arrived: solicited by `ping`, by the keepalive, or unsolicited."""

    def drained(self, key: int) -> None:
        """The outbox has fallen below half its soft limit after having been at or above it."""

    def closing(self, key: int, sent: int | None, received: int | None) -> None:
        """The closing handshake began by the peer or by the engine; no message follows.

        Both None: the peer broke the protocol or a limit. Sends still leave; the engine's close
        frame follows at the end of this turn, or, if reading is paused by then, at
        `resume_reading`, at the latest after `close_timeout_s`.
        """

    def closed(self, key: int, sent: int | None, received: int | None, reason: str) -> None:
        """The connection is gone and has left all rooms. Last call for `key`, exactly once.

        `received` is what the peer sent: 1005 for a close frame without code, 1006 for a
        transport that ended without one. `reason` is the peer's reason, else "".
        """

    def handshake_lost(self, key: int) -> None:
        """A connection `requested` told of ended before it was accepted."""

    def failed(self, error: HandlerError) -> None:
        """The engine met an error that concerns no single peer (a listener, a bug)."""


class HttpSink(Protocol):
    """What an engine that serves HTTP too tells of it. Every method returns at once.

    A connection is told of from its first request on. If it becomes a WebSocket later,
    `http_closed` comes before `Sink.opened`, with the same key.
    """

    def http_opened(
        self, key: int, listener: int, client: Address, local: Address | None, secure: bool
    ) -> None:
        """A connection has its first request; `http_data` follows."""

    def http_data(self, key: int, data: bytes) -> None:
        """Bytes of the present request; the next one comes when it was answered."""

    def http_ended(self, key: int) -> None:
        """The peer ended its direction."""

    def http_drained(self, key: int) -> None:
        """What was to be sent has fallen below half the outbox's soft limit."""

    def http_closed(self, key: int) -> None:
        """The connection is gone, or becomes a WebSocket. Last call for `key`, exactly once."""


class Engine(ABC):
    """Moves bytes for one `Wynd`; see the module's docstring for keys and threads."""

    name: str
    """"native" or "portable"."""

    core: object | None = None
    """What handles send to directly where the engine is native and started; private to it."""

    on_lost: Callable[[Exception], object] | None = None
    """Called after `Sink.failed` when the engine can serve nothing any more; set it before `start`.
    Every connection is then told closed, and `stop` still works."""

    def __init__(
        self,
        limits: Limits,
        origins: Origins,
        subprotocols: Sequence[str],
        compression: Compression | None = None,
    ) -> None:
        self.limits = limits
        self.origins = origins
        self.compression = compression
        self.subprotocols: tuple[str, ...] = tuple(subprotocols)

    @abstractmethod
    def start(self, loop: asyncio.AbstractEventLoop, sink: Sink) -> None:
        """Attach to the running loop. Called once, before anything else."""

    @abstractmethod
    async def listen(self, listener: int, options: ListenerOptions) -> tuple[Address, ...]:
        """Open listener number `listener` and return the addresses it is bound to.

        Raises:
            OSError: port in use and the like; nothing is left open then.
            CertificateError: certificate or key cannot be used.
        """

    @abstractmethod
    def reload_certificates(self) -> None:
        """Read the files of all listeners with TLS again, for connections that come from now on.

        Those that are open go on as they are. An engine without such listeners does nothing.

        Raises:
            CertificateError: nothing was replaced then.
        """

    @abstractmethod
    async def stop_listening(self, listener: int) -> None:
        """Stop accepting on one listener; its connections go on."""

    @abstractmethod
    def accept(self, key: int, accept: Accept) -> None:
        """Answer a request with 101; `Sink.opened` follows."""

    @abstractmethod
    def respond(self, key: int, response: Response) -> None:
        """Answer a request with plain HTTP and close it once the peer has read it."""

    @abstractmethod
    def send(self, key: int, opcode: Opcode, payload: Payload) -> int:
        """Queue one message; return the connection's unsent bytes, this message included.

        -1 if the connection is unknown, closing or closed, or was closed by this very send
        (hard limit). Thread-safe.

        Raises:
            ValueError: a str with a lone surrogate; nothing was queued.
        """

    @abstractmethod
    def publish(
        self,
        room: str | None,
        opcode: Opcode,
        payload: Payload,
        *,
        exclude: int | None = None,
        key: str | None = None,
        droppable: bool = False,
    ) -> None:
        """Queue one message to all members of `room`, or to every admitted connection if None.

        Never waits: `Policy` decides about members that do not keep up. An unknown room is no
        error. `key` names the value for `Policy.latest`; `droppable` messages go first under
        the dropping policies. Thread-safe.

        Raises:
            ValueError: a str with a lone surrogate; nothing was queued.
        """

    @abstractmethod
    def join(self, key: int, room: str) -> None:
        """Add to a room; twice is once. Thread-safe, in order with sends and publishes."""

    @abstractmethod
    def leave(self, key: int, room: str) -> None:
        """Remove from a room; no error if it was no member. Thread-safe, in order."""

    @abstractmethod
    def admit(self, key: int) -> None:
        """From now on `publish(None, …)` reaches this connection: the middleware let it through."""

    @abstractmethod
    def room_policy(self, pattern: str, policy: Policy) -> None:
        """Set the policy of rooms whose name matches `pattern` (`*` matches any run).

        The first matching pattern counts; rooms without one use `Policy.close()`.
        """

    @abstractmethod
    def ping(self, key: int, payload: bytes) -> bool:
        """Send a ping; False where the host server sends them itself and offers no call."""

    @abstractmethod
    def close(self, key: int, code: int, reason: str) -> None:
        """Start the closing handshake after what is queued. Twice is once. Thread-safe."""

    @abstractmethod
    def abort(self, key: int) -> None:
        """End the transport at once; `Sink.closed` follows."""

    @abstractmethod
    def pause_reading(self, key: int) -> None:
        """Deliver no further message of this connection until `resume_reading`."""

    @abstractmethod
    def resume_reading(self, key: int) -> None:
        """Undo `pause_reading`; `Sink.received` is not called from inside this call."""

    @abstractmethod
    def buffered_bytes(self, key: int) -> int:
        """Unsent bytes of a connection; 0 if unknown."""

    @abstractmethod
    def statistics(self) -> EngineStatistics:
        """Return a snapshot."""

    @abstractmethod
    async def stop(self) -> None:
        """Close listeners, abort what is left, detach from the loop, free everything."""
