"""The pack against other servers: `python -m tests.conformance.compare` renews the page's table.

The servers are those that `make bench` installs into `bench/.peers`, at their defaults, with an
echo of a few lines each; the limits of this project are left out.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from bench.measure import Failed, serving
from bench.servers import SERVERS, Server, versions
from tests.conformance.__main__ import run
from tests.conformance.wire import Server as Target

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "conformance.md"
BEGIN, END = "<!-- compared -->", "<!-- /compared -->"
NO_DEFLATE = "does not speak permessage-deflate"
SHOWN = 24  # deviations of one group that are listed by name


def _found(name: str, mode: str = "echo") -> tuple[Server, str]:
    server = next(server for server in SERVERS if server.name.startswith(name))
    environment = {**server.environment, "COMPRESS": "1"}
    changed = Server(server.name, server.command, server.needs, server.package, environment)
    return changed, mode


def _uvicorn(name: str, ws: str, python: str = "") -> tuple[Server, str]:
    server, mode = _found("uvicorn", "messages")
    first, *others, app = server.command
    command = (python or first, *others, "--ws", ws, app)
    return Server(f"uvicorn, {name}", command, server.needs, environment=server.environment), mode


def compared() -> list[tuple[Server, str]]:
    """Return the servers and what they are asked to do."""
    own = (sys.executable, str(Path(__file__).with_name("echo_server.py")), "native", "-", "{port}")
    return [
        (Server("wynd", own, Path(__file__)), "echo"),
        _found("websockets"),
        _found("aiohttp"),
        _found("picows", "messages"),
        _found("ws (Node)"),
        _found("Bun"),
        _uvicorn("websockets", "websockets-sansio"),
        _uvicorn("WyndProtocol", "wynd.http.uvicorn:WyndProtocol", sys.executable),
    ]


def main() -> None:
    """Run the pack against each; write the table."""
    results: dict[str, list[tuple[str, str, str]]] = {}
    for server, mode in compared():
        if not server.needs.exists():
            sys.stdout.write(
                f"left out: {server.name} is not installed; `make bench` installs it\n"
            )
            continue
        try:
            with serving(server, mode, stop_s=0.0) as (_, port):
                target = Target("127.0.0.1", port)
                results[server.name] = asyncio.run(run(target, ours=False, deflate=True))
        except Failed as failure:
            sys.stdout.write(f"left out: {server.name}: {failure}\n")
            continue
        right = [seen for _, _, seen in results[server.name]].count("")
        sys.stdout.write(f"{server.name}: {right} of {len(results[server.name])}\n")
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{table(results)}\n{END}{after}", encoding="utf-8")


def table(results: dict[str, list[tuple[str, str, str]]]) -> str:
    """Return how many of each group are right, and below what differs."""
    known = versions() | {"python": ""}
    used = ("websockets", "aiohttp", "picows", "ws", "bun", "uvicorn")
    told = ", ".join(f"{name} {known[name]}" for name in used if known.get(name))
    groups = list(dict.fromkeys(group for found in results.values() for group, _, _ in found))
    lines = [
        f"Versions: {told}; Python {sys.version_info.major}.{sys.version_info.minor}.",
        "",
        f"| | {' | '.join(results)} |",
        "|---|" + "---:|" * len(results),
    ]
    for group in groups:
        cells = [_count(found, group) for found in results.values()]
        lines.append(f"| {group} | {' | '.join(cells)} |")
    sums = [_count(found, None) for found in results.values()]
    lines += [f"| **all** | {' | '.join(sums)} |", "", "What differs:", ""]
    for name, found in results.items():
        differing = [(group, case, seen) for group, case, seen in found if _differs(seen)]
        if not differing:
            lines.append(f"- **{name}**: nothing")
            continue
        lines.append(f"- **{name}**")
        for group in dict.fromkeys(group for group, _, _ in differing):
            of_group = [f"{case} ({seen})" for other, case, seen in differing if other == group]
            more = f"; and {len(of_group) - SHOWN} more" if len(of_group) > SHOWN else ""
            lines.append(f"  - {group}: {'; '.join(of_group[:SHOWN])}{more}")
    return "\n".join(line.replace("|", "\\|") if line.startswith("  -") else line for line in lines)


def _differs(seen: str) -> bool:
    return seen not in ("", NO_DEFLATE)


def _count(found: list[tuple[str, str, str]], group: str | None) -> str:
    seen = [seen for other, _, seen in found if group in (None, other) and seen != NO_DEFLATE]
    return f"{seen.count('')}/{len(seen)}" if seen else "-"


if __name__ == "__main__":
    main()
