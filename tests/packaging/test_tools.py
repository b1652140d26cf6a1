"""The repository's own tools: finding a Python that runs, and the README's program."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.packaging.support import ROOT, client, free_port, receive, wait_until_listening

if TYPE_CHECKING:
    from pathlib import Path

FIND_PYTHON = ROOT / "tools" / "find-python"
BROKEN_SHIM = "#!/bin/sh\necho 'no such version' >&2\nexit 127\n"


def find_python(path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run tools/find-python with nothing but `path` to search."""
    environment = {"PATH": str(path), "HOME": str(path), **variables}
    command = ["/bin/sh", str(FIND_PYTHON)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def executable(path: Path, text: str) -> Path:
    """Write an executable file."""
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_a_shim_that_fails_is_passed_over(tmp_path: Path) -> None:
    executable(tmp_path / "python3.11", BROKEN_SHIM)
    executable(tmp_path / "python3", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    assert find_python(tmp_path).stdout.strip() == sys.executable


def test_the_given_python_comes_first(tmp_path: Path) -> None:
    given = executable(tmp_path / "mine", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    assert find_python(tmp_path, PYTHON=str(given)).stdout.strip() == sys.executable


def test_without_a_python_it_says_what_to_do(tmp_path: Path) -> None:
    executable(tmp_path / "python3", BROKEN_SHIM)
    result = find_python(tmp_path)
    assert result.returncode == 1
    assert "install one, or say PYTHON=" in result.stderr


@pytest.mark.parametrize("verb", ["run", "setup", "test", "check", "ci", "dist", "nightly"])
def test_make_help_lists_the_verbs(verb: str) -> None:
    result = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.search(rf"^  make {verb} ", result.stdout, re.MULTILINE)


def test_the_program_of_the_readme_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    port = free_port()
    program = tmp_path / "readme.py"
    program.write_text(blocks[0].replace("8080", str(port)))
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-u", program],
            stdout=output,
            stderr=output,
            env=dict(os.environ),
            text=True,
        )
    try:
        wait_until_listening(port, process, log)
        url = f"ws://localhost:{port}"
        with client(url) as one, client(url) as two:
            assert receive(one) == receive(two) == "Welcome to the lobby!"
            one.send("hi")
            assert receive(two).endswith(": hi")
            one.close()
            assert receive(two).endswith(" left")
    finally:
        process.kill()
        process.wait()
