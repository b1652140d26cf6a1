"""`Limits`: every number that bounds what a peer can make the server hold, compute or wait for.

A frozen value that is passed in; nothing reads a hidden constant or the environment.
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
    """From accept to the written answer, `on_request` included; arriving bytes do not extend it."""
    head_bytes_max: int = 16 * KIB
    """Request line and header fields together; more is 431. Browsers stay below 8 KiB."""
    head_fields_max: int = 100
    """Header fields of one request; more is 431."""
    message_bytes_max: int = 1 * MIB
    """One message, all fragments, after inflating; more is 1009."""
    message_fragments_max: int = 16_384
    """Fragments of one message, empty ones counted; more is 1008."""
    messages_per_second_max: float | None = None
    """Inbound messages of one connection, averaged with a burst of one second; more is 1008."""
    inbound_messages_max: int = 16
    """Messages waiting for a busy handler; at the limit (or at `message_bytes_max` bytes) reading
    pauses, nothing is dropped."""
    ping_interval_s: float | None = 25.0
    """Keepalive ping after this long; the first one after a random part of it. 25 s stays below
    the 30 s idle limits of common proxies."""
    ping_timeout_s: float = 10.0
    """A peer that sent no byte for this long after a ping is dead: abort, 1006."""
    close_timeout_s: float = 5.0
    """From our close frame to the peer's answer and FIN; then abort."""
    outbox_bytes_soft: int = 256 * KIB
    """`await send_*` completes at once below this, else when the outbox fell below half of it."""
    outbox_bytes_hard: int = 1 * MIB
    """Unsent bytes of one connection; at the limit the room's policy, or 1013, decides."""
    outbox_stall_s: float = 35.0
    """An outbox without progress for this long is aborted; also `TCP_USER_TIMEOUT`."""
    pong_bytes_max: int = 16 * KIB
    """Unsent pongs; beyond it the newest pong replaces the waiting ones."""
    process_bytes_max: int = 512 * MIB
    """Outboxes, partial messages, inbound queues and contexts of compression of all connections
    together; at the limit upgrades get 503 and the largest holders are closed with 1013."""
    connections_max: int | None = None
    """Open connections; None means `RLIMIT_NOFILE` less `descriptors_reserved`. More get 503."""
    connections_per_address_max: int | None = 1024
    """Open connections of one address (IPv6: one /64); loopback is exempt. More get 429."""
    connections_per_second_max: float | None = None
    """New connections per second; more get 503 with `Retry-After`."""
    descriptors_reserved: int = 256
    """Descriptors kept for HTTP, logs and databases; without them the listener pauses."""
    rooms_per_connection_max: int = 200
    """Rooms one connection may be in; `join` raises `LimitExceeded`."""
    room_name_bytes_max: int = 255
    """UTF-8 bytes of a room's name; `join` raises `LimitExceeded`."""
    early_bytes_max: int = 64 * KIB
    """Bytes after the request head, before the answer; more closes the connection."""

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
