"""From samples to ratios, and from ratios to a Markdown table and a JSON document.

A ratio is taken against the floor of the same round and workload, so that what changes on the
machine between rounds divides out. A cell is the median over the rounds with its extremes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.measure import Sample

__all__ = ["ROWS", "Cell", "Results", "Row", "document", "markdown"]


@dataclass(frozen=True, slots=True)
class Row:
    """One row: a figure of one workload."""

    key: str
    title: str
    workload: str
    unit: str = "us"

    def figure(self, sample: Sample) -> float:
        """What this row shows of a sample."""
        return sample.bytes_per_connection if self.unit == "B" else sample.cpu_us


ROWS = (
    Row("echo-1-64", "echo, 64 B, 1 in flight", "echo-1-64"),
    Row("echo-16-64", "echo, 64 B, 16 in flight", "echo-16-64"),
    Row("echo-1-64k", "echo, 64 KiB, 1 in flight", "echo-1-64k"),
    Row("echo-16-64k", "echo, 64 KiB, 16 in flight", "echo-16-64k"),
    Row("fanout-1", "fan-out, 1 in flight", "fanout-1"),
    Row("fanout-16", "fan-out, 16 in flight", "fanout-16"),
    Row("handshake", "handshake", "storm"),
    Row("memory", "memory of an idle connection", "storm", "B"),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """Median, least and greatest ratio to the floor, and the median figure itself."""

    ratio: float
    least: float
    greatest: float
    figure: float


class Results:
    """All samples of a run by workload, server and round, and why some are missing."""

    def __init__(self, floor: str) -> None:
        self._floor = floor
        self.samples: dict[tuple[str, str], dict[int, Sample]] = {}
        self.failures: dict[tuple[str, str], str] = {}
        """The last reason by workload and server; workload "" is the server as a whole."""

    def add(self, workload: str, server: str, round_number: int, sample: Sample) -> None:
        """Keep one sample."""
        self.samples.setdefault((workload, server), {})[round_number] = sample

    def figure_of_floor(self, row: Row) -> float | None:
        """The floor's own median."""
        found = self.samples.get((row.workload, self._floor))
        return median(row.figure(sample) for sample in found.values()) if found else None

    def cell(self, row: Row, server: str) -> Cell | None:
        """The ratios of one server; None when no round has both the server and the floor."""
        floors = self.samples.get((row.workload, self._floor), {})
        own = self.samples.get((row.workload, server), {})
        ratios = [
            row.figure(own[number]) / row.figure(floors[number])
            for number in own
            if number in floors and row.figure(floors[number]) > 0
        ]
        if not ratios:
            return None
        figure = median(row.figure(sample) for sample in own.values())
        return Cell(median(ratios), min(ratios), max(ratios), figure)


def markdown(results: Results, rows: list[Row], servers: list[str], about: dict[str, Any]) -> str:
    """The page `bench/results/latest.md`."""
    lines = [
        "# Server CPU and memory, as a multiple of a bare C epoll loop: median (least-most)",
        "",
    ]
    lines += [f"{name}: {_plain(value)}  " for name, value in about.items()]
    lines += ["", _line("", *(row.title for row in rows)), _line("---", *("---:" for _ in rows))]
    floors = [_amount(results.figure_of_floor(row), row.unit) for row in rows]
    lines.append(_line("*the floor itself*", *(f"*{floor}*" for floor in floors)))
    lines += [_server_line(results, rows, name) for name in servers[1:]]
    lines += [
        "",
        "The same as amounts: CPU per message, delivery or handshake; bytes per connection.",
    ]
    lines += ["", _line("", *(row.title for row in rows)), _line("---", *("---:" for _ in rows))]
    lines.append(_line(servers[0], *floors))
    for name in servers[1:]:
        cells = [results.cell(row, name) for row in rows]
        amounts = (
            _amount(cell.figure if cell else None, row.unit)
            for cell, row in zip(cells, rows, strict=True)
        )
        lines.append(_line(name, *amounts))
    if results.failures:
        lines += ["", "Not measured:", ""]
        lines += [
            f"- {server}{f', {workload}' if workload else ''}: {reason}"
            for (workload, server), reason in sorted(results.failures.items())
        ]
    return "\n".join(lines) + "\n"


def document(results: Results, servers: list[str], about: dict[str, Any]) -> dict[str, Any]:
    """Everything that was measured, for `bench/results/latest.json`."""
    cells = [
        {"row": row.key, "server": name, **asdict(cell)}
        for row in ROWS
        for name in servers
        if (cell := results.cell(row, name)) is not None
    ]
    samples = [
        {"workload": workload, "server": server, "round": number, **asdict(sample)}
        for (workload, server), by_round in results.samples.items()
        for number, sample in by_round.items()
    ]
    failures = [
        {"workload": workload, "server": server, "reason": reason}
        for (workload, server), reason in results.failures.items()
    ]
    return {"about": about, "ratios": cells, "samples": samples, "failures": failures}


def _server_line(results: Results, rows: list[Row], name: str) -> str:
    cells = []
    for row in rows:
        cell = results.cell(row, name)
        if cell is None:
            cells.append("-")
        elif cell.least == cell.greatest:
            cells.append(f"{cell.ratio:.2f}")
        else:
            cells.append(f"{cell.ratio:.2f} ({cell.least:.2f}-{cell.greatest:.2f})")
    return _line(name, *cells)


def _amount(figure: float | None, unit: str) -> str:
    if figure is None:
        return "-"
    if unit == "B":
        return f"{figure:,.0f} B"
    return f"{figure:.3g} us" if figure < 1000 else f"{figure:,.0f} us"


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    return str(value)


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
