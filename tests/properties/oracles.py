"""Two other implementations of RFC 6455 as judges: `websockets` and `wsproto`, without their I/O.

Each gives the events of a client's stream in the form of `wynd._engine.ServerProtocol`. Both judge
a frame when it is whole; neither is asked about bytes after a fault or a close frame.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Any

from websockets.frames import Frame as WebsocketsFrame
from websockets.protocol import Protocol, Side
from wsproto.frame_protocol import FrameProtocol, Opcode, ParseFailed

Events = list[tuple[Any, ...]]

MESSAGE_BYTES_MAX = 1 << 20


class _Assembler:
    """Makes messages of frames, texts checked as they come."""

    def __init__(self) -> None:
        self.events: Events = []
        self._kind: str | None = None
        self._parts: list[str | bytes] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")

    def push(self, opcode: int, payload: bytes, fin: bool) -> bool:
        """Take a data frame; False if it is no UTF-8."""
        if opcode != 0:
            self._kind = "text" if opcode == 1 else "binary"
            self._decoder.reset()
        try:
            part = self._decoder.decode(payload, fin) if self._kind == "text" else payload
        except UnicodeDecodeError:
            self.events.append(("failed", 1007))
            return False
        self._parts.append(part)
        if fin:
            empty: Any = "" if self._kind == "text" else b""
            self.events.append((self._kind, empty.join(self._parts)))
            self._parts = []
        return True


def websockets_events(stream: bytes, side: Side = Side.SERVER) -> Events:
    """Return what `websockets` makes of `stream`."""
    protocol = Protocol(side, max_size=MESSAGE_BYTES_MAX)
    protocol.receive_data(stream)
    assembler = _Assembler()
    for frame in protocol.events_received():
        assert isinstance(frame, WebsocketsFrame)
        opcode, payload = int(frame.opcode), bytes(frame.data)
        if opcode < 8:
            if not assembler.push(opcode, payload, frame.fin):
                return assembler.events
        elif opcode == 8:
            assembler.events.append(_close(payload))
            return assembler.events
        else:
            assembler.events.append(("ping" if opcode == 9 else "pong", payload))
    if protocol.parser_exc is not None:
        assert protocol.close_sent is not None
        assembler.events.append(("failed", int(protocol.close_sent.code)))
    return assembler.events


def _close(payload: bytes) -> tuple[Any, ...]:
    code = int.from_bytes(payload[:2], "big") if payload else None
    return ("close", code, payload[2:].decode())


def wsproto_events(stream: bytes, side: Side = Side.SERVER) -> Events:
    """Return what `wsproto` makes of `stream`."""
    protocol = FrameProtocol(client=side is Side.CLIENT, extensions=[])
    protocol.receive_bytes(stream)
    events: Events = []
    parts: list[Any] = []
    try:
        for frame in protocol.received_frames():
            if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONTINUATION):
                parts.append(frame.payload)
                if frame.message_finished:
                    is_text = isinstance(parts[0], str)
                    joined: Any = "".join(parts) if is_text else b"".join(parts)
                    events.append(("text" if is_text else "binary", joined))
                    parts = []
            elif frame.opcode is Opcode.CLOSE:
                assert isinstance(frame.payload, tuple)
                code, reason = frame.payload
                is_empty = int(code) == 1005
                events.append(("close", None if is_empty else int(code), reason or ""))
                return events
            else:
                kind = "ping" if frame.opcode is Opcode.PING else "pong"
                events.append((kind, bytes(frame.payload)))  # type: ignore[arg-type]
    except ParseFailed as failure:
        events.append(("failed", int(failure.code)))
    return events


@dataclass(frozen=True, slots=True)
class Ending:
    """The frame at which our protocol stopped, as its header says."""

    opcode: int
    declared: int
    is_minimal: bool
    is_whole: bool
    payload: bytes
    """Unmasked; what there is of it."""


def ending_of(stream: bytes, stopped_at: int) -> Ending | None:
    """Return the last frame that begins at or before byte `stopped_at`; None before any."""
    position, found = 0, None
    while position <= min(stopped_at, len(stream) - 1):
        if position == len(stream) - 1:
            return Ending(stream[position] & 15, 0, True, False, b"")
        seven = stream[position + 1] & 127
        form = {126: 2, 127: 8}.get(seven, 0)
        start = position + 2 + form
        extended = stream[position + 2 : start]
        declared = int.from_bytes(extended, "big") if form else seven
        is_minimal = form == 0 or declared >= (126 if form == 2 else 65_536)
        key = stream[start : start + 4] if stream[position + 1] & 128 else b"\0\0\0\0"
        start += 4 if stream[position + 1] & 128 else 0
        raw = stream[start : start + declared]
        payload = bytes(byte ^ key[at % 4] for at, byte in enumerate(raw)) if len(key) == 4 else b""
        is_whole = start + declared <= len(stream)
        found = Ending(stream[position] & 15, declared, is_minimal, is_whole, payload)
        position = start + declared
    return found


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def explain_websockets(ours: Any, theirs: Any, ending: Ending) -> str | None:
    """Return why `websockets` may differ here: its reviewed lenient spots; None is a finding.

    `ours` and `theirs` are the first events that differ, None where there is none.
    """
    if theirs is None and not ending.is_whole:
        return "it judges a frame when it is whole"
    if ours == ("failed", 1002) and not ending.is_minimal:
        return "it accepts lengths that are not in their shortest form"
    is_huge = ending.declared > MESSAGE_BYTES_MAX // 2
    if (ours, theirs, is_huge) == (("failed", 1002), ("failed", 1009), True):
        return "it judges the size before the other rules of the header"
    if theirs == ("failed", 1002) and ours is not None and ours[0] == "close":
        return "it takes a close frame inside a fragmented message for an error"
    is_begun = is_huge and not ending.is_whole and not ending.payload
    if ours is None and theirs == ("failed", 1009) and is_begun:
        return "it judges the size before the masking key has arrived"
    if ours is None:
        return None
    is_bad_reason = ending.opcode == 8 and not _is_utf8(ending.payload[2:])
    if (ours, theirs, is_bad_reason) == (("failed", 1002), ("failed", 1007), True):
        return "it judges a close reason before the close code"
    return None


def explain_wsproto(ours: Any, theirs: Any, ending: Ending) -> str | None:
    """Return why `wsproto` may differ here; see `explain_websockets`."""
    if theirs is None and not ending.is_whole:
        return "it judges a frame when it is whole"
    if ours == ("failed", 1009) and ending.declared > MESSAGE_BYTES_MAX // 2:
        return "it leaves the size of messages to its caller"
    if ours is None:
        return None
    says_1014 = ending.opcode == 8 and ending.payload[:2] == (1014).to_bytes(2, "big")
    if theirs == ("failed", 1002) and (ours[:2] == ("close", 1014) or says_1014):
        return "it does not know close code 1014, which was registered later"
    return None
