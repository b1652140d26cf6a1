"""`ConnectionHandle`: what handlers send with.

Every method acts at once and returns a `Sent`. State, rooms and data are a mirror kept here; the
engine is told, never asked. Does not know how handlers are run.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NoReturn

from wynd.codes import check_close
from wynd.engines.base import Opcode
from wynd.errors import ConnectionClosed, EngineUnavailable, LimitExceeded
from wynd.events import ConnState
from wynd.rooms import Audience, binary_payload, check_room, text_payload
from wynd.sending import HandleBase
from wynd.sent import Sent

if TYPE_CHECKING:
    from wynd.registry import Registry, Timer
    from wynd.request import ClientInfo, Request

__all__ = ["ConnectionHandle"]

_ping_serials = itertools.count(1)


class ConnectionHandle(HandleBase):
    """One connection, as its handlers see it.

    Handles compare by identity and stay usable after the close for `id`, `addr`, `data`,
    `request` and `joined_rooms`. Sending is thread-safe.
    """

    __slots__ = (
        "__weakref__",
        "_close_codes",
        "_closed",
        "_data",
        "_drain",
        "_id",
        "_pings",
        "_registry",
        "_request",
        "_rooms",
        "_state",
        "_subprotocol",
    )

    def __init__(
        self, registry: Registry, key: int, id: int, request: Request, subprotocol: str | None
    ) -> None:
        self._registry = registry
        self._id = id
        self._request = request
        self._subprotocol = subprotocol
        self._state = ConnState.CONNECTING
        self._data: dict[Any, Any] | None = None
        self._rooms: set[str] | None = None
        self._drain: Sent[None] | None = None  # what sends above the soft limit wait for
        self._closed: Sent[None] | None = None
        self._pings: dict[bytes, tuple[Sent[float], float, Timer]] | None = None
        self._close_codes: tuple[int | None, int | None] = (None, None)

    # What it is

    @property
    def id(self) -> int:
        """A number that is unique among all connections of this `Wynd`, counted from 1."""
        return self._id

    @property
    def addr(self) -> ClientInfo:
        """The peer's address: `host` and `port`, or the path of a Unix socket."""
        return self._request.client

    @property
    def state(self) -> ConnState:
        """The connection's state, as last seen on the loop."""
        return self._state

    @property
    def request(self) -> Request:
        """The request that opened the connection."""
        return self._request

    @property
    def subprotocol(self) -> str | None:
        """The agreed subprotocol, or None."""
        return self._subprotocol

    @property
    def data(self) -> dict[Any, Any]:
        """A dict of the application's own; kept until the handle is gone."""
        if self._data is None:
            self._data = {}
        return self._data

    @property
    def buffered_bytes(self) -> int:
        """Bytes queued and not yet taken by the operating system, frame headers included."""
        return self._registry.engine.buffered_bytes(self._key)

    def clients(self) -> list[ConnectionHandle]:
        """Return the handles of all open connections, this one included, oldest first."""
        return self._registry.clients()

    def __repr__(self) -> str:
        return f"<ConnectionHandle {self._id} {self._state.value}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a ConnectionHandle cannot be pickled; keep its id")

    # To this peer

    def _send(self, opcode: int, message: Any) -> Sent[None]:
        """Send what is out of the ordinary; what every send does where no engine is native."""
        payload = text_payload(message) if opcode == Opcode.TEXT else binary_payload(message)
        if not self._takes_messages:
            return self._refused()
        return self._sent(self._registry.engine.send(self._key, Opcode(opcode), payload))

    def _sent(self, unsent: int) -> Sent[None]:
        registry = self._registry
        if unsent < 0:
            return self._refused()
        if not registry.on_loop_thread():
            return Sent.off_loop()
        if unsent < registry.outbox_bytes_soft:
            return Sent.completed()
        if self._drain is None:
            self._drain = Sent()
        return self._drain

    def ping(self) -> Sent[float]:
        """Send a ping; awaiting gives the round trip in seconds.

        Raises (when awaited):
            TimeoutError: no pong within `Limits.ping_timeout_s`.
            ConnectionClosed: the connection closed first.
            EngineUnavailable: the portable engine, whose host server sends pings itself.
        """
        if self._state is not ConnState.OPEN and self._state is not ConnState.CONNECTING:
            return self._refused()
        registry = self._registry
        if not registry.on_loop_thread():
            registry.loop.call_soon_threadsafe(self.ping)
            return Sent.off_loop()
        payload = b"wynd%d" % next(_ping_serials)
        if not registry.engine.ping(self._key, payload):
            return Sent.failure(
                EngineUnavailable("the portable engine cannot ping; its host server does")
            )
        sent: Sent[float] = Sent()
        if self._pings is None:
            self._pings = {}
        timer = registry.clock.call_later(
            registry.limits.ping_timeout_s, self._ping_timed_out, payload
        )
        self._pings[payload] = (sent, registry.clock.time(), timer)
        return sent

    def close(self, code: int = 1000, reason: str = "") -> Sent[None]:
        """Start the closing handshake after what is queued; twice is once.

        Awaiting waits for the end of the transport (not for `on_close`), at most
        `Limits.close_timeout_s` plus the time the queued data needs.

        Raises:
            ValueError: a code that must not be sent, or a reason over 123 bytes.
        """
        check_close(code, reason)
        registry = self._registry
        on_loop = registry.on_loop_thread()
        if self._state is not ConnState.CLOSED:
            if self._state is not ConnState.CLOSING and on_loop:
                self._state = ConnState.CLOSING
                self._refuse_messages()
                self._close_codes = (code, None)
            registry.engine.close(self._key, code, reason)
        elif on_loop:
            return Sent.completed()
        if not on_loop:
            return Sent.off_loop()
        if self._closed is None:
            self._closed = Sent()
        return self._closed

    # Rooms and broadcasts

    @property
    def joined_rooms(self) -> frozenset[str]:
        """The rooms this connection is in; after the close, those it was in."""
        return frozenset(self._rooms or ())

    def join(self, room: str) -> Sent[None]:
        """Become a member of `room`; twice is once.

        Raises:
            TypeError: not a str.
            LimitExceeded: `rooms_per_connection_max` or `room_name_bytes_max`.
        """
        registry = self._registry
        check_room(room, registry.limits)
        if self._state is ConnState.CLOSING or self._state is ConnState.CLOSED:
            return self._refused()
        if self._rooms is None:
            self._rooms = set()
        if room not in self._rooms:
            if len(self._rooms) >= registry.limits.rooms_per_connection_max:
                raise LimitExceeded(
                    "rooms_per_connection_max", registry.limits.rooms_per_connection_max
                )
            self._rooms.add(room)
            registry.engine.join(self._key, room)
        return self._acted()

    def leave(self, room: str) -> Sent[None]:
        """Leave `room`; no error if this connection is not in it."""
        check_room(room, self._registry.limits)
        if self._rooms and room in self._rooms and self._state is not ConnState.CLOSED:
            self._rooms.discard(room)
            self._registry.engine.leave(self._key, room)
        return self._acted()

    def leave_all_rooms(self) -> Sent[None]:
        """Leave every room."""
        for room in tuple(self._rooms or ()):
            self.leave(room)
        return self._acted()

    def to(self, room: str) -> Audience:
        """Return the members of `room` to send to; this connection need not be one of them."""
        return Audience(self._registry, room, self._key)

    @property
    def broadcast(self) -> Audience:
        """Every open connection, to send to; `text` and `binary` leave out this one."""
        return Audience(self._registry, None, self._key)

    def _acted(self) -> Sent[None]:
        return Sent.completed() if self._registry.on_loop_thread() else Sent.off_loop()

    def _refused(self) -> Sent[Any]:
        self._registry.sends_failed += 1
        return Sent.failure(ConnectionClosed(*self._close_codes))

    # What the dispatcher reports

    def _note_open(self) -> None:
        if self._state is ConnState.CONNECTING:
            self._state = ConnState.OPEN
            self._registry.by_id[self._id] = self

    def _note_drained(self) -> None:
        drain, self._drain = self._drain, None
        if drain is not None:
            drain.resolve(None)

    def _note_pong(self, payload: bytes) -> None:
        waiting = self._pings.pop(payload, None) if self._pings else None
        if waiting is not None:
            sent, started, timer = waiting
            timer.cancel()
            sent.resolve(self._registry.clock.time() - started)

    def _ping_timed_out(self, payload: bytes) -> None:
        waiting = self._pings.pop(payload, None) if self._pings else None
        if waiting is not None:
            limit = self._registry.limits.ping_timeout_s
            waiting[0].fail(TimeoutError(f"no pong within {limit:g} s"))

    def _note_closing(self, sent: int | None, received: int | None) -> None:
        self._close_codes = (sent, received)
        if self._state is not ConnState.CLOSED:
            self._state = ConnState.CLOSING
            self._refuse_messages()

    def _fail_waiting(self, error: ConnectionClosed) -> None:
        drain, self._drain = self._drain, None
        if drain is not None:
            drain.fail(error)
        pings, self._pings = self._pings, None
        for waiting, _, timer in (pings or {}).values():
            timer.cancel()
            waiting.fail(error)

    def _note_closed(self, sent: int | None, received: int | None) -> None:
        self._close_codes = (sent, received)
        self._state = ConnState.CLOSED
        self._refuse_messages()
        self._registry.by_id.pop(self._id, None)
        if self._drain is not None or self._pings:
            self._fail_waiting(ConnectionClosed(sent, received))
        if self._closed is not None:
            self._closed.resolve(None)
