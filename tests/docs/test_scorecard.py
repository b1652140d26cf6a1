"""The scorecard's rows are complete, and its commands name tests that exist."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import DOCS, ROOT, rows_of

PAGE = DOCS / "explanation" / "scorecard.md"
LIBRARY = [*range(1, 21), 34, 44, 46]
CHAT = [21, 22, 23, 25, 26, 28, 29, 30, 47, *range(35, 44)]
DASH = "\u2013"
VERDICTS = ("holds", "falls short", "not due", DASH)


def rows() -> list[list[str]]:
    """Return the cells of all tables."""
    return rows_of(PAGE, "#")


def test_every_row_that_is_due_is_there() -> None:
    assert [int(row[0]) for row in rows()] == LIBRARY + CHAT


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_a_row_says_what_was_measured_and_how(row: list[str]) -> None:
    _, test, figure, anchor, measured, verdict, command = row
    assert all((test, figure, anchor, measured, command))
    assert verdict.startswith(VERDICTS)
    if verdict.startswith("holds"):
        assert measured != DASH
        assert command != DASH
    for path in re.findall(r"tests/[\w/]+\.py", command):
        source = (ROOT / path).read_text(encoding="utf-8")
        assert "def test_" in source
        for words in re.findall(rf"{re.escape(path)} -k \"?([\w ]+)\"?", command):
            for word in words.split(" or "):
                assert word.split()[0] in " ".join(re.findall(r"def (test_\w+)", source)), word
