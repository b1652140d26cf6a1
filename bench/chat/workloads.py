"""What is measured of the chat: sending, fan-out, a crowd that was cut off, memory."""

from __future__ import annotations

import itertools
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from bench.chat.lines import Crowd
from bench.chat.serving import Meter, wynd_chat
from bench.measure import Failed
from bench.polite import percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bench.chat.lines import Frame, Line, Script
    from bench.chat.serving import ChatProcess

__all__ = ["Fanout", "Memory", "Sending", "Storm", "fanout", "memory", "sending", "storm"]

WORDS = "sixty-four characters are what a person says in a chat at once.."
PATIENCE_S = 120.0
OPENING = 250  # lines that are opened at the same time
WARM_S = 1.0
MISSED = 20
"""Messages that are said while the crowd is away."""


@dataclass(frozen=True, slots=True)
class Sending:
    """Senders who wait for each acknowledgement before they go on."""

    senders: int
    shared: bool
    """Whether they are all in one room and shown what the others say; else each has its own."""
    seconds: float
    messages_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """Of the server per message, all threads."""
    load: float
    """Share of its core that the server used."""
    noise: float
    """Share of all cores that other programs took."""


@dataclass(frozen=True, slots=True)
class Fanout:
    """One member speaks, all members of a room read."""

    members: int
    ahead: int
    """How many messages are under way at once."""
    deliveries_per_s: float
    messages_per_s: float
    cpu_us: float
    """Of the server per delivery, everything else included."""
    load: float
    noise: float


@dataclass(frozen=True, slots=True)
class Storm:
    """Clients that are cut off at once and come back at once."""

    clients: int
    join_s: float
    """Until all of them had connected, had a name and had synced, for the first time."""
    join_cpu_s: float
    back_s: float
    """Until all of them had what they missed."""
    back_cpu_s: float
    missed: int
    """Events each of them got in the reply."""
    noise: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Users who are named, listen to the lobby, and say nothing."""

    users: int
    resident: int
    """Bytes of the server's process."""


@dataclass(slots=True)
class Tally:
    """What senders note."""

    waits_s: list[float] = field(default_factory=list)
    is_over: bool = False


def sending(senders: int, seconds: float, *, shared: bool = False) -> dict[str, Any]:
    """Measure durable messages per second and how long an acknowledgement takes.

    Senders are clients as people have them: they listen to their rooms and see their own messages.
    """
    tally = Tally()
    names = itertools.count()

    def script(hello: Frame) -> Script:
        name = f"sender{next(names)}"
        room = "lobby" if shared else name
        yield {"type": "name", "name": name}
        if not shared:
            yield {"type": "command", "room": "lobby", "text": f"/join #{room}"}
        yield {"type": "sync", "epoch": hello["epoch"], "rooms": {}}
        for number in itertools.count():
            if tally.is_over:
                return
            began = time.perf_counter()
            yield {"type": "send", "room": room, "cid": f"{number}", "text": WORDS}
            tally.waits_s.append(time.perf_counter() - began)

    with wynd_chat() as server:
        crowd = Crowd(server.port)
        try:
            for first in range(0, senders, OPENING):
                for _ in range(min(OPENING, senders - first)):
                    crowd.add(script)
                crowd.run(_after(0.2), PATIENCE_S)
            crowd.run(_after(WARM_S), PATIENCE_S)
            tally.waits_s.clear()
            meter = Meter(server)
            crowd.run(_after(seconds), PATIENCE_S)
            took, cpu, noise = meter.read()
        finally:
            crowd.close()
    count = len(tally.waits_s)
    if not count:
        raise Failed(f"{senders} senders: nothing was acknowledged within {seconds:g} s")
    return asdict(
        Sending(
            senders=senders,
            shared=shared,
            seconds=seconds,
            messages_per_s=round(count / took, 1),
            p50_ms=round(percentile(tally.waits_s, 0.5) * 1e3, 2),
            p99_ms=round(percentile(tally.waits_s, 0.99) * 1e3, 2),
            cpu_us=round(cpu / count * 1e6, 1),
            load=round(cpu / took, 3),
            noise=round(noise, 3),
        )
    )


