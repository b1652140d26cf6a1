"""What waits to be sent to one connection, and which message goes when it is too much.

The portable engine's half of flow control: counts bytes, applies the policies of rooms, sends
nothing itself. The native engine has its own in Rust; both follow the same rules:
 1. `bytes` counts every message until the host server has taken it, frame header included.
 2. A message above the hard limit is taken only into an empty outbox.
 3. Only whole messages of the same room are dropped, and each is counted; the one in flight never
    is. Droppable ones go before others, older before newer.
 4. Where the policy drops nothing older (`close`, `drop_newest`), a droppable message is taken up
    to the soft limit only: the rest is kept for what must not be dropped.
 5. `latest`: while the host takes no more, a new message replaces the waiting one of its key; also
    from the moment the hard limit was met until the outbox is empty. No key is a key too.
 6. Survivors keep the order in which they were published.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from enum import Enum
from typing import TYPE_CHECKING, Any

from wynd.engines.base import Opcode, Policy, Prepared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wynd.engines.base import Payload

__all__ = ["Entry", "Frame", "Ledger", "Outbox", "Verdict", "byte_length", "framed"]


def byte_length(message: str | bytes) -> int:
    """Return the bytes of a message on the wire, without its header.

    Raises:
        ValueError: a str with a lone surrogate, which UTF-8 cannot carry.
    """
    if isinstance(message, bytes) or message.isascii():
        return len(message)
    try:
        return len(message.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise ValueError("text holds a lone surrogate and is not valid UTF-8") from error


def _header_length(size: int) -> int:
    """Return the bytes of an unmasked frame's header (RFC 6455 §5.2)."""
    if size <= 125:
        return 2
    return 4 if size <= 0xFFFF else 10


class Frame:
    """One message as the host server takes it, shared by all that wait to receive it."""

    __slots__ = ("event", "holders", "payload_size", "size")

    def __init__(self, opcode: Opcode, message: str | bytes) -> None:
        name = "text" if opcode is Opcode.TEXT else "bytes"
        self.event: dict[str, Any] = {"type": "websocket.send", name: message}
        self.payload_size: int = byte_length(message)
        self.size: int = self.payload_size + _header_length(self.payload_size)
        self.holders: int = 0


def framed(opcode: Opcode, payload: Payload) -> Frame:
    """Return the frame of a payload; that of a `Prepared` is made once and kept with it.

    Raises:
        ValueError: a str with a lone surrogate.
    """
    if not isinstance(payload, Prepared):
        return Frame(opcode, payload)
    kept = payload._frame
    if not isinstance(kept, Frame):
        is_text = payload.opcode is Opcode.TEXT
        message = payload.payload.decode("utf-8") if is_text else payload.payload
        kept = payload._frame = Frame(payload.opcode, message)
    return kept


class Ledger:
    """Sums over all outboxes of an engine."""

    __slots__ = ("dropped", "held_bytes", "limit_hits", "outbox_bytes")

    def __init__(self) -> None:
        self.outbox_bytes: int = 0
        """Unsent bytes, a shared frame counted for each outbox."""
        self.held_bytes: int = 0
        """Memory held for them, a shared frame counted once, and for inbound queues."""
        self.dropped: Counter[str] = Counter()
        """Policy name → messages dropped."""
        self.limit_hits: int = 0
        """How often a message met the hard limit and others, or itself, were dropped."""

    def take(self, frame: Frame) -> None:
        """Count one more outbox that holds `frame`."""
        self.outbox_bytes += frame.size
        if frame.holders == 0:
            self.held_bytes += frame.size
        frame.holders += 1

    def release(self, frame: Frame) -> None:
        """Count one less."""
        self.outbox_bytes -= frame.size
        frame.holders -= 1
        if frame.holders == 0:
            self.held_bytes -= frame.size


class Entry:
    """A message in an outbox: `room` is None for a message to this connection or to all."""

    __slots__ = ("droppable", "frame", "key", "room")

    def __init__(
        self, frame: Frame, room: str | None = None, key: str | None = None, droppable: bool = False
    ) -> None:
        self.frame: Frame = frame
        self.room: str | None = room
        self.key: str | None = key
        self.droppable: bool = droppable


class Verdict(Enum):
    """What became of a pushed message."""

    QUEUED = "queued"
    DROPPED = "dropped"
    OVERFLOW = "overflow"
    """It does not fit and nothing may be dropped for it: close the connection."""


