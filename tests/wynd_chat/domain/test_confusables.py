"""Skeletons and scripts follow UTS 39 and UAX 24."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wynd_chat.domain.confusables import is_single_script, scripts_of, skeleton
from wynd_chat.domain.unicode_tables import CONFUSABLES

SOURCES = [chr(int(entry.partition("=")[0], 16)) for entry in CONFUSABLES.split()]


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("", ""),
        ("alice", "alice"),
        ("m", "rn"),
        ("I", "l"),
        ("|", "l"),
        ("1", "l"),
        ("0", "o"),
        ("\u0430", "a"),
        ("\u00e9", "e\u0301"),
        ("\u00df", "ss"),
        ("\u00c6", "ae"),
        ("\u0141", "l\u0338"),
    ],
)
def test_look_alikes_become_their_prototype(text: str, form: str) -> None:
    assert skeleton(text) == form


def test_a_skeleton_is_its_own_skeleton() -> None:
    moving = [source for source in SOURCES if skeleton(skeleton(source)) != skeleton(source)]
    assert moving == []


@given(st.text(max_size=40))
def test_any_text_has_a_stable_skeleton(text: str) -> None:
    form = skeleton(text)
    assert skeleton(form) == form
    assert unicodedata.is_normalized("NFD", form)


@pytest.mark.parametrize(
    ("character", "scripts"),
    [
        ("a", {"Latn"}),
        ("\u0430", {"Cyrl"}),
        ("\u03b1", {"Grek"}),
        ("\u4e2d", {"Hani"}),
        ("\U00020000", {"Hani"}),
        ("\uac00", {"Hang"}),
        ("\ud7a3", {"Hang"}),
        ("\u30fc", {"Hira", "Kana"}),
        ("1", set()),
        ("_", set()),
        ("\U0001f98a", set()),
        ("\x00", set()),
        ("\U0010ffff", set()),
    ],
)
def test_scripts_are_those_of_the_standard(character: str, scripts: set[str]) -> None:
    assert scripts_of(character) == scripts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "123_",
        "alice2",
        "\u0410\u043b\u0438\u0441\u0430",
        "\u3072\u3089\u30ab\u30ca\u6f22\u5b57",  # Japanese
        "\ud55c\uad6d\u6f22\u5b57",  # Korean
        "\u4e2d\u3105",  # Chinese with Bopomofo
        "Taro\u5c71\u7530\u3055\u304f\u3089",
        "Bob\ud55c",
        "Bob\u4e2d\u3105",
        "\u05d3\u05d5\u05d3",
    ],
)
def test_one_writing_system_is_one_script(text: str) -> None:
    assert is_single_script(text)


@pytest.mark.parametrize(
    "text",
    [
        "a\u0430",  # Latin, Cyrillic
        "a\u03b1",  # Latin, Greek
        "\u0430\u03b1",
        "\u0430\u4e2d",
        "a\u0430\u4e2d",
        "\u3042\ud55c",  # Japanese, Korean
        "a\u3042\ud55c",
        "a\u0e01",
        "a\u05d0",
        "a\u0967",
    ],
)
def test_others_are_mixed(text: str) -> None:
    assert not is_single_script(text)