def fanout(members: int, ahead: int, seconds: float) -> dict[str, Any]:
    """Measure deliveries per second in one busy room."""
    with wynd_chat() as server:
        crowd = Crowd(server.port)
        try:
            lines = _gathered(crowd, members)
            tally = Tally()
            names = itertools.count()

            def script(hello: Frame) -> Script:
                yield {"type": "name", "name": f"speaker{next(names)}"}
                for number in itertools.count():
                    if tally.is_over:
                        return
                    yield {"type": "send", "room": "lobby", "cid": f"{number}", "text": WORDS}
                    tally.waits_s.append(0.0)

            for line in lines:
                line.is_listening = True
                line.pong()  # from here on they read no pings
            for _ in range(ahead):
                crowd.add(script)
            crowd.run(_after(WARM_S), PATIENCE_S)
            said = len(tally.waits_s)
            heard = _counted(lines)
            meter = Meter(server)
            crowd.run(_after(seconds), PATIENCE_S)
            took, cpu, noise = meter.read()
            heard, said = _counted(lines) - heard, len(tally.waits_s) - said
        finally:
            crowd.close()
    return asdict(
        Fanout(
            members=members,
            ahead=ahead,
            deliveries_per_s=round(heard / took),
            messages_per_s=round(said / took, 1),
            cpu_us=round(cpu / heard * 1e6, 2),
            load=round(cpu / took, 3),
            noise=round(noise, 3),
        )
    )


def storm(clients: int) -> dict[str, Any]:
    """Measure how long a crowd takes to come, and to come back after all lines were cut."""
    with wynd_chat() as server:
        crowd = Crowd(server.port)
        try:
            tokens: list[str] = []
            meter = Meter(server)
            _gathered(crowd, clients, tokens)
            join_s, join_cpu_s, _ = meter.read()
            crowd.cut()
            _speak(server, MISSED)
            meter = Meter(server)
            missed = _come_back(crowd, tokens)
            back_s, back_cpu_s, noise = meter.read()
        finally:
            crowd.close()
    if set(missed) != {MISSED}:
        raise OSError(f"not everybody got what was missed: {sorted(set(missed))}")
    return asdict(
        Storm(
            clients=clients,
            join_s=round(join_s, 2),
            join_cpu_s=round(join_cpu_s, 2),
            back_s=round(back_s, 2),
            back_cpu_s=round(back_cpu_s, 2),
            missed=MISSED,
            noise=round(noise, 3),
        )
    )


def memory(steps: Iterable[int]) -> list[dict[str, Any]]:
    """Measure the memory of the server's process with ever more idle users."""
    found = []
    with wynd_chat() as server:
        crowd = Crowd(server.port)
        try:
            for users in sorted(steps):
                _gathered(crowd, users - len(crowd.lines))
                crowd.run(_after(2.0), PATIENCE_S)
                found.append(asdict(Memory(users, server.resident)))
        finally:
            crowd.close()
    return found


def _gathered(crowd: Crowd, count: int, tokens: list[str] | None = None) -> list[Line]:
    """Bring so many more named users into the lobby, a few hundred at a time."""
    ready = 0
    numbers = itertools.count(len(crowd.lines))

    def script(hello: Frame) -> Script:
        nonlocal ready
        reply = yield {"type": "name", "name": f"member{next(numbers)}"}
        if tokens is not None:
            tokens.append(reply["token"])
        yield {"type": "sync", "epoch": hello["epoch"], "rooms": {"lobby": 0}}
        ready += 1

    lines: list[Line] = []
    while len(lines) < count:
        if len(lines) - ready < OPENING:
            lines.append(crowd.add(script))
        else:
            crowd.run(lambda: len(lines) - ready < OPENING // 2, PATIENCE_S)
    crowd.run(lambda: ready == count, PATIENCE_S)
    return lines


def _come_back(crowd: Crowd, tokens: list[str]) -> list[int]:
    """Bring everybody back at once; return how many events each was given."""
    missed: list[int] = []
    left = iter(tokens)

    def script(hello: Frame) -> Script:
        yield {"type": "auth", "token": next(left)}
        reply = yield {"type": "sync", "epoch": hello["epoch"], "rooms": {"lobby": 0}}
        missed.append(len(reply["rooms"][0].get("events", ())))

    for _ in tokens:
        crowd.add(script)
    crowd.run(lambda: len(missed) == len(tokens), PATIENCE_S)
    return missed


def _speak(server: ChatProcess, count: int) -> None:
    """Say something in the lobby from a line of its own."""
    said = 0

    def script(hello: Frame) -> Script:
        nonlocal said
        yield {"type": "name", "name": "speaker"}
        for number in range(count):
            yield {"type": "send", "room": "lobby", "cid": f"{number}", "text": WORDS}
            said += 1

    crowd = Crowd(server.port)
    crowd.add(script)
    crowd.run(lambda: said == count, PATIENCE_S)
    crowd.close()


def _counted(lines: list[Line]) -> int:
    return sum(line.counted for line in lines)


def _after(seconds: float) -> Callable[[], bool]:
    """Return a condition that holds after a time."""
    end = time.perf_counter() + seconds
    return lambda: time.perf_counter() >= end
