"""Line coverage of the crates by `cargo test`, the replay of the fuzzing corpora included.

    python -m tools.rust_coverage --gate 95

Prints a table per file and fails if wynd-protocol is below the gate. Lines of `mod tests` do not
count. Needs the component llvm-tools of the stable or the nightly toolchain.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "coverage"
CRATES = ("wynd-protocol", "wynd-engine")
GATED = "wynd-protocol"
UNAVAILABLE = 3  # the exit status where the tools are missing


def main() -> int:
    """Measure, print the table, judge; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gate", type=float, default=0.0, help=f"percent of {GATED}'s lines")
    parser.add_argument("--missing", action="store_true", help="also name the lines not reached")
    options = parser.parse_args()
    found = find_tools()
    if found is None:
        print(
            "llvm-tools are missing; run: rustup component add llvm-tools "
            "(or: rustup +nightly component add llvm-tools)",
            file=sys.stderr,
        )
        return UNAVAILABLE
    toolchain, tools = found
    lines = measure(toolchain, tools)
    share = show(lines, names_missing=options.missing)
    if share < options.gate:
        print(f"{GATED} is at {share:.1f} %, below {options.gate:g} %", file=sys.stderr)
        return 1
    return 0


def find_tools() -> tuple[str, Path] | None:
    """Return a toolchain that has llvm-tools, and where they are."""
    if shutil.which("cargo") is None:
        return None
    for toolchain in ("+stable", "+nightly"):
        told = subprocess.run(
            ["rustc", toolchain, "--print", "target-libdir"],
            capture_output=True,
            text=True,
            check=False,
        )
        tools = Path(told.stdout.strip()).parent / "bin"
        if told.returncode == 0 and (tools / "llvm-cov").exists():
            return toolchain, tools
    return None


def measure(toolchain: str, tools: Path) -> dict[Path, dict[int, int]]:
    """Run the tests; return how often each line of each source file was reached."""
    profiles = WORK / "profiles"
    shutil.rmtree(profiles, ignore_errors=True)
    environment = {
        **os.environ,
        "CARGO_TARGET_DIR": str(WORK),
        "RUSTFLAGS": "-C instrument-coverage",
        "LLVM_PROFILE_FILE": str(profiles / "%p-%m.profraw"),
    }
    command = ["cargo", toolchain, "test", "--quiet", "--lib", "--tests"]
    command += [part for crate in CRATES for part in ("-p", crate)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    built = subprocess.run(
        [*command, "--no-run", "--message-format=json"],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    messages = [json.loads(line) for line in built.stdout.splitlines() if line.startswith("{")]
    programs = [message["executable"] for message in messages if message.get("executable")]
    merged = WORK / "merged.profdata"
    raw = [str(path) for path in profiles.glob("*.profraw")]
    subprocess.run([tools / "llvm-profdata", "merge", "--sparse", "-o", merged, *raw], check=True)
    objects = [part for program in programs for part in ("--object", program)]
    sources = [str(ROOT / "crates" / crate / "src") for crate in CRATES]
    exported = subprocess.run(
        [
            *(tools / "llvm-cov", "export", "--format=lcov", f"--instr-profile={merged}"),
            *objects,
            *("--sources", *sources),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    return read_lcov(exported.stdout)


def read_lcov(text: str) -> dict[Path, dict[int, int]]:
    """Return count by line by file, without the lines of `mod tests`, which come last in a file."""
    found: dict[Path, dict[int, int]] = {}
    path = Path()
    end = 0
    for line in text.splitlines():
        if line.startswith("SF:"):
            path = Path(line[3:])
            source = path.read_text(encoding="utf-8")
            tests = re.search(r"^#\[cfg\(test\)\]\nmod tests", source, re.MULTILINE)
            end = source[: tests.start()].count("\n") if tests else source.count("\n") + 1
            found.setdefault(path, {})
        elif line.startswith("DA:"):
            number, count = line[3:].split(",")[:2]
            if int(number) <= end:
                lines = found[path]
                lines[int(number)] = max(lines.get(int(number), 0), int(count))
    return found


def show(found: dict[Path, dict[int, int]], *, names_missing: bool) -> float:
    """Print the table; return the gated crate's share in percent."""
    gated = 0.0
    for crate in CRATES:
        folder = ROOT / "crates" / crate / "src"
        files = sorted(path for path in found if path.is_relative_to(folder))
        total = reached = 0
        print(f"{crate:<28} lines  missed  covered")
        for path in files:
            counts = found[path]
            missed = sorted(number for number, count in counts.items() if count == 0)
            total += len(counts)
            reached += len(counts) - len(missed)
            print(row(f"  {path.name}", len(counts), len(missed)))
            if names_missing and missed:
                print(f"      {', '.join(map(str, missed))}")
        print(row("  all", total, total - reached))
        if crate == GATED and total:
            gated = 100 * reached / total
    return gated


def row(name: str, lines: int, missed: int) -> str:
    """Return a line of the table."""
    share = 100 * (lines - missed) / lines if lines else 100.0
    return f"{name:<28} {lines:>5}  {missed:>6}  {share:>6.1f} %"


if __name__ == "__main__":
    sys.exit(main())
