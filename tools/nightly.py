"""Runs everything, stage after stage, and says in one table what came of it (`make nightly`).

    python -m tools.nightly                      all stages, about three hours on two cores
    python -m tools.nightly --only fuzz miri     these
    python -m tools.nightly --list               what there is

A stage that fails does not keep the others from running; the exit status is 1 in the end. Stages
that measure time run alone. The rest only counts, so that two of them run at once. What a stage
prints is kept in `build/nightly/STAGE.log`, the figures that tests record in `STAGE.xml` (JUnit's
properties), the table in `build/nightly/summary.md`.

Exit status 3 of a stage means that its tool or its data cannot be had here; it is told, and is no
failure.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tools.fuzz import FURTHER, RUST_TARGETS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "nightly"
STAGE_S = 3 * 3600.0
UNAVAILABLE = 3
LANES = 2  # of stages that only count

# Tests that judge times or memory, which programs beside them would change.
MEASURING = (
    "tests/hostile",
    "tests/e2e/security",
    "tests/e2e/chat_page",
    "tests/e2e/test_leaks.py",
    "tests/bench",
)

# Tests without a server process of their own.
IN_PROCESS = ("tests/wynd", "tests/contracts", "tests/wynd_chat", "tests/properties")


@dataclass(frozen=True)
class Stage:
    """One command."""

    name: str
    command: Sequence[str]
    is_alone: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    needs: str = ""
    """A program without which it is left out."""


@dataclass(frozen=True)
class Outcome:
    """What came of a stage."""

    name: str
    verdict: str
    seconds: float
    last_line: str

    @property
    def is_failure(self) -> bool:
        """Whether the night failed by it."""
        return self.verdict == "FAILED"


def stages(fuzz_s: int) -> list[Stage]:
    """Return all stages, in their order."""
    python = sys.executable
    pytest = [python, "-m", "pytest", "-q", "--nightly"]
    cargo = ["cargo", "test", "--release", "--quiet"]
    fuzz = [python, "-m", "tools.fuzz", "--seconds", str(fuzz_s)]
    return [
        Stage("measured", [*pytest, _figures("measured"), *MEASURING], is_alone=True),
        Stage(
            "tests",
            [
                *(*pytest, _figures("tests")),
                *("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"),
                *("--ignore", "tests/simulation"),
                *(word for folder in MEASURING for word in ("--ignore", folder)),
            ],
            is_alone=True,
        ),
        # The longest first, one in each lane.
        Stage("fuzz-crates", [*fuzz, *RUST_TARGETS], needs="cargo"),
        Stage("fuzz-python", [*fuzz, *FURTHER]),
        Stage("chat-simulation", [*pytest, "tests/simulation"]),
        Stage(
            "engine-simulation",
            [*cargo, "-p", "wynd-engine", "--test", "simulation"],
            environment={"WYND_SEEDS": "10000"},
            needs="cargo",
        ),
        Stage(
            "crate-properties",
            [*cargo, "-p", "wynd-protocol", "-p", "wynd-engine"],
            environment={"PROPTEST_CASES": "100000"},
            needs="cargo",
        ),
        Stage("miri", ["tools/miri"], needs="cargo"),
        Stage("asan", ["tools/asan"], needs="cargo"),
        Stage("twins", ["make", "test-twins"]),
        Stage("other-pythons", ["tools/test-pythons", "-q", *IN_PROCESS]),
        Stage("coverage", ["make", "coverage"]),
        Stage(
            "rust-coverage", [python, "-m", "tools.rust_coverage", "--gate", "95"], needs="cargo"
        ),
        Stage("audit", [python, "-m", "tools.audit"]),
    ]


def _figures(name: str) -> str:
    return f"--junitxml={FOLDER / name}.xml"


def main() -> int:
    """Run the stages asked for; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", metavar="STAGE", help="names, as --list shows them")
    parser.add_argument("--fuzz-seconds", type=int, default=600, help="for each target")
    parser.add_argument("--list", action="store_true", help="print the stages and their commands")
    options = parser.parse_args()
    chosen = stages(options.fuzz_seconds)
    if options.list:
        for stage in chosen:
            print(f"{stage.name:26} {' '.join(stage.command)}")
        return 0
    if options.only:
        unknown = set(options.only) - {stage.name for stage in chosen}
        if unknown:
            parser.error(f"no stage {', '.join(sorted(unknown))}; see --list")
        chosen = [stage for stage in chosen if stage.name in options.only]
    FOLDER.mkdir(parents=True, exist_ok=True)
    outcomes = [_run(stage) for stage in chosen if stage.is_alone]
    with ThreadPoolExecutor(LANES) as lanes:
        outcomes += lanes.map(_run, [stage for stage in chosen if not stage.is_alone])
    table = _table(outcomes)
    (FOLDER / "summary.md").write_text(table, encoding="utf-8")
    print(f"\n{table}")
    return int(any(outcome.is_failure for outcome in outcomes))


def _run(stage: Stage) -> Outcome:
    if stage.needs and shutil.which(stage.needs) is None:
        return Outcome(stage.name, "left out", 0.0, f"{stage.needs} is not in PATH")
    log = FOLDER / f"{stage.name}.log"
    print(f"{time.strftime('%H:%M:%S')} {stage.name}: {' '.join(stage.command)}", flush=True)
    began = time.monotonic()
    with log.open("w", encoding="utf-8") as output:
        try:
            status = subprocess.run(
                stage.command,
                cwd=ROOT,
                env={**os.environ, **stage.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=STAGE_S,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            status = -1
            output.write(f"\nended after {STAGE_S:g} s\n")
    seconds = time.monotonic() - began
    verdict = {0: "ok", UNAVAILABLE: "unavailable"}.get(status, "FAILED")
    printed = log.read_text(errors="replace").splitlines()
    lines = [line for line in printed if line.strip() and not line.startswith("make")]
    outcome = Outcome(stage.name, verdict, seconds, lines[-1].strip("= ") if lines else "")
    print(f"{time.strftime('%H:%M:%S')} {stage.name}: {verdict}, {seconds:.0f} s", flush=True)
    return outcome


def _table(outcomes: Sequence[Outcome]) -> str:
    rows = ["| Stage | Outcome | Minutes | Last line |", "|---|---|---:|---|"]
    rows += [
        f"| {one.name} | {one.verdict} | {one.seconds / 60:.1f} | {one.last_line[:160]} |"
        for one in outcomes
    ]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.exit(main())
