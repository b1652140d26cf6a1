"""What commands print: clean, aligned for people, tab-separated for programs."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from wynd_chat.cli.output import progress_bar, table, time_text

if TYPE_CHECKING:
    import pytest


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        """Say yes."""
        return True


HOSTILE = "[bold]x[/bold]\x1b[2J\r\nBob\u202e"


def test_for_programs_rows_are_lines_and_cells_are_tab_separated(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table(("a", "b"), [("1", "2\t3"), (HOSTILE, "")])
    lines = capsys.readouterr().out.split("\n")
    assert lines[0] == "1\t2 3"
    assert lines[1].startswith("[bold]x[/bold]")
    assert lines[1].count("\t") == 1
    assert "\x1b" not in lines[1]
    assert lines[2:] == [""]


def test_for_people_there_are_heads_and_names_are_no_markup(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    table(("name", "kind"), [(HOSTILE, "human")])
    shown = terminal.getvalue()
    assert "name" in shown
    assert "[bold]x[/bold]" in shown
    assert "\x1b[2J" not in shown
    assert "\u202e" not in shown


def test_progress_is_shown_on_terminals_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_bar("Backup") as progress:
        progress(1, 2)
    assert capsys.readouterr() == ("", "")
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with progress_bar("Backup") as progress:
        progress(1, 2)
        progress(2, 2)
    assert "Backup" in terminal.getvalue()


def test_times_are_for_people() -> None:
    assert time_text(1_795_917_600_123) == "2026-11-29 02:00"
    assert time_text(None) == "never"
