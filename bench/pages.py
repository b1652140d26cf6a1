"""Where figures are kept and shown: latest.json, web.json; README, performance.md and its plot."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from bench.figures import Results
from bench.plot import plot
from bench.table import full_tables, short_table
from bench.webtable import web_table

__all__ = [
    *("LATEST", "PLOT", "ROOT", "WEB", "fill", "pages_of", "read", "web_pages_of"),
    *("write", "write_pages", "write_web_pages"),
]

ROOT: Path = Path(__file__).resolve().parent.parent
LATEST: Path = ROOT / "bench" / "results" / "latest.json"
WEB: Path = ROOT / "bench" / "results" / "web.json"
README = ROOT / "README.md"
PAGE = ROOT / "docs" / "explanation" / "performance.md"
PLOT = PAGE.with_suffix(".svg")


def read(path: Path) -> dict[str, Any]:
    """Read the document of a run."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def write(path: Path, document: dict[str, Any]) -> None:
    """Write the document of a run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def pages_of(document: dict[str, Any]) -> dict[Path, str]:
    """What every page that shows figures has to contain, by path."""
    readme = README.read_text(encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    for name, text in full_tables(document).items():
        page = fill(page, name, text)
    return {
        README: fill(readme, "short", short_table(document)),
        PAGE: page,
        PLOT: plot(Results.of(document), document["about"]),
    }


def write_pages(document: dict[str, Any]) -> None:
    """Renew the pages."""
    for path, text in pages_of(document).items():
        path.write_text(text, encoding="utf-8")


def web_pages_of(document: dict[str, Any]) -> dict[Path, str]:
    """The same for the document of `bench/web.py`."""
    page = PAGE.read_text(encoding="utf-8")
    return {PAGE: fill(page, "web", web_table(document))}


def write_web_pages(document: dict[str, Any]) -> None:
    """Renew the page for `bench/web.py`."""
    for path, text in web_pages_of(document).items():
        path.write_text(text, encoding="utf-8")


def fill(page: str, name: str, text: str) -> str:
    """Put `text` between the markers `<!-- bench:name -->` and `<!-- /bench:name -->`.

    Raises:
        ValueError: the page has not exactly one such pair.
    """
    begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    filled, count = pattern.subn(lambda _: f"{begin}\n{text}\n{end}", page)
    if count != 1:
        raise ValueError(f"the page needs one pair of markers {begin}, it has {count}")
    return filled
