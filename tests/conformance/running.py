"""Runs cases against a server and says what was seen."""

from __future__ import annotations

import asyncio
import struct
import zlib
from typing import TYPE_CHECKING

from tests.conformance.handshakes import BEHIND
from tests.conformance.wire import CLOSE, CONTINUATION, TEXT, Frame, frame, head, opened

if TYPE_CHECKING:
    from tests.conformance.frames import FrameCase
    from tests.conformance.handshakes import HandshakeCase
    from tests.conformance.wire import Server, Wire

__all__ = ["run_frames", "run_handshake"]

OFFER = (
    b"Sec-WebSocket-Extensions: permessage-deflate; "
    b"server_no_context_takeover; client_no_context_takeover"
)


async def run_frames(server: Server, case: FrameCase) -> str:
    """Return "" if the outcome is the right one, else what was seen."""
    async with opened(server) as wire:
        wire.send(head(*(OFFER,) if case.deflate else (), path=server.path))
        status, fields, _ = await wire.answer()
        if status != 101:
            return f"the handshake was answered {status}"
        if case.deflate and b"permessage-deflate" not in fields.get(
            b"sec-websocket-extensions", b""
        ):
            return "does not speak permessage-deflate"
        wire.send(frame(TEXT, b"hello"))
        seen = await _message(wire)
        if seen != Frame(TEXT, b"hello"):
            return f"{seen} instead of an echo"
        wire.send(case.sends)
        for expected in case.expects:
            seen = await _message(wire)
            if not _is_same(seen, expected):
                return f"{seen} instead of {expected}"
        if case.expects[-1].opcode != CLOSE:
            wire.send(frame(TEXT, b"alive?"))
            seen = await _message(wire)
            return "" if seen == Frame(TEXT, b"alive?") else f"{seen} after it"
        wire.send(frame(CLOSE, case.expects[-1].payload[:2]))
        return "" if await wire.is_ended() else "the connection stays open"


async def _message(wire: Wire) -> Frame | str:
    """Read a whole message or a control frame; a str says why there is none."""
    try:
        first = found = await wire.frame()
        while found is not None and not found.fin:
            found = await wire.frame()
            if found is None or first is None or found.opcode != CONTINUATION:
                return f"{found} inside a message"
            first = Frame(first.opcode, first.payload + found.payload, found.fin, first.rsv)
    except TimeoutError:
        return "nothing"
    if first is None:
        return "the end without a close frame"
    if first.rsv == 4:
        inflated = zlib.decompressobj(wbits=-15).decompress(first.payload + b"\x00\x00\xff\xff")
        return Frame(first.opcode, inflated)
    return first


def _is_same(seen: Frame | str, expected: Frame) -> bool:
    if isinstance(seen, str) or seen.opcode != expected.opcode:
        return False
    if expected.opcode == CLOSE:
        return _code(seen) == _code(expected)
    return seen.payload == expected.payload and seen.rsv == 0


def _code(close: Frame) -> int | None:
    return struct.unpack("!H", close.payload[:2])[0] if len(close.payload) > 1 else None


async def run_handshake(server: Server, case: HandshakeCase, *, ends: bool = True) -> str:
    """The same for a request.

    Args:
        ends: whether a refusal must end the connection, without an answer to what comes behind; the
            rule of this project. HTTP would let it go on.
    """
    async with opened(server) as wire:
        wanted = case.over_tls if server.tls and case.over_tls else case.status
        sends = case.sends.replace(b" / ", f" {server.path} ".encode(), 1)
        wire.send(sends)
        try:
            status, fields, _ = await wire.answer()
        except TimeoutError:
            return "no answer"
        if status != wanted:
            return f"{status or 'the end'} instead of {wanted}"
        for name, value in case.fields:
            if fields.get(name) != value:
                return f"{name.decode()}: {fields.get(name)!r}"
        if status == 101:
            wire.send(frame(TEXT, b"alive?"))
            seen = await _message(wire)
            return "" if seen == Frame(TEXT, b"alive?") else f"{seen} after it"
        if not ends:
            return ""
        wire.send(BEHIND)
        try:
            again, _, _ = await wire.answer()
        except (TimeoutError, asyncio.IncompleteReadError):
            return "the connection stays open"
        return f"the request behind it was answered {again}" if again else ""
