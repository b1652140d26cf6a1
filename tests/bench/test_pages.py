"""README, documentation and plot show what the last run found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.pages import LATEST, PLOT, WEB, fill, pages_of, read, web_pages_of

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", pages_of(read(LATEST)), ids=lambda path: path.name)
def test_pages_show_the_latest_run(path: Path) -> None:
    shown = path.read_text(encoding="utf-8")
    assert shown == pages_of(read(LATEST))[path], "run `python -m bench.table`"


@pytest.mark.parametrize("path", web_pages_of(read(WEB)), ids=lambda path: path.name)
def test_pages_show_the_latest_run_of_what_is_on_one_port(path: Path) -> None:
    shown = path.read_text(encoding="utf-8")
    assert shown == web_pages_of(read(WEB))[path], "run `python -m bench.table`"


@pytest.mark.parametrize("document", [LATEST, WEB], ids=lambda path: path.name)
def test_the_document_names_no_path_and_no_host(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert re.findall(r"(?<![\w:/])/(?:work|home|root|usr|tmp|opt)\b", text) == []
    assert set(read(document)["about"]) == {
        *("date", "processor", "kernel", "pinning", "quick", "rounds", "seconds"),
        *("connections", "versions"),
    }


def test_the_plot_follows_light_and_dark() -> None:
    text = PLOT.read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in text
    assert "aria-label" in text


def test_fill_replaces_what_is_between_the_markers() -> None:
    page = "a\n<!-- bench:x -->\nold\n<!-- /bench:x -->\nb\n"
    filled = fill(page, "x", r"new \1")
    assert filled == "a\n<!-- bench:x -->\nnew \\1\n<!-- /bench:x -->\nb\n"
    assert fill(filled, "x", "old") == page


@pytest.mark.parametrize("times", [0, 2])
def test_fill_demands_one_pair_of_markers(times: int) -> None:
    with pytest.raises(ValueError, match=f"one pair of markers <!-- bench:x -->, it has {times}"):
        fill("<!-- bench:x --><!-- /bench:x -->" * times, "x", "")
