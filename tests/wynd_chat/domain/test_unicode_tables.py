"""The generated tables are whole, sorted and agree with Python's own Unicode data."""

from __future__ import annotations

import itertools
import unicodedata

from wynd_chat.domain.unicode_tables import CONFUSABLES, SCRIPTS, UNICODE_VERSION

ENTRIES = [
    (int(source, 16), [int(point, 16) for point in target.split(".")])
    for source, _, target in (entry.partition("=") for entry in CONFUSABLES.split())
]
RANGES = [
    (int(points.split("-")[0], 16), int(points.split("-")[-1], 16), names)
    for points, _, names in (entry.partition("=") for entry in SCRIPTS.split())
]
NAMED = {"Latn": "LATIN ", "Cyrl": "CYRILLIC ", "Grek": "GREEK ", "Hebr": "HEBREW "}


def test_the_version_is_one_of_unicode() -> None:
    assert [part.isdecimal() for part in UNICODE_VERSION.split(".")] == [True] * 3


def test_look_alikes_are_sorted_and_each_stands_once() -> None:
    sources = [source for source, _ in ENTRIES]
    assert sources == sorted(set(sources))
    assert len(sources) > 3000


def test_no_prototype_has_a_prototype() -> None:
    sources = {source for source, _ in ENTRIES}
    assert [source for source, target in ENTRIES if sources & set(target)] == []


def test_what_nfkc_changes_anyway_is_not_listed() -> None:
    listed = [chr(source) for source, _ in ENTRIES]
    changed = [one for one in listed if unicodedata.normalize("NFKC", one) != one]
    # A newer Python may know some more, without harm: NFKC comes first.
    assert len(changed) < len(listed) // 100


def test_ranges_of_scripts_are_sorted_and_apart() -> None:
    assert all(first <= last for first, last, _ in RANGES)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(RANGES))


def test_scripts_agree_with_the_names_of_letters() -> None:
    for first, last, scripts in RANGES:
        if scripts in NAMED:
            letters = [chr(point) for point in range(first, last + 1)]
            known = [one for one in letters if unicodedata.category(one)[:2] in ("Ll", "Lu")]
            wrong = [one for one in known if NAMED[scripts] not in unicodedata.name(one) + " "]
            assert len(wrong) <= len(known) // 100 + 2, (scripts, wrong)
