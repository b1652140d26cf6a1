"""Makes the first inputs of the corpora, mostly of the conformance pack, below a given folder.

    python -m tools.fuzz_seeds target/fuzz/corpus

Each stream of the pack becomes an input of the targets that take such streams, behind the settings
bytes that `crates/wynd-protocol/tests/fuzzing` describes. What fuzzing made of them is committed in
fuzz/corpus; this is how to begin anew.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from tests.conformance.frames import FRAME_CASES
from tests.conformance.handshakes import HANDSHAKE_CASES
from tests.conformance.heads import HEAD_CASES

__all__ = ["main"]

STREAM_BYTES_MAX = 8192
"""Longer streams only repeat themselves; a short input is mutated more often."""

RESPONSE = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: KEY\r\n"
)
OFFERS = (
    b"permessage-deflate",
    b"permessage-deflate; client_max_window_bits",
    b'permessage-deflate; server_max_window_bits="10"; server_no_context_takeover, x;a=b',
)
PROXIES = (
    b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\nGET /",
    b"PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n",
    b"PROXY UNKNOWN\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24" + bytes(36),
    b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00",
)
BODIES = (
    b"5\r\nhello\r\n0\r\n\r\n",
    b"5;a=b\r\nhello\r\n00\r\nX: y\r\n\r\nGET /",
    b"fffffffffffffffff\r\n",
)


def seeds() -> list[tuple[str, bytes]]:
    """Return (target, input) of every seed."""
    found: list[tuple[str, bytes]] = []
    for case in FRAME_CASES:
        if len(case.sends) <= STREAM_BYTES_MAX:
            if case.deflate:
                found += [("deflate", bytes([n, 0x66, 0, n, 0]) + case.sends) for n in range(4)]
            else:
                found.append(("frames", bytes([0, 0, 7, 0]) + case.sends))
    for head in [case.sends for case in HANDSHAKE_CASES] + [c.sends + c.rest for c in HEAD_CASES]:
        if len(head) <= STREAM_BYTES_MAX:
            found.append(("head", bytes([8, 0, 3]) + head))
    found += [
        ("client", b"\0\x03" + RESPONSE + fields + b"\r\n")
        for fields in (
            b"",
            b"Sec-WebSocket-Protocol: chat\r\n",
            b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n",
        )
    ]
    found += [
        ("client", b"\x01" + settings + stream)
        for settings in (bytes(4), b"\0\0\5\1")
        for stream in (
            b"\x81\x05Hello\x89\0",
            b"\x01\x03Hel\x80\x02lo\x88\x02\x03\xe8",
            b"\xc1\1\0",
        )
    ]
    found.append(("client", b"\x02\x05/chat\x01a\x04chat\x01b\x06Cookie\x03a=b"))
    found += [("extensions", bytes([0, 6, 6, 0, 6, 6, 1]) + offer) for offer in OFFERS]
    found += [("proxy", header) for header in PROXIES]
    found += [("body", bytes([kind]) + bytes(7) + b"\x0a\1" + b) for kind in (0, 1) for b in BODIES]
    # A message of each side, delivered; then a close of the server, delivered and answered.
    found.append(("closing", b"\1\0\2hi\1\2yo\4\xff\5\xff\x18\x03\xe8\3bye\4\xff\7\5\xff"))
    found.append(("closing", b"\0\x20\0\x19\0\0\0\4\xff\5\xff"))
    return found


def main() -> int:
    """Write the seeds below the given folder, one folder per target."""
    folder = Path(sys.argv[1])
    for target, content in seeds():
        name = hashlib.sha256(content).hexdigest()[:16]
        (folder / target).mkdir(parents=True, exist_ok=True)
        (folder / target / name).write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
