"""The order of measurements: workload by workload, every server in turn, round after round.

The floor runs again after every few servers. When the planned rounds leave time, what came out
noisy is measured again in further rounds, together with the floor. When time runs out, what is
left of the run is left out and said to be.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.figures import FLOOR_NAME, ROWS
from bench.measure import Failed, Workload, measure
from bench.servers import FLOOR, Server

if TYPE_CHECKING:
    import argparse

    from bench.figures import Results, Sample

__all__ = ["Clock", "measure_rounds"]

FLOOR_EVERY = 8
"""Servers between two runs of the floor: about twenty seconds in a full run."""
EXTRA_ROUNDS_MAX = 4
MEASUREMENT_MOST_S = 20.0
"""No measurement begins later than this before the end."""


class Clock:
    """How much time the run has left."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def has_time(self) -> bool:
        """Whether one more measurement fits."""
        return time.monotonic() + MEASUREMENT_MOST_S < self._end


def measure_rounds(
    results: Results,
    servers: list[Server],
    workloads: list[Workload],
    clock: Clock,
    options: argparse.Namespace,
) -> int:
    """Measure all, then the noisy again; return how many whole rounds were made."""
    others = [server for server in servers if server is not FLOOR]
    for number in range(1, options.rounds + 1):
        for workload in workloads:
            _measure_all(results, others, workload, number, options.seconds, clock)
        if not clock.has_time():
            print(f"time is up in round {number}", flush=True)
            _say_what_is_missing(results, others, workloads)
            return number - 1
    for number in range(options.rounds + 1, options.rounds + 1 + EXTRA_ROUNDS_MAX):
        for workload in workloads:
            noisy = [server for server in others if _is_noisy(results, workload, server)]
            if options.rounds > 1 and noisy and clock.has_time():
                _measure_all(results, noisy, workload, number, options.seconds, clock)
    return int(options.rounds)


def _measure_all(
    results: Results,
    others: list[Server],
    workload: Workload,
    number: int,
    seconds: float,
    clock: Clock,
) -> None:
    for index, server in enumerate(others):
        if not clock.has_time():
            return
        if index % FLOOR_EVERY == 0:
            _measure_once(results, FLOOR, workload, number, seconds)
        _measure_once(results, server, workload, number, seconds)
    _measure_once(results, FLOOR, workload, number, seconds)


def _measure_once(
    results: Results, server: Server, workload: Workload, number: int, seconds: float
) -> None:
    if (workload.key, server.name) in results.failures:
        return  # hanging in one round is enough
    try:
        sample = _measure_twice_at_most(server, workload, seconds)
    except Failed as failure:
        results.failures[workload.key, server.name] = f"round {number}: {failure}"
        print(f"{number} {workload.key:12} {server.name:28} {failure}", flush=True)
        return
    results.add(workload.key, server.name, number, sample)
    print(
        f"{number} {workload.key:12} {server.name:28} cpu {sample.cpu_us:9.3f} us  "
        f"{sample.rate:10.0f}/s  p99 {sample.p99_us:8.0f} us  load {sample.server_load:.2f}  "
        f"others {sample.disturbed:.2f}  {sample.bytes_per_connection:7d} B/conn",
        flush=True,
    )


def _measure_twice_at_most(server: Server, workload: Workload, seconds: float) -> Sample:
    """A server that other programs kept from its core may fail once, and does better then."""
    try:
        return measure(server, workload, seconds)
    except Failed:
        return measure(server, workload, seconds)


def _is_noisy(results: Results, workload: Workload, server: Server) -> bool:
    rows = [row for row in ROWS if row.workload == workload.key]
    cells = [cell for row in rows if (cell := results.cell(row, server.name)) is not None]
    return any(cell.noisy for cell in cells) and server.name != FLOOR_NAME


def _say_what_is_missing(
    results: Results, servers: list[Server], workloads: list[Workload]
) -> None:
    for workload in workloads:
        for server in servers:
            place = workload.key, server.name
            if place not in results.samples:
                results.failures.setdefault(place, "the run's time was up")
