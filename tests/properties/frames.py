"""Frames that may break any rule, and random streams of them, for the tests of the protocol.

An encoder of its own, apart from the one under test: it sets every bit as it is told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import cycle
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
RESERVED_OPCODES = (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
LENGTH_EDGES = (0, 1, 124, 125, 126, 127, 128, 65_534, 65_535, 65_536, 65_537)
KEY = b"\x37\xfa\x21\x3d"  # the key of RFC 6455 §5.7


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; the defaults are those of a good client."""

    opcode: int
    payload: bytes = b""
    fin: bool = True
    rsv: int = 0
    """RSV1, RSV2, RSV3 as bits 4, 2, 1."""
    key: bytes | None = KEY
    length_bytes: int | None = None
    """Bytes of the extended length, 0, 2 or 8; None is the shortest form."""
    declared: int | None = None
    """Length in the header; None is that of the payload."""

    def encode(self) -> bytes:
        """Return the bytes on the wire."""
        length = len(self.payload) if self.declared is None else self.declared
        form = self.length_bytes
        if form is None:
            form = 0 if length < 126 else 2 if length < 65_536 else 8
        seven = {0: length, 2: 126, 8: 127}[form]
        first = self.fin << 7 | self.rsv << 4 | self.opcode
        second = (self.key is not None) << 7 | seven
        extended = length.to_bytes(form, "big") if form else b""
        head = bytes((first, second)) + extended
        if self.key is None:
            return head + self.payload
        return head + self.key + masked(self.key, self.payload)


def masked(key: bytes, payload: bytes) -> bytes:
    """Return `payload` masked, byte by byte as RFC 6455 §5.3 says it."""
    return bytes(byte ^ of for byte, of in zip(payload, cycle(key), strict=False))


def close_payload(code: int, reason: str = "") -> bytes:
    """Return the payload of a close frame."""
    return code.to_bytes(2, "big") + reason.encode()


# Texts whose UTF-8 has every length, and bytes that are none (RFC 3629 §3, §4)
_TEXTS = ("", "a", "hello", "é", "€uro", "𝄞", "日本語" * 20, "x" * 125, "y" * 126, "\x00", "\u07ff")
_NO_TEXTS = (
    b"\xff",
    b"\xc0\x80",
    b"\xe0\x80\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xf5",
    b"ok\x80",
    b"\xc3",
)
_CODES = (999, 1000, 1001, 1004, 1005, 1006, 1007, 1011, 1014, 1015, 1016, 2999, 3000, 4999, 5000)


def random_stream(rng: Random, frames_max: int = 8) -> list[bytes]:
    """Return encoded frames of a client that is mostly good; after a fault it just goes on."""
    stream: list[bytes] = []
    in_message = False
    for _ in range(rng.randint(1, frames_max)):
        frame = _good_frame(rng, in_message)
        if rng.random() < 0.06:
            frame = _broken(rng, frame)
        encoded = frame.encode()
        if rng.random() < 0.03:
            encoded = _mutated(rng, encoded)
        stream.append(encoded)
        if frame.opcode < CLOSE:
            in_message = not frame.fin
    return stream


def _good_frame(rng: Random, in_message: bool) -> Frame:
    kind = rng.random()
    if kind < 0.15:
        return Frame(rng.choice((PING, PONG)), rng.randbytes(rng.choice((0, 1, 4, 125))))
    if kind < 0.18:
        reason = rng.choice(("", "bye", "é" * 61))
        return Frame(CLOSE, rng.choice((b"", close_payload(rng.choice(_CODES), reason))))
    opcode = CONTINUATION if in_message else rng.choice((TEXT, BINARY))
    payload = rng.choice(_TEXTS).encode()
    if rng.random() < 0.04:
        payload = rng.choice(_NO_TEXTS)
    elif rng.random() < 0.03:
        payload = b"z" * rng.choice(LENGTH_EDGES)
    key = rng.choice((KEY, b"\0\0\0\0", rng.randbytes(4)))
    return Frame(opcode, payload, fin=rng.random() < 0.75, key=key)


def _broken(rng: Random, frame: Frame) -> Frame:
    return rng.choice(
        (
            replace(frame, rsv=rng.randint(1, 7)),
            replace(frame, opcode=rng.choice(RESERVED_OPCODES)),
            replace(frame, opcode=rng.choice((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))),
            replace(frame, key=None),
            replace(frame, length_bytes=8),
            replace(frame, fin=not frame.fin),
            replace(frame, length_bytes=8, declared=rng.choice((1 << 20, 1 << 40, 1 << 63))),
            Frame(PING, bytes(126)),
            Frame(CLOSE, b"\x03"),
            Frame(CLOSE, close_payload(1000) + b"\xff"),
        )
    )


def _mutated(rng: Random, encoded: bytes) -> bytes:
    """Return `encoded` with a bit flipped, or bytes gone, added or repeated."""
    position = rng.randrange(len(encoded))
    head, tail = encoded[:position], encoded[position:]
    match rng.randrange(4):
        case 0:
            return head + bytes((tail[0] ^ 1 << rng.randrange(8),)) + tail[1:]
        case 1:
            return head + tail[rng.randint(1, 8) :]
        case 2:
            return head + rng.randbytes(rng.randint(1, 4)) + tail
        case _:
            return encoded + tail


def cut(rng: Random, stream: bytes) -> list[bytes]:
    """Return `stream` in random pieces."""
    pieces = []
    while stream:
        size = rng.choice((1, 2, 3, 7, 50, len(stream)))
        pieces.append(stream[:size])
        stream = stream[size:]
    return pieces
