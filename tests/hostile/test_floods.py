"""Fragments, pings, bombs and heads in masses: the code, and the server's memory and CPU."""

from __future__ import annotations

import random
import sys
import zlib
from typing import TYPE_CHECKING

import pytest

from tests.conformance.wire import (
    BINARY,
    CONTINUATION,
    KEY,
    PING,
    PONG,
    TEXT,
    Frame,
    frame,
    head,
)
from tests.conftest import NATIVE_IS_BUILT
from tests.hostile.attacking import KIB, MIB, SLACK, Victim, attacked

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [
    pytest.mark.skipif(not NATIVE_IS_BUILT, reason="the native module is not built"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc of the server"),
    pytest.mark.timeout(120),
]

FRAGMENTS_MAX = 16_384
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate"


def flood(victim: Victim, piece: bytes, count: int) -> tuple[int | None, int]:
    """Send one message's fragments without an end; return the close code and the bytes sent."""
    data = frame(BINARY, b"x", fin=False) + piece * (count - 1)
    with victim.attacker() as attacker:
        attacker.send(data)
        return attacker.close_code(), len(data)


@pytest.mark.parametrize("payload", [b"", b"x"], ids=["empty", "1 byte"])
def test_fragments_without_an_end_are_counted(
    payload: bytes, record_property: Callable[[str, object], None]
) -> None:
    piece = frame(CONTINUATION, payload, fin=False)
    with attacked() as victim:
        assert flood(victim, piece, 131_000)[0] == 1008  # warms the server up
        with victim.peak() as grown:
            code, _ = flood(victim, piece, 131_000)
        assert code == 1008
        wire = len(piece) * FRAGMENTS_MAX  # what was taken before the limit
        record_property("grown, KiB", grown[0] // KIB)
        assert grown[0] <= 1.5 * wire + SLACK
        assert grown[0] <= MIB
        victim.is_well()


@pytest.mark.parametrize(
    "counts",
    [(10_000, 100_000, 400_000), pytest.param((10_000, 1_000_000), marks=pytest.mark.nightly)],
    ids=lambda counts: f"{counts[-1]}",
)
def test_a_fragment_costs_the_same_however_many_came_before(
    counts: tuple[int, ...], record_property: Callable[[str, object], None]
) -> None:
    piece = frame(CONTINUATION, b"x", fin=False)
    with attacked(limits={"message_fragments_max": 1_000_000}) as victim:
        costs = []
        for count in counts:
            rounds = max(1, counts[-1] // count)
            before = victim.cpu_s()
            for _ in range(rounds):
                with victim.attacker() as attacker:
                    attacker.send(frame(TEXT, b"x", fin=False) + piece * (count - 2))
                    attacker.send(frame(CONTINUATION, b"x"))
                    assert len(attacker.frame().payload) == count
            costs.append((victim.cpu_s() - before) / (rounds * count))
    record_property(f"{counts[-1]:,} fragments / 10,000", round(costs[-1] / costs[0], 2))
    assert max(costs) <= 1.2 * costs[0], costs


def test_a_frame_in_single_bytes_is_delivered_and_costs_its_size(
    record_property: Callable[[str, object], None],
) -> None:
    payload = b"d" * 20_000
    data = frame(BINARY, payload)
    with attacked() as victim:
        victim.is_well()
        with victim.attacker() as attacker, victim.peak() as grown:
            for at in range(len(data)):
                attacker.send(data[at : at + 1])
            assert attacker.frame() == Frame(BINARY, payload)
        record_property("grown, KiB", grown[0] // KIB)
        assert grown[0] <= 1.5 * len(data) + SLACK


def test_bombs_stop_at_the_message_limit(record_property: Callable[[str, object], None]) -> None:
    deflate = zlib.compressobj(9, wbits=-15)
    packed = deflate.compress(bytes(64 * MIB)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    bomb = frame(BINARY, packed.removesuffix(b"\0\0\xff\xff"), rsv=4)
    limit = MIB
    with attacked(compression="shared") as victim:
        peaks = []
        for _ in range(200):
            with victim.attacker(DEFLATE) as attacker, victim.peak() as grown:
                attacker.send(bomb)
                assert attacker.close_code() == 1009
            peaks.append(grown[0])
        record_property("highest peak, KiB", max(peaks) // KIB)
        assert max(peaks) <= limit + MIB
        victim.is_well()


def test_offers_of_extensions_are_declined_or_agreed_to() -> None:
    draw = random.Random(1)
    names = "permessage-deflate", "permessage-deflate", "x-webkit-deflate-frame", "x"
    parameters = (
        *("server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits"),
        *("client_max_window_bits", "unknown", "", "="),
    )
    values = "", "=8", "=15", "=16", "=7", "=09", '="10"', '="', "=-1", "=99999999999", "=x", "= 9"

    def offer() -> str:
        given = (draw.choice(parameters) + draw.choice(values) for _ in range(draw.randrange(5)))
        return "; ".join([draw.choice(names), *given])

    with attacked(compression="dedicated") as victim:
        statuses: dict[int, int] = {}
        for _ in range(10_000):
            fields = ", ".join(offer() for _ in range(1 + draw.randrange(3)))
            with victim.visitor() as visitor:
                visitor.send(head(b"Sec-WebSocket-Extensions: " + fields.encode()))
                status = visitor.status()
                statuses[status] = statuses.get(status, 0) + 1
        assert set(statuses) == {101, 400}, statuses
        victim.is_well()


def test_pings_to_a_peer_that_never_reads_cost_little(
    record_property: Callable[[str, object], None],
) -> None:
    pings = frame(PING, b"p" * 125) * 1000
    with attacked() as victim:
        with victim.attacker() as attacker:  # ten pings at once get ten pongs
            attacker.send(b"".join(frame(PING, b"%d" % n) for n in range(10)))
            assert [attacker.frame() for _ in range(10)] == [
                Frame(PONG, b"%d" % n) for n in range(10)
            ]
        with victim.attacker() as attacker, victim.peak() as grown:
            attacker.sock.settimeout(1.0)  # the server stops reading before the last
            sent = 0
            try:
                while sent < 120_000:
                    attacker.send(pings)
                    sent += 1000
            except TimeoutError:
                pass
            victim.is_well()
        record_property("grown, KiB", grown[0] // KIB)
        assert sent > 1000
        assert grown[0] <= 256 * KIB


HEADS = {
    "a field of 4 MiB": head(b"X: " + b"a" * 4 * MIB),
    "100,000 fields": head(*(b"X-%d: a" % number for number in range(100_000))),
    "one name 100,000 times": head(*(b"X: a",) * 100_000),
    "a first line of 4 MiB": b"GET /" + b"a" * 4 * MIB + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "no line end at all": b"G" * 4 * MIB,
    "a key of 4 MiB": head(b"Sec-WebSocket-Key: " + KEY * 150_000, drop=b"sec-websocket-key"),
}


@pytest.mark.parametrize("name", HEADS)
def test_heads_are_cut_and_cost_little(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    rounds = 10
    with attacked() as victim:
        victim.is_well()
        before = victim.cpu_s()
        with victim.peak() as grown:
            for _ in range(rounds):
                with victim.visitor() as visitor:
                    visitor.send(HEADS[name])
                    assert visitor.status() in (400, 431)
        cost_s = (victim.cpu_s() - before) / rounds
        record_property("CPU, ms", round(1000 * cost_s, 2))
        assert cost_s <= 0.005
        assert grown[0] <= MIB
        victim.is_well()


def test_a_head_in_single_bytes_costs_its_size() -> None:
    with attacked() as victim:
        victim.is_well()
        costs: dict[int, list[float]] = {2000: [], 15_000: []}
        for _ in range(5):  # bytes that arrive while the server does not run are read at once
            for size, per_byte in costs.items():
                data = head(b"X: " + b"a" * size)
                before = victim.cpu_s()
                with victim.visitor() as visitor:
                    for at in range(len(data)):
                        visitor.send(data[at : at + 1])
                    assert visitor.status() == 101
                per_byte.append((victim.cpu_s() - before) / len(data))
        assert min(costs[15_000]) <= 1.5 * max(costs[2000]), costs


def test_joins_end_at_the_limit() -> None:
    with attacked() as victim, victim.attacker() as attacker:
        attacker.send(frame(TEXT, b"/joins 100000"))
        assert attacker.frame() == Frame(TEXT, b"200")
        victim.is_well()
