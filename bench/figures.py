"""What a run found: samples, the ratios drawn from them, and the JSON document that keeps both.

A ratio is taken against the floor of the same round and workload, so that what changes on the
machine between rounds divides out. The floor runs several times in a round, spread among the
others; its median stands. A cell is the median of a server's ratios over the rounds, with the
extremes: one disturbed round cannot move it, and a wide spread shows.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

__all__ = ["FLOOR_NAME", "NOISY", "ROWS", "Cell", "Results", "Row", "Sample"]

FLOOR_NAME = "C epoll loop (floor)"
NOISY = 0.15
"""A cell whose extremes lie further apart than this share of its median is marked as noisy; so is
one whose core was, in the median round, taken by other programs for longer than that."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The figures of one measurement; CPU is the server's, per message, delivery or handshake."""

    cpu_us: float
    rate: float
    p50_us: float
    p99_us: float
    server_load: float
    """Busy part of the server's core; well below 1 means that the load generator was the limit."""
    bytes_per_connection: int
    disturbed: float
    """Share of the time that the server's core was taken by others, or by the machine's host."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: a figure of one workload."""

    key: str
    title: str
    workload: str
    unit: str = "us"

    def figure(self, sample: Sample) -> float:
        """What this row shows of a sample: microseconds of CPU, or bytes."""
        return sample.bytes_per_connection if self.unit == "B" else sample.cpu_us


ROWS = (
    Row("echo-1-64", "echo 64 B, 1 in flight", "echo-1-64"),
    Row("echo-16-64", "echo 64 B, 16 in flight", "echo-16-64"),
    Row("echo-1-64k", "echo 64 KiB, 1 in flight", "echo-1-64k"),
    Row("echo-16-64k", "echo 64 KiB, 16 in flight", "echo-16-64k"),
    Row("fanout-1", "fan-out, 1 in flight", "fanout-1"),
    Row("fanout-16", "fan-out, 16 in flight", "fanout-16"),
    Row("handshake", "handshake", "storm"),
    Row("memory", "memory of an idle connection", "storm", "B"),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """Median, least and greatest ratio to the floor, the median figure itself, and its worth."""

    ratio: float
    least: float
    greatest: float
    figure: float
    rounds: int
    noisy: bool

    @property
    def spread(self) -> float:
        """Distance of the extremes, as a share of the median."""
        return (self.greatest - self.least) / self.ratio if self.ratio > 0 else 0.0


class Results:
    """All samples of a run by workload, server and round, and why some are missing."""

    def __init__(self, servers: list[str]) -> None:
        self.servers = servers
        self.samples: dict[tuple[str, str], dict[int, list[Sample]]] = {}
        self.failures: dict[tuple[str, str], str] = {}
        """The last reason by workload and server; workload "" is the server as a whole."""

    @classmethod
    def of(cls, document: dict[str, Any]) -> Results:
        """Take up what `document` wrote."""
        results = cls(list(document["servers"]))
        for entry in document["samples"]:
            given = dict(entry)
            place = given.pop("workload"), given.pop("server"), given.pop("round")
            results.add(*place, Sample(**given))
        for failure in document["failures"]:
            results.failures[failure["workload"], failure["server"]] = failure["reason"]
        return results

    def add(self, workload: str, server: str, round_number: int, sample: Sample) -> None:
        """Keep one sample."""
        rounds = self.samples.setdefault((workload, server), {})
        rounds.setdefault(round_number, []).append(sample)

    def measured(self) -> list[str]:
        """Names of the servers that have any figure, the floor left out."""
        have = {server for _, server in self.samples}
        return [name for name in self.servers if name in have and name != FLOOR_NAME]

    def rows(self) -> list[Row]:
        """The rows for which the floor was measured."""
        return [row for row in ROWS if (row.workload, FLOOR_NAME) in self.samples]

    def cell(self, row: Row, server: str) -> Cell | None:
        """The ratios of one server; None when no round has both the server and the floor."""
        floors = self.samples.get((row.workload, FLOOR_NAME), {})
        own = self.samples.get((row.workload, server), {})
        ratios, figures, disturbed = [], [], []
        for number, samples in own.items():
            floor = _middle(row, floors.get(number, []))
            figure = _middle(row, samples)
            if floor is None or figure is None or floor <= 0:
                continue
            ratios.append(figure / floor)
            figures.append(figure)
            disturbed.append(median(sample.disturbed for sample in samples))
        if not ratios:
            return None
        middle, least, greatest = median(ratios), min(ratios), max(ratios)
        is_timed = row.unit != "B"
        noisy = middle > 0 and (greatest - least) / middle > NOISY
        noisy = noisy or (is_timed and median(disturbed) > NOISY)
        return Cell(middle, least, greatest, median(figures), len(ratios), noisy)

    def document(self) -> dict[str, Any]:
        """Everything that was measured, for `bench/results/latest.json`."""
        cells = [
            {"row": row.key, "server": name, **_rounded(asdict(cell))}
            for row in self.rows()
            for name in self.measured()
            if (cell := self.cell(row, name)) is not None
        ]
        samples = [
            {"workload": workload, "server": server, "round": number, **asdict(sample)}
            for (workload, server), by_round in self.samples.items()
            for number, found in by_round.items()
            for sample in found
        ]
        failures = [
            {"workload": workload, "server": server, "reason": reason}
            for (workload, server), reason in self.failures.items()
        ]
        return {
            "servers": self.servers,
            "ratios": cells,
            "samples": samples,
            "failures": failures,
        }


def _middle(row: Row, samples: list[Sample]) -> float | None:
    return median(row.figure(sample) for sample in samples) if samples else None


def _rounded(cell: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if name != "noisy" else value for name, value in cell.items()}
