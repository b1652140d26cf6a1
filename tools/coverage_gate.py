"""Holds the chat's pure parts to full branch coverage by their own unit tests; fails below it.

What only bytes and values decide (`wynd_chat.domain`, `wynd_chat.wire`) can be reached whole from
its unit tests, so a branch that no test takes is a missing test or dead code. The rest of the
sources is reported by `make coverage`, without a gate.

    tools/coverage_gate.py FOLDER ...    folders of tests; what tests/PART tests is src/PART
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PERCENT = 100
WORK = ROOT / "build" / "coverage-gate"


def main() -> int:
    """Run the tests of the pure parts and report; return the exit code."""
    WORK.mkdir(parents=True, exist_ok=True)
    for old in WORK.glob("data*"):
        old.unlink()
    environment = os.environ | {"COVERAGE_FILE": str(WORK / "data")}
    coverage = [sys.executable, "-m", "coverage"]
    tests = sys.argv[1:]
    included = ",".join(f"src/{folder.removeprefix('tests/')}/*" for folder in tests)
    steps = (
        [*coverage, "run", "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        [*coverage, "combine", "--quiet"],
        [*coverage, "report", f"--include={included}", f"--fail-under={PERCENT}"],
    )
    for step in steps:
        code = subprocess.run(step, cwd=ROOT, env=environment, check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
