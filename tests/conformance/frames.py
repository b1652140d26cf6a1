"""The gap pack: what the Autobahn suite leaves open. Raw frames, and the one right outcome of each.

The server echoes every message. `reliability` names the rules of this project where the RFC leaves
a choice (limits, order); everything else is RFC 6455 and RFC 7692.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from tests.conformance.wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    frame,
)

__all__ = ["FRAME_CASES", "FrameCase"]

MESSAGE_BYTES_MAX = 1024 * 1024  # `Limits.message_bytes_max`, the default
FRAGMENTS_MAX = 16_384  # `Limits.message_fragments_max`, the default


@dataclass(frozen=True, slots=True)
class FrameCase:
    """What is sent on an open connection that has echoed a message, and what comes back.

    Without a close among `expects` the connection must go on; with one it must end.
    """

    group: str
    name: str
    rule: str
    sends: bytes
    expects: tuple[Frame, ...]
    deflate: bool = False
    """Whether permessage-deflate is offered, without context on both sides."""
    is_ours: bool = False
    """Whether the outcome is this project's choice (a limit's default), not the RFC's."""


def closed(code: int | None) -> Frame:
    """A close frame with this code, or an empty one; reasons are not compared."""
    return Frame(CLOSE, b"" if code is None else struct.pack("!H", code))


def closing(code: int, reason: bytes = b"") -> bytes:
    """The client's close frame."""
    return frame(CLOSE, struct.pack("!H", code) + reason)


def text(payload: bytes) -> Frame:
    """An echo."""
    return Frame(TEXT, payload)


def deflated(payload: bytes, *, level: int = 6, flush: int = zlib.Z_SYNC_FLUSH) -> bytes:
    """The payload of a compressed message (RFC 7692 §7.2.1)."""
    deflate = zlib.compressobj(level, wbits=-15)
    data = deflate.compress(payload) + deflate.flush(flush)
    return data.removesuffix(b"\x00\x00\xff\xff")


def _blocks(*parts: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-15)
    data = b"".join(deflate.compress(part) + deflate.flush(zlib.Z_FULL_FLUSH) for part in parts)
    return data.removesuffix(b"\x00\x00\xff\xff")


def _sized(size: int, length: bytes) -> bytes:
    return frame(BINARY, bytes(size), length=length)


FIRST = frame(TEXT, b"first")
ECHOED = text(b"first")
RSV1 = 4
BOMB = deflated(bytes(64 * MESSAGE_BYTES_MAX), level=9)
LAST_BLOCK = deflated(b"first", flush=zlib.Z_FINISH)

