"""Ratios: within a round, against the median of its floors; noise is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench.figures import FLOOR_NAME, ROWS, Results, Sample
from bench.table import full_tables, short_table
from bench.targets import judge_peers, judge_targets

ECHO, MEMORY = ROWS[0], ROWS[-1]
OURS = "wynd async, asyncio"


def sample(cpu_us: float, disturbed: float = 0.0, size: int = 1000) -> Sample:
    return Sample(cpu_us, 1.0, 1.0, 1.0, 1.0, size, disturbed)


def results(ours: dict[int, float], peer: float = 100.0, disturbed: float = 0.0) -> Results:
    """One workload, whose floor costs 10 us in odd rounds and 20 us in even ones."""
    found = Results([FLOOR_NAME, OURS, "ws (Node)"])
    for number, cpu_us in ours.items():
        floor = 20.0 if number % 2 == 0 else 10.0
        for cost in (floor, floor, 50 * floor):
            found.add(ECHO.workload, FLOOR_NAME, number, sample(cost))
        found.add(ECHO.workload, OURS, number, sample(cpu_us, disturbed))
        found.add(ECHO.workload, "ws (Node)", number, sample(peer))
    return found


def test_a_ratio_is_taken_within_its_round_against_the_median_floor() -> None:
    cell = results({1: 11.0, 2: 22.0, 3: 11.5}).cell(ECHO, OURS)
    assert cell is not None
    assert (cell.ratio, cell.least, cell.greatest) == pytest.approx((1.1, 1.1, 1.15))
    assert (cell.rounds, cell.noisy) == (3, False)


def test_without_a_floor_of_the_same_round_there_is_no_ratio() -> None:
    found = results({1: 11.0})
    found.add(ECHO.workload, "late", 2, sample(5.0))
    assert found.cell(ECHO, "late") is None
    assert found.cell(MEMORY, OURS) is None


def test_one_disturbed_round_does_not_move_the_median_but_shows() -> None:
    cell = results({1: 11.0, 2: 22.0, 3: 90.0}).cell(ECHO, OURS)
    assert cell is not None
    assert cell.ratio == pytest.approx(1.1)
    assert cell.noisy


def test_a_core_taken_by_others_makes_a_figure_noisy() -> None:
    quiet = results({1: 11.0}, disturbed=0.1).cell(ECHO, OURS)
    noisy = results({1: 11.0}, disturbed=0.3).cell(ECHO, OURS)
    assert quiet is not None
    assert noisy is not None
    assert (quiet.noisy, noisy.noisy) == (False, True)


def test_the_document_is_read_back_whole() -> None:
    found = results({1: 11.0, 2: 25.0})
    found.failures["", "picows, uvloop"] = "picows is not installed"
    document = json.loads(json.dumps(found.document()))
    again = Results.of(document)
    assert again.samples == found.samples
    assert again.failures == found.failures
    assert again.document() == document


@pytest.mark.parametrize(
    ("cost", "verdict"), [(11.5, "holds"), (11.6, "**falls short**"), (30.0, "**falls short**")]
)
def test_a_target_is_judged(cost: float, verdict: str) -> None:
    judged = judge_targets(results({1: cost}))[0]
    assert judged.verdict.startswith(verdict)
    assert judged.verdict == "holds" or len(judged.verdict) > len("**falls short**: ")


def test_a_target_within_the_spread_is_not_said_to_hold() -> None:
    judged = judge_targets(results({1: 11.0, 2: 24.0, 3: 13.0}))[0]
    assert judged.verdict.startswith("falls short, within the spread")


@pytest.mark.parametrize(
    ("peer", "verdict"), [(11.0, "ahead"), (9.0, "**falls short**")], ids=["ahead", "behind"]
)
def test_the_best_of_ours_is_held_against_the_best_peer(peer: float, verdict: str) -> None:
    judged = judge_peers(results({1: 10.0}, peer))
    assert judged[0].verdict.startswith(verdict)
    assert judged[1].verdict == ""  # a row without figures


def test_tables_name_what_is_missing_and_mark_noise() -> None:
    found = results({1: 11.0, 2: 22.0, 3: 90.0})
    found.failures["fanout-16", "ws (Node)"] = "round 1: hangs | for\never"
    about: dict[str, Any] = {
        **dict.fromkeys(("date", "processor", "kernel", "pinning"), "x"),
        "quick": False,
        "rounds": 3,
        "seconds": 1.0,
        "connections": 10,
        "versions": {},
    }
    document = {"about": about, **found.document()}
    tables = full_tables(document)
    assert tables["missing"] == "- ws (Node), fan-out, 16 in flight: round 1: hangs / for ever"
    assert f"| {OURS} | **~1.10 (1.10–9.00)** |" in tables["ratios"]
    assert tables["idle"] == "Not measured: left out of this run."
    assert f"| {OURS} | **~1.10** |" in short_table(document)
