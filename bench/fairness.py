"""Does a server under full load leave room for others? Two answers, each beside a control.

Timers: 1,000 connections under full load on our native engine, and a timer every 10 ms on the same
asyncio loop: how late is it? The control is the timer without load.

Politeness: one connection sends without pause beside 100 that send ten texts a second each: how
long do those wait? The controls are the same crowd alone, and beside the same sender on the floor.

Other programs of the machine make a timer late as well. So each tick also reads how long the
server waited for its core (`/proc/self/schedstat`), and "own" is the lateness without that wait.

`python -m bench.fairness [--seconds S]` prints it; `make bench` makes it part of its document.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.install import install_tools
from bench.measure import Workload, cores, pinned, raise_descriptor_limit, run_load, serving
from bench.polite import Crowd, percentile
from bench.servers import FLOOR, INSTALLED, LOAD, SERVERS, Server

if TYPE_CHECKING:
    from wynd import Wynd

__all__ = ["measure_fairness"]

SCHEDSTAT = Path("/proc/self/schedstat")
LATENESS = INSTALLED / "lateness.json"
TICK_S = 0.010
WARM_UP = 0.2  # share of the load that is not looked at
CONNECTIONS, POLITE = 1000, 100
GREEDY_IN_FLIGHT = 4096
GREEDY_LEAD_S = 0.5
POLITE_PAUSE_S = 0.1


def main() -> None:
    """Measure, print, and write the result; or be the server with the timer."""
    if len(sys.argv) > 3 and sys.argv[1] == "serve":
        asyncio.run(_serve(int(sys.argv[2]), sys.argv[3], float(sys.argv[4])))
        return
    parser = argparse.ArgumentParser(prog="bench.fairness", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    seconds: float = parser.parse_args().seconds
    raise_descriptor_limit()
    install_tools()
    print(json.dumps(measure_fairness(seconds), indent=1))


def measure_fairness(seconds: float) -> dict[str, Any]:
    """Both answers, each run for so many seconds; lateness and latency are in milliseconds."""
    native = next(server for server in SERVERS if server.name == "wynd async, asyncio")
    return {
        "lateness_ms": {
            "no load": _lateness("async", seconds, in_flight=0),
            **{
                f"`{handler}` handler, {depth} in flight": _lateness(shape, seconds, depth)
                for shape, handler in (("def", "def"), ("async", "async def"))
                for depth in (1, 16)
            },
        },
        "latency_ms": {
            "alone": _politeness(native, seconds, is_greedy=False),
            "beside a greedy one": _politeness(native, seconds, is_greedy=True),
            "beside a greedy one, on the floor": _politeness(FLOOR, seconds, is_greedy=True),
        },
    }


def _lateness(shape: str, seconds: float, in_flight: int) -> dict[str, float]:
    """How late the timer of a loaded server is."""
    command = (sys.executable, "-m", "bench.fairness", "serve", "{port}", shape, str(seconds))
    LATENESS.unlink(missing_ok=True)
    with serving(Server("timer", command, LOAD), "echo") as (pid, port):
        if in_flight:
            load = Workload("timer", "echo", CONNECTIONS, depth=in_flight)
            disturbed = run_load(load, port, pid, seconds).disturbed
        else:
            time.sleep(seconds)
            disturbed = 0.0
    found: dict[str, float] = json.loads(LATENESS.read_text())
    return {**found, "disturbed": disturbed}


async def _serve(port: int, shape: str, seconds: float) -> None:
    """The server with the timer; writes its findings when it is told to stop.

    The load ends just before that. What came earlier, start and handshakes, is not under full load.
    """
    from bench.ours import application

    wynd: Wynd = application("echo", shape, "native")
    late: list[tuple[float, float, float]] = []
    listening = asyncio.create_task(wynd.listen(port, host="127.0.0.1"))
    ticking = asyncio.create_task(_tick(late))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ticking.cancel)
    await asyncio.wait([ticking, listening], return_when=asyncio.FIRST_COMPLETED)
    ticking.cancel()
    since = asyncio.get_running_loop().time() - seconds * (1 - WARM_UP)
    loaded = [(wall, waited) for at, wall, waited in late if at > since]
    own = [max(0.0, wall - waited) for wall, waited in loaded]
    found = _spread([wall for wall, _ in loaded])
    found |= {f"own {name}": value for name, value in _spread(own).items() if name != "count"}
    LATENESS.write_text(json.dumps(found))
    await wynd.stop(drain=0.0, spread=0.0)


async def _tick(late: list[tuple[float, float, float]]) -> None:
    """Note at every tick when it ran, how late, and how long the core was not ours."""
    loop = asyncio.get_running_loop()
    waited = _waited_for_core()
    while True:
        due = loop.time() + TICK_S
        woken = loop.create_future()
        loop.call_at(due, woken.set_result, None)
        await woken
        before, waited = waited, _waited_for_core()
        ran = loop.time()
        late.append((ran, max(0.0, ran - due), waited - before))


def _waited_for_core() -> float:
    """Seconds that this process was ready to run and did not; 0 where the kernel does not say."""
    try:
        return int(SCHEDSTAT.read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def _politeness(server: Server, seconds: float, *, is_greedy: bool) -> dict[str, float]:
    """Latency of connections that send now and then."""
    load = Workload("greedy", "echo", 1, depth=GREEDY_IN_FLIGHT)
    with serving(server, "echo") as (pid, port), ThreadPoolExecutor(1) as thread:
        crowd = Crowd(port)
        crowd.open(POLITE)
        greedy = None
        if is_greedy:
            greedy = thread.submit(run_load, load, port, pid, seconds + GREEDY_LEAD_S)
            time.sleep(GREEDY_LEAD_S)
        try:
            with pinned(cores()[1]):
                _talk(crowd, seconds)
        finally:
            crowd.close()
        found = _spread(crowd.waits_s)
        if greedy is not None:
            found["greedy_per_second"] = greedy.result().rate
    return {**found, "unanswered": crowd.said - len(crowd.waits_s)}


def _talk(crowd: Crowd, seconds: float) -> None:
    """Every connection in turn, spread evenly over the pause."""
    step = POLITE_PAUSE_S / len(crowd.sockets)
    due = time.perf_counter()
    deadline = due + seconds
    while due < deadline:
        for descriptor in crowd.sockets:
            due += step
            crowd.listen(due - time.perf_counter())
            if not crowd.is_waiting(descriptor):
                crowd.say(descriptor, b"x" * 64)
    crowd.listen(1.0, texts_wanted=crowd.said)


def _spread(seconds: list[float]) -> dict[str, float]:
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    found = {name: round(percentile(seconds, share) * 1e3, 3) for name, share in shares.items()}
    return {**found, "count": len(seconds)}


if __name__ == "__main__":
    main()
