"""ASGI echo on uvicorn: its own WebSocket backends against `wynd.http.uvicorn:WyndProtocol`.

    .venv/bin/python -m bench.asgi [--seconds 3] [--rounds 3] [--framework starlette fastapi]

One server process on one core, `bench/load.c` on the other, 100 connections, texts of 64 bytes, 1
and 16 in flight; CPU microseconds of the server per message. Rounds are interleaved; the figure
is the median. Frameworks and loops that are not installed are left out with a line that says so.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
from pathlib import Path

from bench.measure import Failed, Workload, measure
from bench.servers import LOAD, Server

HERE = Path(__file__).resolve().parent
BACKENDS = {
    "wsproto": "wsproto",
    "websockets": "websockets",
    "websockets-sansio": "websockets-sansio",
    "wynd": "wynd.http.uvicorn:WyndProtocol",
}
CONNECTIONS = 100


def server_of(framework: str, backend: str, loop: str) -> Server:
    """Return uvicorn with one backend, its own access log and compression off."""
    command = (
        *(sys.executable, "-m", "uvicorn", f"bench.asgi_{framework}:app"),
        *("--host", "127.0.0.1", "--port", "{port}", "--loop", loop),
        *("--ws", BACKENDS[backend], "--log-level", "warning"),
        *("--ws-per-message-deflate", "false"),
    )
    return Server(f"{framework} {backend} {loop}", command, HERE / f"asgi_{framework}.py")


def main() -> int:
    """Measure everything that is installed; print a table; write bench/results/asgi.json."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--framework", nargs="+", default=["starlette", "fastapi"])
    parser.add_argument("--loop", nargs="+", default=["asyncio", "uvloop"])
    parser.add_argument("--depth", nargs="+", type=int, default=[1, 16])
    options = parser.parse_args()
    if not LOAD.exists():
        LOAD.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cc", "-O2", "-o", LOAD, HERE / "load.c", "-lm"], check=True)
    names = [*options.framework, *(loop for loop in options.loop if loop != "asyncio")]
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    for name in missing:
        print(f"left out: {name} is not installed")
    rows = [
        (framework, loop, depth, backend)
        for framework in options.framework
        for loop in options.loop
        if framework not in missing and loop not in missing
        for depth in options.depth
        for backend in BACKENDS
    ]
    figures: dict[tuple[str, str, int, str], list[float]] = {row: [] for row in rows}
    for _ in range(options.rounds):
        for row in rows:
            framework, loop, depth, backend = row
            workload = Workload(f"echo-{depth}", "echo", CONNECTIONS, depth=depth)
            try:
                sample = measure(server_of(framework, backend, loop), workload, options.seconds)
                figures[row].append(sample.cpu_us)
            except Failed as failure:
                print(f"{' '.join(map(str, row))}: {failure}", file=sys.stderr)
    results = {row: statistics.median(taken) for row, taken in figures.items() if taken}
    report(results)
    lines = [[*row, round(figure, 2)] for row, figure in results.items()]
    (HERE / "results" / "asgi.json").write_text(json.dumps(lines, indent=1) + "\n")
    return 0


def report(results: dict[tuple[str, str, int, str], float]) -> None:
    """Print CPU per message by row, and how many times less ours is than uvicorn's best."""
    for framework, loop, depth in dict.fromkeys(row[:3] for row in results):
        taken = {b: results.get((framework, loop, depth, b)) for b in BACKENDS}
        known = {name: figure for name, figure in taken.items() if figure is not None}
        text = "  ".join(f"{name} {figure:6.2f}" for name, figure in known.items())
        ours = known.pop("wynd", None)
        best = min(known.values(), default=None)
        ratio = f"  best ÷ wynd {best / ours:.2f}" if ours and best else ""
        print(f"{framework:10} {loop:8} {depth:3} in flight   {text}{ratio}")


if __name__ == "__main__":
    sys.exit(main())
