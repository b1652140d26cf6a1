"""What commands print: results to standard output, everything else to standard error.

Whatever came from a user is cleaned before it meets a terminal. Tables are aligned for people and
tab-separated for programs. Knows no command.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from wynd_chat.domain.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["Failure", "progress_bar", "say", "table", "time_text", "warn"]


class Failure(Exception):
    """A command that cannot be done; the text is the sentence that is printed."""


def say(line: str = "") -> None:
    """Print a line of the result."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def warn(line: str) -> None:
    """Print a line that is no result."""
    sys.stderr.write(f"wynd-chat: {line}\n")
    sys.stderr.flush()


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows: aligned with heads on a terminal, else tab-separated without."""
    cleaned = [[clean_line(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in cleaned:
            say("\t".join(cell.replace("\t", " ") for cell in row))
        return
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        shown.add_column(head, overflow="fold")
    for row in cleaned:
        shown.add_row(*(Text(cell) for cell in row))  # `Text`: names are no markup
    Console(file=sys.stdout).print(shown)


def time_text(at_ms: int | None) -> str:
    """Return a time for people, to the minute, UTC; "never" for None."""
    if at_ms is None:
        return "never"
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M}"


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar of bytes on standard error while a terminal is there to see it.

    Yields:
        What is to be told (bytes done, bytes in all).
    """
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
