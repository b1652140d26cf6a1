"""Tools that only one verb needs: each in an environment of its own below the ignored `var/tools`.

They are installed by exact version when they are first asked for, so that neither `.venv` nor
constraints.txt carries them. Without an index the caller gets the reason.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

__all__ = ["FOLDER", "NotInstalled", "python_with"]

FOLDER = Path(__file__).resolve().parent.parent / "var" / "tools"
INSTALL_S = 300.0


class NotInstalled(Exception):
    """A tool cannot be had; the text says why."""


def python_with(name: str, *requirements: str) -> Path:
    """Return the Python of an environment that has these packages.

    Args:
        name: Of the environment's folder.
        requirements: Exact versions, such as `pip-audit==2.10.1`.

    Raises:
        NotInstalled: they could not be installed.
    """
    venv = FOLDER / name
    python = venv / "bin" / "python"
    stamp, wanted = venv / "installed.txt", "\n".join(requirements)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    FOLDER.mkdir(parents=True, exist_ok=True)
    _run([sys.executable, "-m", "venv", "--clear", str(venv)])
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, *requirements])
    stamp.write_text(wanted, encoding="utf-8")
    return python


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(str(error)) from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise NotInstalled(lines[-1].strip())
