"""As many idle connections as descriptors allow: memory, keepalive, CPU, and one broadcast to all.

`python -m bench.idle [--connections N] [--seconds S]` prints it; `make bench` makes it part of its
document.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from typing import Any

from bench.install import install_tools
from bench.measure import (
    cores,
    cpu_seconds,
    pinned,
    raise_descriptor_limit,
    resident_bytes,
    serving,
)
from bench.polite import Crowd
from bench.servers import SERVERS

__all__ = ["measure_idle"]

SHAPES = ("async", "closures")
DESCRIPTORS_SPARE = 1000
BROADCAST_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Idle:
    """What a crowd that says nothing costs."""

    shape: str
    connections: int
    bytes_per_connection: int
    handshake_cpu_us: float
    seconds: float
    pings: int
    cpu_share: float
    """Of one core, while nothing but keepalive happens."""
    broadcast_s: float
    """From sending it until the last connection has it, seen by a client in Python."""
    broadcast_cpu_s: float


def measure_idle(connections: int, seconds: float) -> dict[str, Any]:
    """Measure each shape of application that keeps different things per connection."""
    return {shape: asdict(_measure(shape, connections, seconds)) for shape in SHAPES}


def _measure(shape: str, connections: int, seconds: float) -> Idle:
    """Hold the connections for `seconds`, then send one text to all."""
    name = f"wynd {shape}, asyncio"
    server = next(server for server in SERVERS if server.name == name)
    with serving(server, "fanout", stop_s=0.0) as (pid, port), pinned(cores()[1]):
        crowd = Crowd(port)
        try:
            memory, cpu = resident_bytes(pid), cpu_seconds(pid)
            crowd.open(connections)
            handshakes = cpu_seconds(pid) - cpu
            time.sleep(0.5)
            memory = resident_bytes(pid) - memory
            cpu, crowd.pings = cpu_seconds(pid), 0
            crowd.listen(seconds)
            idle_cpu, pings = cpu_seconds(pid) - cpu, crowd.pings
            cpu, began = cpu_seconds(pid), time.perf_counter()
            crowd.say(next(iter(crowd.sockets)), b"to all of you")
            crowd.listen(BROADCAST_TIMEOUT_S, texts_wanted=connections - 1)
            took, broadcast_cpu = time.perf_counter() - began, cpu_seconds(pid) - cpu
            if crowd.texts != connections - 1:
                raise OSError(f"the broadcast reached {crowd.texts} of {connections - 1}")
        finally:
            crowd.close()
    return Idle(
        shape=shape,
        connections=connections,
        bytes_per_connection=memory // connections,
        handshake_cpu_us=round(handshakes * 1e6 / connections, 1),
        seconds=seconds,
        pings=pings,
        cpu_share=round(idle_cpu / seconds, 4),
        broadcast_s=round(took, 4),
        broadcast_cpu_s=round(broadcast_cpu, 4),
    )


def main() -> None:
    """Measure, print, and write the result."""
    possible = raise_descriptor_limit() - DESCRIPTORS_SPARE
    parser = argparse.ArgumentParser(prog="bench.idle", description=__doc__)
    parser.add_argument("--connections", type=int, default=possible)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    install_tools()
    found = measure_idle(min(options.connections, possible), options.seconds)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
