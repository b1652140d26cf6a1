"""Writes constraints.txt: the versions installed in this environment, as the tested ones.

Plain `name==version` lines without addresses, so that any index can serve them.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "constraints.txt"
HEADER = """\
# The versions that are tested, on every supported Python. Ranges for users: pyproject.toml.
# Renew with `make constraints`.
"""


def main() -> None:
    """Freeze the environment this runs in."""
    command = [sys.executable, "-m", "pip", "freeze", "--all", "--exclude-editable"]
    frozen = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    pins = [line for line in frozen.splitlines() if "==" in line]
    TARGET.write_text(HEADER + "\n".join(sorted(pins, key=str.lower)) + "\n")
    print(f"{TARGET.name}: {len(pins)} versions")


if __name__ == "__main__":
    main()
