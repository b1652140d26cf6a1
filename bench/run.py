"""`make bench`: measures every server in interleaved rounds, and writes table, JSON and plot.

`QUICK=1` makes one short round, for a look; its figures are not worth keeping.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import time
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from bench.install import install, install_tools
from bench.measure import Failed, Workload, cores, measure, raise_descriptor_limit
from bench.plot import plot
from bench.servers import FLOOR, SERVERS, Server, versions
from bench.table import ROWS, Results, Row, document, markdown

BENCH = Path(__file__).resolve().parent
PLOT = BENCH.parent / "docs" / "explanation" / "performance.svg"
DESCRIPTORS_SPARE = 1000  # the server's own, and what it keeps back
QUICK_MINUTES, FULL_MINUTES = 4.5, 29.0


def main() -> None:
    """Measure and write."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    limit = raise_descriptor_limit()
    install_tools()
    reasons = {} if options.no_install else install()
    connections = min(options.connections, limit - DESCRIPTORS_SPARE)
    rows = [row for row in ROWS if any(fnmatchcase(row.key, part) for part in options.rows)]
    servers = _chosen(options.only)
    if not rows or len(servers) < 2:
        raise SystemExit("nothing is left to measure; see --only and --rows")
    results = Results(FLOOR.name)
    servers = _installed(servers, reasons, results)
    rounds = _rounds(results, servers, _workloads(rows, connections), options)
    about = _about(rounds, options.seconds, connections)
    names = [server.name for server in servers]
    _write(options.to, markdown(results, rows, names, about), document(results, names, about))
    if options.plot:
        options.plot.write_text(plot(results, rows, names, about))


def _options() -> argparse.Namespace:
    quick = os.environ.get("QUICK", "") not in ("", "0")
    parser = argparse.ArgumentParser(prog="bench.run", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="servers whose name has it")
    parser.add_argument("--rows", nargs="+", metavar="PATTERN", default=["*"], help="row keys")
    parser.add_argument("--rounds", type=int, default=1 if quick else 3)
    parser.add_argument("--seconds", type=float, default=0.6 if quick else 2.0, help="of a load")
    parser.add_argument("--connections", type=int, default=2000 if quick else 10_000, help="idle")
    parser.add_argument("--minutes", type=float, default=QUICK_MINUTES if quick else FULL_MINUTES)
    parser.add_argument("--no-install", action="store_true", help="take what is installed")
    parser.add_argument("--to", type=Path, default=BENCH / "results" / "latest", help="no suffix")
    parser.add_argument("--plot", type=Path, help="also draw the plot into this file")
    options = parser.parse_args()
    whole = not (quick or options.only or options.rows != ["*"])
    if whole and options.plot is None and options.to.name == "latest":
        options.plot = PLOT
    return options


def _matches(text: str, parts: list[str]) -> bool:
    return any(part.lower() in text.lower() for part in parts)


def _chosen(only: list[str] | None) -> list[Server]:
    return [
        server for server in SERVERS if server is FLOOR or not only or _matches(server.name, only)
    ]


def _installed(servers: list[Server], reasons: dict[str, str], results: Results) -> list[Server]:
    """All but the missing ones, which get a line that says why."""
    for server in servers:
        if not server.needs.exists():
            reason = reasons.get(server.package, f"{server.package} is not installed")
            results.failures["", server.name] = reason
            print(f"left out: {server.name}: {reason}")
    return [server for server in servers if server.needs.exists()]


def _workloads(rows: list[Row], connections: int) -> list[Workload]:
    wanted = {row.workload for row in rows}
    every = (
        Workload("echo-1-64", "echo", 100),
        Workload("echo-16-64", "echo", 100, depth=16),
        Workload("echo-1-64k", "echo", 100, size=65_536),
        Workload("echo-16-64k", "echo", 100, size=65_536, depth=16),
        Workload("fanout-1", "fanout", 500),
        Workload("fanout-16", "fanout", 500, depth=16),
        Workload("storm", "storm", connections),
    )
    return [workload for workload in every if workload.key in wanted]


def _rounds(
    results: Results, servers: list[Server], workloads: list[Workload], options: argparse.Namespace
) -> int:
    """Measure round by round; stop early rather than overrun; return how many rounds were made."""
    began = time.monotonic()
    for number in range(1, options.rounds + 1):
        for workload in workloads:
            for server in servers:
                _measure_once(results, server, workload, number, options.seconds)
        spent = (time.monotonic() - began) / 60
        if number < options.rounds and spent / number * (number + 1) > options.minutes:
            print(
                f"stopping after round {number}: the next one would end past {options.minutes} min"
            )
            return number
    return int(options.rounds)


def _measure_once(
    results: Results, server: Server, workload: Workload, number: int, seconds: float
) -> None:
    if (workload.key, server.name) in results.failures:
        return  # hanging once is enough
    try:
        sample = measure(server, workload, seconds)
    except Failed as failure:
        results.failures[workload.key, server.name] = f"round {number}: {failure}"
        print(f"{number} {workload.key:12} {server.name:28} {failure}", flush=True)
        return
    results.add(workload.key, server.name, number, sample)
    print(
        f"{number} {workload.key:12} {server.name:28} cpu {sample.cpu_us:9.3f} us  "
        f"{sample.rate:10.0f}/s  p99 {sample.p99_us:8.0f} us  load {sample.server_load:.2f}  "
        f"others {sample.disturbed:.2f}  "
        f"{sample.bytes_per_connection:7d} B/conn",
        flush=True,
    )


def _about(rounds: int, seconds: float, connections: int) -> dict[str, Any]:
    server, load = cores()
    pinning = "one core for both" if server == load else "server and load on a core each"
    return {
        "date": date.today().isoformat(),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.machine()}; {pinning}",
        "kernel": f"{platform.system()} {platform.release()}",
        "run": f"rounds: {rounds}, {seconds:g} s of load each, {connections} idle connections",
        "versions": versions(),
    }


def _processor() -> str:
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else "processor unknown"


def _write(to: Path, page: str, data: dict[str, Any]) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    to.with_suffix(".md").write_text(page)
    to.with_suffix(".json").write_text(json.dumps(data, indent=1) + "\n")
    print(f"\n{page}")


if __name__ == "__main__":
    main()
