"""Fuzzes the Python parts: `python -m tests.fuzz.run [--seconds S] [--keep] [TARGET ...]`.

Each target runs for so many seconds in a process of its own, from the committed corpus, past
crashes, the seeds, and what earlier runs found (`build/fuzz-python`). One line tells what came of
it. A finding is a file; the command that replays it is printed, and the exit code is 1.

atheris is installed on demand, by exact version, into `build/fuzz-python`. It has wheels for some
Pythons on Linux only; where it cannot be had, the reason is printed and nothing is fuzzed.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha1
from typing import TYPE_CHECKING

from tests.fuzz.bounds import CPU_S_MAX, MEMORY_BYTES_MAX
from tests.fuzz.places import ROOT, TARGETS, WORK, corpus_of, crashes_of, program_of
from tests.fuzz.seeds import seeds_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["Outcome", "fuzz", "keep", "main", "outcome_of"]

ATHERIS = "atheris==3.0.0"
SECONDS = 60
INPUT_BYTES_MAX = 1024  # longer seeds are cut; the test of the seeds runs them whole
RSS_MIB_MAX = 1024  # of the process: coverage tables, and all that was found
HANG_S = 20  # wall time; what one input may cost is in `bounds`, in processor time
GRACE_S = 120  # until a run that should have ended is killed
KEPT_BYTES_MAX = 75 * 1024  # of one target's corpus; six of them are below 500 KiB

_DONE = re.compile(r"Done (\d+) runs? in (\d+) second")
_STATUS = re.compile(r"^#(\d+)\s.*?cov: (\d+) ft: (\d+) corp: (\d+)/.*?rss: (\d+)Mb", re.MULTILINE)
_LAST_LINES = 15


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one target's run."""

    target: str
    runs: int
    inputs: int
    """Inputs that each reach something new."""
    edges: int
    """Branches reached."""
    rss_mib: int
    """Of the process, at the end."""
    findings: tuple[str, ...]
    """Files; replay each to see what is wrong."""
    failure: str | None = None
    """Why the run broke off, without a finding."""

    def line(self) -> str:
        """Return the summary."""
        counted = f"{self.runs} runs, {self.inputs} inputs, {self.edges} edges, {self.rss_mib} MiB"
        ending = f", {len(self.findings)} findings" if self.failure is None else f"; {self.failure}"
        return f"{self.target:<13} {counted}{ending}"


def outcome_of(target: str, output: str, code: int, findings: Iterable[Path]) -> Outcome:
    """Return what a process's output and exit code say."""
    found = tuple(str(path) for path in findings)
    statuses = _STATUS.findall(output)
    last = [int(part) for part in statuses[-1]] if statuses else [0] * 5
    done = _DONE.findall(output)
    runs = int(done[-1][0]) if done else last[0]
    failure = None
    if not found and (code or not done):
        lines = [line for line in output.splitlines() if line.strip()]
        failure = "it broke off:\n" + "\n".join(lines[-_LAST_LINES:])
    return Outcome(target, runs, last[3], last[1], last[4], found, failure)


def fuzz(target: str, seconds: int, environment: dict[str, str]) -> Outcome:
    """Run one target."""
    folders = _folders(target)
    findings = WORK / target / "findings"
    findings.mkdir(parents=True, exist_ok=True)
    before = set(findings.iterdir())
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={INPUT_BYTES_MAX}",
        f"-timeout={HANG_S}",
        f"-rss_limit_mb={RSS_MIB_MAX}",
        f"-artifact_prefix={findings}/",
        "-print_final_stats=0",
    ]
    code, output = _run(target, [*options, *map(str, folders)], environment, seconds + GRACE_S)
    new = sorted(set(findings.iterdir()) - before)
    return outcome_of(target, output, code, new)


def keep(target: str, environment: dict[str, str]) -> None:
    """Replace the committed corpus by the smallest set of inputs that reaches as much."""
    merged = WORK / target / "merged"
    shutil.rmtree(merged, ignore_errors=True)
    merged.mkdir(parents=True)
    options = ["-merge=1", f"-max_len={INPUT_BYTES_MAX}", str(merged)]
    code, output = _run(
        target, [*options, *map(str, _folders(target))], environment, SECONDS + 5 * GRACE_S
    )
    if code or not any(merged.iterdir()):
        raise SystemExit(f"{target}: the corpus could not be merged:\n{output[-2000:]}")
    corpus = corpus_of(target)
    shutil.rmtree(corpus)
    corpus.mkdir()
    size = 0
    for path in sorted(merged.iterdir(), key=lambda path: (path.stat().st_size, path.name)):
        size += path.stat().st_size
        if size > KEPT_BYTES_MAX:
            break
        shutil.copyfile(path, corpus / path.name)


def _folders(target: str) -> list[Path]:
    """Return where inputs are, first where new ones go."""
    work = WORK / target
    seeds, found = work / "seeds", work / "found"
    shutil.rmtree(seeds, ignore_errors=True)
    for folder in (seeds, found, corpus_of(target), crashes_of(target)):
        folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds_of(target):
        (seeds / sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
    return [found, corpus_of(target), crashes_of(target), seeds]


def _run(
    target: str, arguments: Sequence[str], environment: dict[str, str], seconds: float
) -> tuple[int, str]:
    """Run the process; return its exit code, and what it wrote."""
    program = program_of(target)
    start = shlex.join([sys.executable, "-m", "tests.fuzz.process", target])
    program.write_text(f'#!/bin/sh\nexec {start} "$@"\n')
    program.chmod(0o755)
    command = [str(program), *arguments]
    log = WORK / target / "log.txt"
    with log.open("w") as written:
        try:
            code = subprocess.run(
                command,
                cwd=ROOT,
                env=environment,
                stdout=written,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            code = -1
    return code, log.read_text(errors="replace")


def _install() -> str | None:
    """Install atheris where it is missing; return the folder, None with the reason printed."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = WORK / f"{ATHERIS.replace('==', '-')}-python{version}"
    if not (folder / "atheris").is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary"]
        command += [":all:", "--disable-pip-version-check", "--target", str(folder), ATHERIS]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(folder, ignore_errors=True)
            reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
            print(f"Python fuzzing left out: {ATHERIS} cannot be installed: {reason}")
            return None
    return str(folder)


def main(arguments: list[str]) -> int:
    """Run what is asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description=__doc__)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="for each target")
    parser.add_argument("--keep", action="store_true", help="renew the committed corpora after it")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    chosen = parser.parse_args(arguments)
    unknown = set(chosen.targets) - set(TARGETS)
    if unknown:
        parser.error(
            f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}"
        )
    folder = _install()
    if folder is None:
        return 0
    environment = os.environ | {"PYTHONPATH": folder}
    is_bad = False
    print(f"bounds of one input: {CPU_S_MAX:g} s, {MEMORY_BYTES_MAX // 1024**2} MiB", flush=True)
    for target in chosen.targets or TARGETS:
        outcome = fuzz(target, chosen.seconds, environment)
        print(outcome.line(), flush=True)
        for path in outcome.findings:
            print(f"  replay: {sys.executable} -m tests.fuzz.replay {target} {path}", flush=True)
        is_bad = is_bad or bool(outcome.findings or outcome.failure)
        if chosen.keep and not outcome.findings and outcome.failure is None:
            keep(target, environment)
    return int(is_bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
