"""THREAT_MODEL.md names tests and modules that exist, and leaves no threat without an answer."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT, links_of, rows_of

PAGE = ROOT / "THREAT_MODEL.md"
NAMED = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|rs|toml|md|txt)|[\w-]+\.(?:md|toml|txt|lock))`")
FOLDERS = ("", "src/wynd_chat/")  # a path begins at the root, or inside the chat
MADE = {"wynd-chat.toml"}  # of whoever deploys


def rows() -> list[list[str]]:
    """Return the cells of all tables of threats."""
    return rows_of(PAGE, "Threat")


def test_every_file_it_names_exists() -> None:
    named = set(NAMED.findall(PAGE.read_text(encoding="utf-8"))) - MADE
    assert len(named) > 50
    missing = [name for name in named if not any((ROOT / at / name).is_file() for at in FOLDERS)]
    assert missing == []


def test_every_link_leads_somewhere() -> None:
    assert [link for link in links_of(PAGE) if not (ROOT / link).is_file()] == []
    assert "THREAT_MODEL.md" in links_of(ROOT / "SECURITY.md")


def test_there_are_threats_to_library_chat_and_what_is_built() -> None:
    assert len(rows()) > 40


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:40])
def test_a_threat_has_an_answer_and_something_that_shows_it(row: list[str]) -> None:
    threat, exists, shown_by, left = row
    assert all((threat, exists, shown_by, left))
    paths = NAMED.findall(shown_by)
    assert paths, "no test shows it"
    tests = [path for path in paths if path.startswith("tests/")]
    assert tests, "a test has to show it"
    for path in tests:
        assert "def test_" in (ROOT / path).read_text(encoding="utf-8"), path
