"""The table of limits is made from `Limits`, and its sentences are those that are sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import DOCS, ROOT
from tools.limits_page import render, rows
from wynd.codes import TOO_SLOW, sentence_of

if TYPE_CHECKING:
    from tools.limits_page import Row

PAGE = DOCS / "reference" / "limits.md"
RESPONSES = ROOT / "crates" / "wynd-protocol" / "src" / "response.rs"
# A close code or a status, and the sentence in quotes behind it.
TOLD = re.compile(r'\b(\d{3,4})\b(?: "([^"]+)")?')


def sentences_of_refusals() -> dict[int, set[str]]:
    """Return status → the sentences the native engine answers with."""
    source = RESPONSES.read_text(encoding="utf-8")
    bodies = {
        name: body
        for names, body in re.findall(r"((?:Self::\w+ ?)+)=> (?:\{\s*)?\"([^\"]+)\\n\"", source)
        for name in re.findall(r"Self::(\w+)", names)
    }
    found: dict[int, set[str]] = {}
    for names, status in re.findall(r"((?:\|?\s*Self::\w+\s*)+)=> (\d{3}),", source):
        for name in re.findall(r"Self::(\w+)", names):
            found.setdefault(int(status), set()).add(bodies[name])
    return found


def test_the_page_is_made_from_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert render(text) == text, "run `python tools/limits_page.py`"


def test_a_page_without_a_place_for_the_table_is_an_error() -> None:
    with pytest.raises(ValueError, match=re.escape("limits.md has no")):
        render("# a page")


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.name)
def test_what_peers_are_told_is_what_the_code_sends(row: Row) -> None:
    refusals = sentences_of_refusals()
    assert refusals[431] == {"The request head is too large."}
    for code, sentence in TOLD.findall(row.outcome):
        number = int(code)
        if number == 1006:  # what the application sees; nothing is sent
            assert not sentence
        elif number >= 1000:
            assert sentence in {sentence_of(number), TOO_SLOW if number == 1013 else ""}
        else:
            assert sentence in refusals[number]