class Outbox:
    """Unsent messages of one connection, oldest first."""

    __slots__ = ("_entries", "_in_flight", "_ledger", "_newest", "_replaces", "_serial", "bytes")

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._entries: OrderedDict[int, Entry] | None = None  # an idle connection owns none
        self._newest: dict[tuple[str | None, str], int] | None = None
        """Under `latest`: room and key → serial of the newest entry that waits."""
        self._replaces = False
        """The limit was met under `latest`: replace at once until empty."""
        self._serial = 0
        self._in_flight: Frame | None = None
        self.bytes: int = 0
        """Unsent bytes, the message in flight included."""

    def push(self, entry: Entry, policy: Policy, bytes_soft: int, bytes_hard: int) -> Verdict:
        """Queue a message, or do what `policy` says if it does not fit."""
        drops_older = entry.room is not None and policy.kind in ("drop_oldest", "latest")
        spares_others = entry.droppable and not drops_older
        bound = bytes_soft if spares_others else bytes_hard
        if policy is Policy.latest and (self._replaces or self._in_flight is not None):
            self._drop_same_key(entry)
        if not self._fits(entry, bound):
            if spares_others or policy is Policy.drop_newest:
                return self._refuse("drop_newest")
            if not drops_older:
                return Verdict.OVERFLOW
            self._make_space(entry, policy, bound)
            if not self._fits(entry, bound):
                return self._refuse(policy.kind)
        self._append(entry, policy)
        return Verdict.QUEUED

    def _fits(self, entry: Entry, bound: int) -> bool:
        return self.bytes == 0 or self.bytes + entry.frame.size <= bound

    def _refuse(self, kind: str) -> Verdict:
        self._ledger.dropped[kind] += 1
        self._ledger.limit_hits += 1
        return Verdict.DROPPED

    def _append(self, entry: Entry, policy: Policy) -> None:
        if self._entries is None:
            self._entries = OrderedDict()
        self._serial += 1
        self._entries[self._serial] = entry
        if policy is Policy.latest:
            if self._newest is None:
                self._newest = {}
            self._newest[entry.room, entry.key or ""] = self._serial
        self.bytes += entry.frame.size
        self._ledger.take(entry.frame)

    def _drop_same_key(self, entry: Entry) -> None:
        serial = (self._newest or {}).get((entry.room, entry.key or ""))
        if serial is not None:
            self._remove(serial)
            self._ledger.dropped["latest"] += 1

    def _make_space(self, entry: Entry, policy: Policy, bound: int) -> None:
        """Drop messages of the entry's room until it fits or there is none left."""
        if entry.frame.size > bound:
            return  # it waits for an empty outbox; dropping would not help
        self._ledger.limit_hits += 1
        mine = [
            (serial, found)
            for serial, found in (self._entries or {}).items()
            if found.room == entry.room
        ]
        doomed = [serial for serial, found in mine if found.droppable]
        doomed += [serial for serial, found in mine if not found.droppable]
        if policy is Policy.latest and not self._replaces:
            self._replaces = True
            newest = set((self._newest or {}).values())
            replaced = [serial for serial in doomed if serial not in newest]
            self._drop(replaced, policy.kind)
            doomed = [serial for serial in doomed if serial in newest]
        for serial in doomed:
            if self._fits(entry, bound):
                return
            self._drop((serial,), policy.kind)

    def _drop(self, serials: Sequence[int], kind: str) -> None:
        for serial in serials:
            self._remove(serial)
        self._ledger.dropped[kind] += len(serials)

    def _remove(self, serial: int) -> None:
        assert self._entries is not None
        entry = self._entries.pop(serial)
        self._forget(serial, entry)
        self.bytes -= entry.frame.size
        self._ledger.release(entry.frame)

    def _forget(self, serial: int, entry: Entry) -> None:
        if self._newest:
            place = (entry.room, entry.key or "")
            if self._newest.get(place) == serial:
                del self._newest[place]

    def begin(self) -> Frame | None:
        """Take out the oldest message to send it; it counts until `finish`. None if empty."""
        if not self._entries:
            self._replaces = False
            return None
        serial, entry = self._entries.popitem(last=False)
        self._forget(serial, entry)
        self._in_flight = entry.frame
        return entry.frame

    def finish(self) -> None:
        """Note that the message in flight was taken, or will never be."""
        frame, self._in_flight = self._in_flight, None
        if frame is not None:
            self.bytes -= frame.size
            self._ledger.release(frame)

    def clear(self) -> None:
        """Free everything that waits; what is in flight stays counted."""
        entries, self._entries, self._newest = self._entries, None, None
        self._replaces = False
        for entry in (entries or {}).values():
            self.bytes -= entry.frame.size
            self._ledger.release(entry.frame)
