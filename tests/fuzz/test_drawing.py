"""`Draw`: committed inputs mean tomorrow what they mean today."""

from __future__ import annotations

from tests.fuzz.drawing import Draw, text_of


def test_an_input_is_read_from_front_to_back() -> None:
    draw = Draw(b"\x05\x01\x02\x02ab\xff\x03xyz")
    assert draw.number(3) == 1
    assert draw.number(1000) == 0x0102
    assert draw.sized(125) == b"ab"
    assert draw.flag()
    assert not draw.is_done
    assert draw.text(200) == "xyz"
    assert draw.is_done


def test_behind_the_end_are_zeros() -> None:
    draw = Draw(b"\x07")
    assert draw.take(4) == b"\x07"
    assert draw.is_done
    assert (draw.number(255), draw.flag(), draw.one_of("ab"), draw.sized(9)) == (0, False, "a", b"")
    assert draw.rest() == b""


def test_the_rest_is_what_was_not_taken() -> None:
    draw = Draw(b"abc")
    draw.take(1)
    assert draw.rest() == b"bc"


def test_bytes_that_are_no_text_are_halves_of_pairs() -> None:
    assert text_of(b"\xc3\xa9\xff") == "\u00e9\udcff"
