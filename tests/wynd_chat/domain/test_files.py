"""Names of files are data: shown on one line, never a path, never longer than they may be."""

from __future__ import annotations

import re

import pytest

from tests.wynd_chat.domain.hostile_files import FILE_NAMES
from wynd_chat.domain.files import INLINE_TYPES, clean_file_name, served_type

SHOWN_BADLY = re.compile(
    '[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff/\\\\"<>|?*:]'
)


@pytest.mark.parametrize("name", FILE_NAMES, ids=range(len(FILE_NAMES)))
def test_a_hostile_name_becomes_a_harmless_one(name: str) -> None:
    clean = clean_file_name(name, 200)
    assert 0 < len(clean.encode()) <= 200
    assert SHOWN_BADLY.search(clean) is None
    assert clean not in (".", "..")
    assert clean == clean_file_name(clean, 200)


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("cat.png", "cat.png"),
        ("my cat.png", "my cat.png"),
        ("Grüße.txt", "Grüße.txt"),
        ("名前.txt", "名前.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\cat.png", "cat.png"),
        ("\u202egnp.exe", "gnp.exe"),
        ("a\r\nSet-Cookie: x", "a Set-Cookie_ x"),
        ('a"b', "a_b"),
        (".env", ".env"),
        ("..", "file"),
        ("", "file"),
        ("\n", "file"),
        ("\u3164", "file"),
        ("\u115fcat\u034f\U000e0100.p\U000e006eng", "cat.png"),
        ("x.png. .", "x.png"),
        ("x.png\u202f.", "x.png"),
        ("x" * 300 + ".png", "x" * 196 + ".png"),
        ("ü" * 300 + ".png", "ü" * 98 + ".png"),
        ("x." + "y" * 300, "x." + "y" * 198),
    ],
)
def test_names_stay_what_people_meant(name: str, clean: str) -> None:
    assert clean_file_name(name, 200) == clean


def test_only_the_list_is_shown_inside_pages() -> None:
    for mime in INLINE_TYPES:
        kind, is_inline = served_type(mime)
        assert is_inline
        assert kind.startswith(mime)
    for mime in ("image/svg+xml", "text/html", "application/pdf", "application/xml", "", "x"):
        assert served_type(mime) == ("application/octet-stream", False)
    assert served_type("text/plain")[0] == "text/plain; charset=utf-8"
