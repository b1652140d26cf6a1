"""Fuzzes: every target for some seconds, one after the other, and one line of figures for each.

    python -m tools.fuzz --seconds 600            all targets
    python -m tools.fuzz --seconds 60 head body   these
    python -m tools.fuzz --merge                  afterwards: what was found into fuzz/corpus

Inputs found are kept in target/fuzz/corpus and used again. An input that breaks a rule, takes over
a second or more than 64 MiB ends its target; the exit status is then 1, and the command that
replays it is printed. Once fixed, the input goes into fuzz/crashes/TARGET, where `cargo test`
replays it.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "target" / "fuzz"
CORPORA = ROOT / "fuzz" / "corpus"
DICTIONARIES = ROOT / "fuzz" / "dictionaries"

RUST_TARGETS = {
    "head": "http",
    "frames": None,
    "deflate": None,
    "closing": None,
    "extensions": "extensions",
    "client": "http",
    "proxy": "proxy",
    "body": "http",
}
"""The targets of fuzz/fuzz_targets, and the dictionary of each."""

FURTHER = {"python": [sys.executable, "-m", "tests.fuzz.run"]}
"""Runners of their own: name and command. Each takes --seconds for every target it has, prints a
line for each, and exits with 1 on a finding. None of them is run for --merge."""

UNAVAILABLE = 3  # the exit status where something is missing
SLOW_S = 1  # of processor time, of the instrumented build; other programs may have the processor
HANG_S = 60  # of the clock
RSS_MIB = 1024  # of the whole process: the sanitizer keeps freed memory for a while
MALLOC_MIB = 64
INPUT_BYTES_MAX = 4096  # enough for every rule; longer ones are slower


@dataclass(frozen=True)
class Target:
    """One program to run."""

    name: str
    command: list[str]
    dictionary: Path | None = None

    @property
    def folders(self) -> list[Path]:
        """Where inputs are: found ones first, which is where new ones go."""
        folders = [WORK / "corpus" / self.name, CORPORA / self.name]
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        return folders


def main() -> int:
    """Run the targets; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Raw)
    parser.add_argument("targets", nargs="*", help="names; none for all of them")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--merge", action="store_true", help="put what was found into fuzz/corpus")
    options = parser.parse_args()
    unknown = set(options.targets) - RUST_TARGETS.keys() - FURTHER.keys()
    if unknown:
        known = ", ".join([*RUST_TARGETS, *FURTHER])
        print(f"no target {', '.join(sorted(unknown))}; there are {known}", file=sys.stderr)
        return 2
    missing = what_is_missing()
    if missing:
        print(missing, file=sys.stderr)
        return UNAVAILABLE
    names = options.targets or [*RUST_TARGETS, *FURTHER]
    targets = prepare([name for name in names if name in RUST_TARGETS])
    if options.merge:
        return max((merge(target) for target in targets), default=0)
    os.nice(10)
    statuses = [run(target, options.seconds) for target in targets]
    for name in [name for name in names if name in FURTHER]:
        command = [*FURTHER[name], "--seconds", str(options.seconds)]
        statuses.append(subprocess.run(command, cwd=ROOT, check=False).returncode)
    return max(statuses)


class _Raw(argparse.RawDescriptionHelpFormatter):
    """Keep the lines of the description."""


def what_is_missing() -> str | None:
    """Say in one sentence what must be installed first; None if everything is here."""
    if shutil.which("cargo") is None:
        return "fuzzing needs cargo; install Rust first"
    found = subprocess.run(
        ["cargo", "+nightly", "fuzz", "--version"], capture_output=True, text=True, check=False
    )
    if found.returncode == 0:
        return None
    if "no such command" in found.stderr:
        return "cargo-fuzz is missing; run: cargo install cargo-fuzz --version 0.13.2"
    return "a nightly compiler is missing; run: rustup toolchain install nightly"


