"""`python -m wynd_chat` is the program; importing the module runs nothing."""

from __future__ import annotations

import importlib
import subprocess
import sys


def test_the_module_runs_the_program() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "wynd_chat", "config", "check", "--nonsense"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert ran.returncode == 2
    assert "wynd-chat config check" in ran.stderr


def test_importing_it_runs_nothing() -> None:
    importlib.import_module("wynd_chat.__main__")
