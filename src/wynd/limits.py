"""`Limits`: every number that bounds what a peer can make the server hold, compute or wait for.

A frozen value that is passed in; nothing reads a hidden constant or the environment. The docstring
of a field is its row in docs/reference/limits.md: what is counted, what happens at the limit with
the sentence that peers see, why the number is what it is, and what the portable engine does
differently. `tools/limits_page.py` makes the table from it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["Limits"]

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Bounds of one `Wynd`. Bytes are bytes, times are seconds; None switches a limit off.

    Raises:
        TypeError: an unknown name or a value of the wrong type.
        ValueError: a value that is not positive, or bounds that contradict each other.
    """

    handshake_timeout_s: float = 5.0
    """From accept to the written answer, `on_request` included; arriving bytes do not extend it.

    Limit: 408 "The request did not arrive in time." if a request was begun, 503 "The server did not
        answer in time." if `on_request` was late, else a plain close.
    Why: a handshake takes one round trip, with TLS three; 5 s bears lost packets on a slow line.
    Portable: from the complete request on; before, the host server's.
    """
    head_bytes_max: int = 16 * KIB
    """Request line and header fields together.

    Limit: 431 "The request head is too large."
    Why: browsers stay below 8 KiB, cookies and tokens included; twice that.
    Portable: `listen` passes it on to uvicorn, which cuts heads that arrive in several reads; under
        `handler()` the host server's.
    """
    head_fields_max: int = 100
    """Header fields of one request.

    Limit: 431 "The request head is too large."
    Why: browsers send about 20, proxies add a few.
    Portable: the host server's.
    """
    message_bytes_max: int = 1 * MIB
    """One message, all fragments, after inflating.

    Limit: 1009 "Message too big."; a declared length is judged before its payload is read.
    Why: what other servers allow, and larger things are better uploaded.
    Portable: judged when the message is there; up to 64 KiB more are read for that, and of a
        message larger still the host server closes the connection.
    """
    message_fragments_max: int = 16_384
    """Fragments of one message, empty ones counted.

    Limit: 1008 "Limit exceeded."
    Why: a message at `message_bytes_max` in pieces of 64 bytes; honest senders make none smaller.
    Portable: the host server's.
    """
    messages_per_second_max: float | None = None
    """Inbound messages of one connection, averaged, with a burst of one second.

    Limit: 1008 "Limit exceeded."
    Why: off, since only the application knows what a message costs it.
    """
    inbound_messages_max: int = 16
    """Messages waiting for a busy handler (or `message_bytes_max` bytes of them).

    Limit: reading pauses; nothing is dropped.
    Why: enough that the next message is there when a handler ends, little enough to hold for all.
    """
    ping_interval_s: float | None = 25.0
    """Between keepalive pings; the first one comes after a random part of it.

    Limit: a ping.
    Why: below the 30 s after which common proxies and address translators forget idle connections.
    Portable: `listen` passes it on to uvicorn; under `handler()` the host server's.
    """
    ping_timeout_s: float = 10.0
    """From a ping on, without any inbound byte.

    Limit: abort; `on_close` sees 1006.
    Why: a lost peer is found within 25 + 10 + 1 s, and a phone that changes networks is not lost.
    Portable: `listen` passes it on to uvicorn; under `handler()` the host server's.
    """
    close_timeout_s: float = 5.0
    """From our close frame to the peer's answer and the end of its transport.

    Limit: abort; a handler that still runs is cancelled.
    Why: one round trip, and time for what was sent before to arrive over a slow line.
    """
    outbox_bytes_soft: int = 256 * KIB
    """Unsent bytes of one connection.

    Limit: `await send_*` waits until half of it.
    Why: a tenth of a second of a line of 20 Mbit/s, so that waiting senders do not starve it.
    """
    outbox_bytes_hard: int = 1 * MIB
    """Unsent bytes of one connection.

    Limit: the room's policy; for direct sends 1013 "Too slow."
    Why: four times the soft limit, for publishes that wait for nobody; 1,000 such peers hold 1 GB.
    """
    outbox_stall_s: float = 35.0
    """An outbox without progress; also `TCP_USER_TIMEOUT`.

    Limit: abort; `on_close` sees 1006.
    Why: `ping_interval_s` and `ping_timeout_s` together, for peers whose pongs are not read.
    """
    pong_bytes_max: int = 16 * KIB
    """Unsent pongs of one connection.

    Limit: the newest pong replaces the waiting ones; then the peer is not read.
    Why: 129 pongs of the largest size; nobody who reads has so many under way.
    Portable: the host server's.
    """
    process_bytes_max: int = 512 * MIB
    """Outboxes, partial messages, inbound queues and [contexts of
    compression](../explanation/compression.md) of all connections together.

    Limit: the largest holders are closed with 1013 "Server is busy." and `retry_after=5`; upgrades
        get 503 "The server is busy." with `Retry-After`.
    Why: a quarter of a small machine's 2 GiB.
    Portable: outboxes and inbound queues; the host server holds the rest.
    """
    connections_max: int | None = None
    """Open connections; `None` means the process's descriptor limit less `descriptors_reserved`.

    Limit: 503 "The server is busy." with `Retry-After`.
    Why: descriptors are what runs out first; memory has a limit of its own.
    Portable: `None` is no limit; the host server may have one.
    """
    connections_per_address_max: int | None = 1024
    """Open connections of one address (IPv6: one /64); loopback and Unix sockets are exempt.

    Limit: 429 "Too many connections from this address." with `Retry-After`.
    Why: a school or office behind one address, and far from what exhausts a server.
    """
    connections_per_second_max: float | None = None
    """New connections per second, with a burst of one second.

    Limit: 503 "The server is busy." with `Retry-After`.
    Why: off, since a handshake costs some 40 us and a restart brings everybody back at once.
    """
    descriptors_reserved: int = 256
    """Descriptors kept for everything else: HTTP, logs, databases.

    Limit: the listener pauses.
    Why: a pool of database connections, open files and answers to who is refused.
    Portable: the host server's.
    """
    rooms_per_connection_max: int = 200
    """Rooms of one connection.

    Limit: `join` raises `LimitExceeded`.
    Why: what a person can follow, and a bound on what joining without an end costs.
    """
    room_name_bytes_max: int = 255
    """UTF-8 bytes of a room's name.

    Limit: `join` and `to` raise `LimitExceeded`.
    Why: as file names; a name is not a place for data.
    """
    early_bytes_max: int = 64 * KIB
    """Bytes after the request, before its answer.

    Limit: 400 "Too many bytes before the answer."
    Why: a first message of a client that does not wait; four heads.
    Portable: the host server's.
    """

    def __post_init__(self) -> None:
        for field in fields(self):
            self._check(field.name, getattr(self, field.name))
        if self.outbox_bytes_soft > self.outbox_bytes_hard:
            raise ValueError(
                f"outbox_bytes_soft ({self.outbox_bytes_soft}) is above "
                f"outbox_bytes_hard ({self.outbox_bytes_hard}); lower it"
            )

    @staticmethod
    def _check(name: str, value: object) -> None:
        may_be_off = name in _MAY_BE_OFF
        if value is None and may_be_off:
            return
        is_whole = name not in _FRACTIONAL
        wanted = (int,) if is_whole else (int, float)
        if not isinstance(value, wanted) or isinstance(value, bool):
            kind = "an int" if is_whole else "a number"
            off = " or None" if may_be_off else ""
            raise TypeError(f"{name} must be {kind}{off}, not {value!r}")
        if value <= 0 and name != "descriptors_reserved":
            off = "; None switches it off" if may_be_off else ""
            raise ValueError(f"{name} must be above 0, not {value!r}{off}")
        if value < 0:
            raise ValueError(f"{name} must be 0 or more, not {value!r}")


_MAY_BE_OFF = frozenset(
    {
        "messages_per_second_max",
        "ping_interval_s",
        "connections_max",
        "connections_per_address_max",
        "connections_per_second_max",
    }
)
_FRACTIONAL = frozenset(
    {
        "handshake_timeout_s",
        "messages_per_second_max",
        "ping_interval_s",
        "ping_timeout_s",
        "close_timeout_s",
        "outbox_stall_s",
        "connections_per_second_max",
    }
)
