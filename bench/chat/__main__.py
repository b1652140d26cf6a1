"""`python -m bench.chat` (`make bench-chat`): measures wynd-chat, writes JSON, page and plot.

`QUICK=1` makes one short round, for a look.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING, Any

from bench.about import machine
from bench.chat.figures import CHAT, write_chat_pages
from bench.chat.serving import sync_seconds
from bench.chat.workloads import fanout, memory, sending, storm
from bench.measure import Failed, cores, pinned, raise_descriptor_limit
from bench.pages import read, write

if TYPE_CHECKING:
    from collections.abc import Callable

DESCRIPTORS_SPARE = 1000  # the server's own, and what it keeps back
SENDERS = ((1, False), (50, False), (500, False), (50, True))
AHEAD = (1, 16)


def main() -> None:
    """Measure and write."""
    options = _options()
    most = raise_descriptor_limit() - DESCRIPTORS_SPARE
    if options.pages_only:
        write_chat_pages(read(options.to))
        return
    with pinned(cores()[1]):
        document = _measured(options, most)
    write(options.to, document)
    if options.to == CHAT:
        write_chat_pages(document)


def _options() -> argparse.Namespace:
    quick = os.environ.get("QUICK", "") not in ("", "0")
    parser = argparse.ArgumentParser(prog="bench.chat", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1 if quick else 3)
    parser.add_argument("--seconds", type=float, default=1.0 if quick else 5.0, help="of a load")
    parser.add_argument("--members", type=int, default=200 if quick else 1000, help="of a room")
    parser.add_argument("--clients", type=int, default=500 if quick else 5000, help="cut at once")
    parser.add_argument("--idle", type=int, default=1000 if quick else 10_000, help="idle users")
    parser.add_argument("--pages-only", action="store_true", help="renew page and plot only")
    parser.add_argument("--to", type=Path, default=CHAT, help="the JSON document to write")
    options = parser.parse_args()
    options.quick = quick
    options.to = options.to.resolve()
    return options


def _measured(options: argparse.Namespace, most: int) -> dict[str, Any]:
    """Return the document; a round measures everything once, so that noise hits all alike."""
    found: dict[str, Any] = {"sending": [], "fanout": [], "storm": []}
    failures: list[str] = []

    def take(kind: str, measure: Callable[[], dict[str, Any]]) -> None:
        try:
            sample = measure()
        except (Failed, OSError) as error:
            failures.append(f"{kind}: {error}")
            print(f"not measured: {kind}: {error}", flush=True)
        else:
            print(kind, sample, flush=True)
            found[kind].append(sample)

    for _ in range(options.rounds):
        for senders, shared in SENDERS:
            take("sending", lambda s=senders, r=shared: sending(s, options.seconds, shared=r))  # type: ignore[misc]
        for ahead in AHEAD:
            take("fanout", lambda a=ahead: fanout(options.members, a, options.seconds))  # type: ignore[misc]
        take("storm", lambda: storm(min(options.clients, most)))
    idle = sorted({0, min(1000, options.idle, most), min(options.idle, most)})
    return {
        "about": {
            **machine(),
            "quick": options.quick,
            "rounds": options.rounds,
            "seconds": options.seconds,
            "sync_us": round(sync_seconds() * 1e6),
            "descriptors": most + DESCRIPTORS_SPARE,
            "versions": {
                "python": python_version(),
                "pywynd": version("pywynd"),
                "sqlite": sqlite3.sqlite_version,
            },
        },
        **found,
        "memory": memory(idle),
        "failures": failures,
    }


if __name__ == "__main__":
    main()
