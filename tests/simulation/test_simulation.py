"""The chat from seeds: 200 here, 10,000 nightly, and one with `--seed N`.

A failure names its seed and the command that replays it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tests.simulation.world import simulate

ROOT = Path(__file__).parents[2]
CHUNK = 25
SEEDS = 200
NIGHTLY = 10_000
REPLAY = "python -m tests.simulation"
# What has to have happened over the 200 seeds, or they prove nothing.
HAPPENED = (
    *("acknowledgements", "repeats", "replays", "gaps", "ticks", "crashes", "new epochs"),
    *("incident: crash", "incident: crash at a point", "incident: restart", "incident: restore"),
    *("incident: clock", "incident: slow disk", "incident: full disk", "incident: trim"),
    *("incident: another program", "refused: rate_limited", "refused: unavailable"),
    *("refused: banned", "ends with 4503", "ends with 4029", "ends with 1012", "ends with 1006"),
)


@cache
def run(first: int, end: int) -> Counter[str]:
    """Run some seeds; fail with all that went wrong, and how to see it again."""
    failures = []
    counts: Counter[str] = Counter()
    for seed in range(first, end):
        outcome = simulate(seed)
        counts.update(outcome.counts)
        if outcome.problems:
            more = f" (and {len(outcome.problems) - 1} more)" if len(outcome.problems) > 1 else ""
            failures.append(f"seed {seed}: {outcome.problems[0]}{more}\n    {REPLAY} {seed}")
    if failures:
        pytest.fail("\n".join(failures), pytrace=False)
    return counts


@pytest.mark.timeout(300)  # about 4 s alone
@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_everything_holds(first: int, pytestconfig: pytest.Config) -> None:
    only = pytestconfig.getoption("--seed")
    if only is not None:
        if first:
            pytest.skip("--seed runs one seed")
        run(only, only + 1)
        return
    run(first, first + CHUNK)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("first", range(SEEDS, NIGHTLY, 8 * CHUNK))
def test_everything_holds_for_many_seeds(first: int) -> None:
    run(first, first + 8 * CHUNK)


@pytest.mark.timeout(300)
def test_enough_happens() -> None:
    counts: Counter[str] = Counter()
    for first in range(0, SEEDS, CHUNK):
        counts += run(first, first + CHUNK)
        if all(counts[what] for what in HAPPENED):
            return
    pytest.fail(f"never happened: {[what for what in HAPPENED if not counts[what]]}")


@pytest.mark.timeout(120)
def test_the_same_seed_is_the_same_run_also_in_another_process() -> None:
    """Whatever the order of sets there is."""
    seed = 7
    program = f"from tests.simulation.world import simulate; print(simulate({seed}).hash)"
    hashes = {simulate(seed).hash, simulate(seed).hash}
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        hashes.add(done.stdout.strip())
    assert len(hashes) == 1


def test_different_seeds_are_different_runs() -> None:
    assert len({simulate(seed).hash for seed in range(3)}) == 3
