"""Reads the Markdown pages: code blocks, tables, links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
EXAMPLES = ROOT / "examples"
PAGES = sorted(DOCS.rglob("*.md"))

_FENCE = re.compile(r"(?P<indent> *)```(?P<language>\w*)")
_SOURCE = re.compile(r"<!-- (?P<path>examples/\S+\.py) -->")
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced code block: where it stands, what it holds, which example it names above itself."""

    page: Path
    line: int
    language: str
    source: str | None
    text: str

    def __str__(self) -> str:
        return f"{name_of(self.page)}:{self.line}"


def name_of(path: Path) -> str:
    """Return the path as the project writes it."""
    return path.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> list[Block]:
    """Return the code blocks of a page, in order."""
    found = []
    opened: tuple[int, str, str | None, int] | None = None
    lines = page.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        fence = _FENCE.match(line)
        if fence is None:
            continue
        if opened is None:
            above = _SOURCE.fullmatch(lines[number - 2].strip()) if number > 1 else None
            source = above["path"] if above else None
            opened = number, fence["language"], source, len(fence["indent"])
            continue
        start, language, source, indent = opened
        text = "\n".join(line[indent:] for line in lines[start : number - 1])
        found.append(Block(page, start, language, source, text))
        opened = None
    assert opened is None, f"{name_of(page)}:{opened and opened[0]}: a code block has no end"
    return found


def links_of(page: Path) -> list[str]:
    """Return the targets of a page's links, those in code blocks left out."""
    prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [match["target"] for match in _LINK.finditer(prose)]


def rows_of(page: Path, first_header: str) -> list[list[str]]:
    """Return the cells of the table whose first column is headed `first_header`."""
    rows: list[list[str]] = []
    inside = False
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif cells[0] == first_header:
            inside = True
        elif inside and not cells[0].startswith("---"):
            rows.append(cells)
    return rows
