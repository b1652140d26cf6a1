"""What ARCHITECTURE.md says about files and functions is so."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT

TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
PLACES = re.findall(r"`((?:src|crates)/[\w/.-]+\.(?:py|rs))`((?:(?:,| and)?\s`\w+`)*)", TEXT)
HOPS = [(file, name) for file, names in PLACES for name in re.findall(r"`(\w+)`", names)]


def test_the_data_paths_name_functions() -> None:
    assert len(HOPS) >= 15


@pytest.mark.parametrize(("file", "name"), HOPS, ids=lambda value: value)
def test_each_hop_is_a_function_of_its_file(file: str, name: str) -> None:
    source = (ROOT / file).read_text(encoding="utf-8")
    assert re.search(rf"\b(def|fn) {name}\b", source), f"{file} has no function {name}"


def test_every_file_named_with_its_folder_exists() -> None:
    missing = [file for file, _ in PLACES if not (ROOT / file).exists()]
    library = re.sub(r"^## The chat\n.*?(?=^## )", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    missing += [  # those of the chat stand in rows by folder; tests/architecture reads them
        name
        for name in re.findall(r"`((?:engines/)?\w+\.py)`", library)
        if not (ROOT / "src" / "wynd" / name).exists()
    ]
    assert missing == []


def test_every_crate_file_named_exists() -> None:
    for crate, files in re.findall(r"^\| `(wynd-\w+)`[^|]*\| (.*) \|$", TEXT, re.MULTILINE):
        folder = ROOT / "crates" / crate / "src"
        missing = [n for n in re.findall(r"`(\w+\.rs)`", files) if not (folder / n).exists()]
        assert missing == [], crate
