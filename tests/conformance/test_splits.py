"""However the network cuts a stream, the server sees the same: every case, cut everywhere.

TCP knows no messages. Each stream is cut in two at every byte, and once into single bytes; the
protocol must tell the same events as for the whole. Heads are cut in the same way in
crates/wynd-protocol/tests/handshake_properties.rs, and over a socket in test_heads.py.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance.frames import FRAME_CASES
from tests.conftest import NATIVE_IS_BUILT
from tests.properties.frames import random_stream

if TYPE_CHECKING:
    from collections.abc import Callable

if TYPE_CHECKING or NATIVE_IS_BUILT:
    from wynd._engine import ServerProtocol

pytestmark = pytest.mark.usefixtures("native_engine")

OFFER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
CUT_EVERYWHERE_MAX = 3_000  # bytes; larger streams are cut near their ends and at random
CUTS_MIN = 10_000
RANDOM_STREAMS = 60

Events = list[tuple[Any, ...]]


def events_of(pieces: list[bytes], *, deflate: bool) -> Events:
    """Return what a server tells of pieces that arrive one after another."""
    protocol = ServerProtocol(extensions=OFFER) if deflate else ServerProtocol()
    return [event for piece in pieces for event in protocol.receive_data(piece)]


def cuts_of(stream: bytes) -> list[int]:
    """Return where a stream is cut in two."""
    size = len(stream)
    if size <= CUT_EVERYWHERE_MAX:
        return list(range(1, size))
    anywhere = random.Random(size).sample(range(1, size), 20)
    return [*range(1, 50), *anywhere, *range(size - 50, size)]


def check(stream: bytes, *, deflate: bool) -> int:
    """Compare all cuts of a stream with the whole; return how many there were."""
    whole = events_of([stream], deflate=deflate)
    cuts = cuts_of(stream)
    for at in cuts:
        assert events_of([stream[:at], stream[at:]], deflate=deflate) == whole, at
    if len(stream) <= CUT_EVERYWHERE_MAX:
        singly = [stream[at : at + 1] for at in range(len(stream))]
        assert events_of(singly, deflate=deflate) == whole
        return len(cuts) + len(singly)
    return len(cuts)


def test_every_case_cut_everywhere_is_the_same_to_the_server(
    record_property: Callable[[str, object], None],
) -> None:
    count = sum(check(case.sends, deflate=case.deflate) for case in FRAME_CASES)
    for seed in range(RANDOM_STREAMS):
        stream = b"".join(random_stream(random.Random(seed)))
        count += check(stream[:CUT_EVERYWHERE_MAX], deflate=False)
    record_property("cuts", count)
    assert count >= CUTS_MIN
