"""Which texts look alike, and which mix scripts (UTS 39), over the tables of `unicode_tables`.

Judges characters only. What a name may be is in `names`; both functions expect text in NFKC
without ignorable characters, as PRECIS leaves it.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from functools import cache

from wynd_chat.domain.unicode_tables import CONFUSABLES, SCRIPTS

__all__ = ["is_single_script", "scripts_of", "skeleton"]

# UTS 39 §5.1: writing systems that are made of several scripts.
_AUGMENTED = {
    "Hani": frozenset({"Hanb", "Jpan", "Kore"}),
    "Hira": frozenset({"Jpan"}),
    "Kana": frozenset({"Jpan"}),
    "Bopo": frozenset({"Hanb"}),
    "Hang": frozenset({"Kore"}),
}
_BESIDE_LATIN = frozenset({"Hanb", "Jpan", "Kore"})


def skeleton(text: str) -> str:
    """Return what texts that look alike have in common; a key, never to be shown.

    The skeleton of UTS 39 §4, and then the same of its case folding, until nothing changes: names
    that differ in case only are one, but a capital I is judged as the l that it looks like.
    """
    before, form = "", text
    while form != before:
        before = form
        decomposed = unicodedata.normalize("NFD", form)
        mapped = decomposed.translate(_prototypes())
        form = unicodedata.normalize("NFD", mapped.casefold())
    return form


def scripts_of(character: str) -> frozenset[str]:
    """Return the scripts a character is used in (UAX 24), by ISO 15924; none for all of them."""
    starts, ranges = _ranges()
    point = ord(character)
    first, last, scripts = ranges[max(0, bisect_right(starts, point) - 1)]
    return scripts if first <= point <= last else frozenset()


def is_single_script(text: str) -> bool:
    """Tell whether a text is of one writing system, or of Latin and Chinese, Japanese or Korean.

    The level "highly restrictive" of UTS 39 §5.2. Digits, punctuation and emoji belong to all.
    """
    sets = [_systems_of(character) for character in set(text)]
    sets = [systems for systems in sets if systems]
    if not sets or frozenset.intersection(*sets):
        return True
    others = [systems for systems in sets if "Latn" not in systems]
    return bool(frozenset.intersection(*others) & _BESIDE_LATIN)


def _systems_of(character: str) -> frozenset[str]:
    scripts = scripts_of(character)
    return scripts.union(*(_AUGMENTED.get(script, frozenset()) for script in scripts))


@cache
def _prototypes() -> dict[int, str]:
    table = {}
    for entry in CONFUSABLES.split():
        source, _, target = entry.partition("=")
        table[int(source, 16)] = "".join(chr(int(point, 16)) for point in target.split("."))
    return table


@cache
def _ranges() -> tuple[list[int], list[tuple[int, int, frozenset[str]]]]:
    ranges = []
    for entry in SCRIPTS.split():
        points, _, names = entry.partition("=")
        first, _, last = points.partition("-")
        ranges.append((int(first, 16), int(last or first, 16), frozenset(names.split("."))))
    return [first for first, _, _ in ranges], ranges
