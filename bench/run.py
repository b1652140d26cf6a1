"""`make bench`: measures every server in interleaved rounds, and writes JSON, tables and plot.

`QUICK=1` makes one short round in five minutes, for a look. The full run takes thirty.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.about import about
from bench.fairness import measure_fairness
from bench.figures import ROWS, Results
from bench.idle import measure_idle
from bench.install import install, install_tools
from bench.measure import Failed, Workload, raise_descriptor_limit
from bench.pages import LATEST, write, write_pages
from bench.rounds import Clock, measure_rounds
from bench.servers import FLOOR, SERVERS, Server

if TYPE_CHECKING:
    from collections.abc import Callable

DESCRIPTORS_SPARE = 1000  # the server's own, and what it keeps back
QUICK_MINUTES, FULL_MINUTES = 4.5, 28.5  # what is left is for starting up and writing


def main() -> None:
    """Measure and write."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    limit = raise_descriptor_limit()
    install_tools()
    reasons = {} if options.no_install else install()
    clock = Clock(60 * options.minutes)  # installing is done once, and not part of the run
    most = limit - DESCRIPTORS_SPARE
    connections = min(options.connections, most)
    servers = _chosen(options)
    workloads = _workloads(options.rows, connections)
    results = Results([server.name for server in servers])
    servers = _installed(servers, reasons, results)
    extras: dict[str, Any] = {}
    if not options.no_extras:
        idle = min(options.idle_connections or most, most)
        extras["fairness"] = _or_reason(lambda: measure_fairness(options.extra_seconds))
        extras["idle"] = _or_reason(lambda: measure_idle(idle, options.extra_seconds))
    rounds = measure_rounds(results, servers, workloads, clock, options)
    document = {"about": about(rounds, options, connections), **results.document(), **extras}
    write(options.to, document)
    if options.to == LATEST:
        write_pages(document)


def _options() -> argparse.Namespace:
    quick = os.environ.get("QUICK", "") not in ("", "0")
    parser = argparse.ArgumentParser(prog="bench.run", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="servers whose name has it")
    parser.add_argument("--rows", nargs="+", metavar="PATTERN", default=["*"], help="row keys")
    parser.add_argument("--rounds", type=int, default=1 if quick else 3)
    parser.add_argument("--seconds", type=float, default=0.4 if quick else 1.0, help="of a load")
    parser.add_argument("--connections", type=int, default=1000 if quick else 10_000, help="storm")
    parser.add_argument("--idle-connections", type=int, default=2000 if quick else 0)
    parser.add_argument("--extra-seconds", type=float, default=2.0 if quick else 10.0)
    parser.add_argument("--minutes", type=float, default=QUICK_MINUTES if quick else FULL_MINUTES)
    parser.add_argument("--no-install", action="store_true", help="take what is installed")
    parser.add_argument("--no-extras", action="store_true", help="no fairness, no idle crowd")
    parser.add_argument("--to", type=Path, default=LATEST, help="the JSON document to write")
    options = parser.parse_args()
    options.quick = quick
    options.to = options.to.resolve()
    return options


def _chosen(options: argparse.Namespace) -> list[Server]:
    wanted = [text.lower() for text in options.only or []]
    found = [
        server
        for server in SERVERS
        if server is FLOOR
        or (
            any(text in server.name.lower() for text in wanted)
            if wanted
            else _fits(server, options)
        )
    ]
    if len(found) < 2:
        raise SystemExit("nothing is left to measure; see --only")
    return found


def _fits(server: Server, options: argparse.Namespace) -> bool:
    return server.is_in_quick or not options.quick


def _installed(servers: list[Server], reasons: dict[str, str], results: Results) -> list[Server]:
    """All but the missing ones, which get a line that says why."""
    for server in servers:
        if not server.needs.exists():
            reason = reasons.get(server.package, f"{server.package} is not installed")
            results.failures["", server.name] = reason
            print(f"left out: {server.name}: {reason}")
    return [server for server in servers if server.needs.exists()]


def _workloads(patterns: list[str], connections: int) -> list[Workload]:
    wanted = {
        row.workload for row in ROWS if any(fnmatchcase(row.key, pattern) for pattern in patterns)
    }
    every = (
        Workload("echo-1-64", "echo", 100),
        Workload("echo-16-64", "echo", 100, depth=16),
        Workload("echo-1-64k", "echo", 100, size=65_536),
        Workload("echo-16-64k", "echo", 100, size=65_536, depth=16),
        Workload("fanout-1", "fanout", 500),
        Workload("fanout-16", "fanout", 500, depth=16),
        Workload("storm", "storm", connections),
    )
    if not wanted:
        raise SystemExit("nothing is left to measure; see --rows")
    return [workload for workload in every if workload.key in wanted]


def _or_reason(take: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `take` finds; a failure is told in the tables instead of losing the whole run."""
    try:
        return take()
    except (Failed, OSError) as error:
        print(f"not measured: {error}", flush=True)
        return {"failed": str(error)}


if __name__ == "__main__":
    main()
