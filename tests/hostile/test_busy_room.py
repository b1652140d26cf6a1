"""A room of a thousand, a thousand messages a second, and a member that does not read.

How long messages take to the others, with such a member and without, in turns; nightly. What
happens to the slow member stands in test_crowds.py in small.
"""

from __future__ import annotations

import json
import select
import socket
import statistics
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from bench.measure import raise_descriptor_limit
from tests.conformance.wire import TEXT, Frame, frame
from tests.conftest import NATIVE_IS_BUILT
from tests.hostile.attacking import KIB, Attacker, attacked

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.hostile.attacking import Victim

pytestmark = [
    pytest.mark.skipif(not NATIVE_IS_BUILT, reason="the native module is not built"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc of the server"),
    pytest.mark.nightly,
    pytest.mark.timeout(300),
]

MEMBERS = 1000
WATCHED = 50  # members whose messages are read one by one; the others only drain
RATE, TICK_S = 1000, 0.01  # messages a second, said in small bursts as by many speakers
SIZE = 64
STAMP = 20  # digits of a time in nanoseconds, at the beginning of each text
ON_WIRE = 2 + SIZE  # with the header of a server's frame
ROUNDS, ROUND_S, STEP_S = 5, 8.0, 1.0
LAG = 900 * KIB  # of the 1 MiB of its outbox: the room's traffic fills the rest in seconds
FULL_S = 20.0
GONE_S = 10.0


class Room:
    """Members in one process, which says and hears messages and notes how long they take."""

    def __init__(self, victim: Victim, stack: ExitStack) -> None:
        self.speaker, *others = [enter(victim, stack) for _ in range(MEMBERS)]
        self.friend = stack.enter_context(victim.attacker())
        self.poll = select.epoll()
        self.members = {member.sock.fileno(): member.sock for member in others}
        self.heard = {fd: bytearray() for fd in list(self.members)[:WATCHED]}
        self.latencies_s: list[float] = []
        self.said, self.talked_s = 0, 0.0
        for fd in self.members:
            self.poll.register(fd, select.EPOLLIN)

    def talk(self, seconds: float) -> list[float]:
        """Say messages for some time; return how long they took to those watched, in seconds."""
        self.latencies_s = []
        now = time.monotonic()
        end, due = now + seconds, now
        while now < end:
            if now >= due:
                due += TICK_S
                self._say()
            for fd, _ in self.poll.poll(max(0.0, due - time.monotonic())):
                self._hear(fd)
            now = time.monotonic()
        self.talked_s += seconds
        return self.latencies_s

    def _say(self) -> None:
        text = b"/tell %020d" % time.monotonic_ns() + b"." * (SIZE - STAMP)
        head = bytes((0x81, 0x80 | len(text))) + bytes(4)  # masked with zeros
        count = round(RATE * TICK_S)
        self.speaker.send((head + text) * count)
        self.said += count

    def _hear(self, fd: int) -> None:
        data = self.members[fd].recv(256 * KIB)
        assert data, "a member that reads was put out"
        heard = self.heard.get(fd)
        if heard is None:
            return
        now = time.monotonic_ns()
        heard += data
        while len(heard) >= ON_WIRE:
            self.latencies_s.append((now - int(heard[2 : 2 + STAMP])) / 1e9)
            del heard[:ON_WIRE]

    def ask(self, command: bytes) -> list[int]:
        """Return what the server answers to a command."""
        self.friend.send(frame(TEXT, command))
        found: list[int] = json.loads(self.friend.frame().payload)
        return found


def enter(victim: Victim, stack: ExitStack) -> Attacker:
    """Return a new member."""
    member = stack.enter_context(victim.attacker())
    member.send(frame(TEXT, b"/enter"))
    assert member.frame() == Frame(TEXT, b"entered")
    member.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * KIB)
    return member


def p99(latencies_s: list[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(latencies_s, n=100)[98]


def talk_alone(room: Room) -> list[float]:
    """Talk with the same questions in between as `suffer`, which hold messages up a little."""
    latencies: list[float] = []
    for _ in range(round(ROUND_S / STEP_S)):
        room.ask(b"/gone")
        latencies += room.talk(STEP_S)
        room.ask(b"/hits")
    return latencies


def suffer(victim: Victim, room: Room) -> tuple[list[float], float]:
    """Talk beside a member that does not read until it is gone.

    Returns:
        the others' latencies, and the seconds from its full outbox to its end.
    """
    latencies: list[float] = []
    gone, hits = len(room.ask(b"/gone")), room.ask(b"/hits")
    with ExitStack() as stack:
        slow = enter(victim, stack)
        slow.send(frame(TEXT, b"/lag %d" % LAG))
        began = full_at = time.monotonic()
        while len(room.ask(b"/gone")) == gone:
            latencies += room.talk(STEP_S)
            now = time.monotonic()
            if room.ask(b"/hits") == hits:
                full_at = now
                assert now - began <= FULL_S, "the kernel takes it all"
            assert now - full_at <= GONE_S
        return latencies, time.monotonic() - full_at


def test_a_slow_member_delays_nobody(record_property: Callable[[str, object], None]) -> None:
    raise_descriptor_limit()
    with attacked() as victim, ExitStack() as stack:
        room = Room(victim, stack)
        room.talk(2.0)  # warms up
        without, beside, gone_s = [], [], []
        for _ in range(ROUNDS):
            without.append(p99(talk_alone(room)))
            latencies, after_s = suffer(victim, room)
            beside.append(p99(latencies))
            gone_s.append(after_s)
        rate = room.said / room.talked_s
        ratio = statistics.median(beside) / statistics.median(without)
        record_property("messages a second", round(rate))
        record_property("p99 without, ms", round(1000 * statistics.median(without), 1))
        record_property("p99 beside a slow member, ms", round(1000 * statistics.median(beside), 1))
        record_property("p99 beside / without", round(ratio, 2))
        record_property("gone after at most, s", round(max(gone_s), 1))
        assert room.ask(b"/gone") == [1013] * ROUNDS
        assert rate >= 0.9 * RATE, "this machine is too slow, or busy"
        assert ratio <= 1.1, (without, beside)
