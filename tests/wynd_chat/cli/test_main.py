"""The way in, with and without the packages of the extra."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from wynd_chat.cli.main import NEEDED, main

ROOT = Path(__file__).parents[3]


def test_without_the_extra_one_sentence_says_what_to_install() -> None:
    ran = subprocess.run(
        [sys.executable, "-S", "-m", "wynd_chat", "--port", "1"],  # -S: no installed packages
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        "wynd-chat: the chat's own packages are missing; install them with: "
        "pip install 'pywynd[chat]'\n"
    )


def test_what_is_asked_for_is_what_the_extra_brings() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = {
        re.split(r"[\[<>=;]", one)[0].lower().replace("_", "-")
        for one in project["optional-dependencies"]["chat"]
    }
    distributions = importlib.metadata.packages_distributions()
    needed = {distributions[name][0].lower().replace("_", "-") for name in NEEDED}
    assert needed <= extra
    assert extra - needed <= {"pydantic-settings"}


def test_the_module_and_the_program_are_one() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "wynd_chat", "--version"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert ran.returncode == 0
    assert re.fullmatch(r"wynd-chat \S+\n", ran.stdout)


def test_arguments_may_be_given() -> None:
    assert main(["no-such-command"]) == 2
