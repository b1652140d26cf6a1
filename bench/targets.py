"""The figures to hold, and whether a run held them.

What falls short is written into the page with its reason, from `WHY`; nothing here fails a build.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.figures import FLOOR_NAME, ROWS

if TYPE_CHECKING:
    from bench.figures import Cell, Results, Row

__all__ = ["Judgement", "is_ours", "judge_peers", "judge_targets"]

OURS = "wynd "  # how the names of our own servers begin, on either engine
PORTABLE = ("wynd portable ", "wynd under ")


@dataclass(frozen=True, slots=True)
class Target:
    """At most `most`, by the better loop of one handler shape; a ratio, or bytes."""

    row: str
    shape: str
    most: float
    is_bytes: bool = False


TARGETS = (
    Target("echo-1-64", "async", 1.15),
    Target("echo-16-64", "def", 1.7),
    Target("echo-16-64", "async", 2.5),
    Target("fanout-1", "async", 1.1),
    Target("fanout-16", "async", 1.15),
    Target("echo-1-64k", "async", 1.4),
    Target("echo-16-64k", "async", 1.4),
    Target("handshake", "async", 1.5),
    Target("handshake", "closures", 1.5),
    Target("memory", "async", 1536, is_bytes=True),
    Target("memory", "closures", 4096, is_bytes=True),
)
EXCEPTED = {("memory", "socketify")}
"""Peers that a row is not judged by: uWebSockets keeps its connections in C++ alone."""

WHY: dict[str, str] = {
    "echo-1-64": "every message passes through Python (event, handler step, send)",
    "echo-16-64": "what is left is the handler: its call, a `str`, `send_text` and its `Sent`",
    "echo-1-64k": "two copies that the floor has not (payload to `str` to frame), check of UTF-8",
    "echo-16-64k": "two copies that the floor has not, here past the cache, and the check of UTF-8",
    "fanout-1": "a turn and one send in Python are spread over 499 deliveries only",
    "fanout-16": "a turn and 16 sends in Python are spread over their deliveries",
    "handshake": "1,300 Python opcodes for `Connection`, handle, handlers and their end",
    "memory": "what Rust and Python keep of a connection",
}
"""Reasons by row, from the profiles on the page; to be looked at again when those change."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One line of a table of judgements; `verdict` is empty when nothing was measured."""

    title: str
    wanted: str
    found: str
    verdict: str


def is_ours(name: str) -> bool:
    """Whether the server of that name is this library's."""
    return name.startswith(OURS) and name != "Wynd (Rust)"


def is_native(name: str) -> bool:
    """Whether it is this library on the native engine."""
    return is_ours(name) and not name.startswith(PORTABLE)


def judge_targets(results: Results) -> list[Judgement]:
    """Hold the measured ratios against the design's targets."""
    return [_judge(results, target) for target in TARGETS]


def judge_peers(results: Results) -> list[Judgement]:
    """Per row: is the best of ours ahead of the best peer, or within the run's spread of it?"""
    found = []
    for row in ROWS:
        ours = _best(results, row, [name for name in results.measured() if is_native(name)])
        peers = [
            name
            for name in results.measured()
            if not is_ours(name) and name != FLOOR_NAME and (row.key, name) not in EXCEPTED
        ]
        theirs = _best(results, row, peers)
        if ours is None or theirs is None:
            found.append(Judgement(row.title, "", "not measured", ""))
            continue
        wanted = f"{theirs[0]} {_spoken(theirs[1])}"
        shown = f"{ours[0]} {_spoken(ours[1])}"
        found.append(Judgement(row.title, wanted, shown, _ahead(row, ours[1], theirs[1])))
    return found


def _judge(results: Results, target: Target) -> Judgement:
    row = next(row for row in ROWS if row.key == target.row)
    wanted = f"≤ {target.most:,.0f} B" if target.is_bytes else f"≤ {target.most:g}"
    title = f"{row.title}, {_shape_spoken(target.shape)}"
    names = [f"wynd {target.shape}, {loop}" for loop in ("asyncio", "uvloop")]
    best = _best(results, row, names)
    if best is None:
        return Judgement(title, wanted, "not measured", "")
    cell = best[1]
    value = cell.figure if target.is_bytes else cell.ratio
    shown = f"{cell.figure:,.0f} B" if target.is_bytes else _spoken(cell)
    if value <= target.most:
        verdict = "holds"
    elif not target.is_bytes and cell.least <= target.most:
        verdict = f"falls short, within the spread: {WHY[row.key]}"
    else:
        verdict = f"**falls short**: {WHY[row.key]}"
    return Judgement(title, wanted, shown, verdict)


def _best(results: Results, row: Row, names: list[str]) -> tuple[str, Cell] | None:
    cells = [(name, cell) for name in names if (cell := results.cell(row, name)) is not None]
    return min(cells, key=lambda pair: pair[1].ratio) if cells else None


def _ahead(row: Row, ours: Cell, theirs: Cell) -> str:
    if ours.ratio <= theirs.ratio:
        return "ahead"
    if ours.least <= theirs.greatest:
        return "within the spread"
    return f"**falls short**: {WHY[row.key]}"


def _spoken(cell: Cell) -> str:
    mark = "~" if cell.noisy else ""
    if cell.rounds == 1:
        return f"{mark}{cell.ratio:.2f}"
    return f"{mark}{cell.ratio:.2f} ({cell.least:.2f}–{cell.greatest:.2f})"


def _shape_spoken(shape: str) -> str:
    return {"def": "`def`", "async": "`async def`", "closures": "closures"}[shape]
