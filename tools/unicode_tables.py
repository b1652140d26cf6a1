"""Writes the chat's Unicode tables: which characters look alike, and which script one belongs to.

    python tools/unicode_tables.py FOLDER

The folder holds `confusables.txt` (UTS 39), `Scripts.txt`, `ScriptExtensions.txt` and
`PropertyValueAliases.txt` (UCD), all of one version of Unicode, as its consortium publishes them.
Use the newest Python: what NFKC changes is left out as this Python's own Unicode data say.
"""

from __future__ import annotations

import re
import sys
import textwrap
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGET = Path(__file__).resolve().parent.parent / "src/wynd_chat/domain/unicode_tables.py"
HEADER = '''\
"""Tables of Unicode: characters that look alike (UTS 39) and the scripts of characters (UAX 24).

Made by tools/unicode_tables.py from data files of Unicode {version}; do not edit. What they mean is
in `confusables`. Copyright © Unicode, Inc., used under the Unicode License v3
(LICENSE-UNICODE.txt).
"""

from __future__ import annotations

__all__ = ["CONFUSABLES", "SCRIPTS", "UNICODE_VERSION"]

UNICODE_VERSION = "{version}"

# `character=prototype.prototype`, in hexadecimal; only characters that NFKC leaves as they are.
CONFUSABLES = """
{confusables}
"""

# `first-last=script.script` by ISO 15924, extensions included; Common and Inherited are left out.
SCRIPTS = """
{scripts}
"""
'''
WITHOUT_SCRIPT = frozenset({"Zyyy", "Zinh", "Zzzz"})


def main() -> None:
    """Make the module out of the files of a folder."""
    folder = Path(sys.argv[1])
    confusables = [
        f"{ord(source):x}={'.'.join(f'{ord(one):x}' for one in target)}"
        for source, target in sorted(read_confusables(folder))
    ]
    scripts = [
        f"{first:x}-{last:x}={names}" if last > first else f"{first:x}={names}"
        for first, last, names in merged(read_scripts(folder))
    ]
    TARGET.write_text(
        HEADER.format(
            version=read_version(folder),
            confusables=textwrap.fill(
                " ".join(confusables), 100, break_long_words=False, break_on_hyphens=False
            ),
            scripts=textwrap.fill(
                " ".join(scripts), 100, break_long_words=False, break_on_hyphens=False
            ),
        ),
        encoding="utf-8",
    )
    print(f"{TARGET.name}: {len(confusables)} look-alikes, {len(scripts)} ranges of scripts")


def read_version(folder: Path) -> str:
    """Return the version that confusables.txt gives itself."""
    found = re.search(r"Version: (\S+)", (folder / "confusables.txt").read_text("utf-8-sig"))
    if found is None:
        raise SystemExit("confusables.txt names no version")
    return found[1]


def read_confusables(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield characters and their prototypes."""
    for source, target, *_ in rows(folder / "confusables.txt"):
        character = chr(int(source, 16))
        if unicodedata.normalize("NFKC", character) == character:
            yield character, "".join(chr(int(one, 16)) for one in target.split())


def read_scripts(folder: Path) -> dict[int, str]:
    """Return the scripts of every code point that has one: "Latn", "Beng.Deva"."""
    codes = {
        long: short
        for name, short, long, *_ in rows(folder / "PropertyValueAliases.txt")
        if name == "sc"
    }
    scripts: dict[int, str] = {}
    for code_points, name in rows(folder / "Scripts.txt"):
        scripts.update(dict.fromkeys(spread(code_points), codes[name]))
    for code_points, names in rows(folder / "ScriptExtensions.txt"):
        scripts.update(dict.fromkeys(spread(code_points), ".".join(sorted(names.split()))))
    return {point: names for point, names in scripts.items() if names not in WITHOUT_SCRIPT}


def merged(scripts: dict[int, str]) -> Iterator[tuple[int, int, str]]:
    """Yield ranges of equal scripts: first, last, scripts."""
    start: int | None = None
    for point in sorted(scripts):
        if start is None:
            start = point
        if scripts.get(point + 1) != scripts[point]:
            yield start, point, scripts[point]
            start = None


def spread(code_points: str) -> range:
    """Return the code points of `0041` or `0041..005A`."""
    first, _, last = code_points.partition("..")
    return range(int(first, 16), int(last or first, 16) + 1)


def rows(path: Path) -> Iterator[list[str]]:
    """Yield the fields of each line, without comments."""
    for line in path.read_text("utf-8-sig").splitlines():
        content = line.partition("#")[0].strip()
        if content:
            yield [field.strip() for field in content.split(";")]


if __name__ == "__main__":
    main()