def prepare(names: list[str]) -> list[Target]:
    """Build these targets; return how each is run."""
    if not names:
        return []
    cargo = ["cargo", "+nightly", "fuzz", "build", "--target-dir", str(WORK)]
    subprocess.run([*cargo, *(names if len(names) == 1 else [])], cwd=ROOT, check=True)
    told = subprocess.run(["rustc", "+nightly", "-vV"], capture_output=True, text=True, check=True)
    host = next(line for line in told.stdout.splitlines() if line.startswith("host: "))
    folder = WORK / host.removeprefix("host: ") / "release"
    targets = []
    for name in names:
        words = RUST_TARGETS[name]
        dictionary = DICTIONARIES / f"{words}.dict" if words else None
        targets.append(Target(name, [str(folder / name)], dictionary))
    return targets


def run(target: Target, seconds: int) -> int:
    """Fuzz one target; return 1 if that found something."""
    findings = WORK / "findings" / target.name
    findings.mkdir(parents=True, exist_ok=True)
    log = WORK / f"{target.name}.log"
    flags = [
        f"-max_total_time={seconds}",
        f"-timeout={HANG_S}",
        f"-report_slow_units={SLOW_S}",
        f"-rss_limit_mb={RSS_MIB}",
        f"-malloc_limit_mb={MALLOC_MIB}",
        f"-max_len={INPUT_BYTES_MAX}",
        f"-artifact_prefix={findings}/",
        "-print_final_stats=1",
    ]
    if target.dictionary is not None:
        flags.append(f"-dict={target.dictionary}")
    with log.open("w") as output:
        ended = subprocess.run(
            [*target.command, *flags, *map(str, target.folders)],
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    text = log.read_text(errors="replace")
    found = [path for path in written_to(text) if not is_quick(target, path)]
    has_failed = ended.returncode != 0 or bool(found)
    print(summary(target.name, text, has_failed), flush=True)
    if has_failed:
        print(f"  log: {log.relative_to(ROOT)}")
    for path in found:
        print(f"  replay: {' '.join(target.command)} {path}", flush=True)
    return int(has_failed)


def written_to(text: str) -> list[Path]:
    """Return the inputs that libFuzzer wrote down, the slow ones included."""
    return [Path(path) for path in re.findall(r"Test unit written to (\S+)", text)]


def is_quick(target: Target, path: Path) -> bool:
    """Tell whether an input only had to wait for the processor; then it is forgotten."""
    if not path.name.startswith("slow-unit-"):
        return False
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*target.command, path], capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if used >= SLOW_S:
        return False
    path.unlink()
    return True


def summary(name: str, text: str, has_failed: bool) -> str:
    """Return the line of one target, from what libFuzzer printed."""
    executed = re.findall(r"stat::number_of_executed_units:\s+(\d+)", text)
    state = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)/(\S+)", text)
    coverage, features, inputs, size = state[-1] if state else ("?", "?", "?", "?")
    execs = executed[-1] if executed else "?"
    found = "FINDING" if has_failed else "no finding"
    return (
        f"{name:<12} execs {execs:>11}  corpus {inputs:>5} ({size})"
        f"  edges {coverage:>5}  features {features:>5}  {found}"
    )


def merge(target: Target) -> int:
    """Replace the committed corpus by the fewest inputs that cover what all of them cover."""
    fewest = WORK / "merged" / target.name
    shutil.rmtree(fewest, ignore_errors=True)
    fewest.mkdir(parents=True)
    found, committed = target.folders
    command = [*target.command, "-set_cover_merge=1", f"-max_len={INPUT_BYTES_MAX}"]
    folders = [str(fewest), str(committed), str(found)]
    ended = subprocess.run([*command, *folders], cwd=ROOT, capture_output=True, check=False)
    if ended.returncode != 0:
        print(f"{target.name}: the merge failed", file=sys.stderr)
        return 1
    shutil.rmtree(committed)
    shutil.copytree(fewest, committed)
    size = sum(path.stat().st_size for path in committed.iterdir())
    print(f"{target.name:<12} {len(list(committed.iterdir()))} inputs, {size} bytes", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
