"""What a fuzzing run tells: figures, findings, and why it broke off."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.bounds import run_bounded
from tests.fuzz.places import ROOT, TARGETS, check_of
from tests.fuzz.run import outcome_of

OUTPUT = """\
INFO: Using built-in libfuzzer
#2\tINITED cov: 10 ft: 12 corp: 1/1b exec/s: 0 rss: 90Mb
#512\tNEW    cov: 1041 ft: 4021 corp: 312/8k lim: 21 exec/s: 256 rss: 131Mb L: 9/17 MS: 1 CrossOver-
#4096\tpulse  cov: 1041 ft: 4030 corp: 313/8k lim: 21 exec/s: 256 rss: 132Mb
"""
DONE = "Done 5000 runs in 11 second(s)\n"


def test_a_quiet_run_is_one_line() -> None:
    outcome = outcome_of("names_texts", OUTPUT + DONE, 0, [])
    line = "names_texts   5000 runs, 313 inputs, 1041 edges, 132 MiB, 0 findings"
    assert outcome.line() == line
    assert outcome.failure is None


def test_a_finding_is_counted_and_no_failure() -> None:
    outcome = outcome_of("names_texts", OUTPUT, 77, [Path("findings/crash-1")])
    assert outcome.findings == ("findings/crash-1",)
    assert outcome.failure is None
    assert outcome.line().startswith("names_texts   4096 runs")


@pytest.mark.parametrize(("output", "code"), [("ImportError: x\n", 1), (OUTPUT, 0), ("", -9)])
def test_a_run_that_breaks_off_says_how(output: str, code: int) -> None:
    outcome = outcome_of("names_texts", output, code, [])
    assert outcome.failure is not None
    assert output.strip().rpartition("\n")[2] in outcome.line()


def test_an_input_that_costs_too_much_is_a_finding() -> None:
    work = "lambda data: b'x' * 2 * bounds.MEMORY_BYTES_MAX"  # the peak is the process's own
    program = f"from tests.fuzz import bounds; bounds.run_bounded({work}, b'')"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert re.search(r"Costly: it took 1\d\d MiB", done.stderr)
    run_bounded(lambda data: None, b"x")


def test_every_target_takes_nothing_at_all() -> None:
    for target in TARGETS:
        check_of(target)(b"")


def test_a_finding_is_replayed_by_one_command(tmp_path: Path) -> None:
    found = tmp_path / "crash-1"
    found.write_bytes(b'{"type":"commands"}')
    command = [sys.executable, "-m", "tests.fuzz.replay", "command_json", str(found)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "command_json: 1 inputs, no finding\n"
