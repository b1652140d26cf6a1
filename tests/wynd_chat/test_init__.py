"""The package itself: a version, and nothing imported by importing it."""

from __future__ import annotations

import subprocess
import sys

import wynd_chat


def test_it_has_a_version() -> None:
    assert wynd_chat.__version__[0].isdigit()


def test_importing_it_imports_none_of_its_parts() -> None:
    code = "import sys, wynd_chat; print([m for m in sys.modules if m.startswith('wynd_chat.')])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
