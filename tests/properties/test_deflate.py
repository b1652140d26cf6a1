"""permessage-deflate of the native protocol against zlib, the library of the same format.

zlib's inflater refuses a reference beyond its window once the output is taken in small parts, so it
judges whether the promised window is kept.
"""

from __future__ import annotations

import random
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import NATIVE_IS_BUILT
from tests.properties.frames import KEY

if TYPE_CHECKING or NATIVE_IS_BUILT:
    from wynd._engine import ServerProtocol, encode_frame

pytestmark = pytest.mark.usefixtures("native_engine")

TAIL = b"\x00\x00\xff\xff"
STEP_BYTES = 50
BINARY = 2


def payload_of(frame: bytes) -> bytes:
    """Return the payload of one compressed, unmasked frame."""
    assert frame[0] == 0xC0 | BINARY
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]


def inflate(inflater: zlib._Decompress, payload: bytes) -> bytes:
    """Inflate one message, taking small parts."""
    data, parts = payload + TAIL, []
    while part := inflater.decompress(data, STEP_BYTES):
        parts.append(part)
        data = inflater.unconsumed_tail
    return b"".join(parts)


def repeats(seed: int, distance: int) -> bytes:
    """Return bytes in which the same stretches come again at up to `distance`."""
    draw = random.Random(seed)
    stretch = draw.randbytes(distance)
    return stretch + stretch[: distance // 2] + stretch + bytes(300) + stretch[distance // 3 :]


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("level", range(1, 10))
def test_no_window_is_promised_that_is_not_kept(bits: int, level: int) -> None:
    server = ServerProtocol(
        extensions=f"permessage-deflate; server_max_window_bits={bits}", level=level
    )
    inflater = zlib.decompressobj(-bits)
    for seed, distance in enumerate((400, 520, 2_000, 33_000, 70_000, 900, 1 << bits)):
        message = repeats(seed, distance)
        assert inflate(inflater, payload_of(server.send_binary(message))) == message


def test_a_smaller_window_than_promised_would_be_seen() -> None:
    server = ServerProtocol(extensions="permessage-deflate; server_max_window_bits=12")
    inflater = zlib.decompressobj(-9)
    with pytest.raises(zlib.error, match="too far back"):
        inflate(inflater, payload_of(server.send_binary(repeats(1, 2_000))))


@given(
    messages=st.lists(st.binary(max_size=200).map(lambda part: part * 30), min_size=1, max_size=5),
    bits=st.integers(9, 15),
    level=st.integers(0, 9),
    takeover=st.booleans(),
    cut=st.integers(1, 400),
)
def test_what_zlib_deflates_comes_back(
    messages: list[bytes], bits: int, level: int, takeover: bool, cut: int
) -> None:
    no = "" if takeover else "; client_no_context_takeover"
    server = ServerProtocol(extensions=f"permessage-deflate; client_max_window_bits={bits}{no}")
    deflater = zlib.compressobj(level, zlib.DEFLATED, -bits)
    seen = []
    for message in messages:
        if not takeover:
            deflater = zlib.compressobj(level, zlib.DEFLATED, -bits)
        payload = deflater.compress(message) + deflater.flush(zlib.Z_SYNC_FLUSH)
        assert payload.endswith(TAIL) or not message
        payload = payload.removesuffix(TAIL)
        frame = encode_frame(BINARY, payload, rsv1=True, masking_key=KEY)
        for start in range(0, len(frame), cut):
            seen += server.receive_data(frame[start : start + cut])
    assert seen == [("binary", message) for message in messages]


@pytest.mark.parametrize(
    "offer",
    ["permessage-deflate; server_max_window_bits=8", "permessage-deflate; x", "other", ";"],
)
def test_what_cannot_be_agreed_to_is_an_error(offer: str) -> None:
    with pytest.raises(ValueError, match="cannot agree to"):
        ServerProtocol(extensions=offer)
