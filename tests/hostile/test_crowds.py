"""Many peers at once: slow handshakes, floods of connections, members that do not read."""

from __future__ import annotations

import select
import socket
import statistics
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from bench.measure import raise_descriptor_limit
from tests.conformance.wire import CLOSE, TEXT, Frame, frame, head
from tests.conftest import NATIVE_IS_BUILT
from tests.hostile.attacking import KIB, MIB, SLACK, Attacker, Victim, attacked

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [
    pytest.mark.skipif(not NATIVE_IS_BUILT, reason="the native module is not built"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc of the server"),
    pytest.mark.timeout(120),
]

DRIP_S = 0.1
POLL_S = 0.01
TICK_S = 0.25  # from the deadline to the client's notice: accept, a turn, and its own poll
WATCHED_S = 1.0  # the time in which CPU is counted


def served(victim: Victim) -> float:
    """Connect and have a text answered; return the seconds that took."""
    began = time.monotonic()
    victim.is_well()
    return time.monotonic() - began


def outlast(victim: Victim, count: int) -> tuple[float, list[float]]:
    """Open `count` handshakes that never end; return how old the oldest got, and others' waits."""
    poll = select.poll()
    peers: dict[int, tuple[Attacker, float]] = {}
    drips: list[Attacker] = []
    oldest = 0.0
    with ExitStack() as stack:
        for number in range(count):
            peer = stack.enter_context(victim.visitor())
            peers[peer.sock.fileno()] = peer, time.monotonic()
            poll.register(peer.sock, select.POLLIN | select.POLLHUP)
            if number % 3 == 1:
                peer.send(head()[:40])
            elif number % 3 == 2:
                drips.append(peer)
        waits, at, dripped_at = [], 0, 0.0
        while peers:
            waits.append(served(victim))
            for fd, _ in poll.poll(POLL_S * 1000):
                poll.unregister(fd)
                peer, since = peers.pop(fd)
                oldest = max(oldest, time.monotonic() - since)
                peer.sock.close()
            if time.monotonic() - dripped_at < DRIP_S:
                continue
            dripped_at, at = time.monotonic(), at + 1
            for peer in drips:
                if peer.sock.fileno() in peers:
                    peer.send(head()[at : at + 1])
        return oldest, waits


def test_handshakes_that_never_end_are_cut_and_delay_nobody() -> None:
    with attacked(limits={"handshake_timeout_s": 1.0}) as victim:
        lasted, waits = outlast(victim, 300)
    assert lasted <= 3.0  # seconds, not the limit: the machine may be busy
    assert len(waits) > 3
    assert max(waits) <= 1.0


@pytest.mark.nightly
def test_five_thousand_handshakes_that_never_end(
    record_property: Callable[[str, object], None],
) -> None:
    raise_descriptor_limit()
    with attacked(asks=True) as victim, victim.visitor() as slow:
        slow.send(head(path="/slow"))  # its `on_request` sleeps for longer than the deadline
        lasted, waits = outlast(victim, 5000)
        assert slow.status() == 503
    p99 = statistics.quantiles(waits, n=100)[98]
    record_property("cut after, s", round(lasted, 2))
    record_property("p99 of a good client, ms", round(1000 * p99, 1))
    assert lasted <= 5.0 + TICK_S
    assert p99 <= 0.1


def test_without_descriptors_the_listener_rests_and_the_open_ones_are_served(
    record_property: Callable[[str, object], None],
) -> None:
    flood = 400
    with attacked(descriptors=256, limits={"descriptors_reserved": 64}) as victim:
        with ExitStack() as stack:
            friend = stack.enter_context(victim.attacker())
            for _ in range(flood):
                stack.enter_context(victim.visitor())
            friend.send(frame(TEXT, b"still there?"))
            assert friend.frame() == Frame(TEXT, b"still there?")
            before = victim.cpu_s()
            time.sleep(WATCHED_S)
            share = (victim.cpu_s() - before) / WATCHED_S
            friend.send(frame(TEXT, b"still there?"))
            assert friend.frame() == Frame(TEXT, b"still there?")
        record_property("share of a core", round(share, 4))
        assert share <= 0.05
        victim.recovers()


def test_beyond_the_cap_connections_get_503() -> None:
    with attacked(limits={"connections_max": 10}) as victim, ExitStack() as stack:
        friends = [stack.enter_context(victim.attacker()) for _ in range(10)]
        with victim.visitor() as visitor:
            visitor.send(head())
            assert visitor.status() == 503
        friends.pop().sock.close()
        victim.recovers()


def test_metrics_are_served_while_connections_are_refused() -> None:
    flood = 1000
    raise_descriptor_limit()
    with attacked(descriptors=1024, metrics=True) as victim:  # 256 of them are reserved
        with ExitStack() as stack:
            friends = [stack.enter_context(victim.attacker()) for _ in range(10)]
            for _ in range(flood):
                stack.enter_context(victim.visitor())
            with victim.visitor() as visitor:
                visitor.send(head())
                assert visitor.status() in (0, 503)  # 0: more are refused than can be told
            friends[0].send(frame(TEXT, b"still there?"))
            assert friends[0].frame() == Frame(TEXT, b"still there?")
            for _ in range(5):
                with victim.meter() as meter:
                    meter.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    assert meter.status() == 200
        victim.recovers()


def come_and_go(victim: Victim, count: int) -> None:
    """Open so many connections, one after another; each talks, and ends in one of two ways."""
    for number in range(count):
        with victim.attacker(source=f"127.0.1.{1 + number % 200}") as guest:
            guest.send(frame(TEXT, b"/enter"))
            assert guest.frame() == Frame(TEXT, b"entered")
            if number % 2:
                guest.send(frame(CLOSE, b"\x03\xe8"))
                assert guest.close_code() == 1000


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_a_hundred_thousand_connections_leave_no_memory(
    record_property: Callable[[str, object], None],
) -> None:
    with attacked() as victim:
        come_and_go(victim, 10_000)  # warms up
        before = victim.resident()
        come_and_go(victim, 100_000)
        grown = victim.resident() - before
        record_property("grown, KiB", grown // KIB)
        assert grown <= MIB
        victim.is_well()


def test_a_member_that_does_not_read_is_put_out_and_the_others_miss_nothing(
    record_property: Callable[[str, object], None],
) -> None:
    text = b"t" * 4 * KIB
    with attacked() as victim, ExitStack() as stack:
        members = [stack.enter_context(victim.attacker()) for _ in range(5)]
        for member in members:
            member.send(frame(TEXT, b"/enter"))
            assert member.frame() == Frame(TEXT, b"entered")
        slow, speaker, *readers = members
        slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * KIB)  # little fits there
        with victim.peak() as grown:
            for number in range(2000):  # 8 MiB, beyond the outbox and the kernel's buffers
                said = b"%d %b" % (number, text)
                speaker.send(frame(TEXT, b"/tell " + said))
                for reader in readers:
                    assert reader.frame() == Frame(TEXT, said)
        record_property("grown, KiB", grown[0] // KIB)
        assert grown[0] <= MIB + SLACK  # the outbox, and what the heap had no room for
        assert slow.close_code() in (1013, None)
        victim.is_well()
