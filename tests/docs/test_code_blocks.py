"""The code on the pages is the code in `examples/`, and the links lead somewhere."""

from __future__ import annotations

import re
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import DOCS, EXAMPLES, PAGES, ROOT, Block, blocks_of, links_of, name_of

if TYPE_CHECKING:
    from pathlib import Path

BLOCKS = [block for page in PAGES for block in blocks_of(page) if block.language == "python"]
PROGRAMS = sorted(EXAMPLES.rglob("*.py"))
TUTORIAL = sorted((EXAMPLES / "tutorial").glob("step*.py"))


def test_there_is_something_to_compare() -> None:
    assert len(BLOCKS) > 20
    assert len(TUTORIAL) == 6


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_block_is_part_of_the_example_it_names(block: Block) -> None:
    assert block.source, "write <!-- examples/FILE.py --> in the line above this block"
    program = ROOT / block.source
    assert program.exists()
    assert _stands_in(block.text, program.read_text(encoding="utf-8")), (
        f"not the code of {block.source} any more; copy it again"
    )


@pytest.mark.parametrize("program", PROGRAMS, ids=name_of)
def test_every_example_is_taught_somewhere(program: Path) -> None:
    assert any(block.source == name_of(program) for block in BLOCKS)


@pytest.mark.parametrize("program", TUTORIAL, ids=name_of)
def test_tutorial_page_shows_the_whole_program(program: Path) -> None:
    page = DOCS / "tutorial" / f"{program.stem.partition('_')[0]}.md"
    shown = "\n".join(block.text for block in blocks_of(page) if block.source == name_of(program))
    missing = set(program.read_text(encoding="utf-8").splitlines()) - set(shown.splitlines())
    assert missing == set()


@pytest.mark.parametrize("page", [*sorted(ROOT.glob("*.md")), *PAGES], ids=name_of)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target in links_of(page):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{name_of(page)} links to {target}"
        if anchor:
            assert anchor in _anchors(file), f"{name_of(page)} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_page_can_be_reached_from_the_index(page: Path) -> None:
    index = DOCS / "README.md"
    listed = {(DOCS / target.partition("#")[0]).resolve() for target in links_of(index)}
    assert page == index or page in listed


def _stands_in(block: str, program: str) -> bool:
    wanted = block.splitlines()
    lines = program.splitlines()
    return any(
        dedent("\n".join(lines[start : start + len(wanted)])) == block
        for start in range(len(lines) - len(wanted) + 1)
    )


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
