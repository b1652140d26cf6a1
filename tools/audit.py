"""Asks whether what is pinned has known flaws, and whether our Python has dangerous calls.

`pip-audit` over constraints.txt, `cargo audit` over Cargo.lock, `bandit` over the sources. Each has
an environment of its own (`own_tools`). What could not be asked, because advisories or a tool are
out of reach, is told in a sentence and is no success: the exit status is 0 only when all three
answered that there is nothing, 1 when something was found, 3 when nothing was found but somebody
did not answer. Run as `python -m tools.audit`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

from tools.own_tools import FOLDER, NotInstalled, python_with

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Answer", "Outcome", "audit", "main"]

ROOT = Path(__file__).resolve().parent.parent
PIP_AUDIT = "pip-audit==2.10.1"
BANDIT = "bandit==1.9.4"
CARGO_AUDIT = "0.22.1"
ADVISORIES = "https://github.com/RustSec/advisory-db"  # a git repository
ASKS_S, BUILDS_S = 300.0, 1800.0


class Outcome(IntEnum):
    """What an auditor said, and the exit status that it asks for."""

    CLEAN = 0
    FOUND = 1
    UNANSWERED = 3  # 2 is argparse's


@dataclass(frozen=True)
class Answer:
    """What one auditor said."""

    auditor: str
    outcome: Outcome
    lines: tuple[str, ...]


class Unanswered(Exception):
    """An auditor could not be asked; the text says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask all auditors, print what they say, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requirements", type=Path, default=ROOT / "constraints.txt")
    parser.add_argument("--lock", type=Path, default=ROOT / "Cargo.lock")
    parser.add_argument("--source", type=Path, default=ROOT / "src")
    parser.add_argument(
        "--advisories", type=Path, help="a clone of RustSec's advisory-db, instead of fetching it"
    )
    options = parser.parse_args(arguments)
    return audit(
        {
            "pip-audit": lambda: ask_pip_audit(options.requirements),
            "cargo audit": lambda: ask_cargo_audit(options.lock, options.advisories),
            "bandit": lambda: ask_bandit(options.source),
        }
    )


def audit(auditors: dict[str, Callable[[], list[str]]]) -> int:
    """Ask each auditor, print its answer, and return the exit status of all.

    Args:
        auditors: Each returns what it found; raises `NotInstalled` or `Unanswered`.
    """
    answers = [_asked(name, ask) for name, ask in auditors.items()]
    for answer in answers:
        print(f"{answer.auditor}: {_told(answer)}")
    outcomes = {answer.outcome for answer in answers}
    return next((one for one in (Outcome.FOUND, Outcome.UNANSWERED) if one in outcomes), 0)


def _asked(name: str, ask: Callable[[], list[str]]) -> Answer:
    try:
        found = ask()
    except (NotInstalled, Unanswered) as error:
        return Answer(name, Outcome.UNANSWERED, (str(error),))
    return Answer(name, Outcome.FOUND if found else Outcome.CLEAN, tuple(found))


def _told(answer: Answer) -> str:
    if answer.outcome is Outcome.CLEAN:
        return "nothing known"
    if answer.outcome is Outcome.UNANSWERED:
        return f"NOT ASKED: {answer.lines[0]}"
    return "\n  ".join((f"{len(answer.lines)} found", *answer.lines))


def ask_pip_audit(requirements: Path) -> list[str]:
    """Return the known flaws of pinned Python packages; nothing is resolved or installed."""
    python = python_with("pip-audit", PIP_AUDIT)
    command = [str(python), "-m", "pip_audit", "--requirement", str(requirements)]
    command += ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
    done = _run(command, ASKS_S)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise Unanswered(_reason(done)) from None
    skipped = [one["skip_reason"] for one in answer["dependencies"] if "skip_reason" in one]
    if skipped:
        asked = len(answer["dependencies"])
        raise Unanswered(f"nothing is told of {len(skipped)} of {asked} packages: {skipped[0]}")
    return [
        f"{one['name']} {one['version']}: {flaw['id']}, fixed in {', '.join(flaw['fix_versions'])}"
        for one in answer["dependencies"]
        for flaw in one["vulns"]
    ]


def ask_cargo_audit(lock: Path, advisories: Path | None = None) -> list[str]:
    """Return the known flaws of locked crates, unsound and yanked ones too.

    Args:
        lock: The Cargo.lock.
        advisories: A clone of the advisory database, None: it is fetched.
    """
    if advisories is None and _run(["git", "ls-remote", ADVISORIES, "HEAD"], ASKS_S).returncode:
        raise Unanswered(f"the advisory database cannot be fetched ({ADVISORIES})")
    command = [str(_cargo_audit()), "audit", "--file", str(lock), "--json"]
    if advisories is not None:
        command += ["--db", str(advisories), "--no-fetch", "--stale"]
    done = _run(command, ASKS_S)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise Unanswered(_reason(done)) from None
    flaws = list(answer["vulnerabilities"]["list"])
    flaws += [one for kind in ("unsound", "yanked") for one in answer["warnings"].get(kind, [])]
    return [_crate(flaw) for flaw in flaws]


def _crate(flaw: dict[str, dict[str, object]]) -> str:
    advisory = flaw.get("advisory") or {"id": "yanked", "title": "taken back by its authors"}
    package = flaw["package"]
    return f"{package['name']} {package['version']}: {advisory['id']}: {advisory['title']}"


def _cargo_audit() -> Path:
    """Return the program, built if need be."""
    folder = FOLDER / f"cargo-audit-{CARGO_AUDIT}"
    program = folder / "bin" / "cargo-audit"
    if program.exists():
        return program
    cargo = shutil.which("cargo")
    if cargo is None:
        raise Unanswered("cargo is not in PATH")
    command = [cargo, "install", "cargo-audit", "--locked", "--quiet", "--version", CARGO_AUDIT]
    done = _run([*command, "--root", str(folder)], BUILDS_S)
    if done.returncode:
        raise Unanswered(f"cargo-audit could not be built: {_reason(done)}")
    return program


def ask_bandit(source: Path) -> list[str]:
    """Return the calls that bandit holds for dangerous, of high severity only."""
    python = python_with("bandit", BANDIT)
    command = [str(python), "-m", "bandit", "--recursive", str(source), "--format", "json"]
    done = _run([*command, "--quiet"], ASKS_S)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise Unanswered(_reason(done)) from None
    if answer["errors"]:
        raise Unanswered(f"{answer['errors'][0]['filename']} could not be read")
    return [
        f"{one['filename']}:{one['line_number']}: {one['test_id']}: {one['issue_text']}"
        for one in answer["results"]
        if one["issue_severity"] == "HIGH"
    ]


def _run(command: list[str], most_s: float) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=most_s,
            check=False,
            cwd=ROOT,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unanswered(f"{Path(command[0]).name}: {error}") from None


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """Return the last line that a program wrote about its failure."""
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1].strip()[:300] if lines else f"exit status {done.returncode}"


if __name__ == "__main__":
    sys.exit(main())