FRAME_CASES: tuple[FrameCase, ...] = (
    *(
        FrameCase("masking", name, "RFC 6455 §5.1", sends, (closed(1002),))
        for name, sends in (
            ("text without mask", frame(TEXT, b"x", masked=False)),
            ("ping without mask", frame(PING, masked=False)),
            ("close without mask", frame(CLOSE, b"\x03\xe8", masked=False)),
        )
    ),
    *(
        FrameCase(
            *("length", f"{size} bytes", "RFC 6455 §5.2"),
            frame(BINARY, b"b" * size),
            (Frame(BINARY, b"b" * size),),
        )
        for size in (0, 1, 125, 126, 127, 65_535, 65_536)
    ),
    *(
        FrameCase("length", name, "RFC 6455 §5.2", sends, (closed(1002),))
        for name, sends in (
            ("125 bytes in 16 bits", _sized(125, b"\x7e\x00\x7d")),
            ("0 bytes in 64 bits", _sized(0, b"\x7f" + bytes(8))),
            ("65,535 bytes in 64 bits", _sized(65_535, b"\x7f" + struct.pack("!Q", 65_535))),
            ("top bit of 64 set", _sized(0, b"\x7f\x80" + bytes(7))),
            ("every bit of 64 set", _sized(0, b"\x7f" + b"\xff" * 8)),
        )
    ),
    FrameCase(
        *("length", "1 TiB announced", "reliability 3.1"),
        _sized(0, b"\x7f" + struct.pack("!Q", 1 << 40)),
        (closed(1009),),
    ),
    FrameCase(
        *("length", "the message limit", "reliability 2"),
        frame(BINARY, bytes(MESSAGE_BYTES_MAX)),
        (Frame(BINARY, bytes(MESSAGE_BYTES_MAX)),),
        is_ours=True,
    ),
    FrameCase(
        *("length", "a byte more announced", "reliability 2"),
        _sized(0, b"\x7f" + struct.pack("!Q", MESSAGE_BYTES_MAX + 1)),
        (closed(1009),),
        is_ours=True,
    ),
    *(
        FrameCase("bits and opcodes", name, "RFC 6455 §5.2", sends, (closed(1002),))
        for name, sends in (
            ("RSV1 without an extension", frame(TEXT, b"x", rsv=RSV1)),
            ("RSV2", frame(TEXT, b"x", rsv=2)),
            ("RSV3", frame(TEXT, b"x", rsv=1)),
            ("RSV1 on a ping", frame(PING, b"x", rsv=RSV1)),
            ("RSV1 on a close", frame(CLOSE, b"\x03\xe8", rsv=RSV1)),
            ("opcode 3", frame(3, b"x")),
            ("opcode 7", frame(7, b"x")),
            ("opcode 11", frame(11, b"x")),
            ("opcode 15", frame(15)),
        )
    ),
    *(
        FrameCase("control frames", name, "RFC 6455 §5.5", sends, (closed(1002),))
        for name, sends in (
            ("ping of 126 bytes", frame(PING, bytes(126))),
            ("pong of 126 bytes", frame(PONG, bytes(126))),
            ("close of 126 bytes", frame(CLOSE, b"\x03\xe8" + b"x" * 124)),
            ("ping in fragments", frame(PING, b"x", fin=False)),
            ("close in fragments", frame(CLOSE, b"\x03\xe8", fin=False)),
        )
    ),
    FrameCase(
        *("control frames", "ping of 125 bytes", "RFC 6455 §5.5.3"),
        frame(PING, b"p" * 125),
        (Frame(PONG, b"p" * 125),),
    ),
    FrameCase(
        *("control frames", "ten pings, ten pongs, in order", "reliability 3.2"),
        b"".join(frame(PING, b"%d" % n) for n in range(10)),
        tuple(Frame(PONG, b"%d" % n) for n in range(10)),
    ),
    FrameCase(
        *("control frames", "a pong nobody asked for", "RFC 6455 §5.5.3"),
        frame(PONG, b"x") + FIRST,
        (ECHOED,),
    ),
    FrameCase(
        *("control frames", "ping between fragments", "RFC 6455 §5.4"),
        frame(TEXT, b"fi", fin=False) + frame(PING, b"p") + frame(CONTINUATION, b"rst"),
        (Frame(PONG, b"p"), ECHOED),
    ),
    FrameCase(
        *("fragments", "continuation without a start", "RFC 6455 §5.4"),
        frame(CONTINUATION, b"x"),
        (closed(1002),),
    ),
    FrameCase(
        *("fragments", "a new message inside a message", "RFC 6455 §5.4"),
        frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"),
        (closed(1002),),
    ),
    FrameCase(
        *("fragments", "empty ones between", "RFC 6455 §5.4"),
        frame(TEXT, fin=False) + frame(CONTINUATION, b"first", fin=False) + frame(CONTINUATION),
        (ECHOED,),
    ),
    FrameCase(
        *("fragments", "the message limit exceeded by the sum", "reliability 2"),
        frame(BINARY, bytes(MESSAGE_BYTES_MAX), fin=False) + frame(CONTINUATION, b"x"),
        (closed(1009),),
        is_ours=True,
    ),
    FrameCase(
        *("fragments", "as many as allowed", "reliability 2"),
        frame(TEXT, fin=False)
        + frame(CONTINUATION, fin=False) * (FRAGMENTS_MAX - 2)
        + frame(CONTINUATION, b"first"),
        (ECHOED,),
        is_ours=True,
    ),
    FrameCase(
        *("fragments", "one too many", "reliability 2"),
        frame(TEXT, fin=False)
        + frame(CONTINUATION, fin=False) * (FRAGMENTS_MAX - 1)
        + frame(CONTINUATION, b"first"),
        (closed(1008),),
        is_ours=True,
    ),
    *(
        FrameCase("UTF-8", name, "RFC 6455 §8.1", sends, (closed(1007),))
        for name, sends in (
            ("an impossible byte", frame(TEXT, b"a\xffb")),
            ("overlong", frame(TEXT, b"\xc0\xaf")),
            ("a surrogate", frame(TEXT, b"\xed\xa0\x80")),
            ("beyond U+10FFFF", frame(TEXT, b"\xf4\x90\x80\x80")),
            ("cut off at the end", frame(TEXT, b"a\xe2\x82")),
            ("impossible in a later fragment", frame(TEXT, b"a", fin=False) + frame(0, b"\x80")),
        )
    ),
    FrameCase(
        *("UTF-8", "impossible in an unfinished frame", "reliability 3.2"),
        frame(TEXT, b"\xff", length=b"\x64"),
        (closed(1007),),
    ),
    FrameCase(
        *("UTF-8", "a code point over three fragments", "RFC 6455 §5.6"),
        frame(TEXT, b"\xe2", fin=False)
        + frame(CONTINUATION, b"\x82", fin=False)
        + frame(CONTINUATION, b"\xac"),
        (text("€".encode()),),
    ),
    *(
        FrameCase(
            *("close codes", str(code), "RFC 6455 §7.4"),
            closing(code),
            (closed(code if is_valid else 1002),),
        )
        for code, is_valid in (
            *((code, False) for code in (999, 1004, 1005, 1006)),
            *((code, True) for code in (1012, 1013, 1014)),
            *((code, False) for code in (1015, 1016, 2999)),
            *((code, True) for code in (3000, 4999)),
            *((code, False) for code in (5000, 65_535)),
        )
    ),
    FrameCase("close", "an empty one", "RFC 6455 §5.5.1", frame(CLOSE), (closed(None),)),
    FrameCase(
        *("close", "a reason of 123 bytes", "RFC 6455 §5.5.1"),
        closing(1000, b"r" * 123),
        (closed(1000),),
    ),
    FrameCase(
        *("close", "a payload of 1 byte", "RFC 6455 §5.5.1"),
        frame(CLOSE, b"\x03"),
        (closed(1002),),
    ),
    FrameCase(
        *("close", "a reason that is no UTF-8", "RFC 6455 §5.5.1"),
        closing(1000, b"\xff"),
        (closed(1007),),
    ),
    FrameCase(
        *("close", "inside a fragmented message", "RFC 6455 §5.4"),
        frame(TEXT, b"x", fin=False) + closing(1000),
        (closed(1000),),
    ),
    FrameCase(
        *("close", "bytes after it", "RFC 6455 §5.5.1"),
        closing(1000) + frame(TEXT, b"late") + b"\xff" * 100,
        (closed(1000),),
    ),
    *(
        FrameCase("order", name, "reliability 3.2", FIRST + sends, (ECHOED, closed(code)))
        for name, sends, code in (
            ("a message, then a close, at once", closing(1000), 1000),
            ("a message, then broken framing, at once", frame(3), 1002),
            ("a message, then impossible UTF-8, at once", frame(TEXT, b"\xff"), 1007),
        )
    ),
    FrameCase(
        *("order", "texts and bytes come back in order", "RFC 6455 §5.4"),
        FIRST + frame(BINARY, b"b") + frame(TEXT, b"t"),
        (ECHOED, Frame(BINARY, b"b"), text(b"t")),
    ),
    *(
        FrameCase(
            *("deflate", name, "RFC 7692 §7.2.2"),
            frame(TEXT, payload, rsv=RSV1),
            (text(expected),),
            deflate=True,
        )
        for name, payload, expected in (
            ("a message", deflated(b"first"), b"first"),
            ("an empty message", b"\x00", b""),
            ("several blocks", _blocks(b"fi", b"rst"), b"first"),
            ("stored blocks", deflated(b"first", level=0), b"first"),
            ("a last block", LAST_BLOCK + b"\x00", b"first"),
            ("10,000 empty blocks", b"\x00\x00\x00\xff\xff" * 10_000 + b"\x00", b""),
        )
    ),
    FrameCase(
        *("deflate", "fragments of a byte", "RFC 7692 §7.2.2"),
        b"".join(
            frame(
                CONTINUATION if at else TEXT,
                deflated(b"first")[at : at + 1],
                fin=at == len(deflated(b"first")) - 1,
                rsv=0 if at else RSV1,
            )
            for at in range(len(deflated(b"first")))
        ),
        (ECHOED,),
        deflate=True,
    ),
    FrameCase(
        *("deflate", "a plain message beside it", "RFC 7692 §6"),
        FIRST,
        (ECHOED,),
        deflate=True,
    ),
    *(
        FrameCase("deflate", name, rule, sends, (closed(code),), deflate=True)
        for name, rule, sends, code in (
            ("garbage", "RFC 7692 §7.2.2", frame(TEXT, b"\xff" * 20, rsv=RSV1), 1007),
            *(
                (name, "RFC 1951 §3.2", frame(BINARY, data, rsv=RSV1), 1007)
                for name, data in (
                    ("a block of the reserved type", b"\x07"),
                    ("a distance before the beginning", b"\x02\x02\x00"),
                    ("a stored block whose lengths disagree", b"\x00\x05\x00\x00\x00hello"),
                    ("a stored block that is cut off", b"\x00\x64\x00\x9b\xffabc"),
                    ("a last block, then garbage", LAST_BLOCK + b"\x07\xff"),
                )
            ),
            ("a close with RSV1", "RFC 7692 §6.1", frame(CLOSE, b"\x03\xe8", rsv=RSV1), 1002),
            ("no UTF-8 inside", "RFC 6455 §8.1", frame(TEXT, deflated(b"\xff"), rsv=RSV1), 1007),
            ("a ping with RSV1", "RFC 7692 §6.1", frame(PING, b"x", rsv=RSV1), 1002),
            ("RSV2", "RFC 7692 §6", frame(TEXT, deflated(b"x"), rsv=RSV1 | 2), 1002),
            (
                *("RSV1 on a continuation", "RFC 7692 §6.1"),
                frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"y", rsv=RSV1),
                1002,
            ),
        )
    ),
    FrameCase(
        *("deflate", "the message limit, inflated", "reliability 3.4"),
        frame(BINARY, deflated(bytes(MESSAGE_BYTES_MAX)), rsv=RSV1),
        (Frame(BINARY, bytes(MESSAGE_BYTES_MAX)),),
        deflate=True,
        is_ours=True,
    ),
    FrameCase(
        *("deflate", "a byte more, inflated", "reliability 3.4"),
        frame(BINARY, deflated(bytes(MESSAGE_BYTES_MAX + 1)), rsv=RSV1),
        (closed(1009),),
        deflate=True,
        is_ours=True,
    ),
    FrameCase(
        *("deflate", "64 MiB in fragments", "reliability 3.4"),
        frame(BINARY, BOMB[:1000], fin=False, rsv=RSV1)
        + frame(CONTINUATION, BOMB[1000:2000], fin=False)
        + frame(CONTINUATION, BOMB[2000:]),
        (closed(1009),),
        deflate=True,
        is_ours=True,
    ),
    FrameCase(
        *("deflate", "64 KiB that stand for 64 MiB", "reliability 3.4"),
        frame(BINARY, BOMB, rsv=RSV1),
        (closed(1009),),
        deflate=True,
        is_ours=True,
    ),
)
