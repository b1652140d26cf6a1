"""A command line to call: arguments in, status and what was printed out."""

from __future__ import annotations

import io
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from wynd_chat.cli.program import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Cli", "Result"]


@dataclass(frozen=True)
class Result:
    """What came of one command."""

    status: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        """The lines of the result, split at tabs."""
        return [line.split("\t") for line in self.out.splitlines()]


class Cli:
    """Runs commands over one data directory."""

    def __init__(
        self,
        data: Path,
        capsys: pytest.CaptureFixture[str],
        feed: Callable[[str], None],
    ) -> None:
        self.data = data
        self._capsys = capsys
        self._feed = feed

    def __call__(self, *arguments: str, stdin: str = "") -> Result:
        """Run a command on the data directory."""
        return self.bare(*arguments, "--data", str(self.data), stdin=stdin)

    def bare(self, *arguments: str, stdin: str = "") -> Result:
        """Run a command as it is."""
        self._feed(stdin)
        self._capsys.readouterr()
        status = run(arguments)
        out, err = self._capsys.readouterr()
        return Result(status, out, err)


@pytest.fixture(scope="session")
def empty_chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chat that nobody has used, to be copied."""
    folder = tmp_path_factory.mktemp("empty") / "data"
    assert run(["migrate", "--data", str(folder)]) == 0
    return folder


@pytest.fixture
def cli(
    tmp_path: Path,
    empty_chat: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Cli:
    """A command line over an empty chat, without settings from outside."""
    for name in list(os.environ):
        if name.upper().startswith("WYND_CHAT__") or name == "STATE_DIRECTORY":
            monkeypatch.delenv(name)
    shutil.copytree(empty_chat, tmp_path / "data")
    return Cli(
        tmp_path / "data",
        capsys,
        lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text)),
    )
