"""Text of users can do no harm in a terminal or a log, and mentions are what people mean."""

from __future__ import annotations

import re
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.text import (
    MENTIONS_MAX,
    accept_text,
    clean_for_terminal,
    clean_line,
    escape_for_log,
    mentioned_names,
    search_text,
)

NASTY = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\x1b\x9b\x9d\x90\x9c\x07\\[]P;0m\r\n\t\x85\u2028\u2029\u202e\ud800`@: "),
    ),
    max_size=60,
)
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff]"
)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("", ""),
        ("hi", "hi"),
        ("hi\tthere", "hi\tthere"),
        ("Zo\u00eb \U0001f98a", "Zo\u00eb \U0001f98a"),
        # line ends
        ("a\nb", "a\n  | b"),
        ("a\r\nb\rc\u0085d\u2028e\u2029f", "a\n  | b\n  | c\n  | d\n  | e\n  | f"),
        ("a\n\nb\n", "a\n  | \n  | b\n  | "),
        ("a\n\rb", "a\n  | \n  | b"),
        ("hi\nBob: I quit", "hi\n  | Bob: I quit"),
        ("a\v\fb", "ab"),
        # controls
        ("a\x00\x07\x08\x7fb", "ab"),
        ("a\x80\x8d\x9fb", "ab"),
        # CSI
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[Hclear", "clear"),
        ("\x9b1;31mred", "red"),
        ("\x1b[?25lhide", "hide"),
        ("\x1b[38;5;1 qx", "x"),
        ("\x1b[31", "31"),
        ("\x1b[3\n1mx", "3\n  | 1mx"),
        # OSC, DCS, APC, PM, SOS
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]0;title\x1b\\x", "x"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9d0;title\x9cx", "x"),
        ("\x1bP1$r0m\x1b\\x", "x"),
        ("\x90q\x9cx", "x"),
        ("\x1b_app\x1b\\x", "x"),
        ("\x1b^pm\x1b\\x", "x"),
        ("\x1bXsos\x1b\\x", "x"),
        ("\x1b]52;c;cm0gLXJmIC8=\x07", ""),
        ("\x1b]never ended", "never ended"),
        ("\x1b]0;a\x1b[31mb\x07c", "0;abc"),
        # other sequences
        ("\x1bcreset", "reset"),
        ("\x1b(0lines", "lines"),
        ("\x1b", ""),
        ("\x1b\x1b[31m", ""),
        ("\x1b\x1b[0m[0m", "[0m"),
        ("\x1b[\x1b[0m0m", "0m"),
        # direction of writing
        ("\u202egnp.exe\u202c", "gnp.exe"),
        ("a\u061cb\u200ec\u200fd\u2066e\u2069f", "abcdef"),
        ("a\u200db", "a\u200db"),
        ("\ud800", "\ufffd"),
    ],
)
def test_text_is_cleaned_for_a_terminal(text: str, written: str) -> None:
    assert clean_for_terminal(text) == written


@given(NASTY)
def test_no_text_brings_controls_or_begins_a_line(text: str) -> None:
    written = clean_for_terminal(text)
    assert FORBIDDEN.search(written) is None
    assert all(line.startswith("  | ") for line in written.split("\n")[1:])
    assert len(written.splitlines()) <= written.count("\n") + 1
    written.encode()


@given(NASTY)
def test_a_line_is_one_line(text: str) -> None:
    line = clean_line(text)
    assert FORBIDDEN.search(line) is None
    assert len(line.splitlines()) <= 1
    assert "\t" not in line
    assert line == line.strip()
    assert clean_line(line) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Release 1.2", "Release 1.2"),
        ("  a\r\n\r\n\tb\n", "a b"),
        ("cat\u202egpj.exe", "catgpj.exe"),
        ("\x1b]0;x\x07name", "name"),
        ("a  b", "a  b"),
        ("\n", ""),
    ],
)
def test_topics_reasons_and_names_of_files_are_one_line(text: str, line: str) -> None:
    assert clean_line(text) == line


@pytest.mark.parametrize(
    "hostile",
    ["\x9d", "\x1b]", "\x1b[", "\x1b", "\x1b[;", "\x90\x9d", "@", "@a`", "`", "a`b``", "@a ", "\n"],
    ids=ascii,
)
def test_cleaning_and_mentions_take_linear_time(hostile: str) -> None:
    text = hostile * (65_536 // len(hostile))
    started = time.process_time()
    clean_for_terminal(text)
    clean_line(text)
    escape_for_log(text)
    mentioned_names(text)
    search_text(text)
    assert time.process_time() - started < 1.0  # quadratic: minutes


def test_zero_bytes_are_dropped_before_counting() -> None:
    assert accept_text("a\x00b\x00", 2, "message") == "ab"
    assert accept_text("", 0, "message") == ""
    assert accept_text("\U0001f98a" * 8000, 8000, "message") == "\U0001f98a" * 8000


def test_text_above_the_limit_is_too_large() -> None:
    with pytest.raises(ChatError) as refused:
        accept_text("x" * 8001, 8000, "message")
    assert refused.value.code is ErrorCode.TOO_LARGE
    assert refused.value.sentence == "message too long: 8001 characters, at most 8000"


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ud83d\x00\udc00"])
def test_half_a_surrogate_pair_is_no_text(text: str) -> None:
    with pytest.raises(ChatError) as refused:
        accept_text(text, 10, "topic")
    assert refused.value.code is ErrorCode.BAD_REQUEST
    assert refused.value.sentence == "topic is not valid Unicode"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("hello", []),
        ("@Bob", ["bob"]),
        ("hi @Bob and @alice", ["bob", "alice"]),
        ("@bob @Bob @BOB", ["bob"]),
        ("hi @Bob, how are you?", ["bob,", "bob"]),
        ("@Bob: yes", ["bob:", "bob"]),
        ("(@Bob)", ["bob)", "bob"]),
        ("@Bob's cat", ["bob's", "bob"]),
        ("@Bob\u2019s.", ["bob\u2019s.", "bob\u2019s", "bob"]),
        ("@J.R.", ["j.r.", "j.r"]),
        ("@O'Brien", ["o'brien"]),
        ("@Bob,@Alice", ["bob,", "bob", "alice"]),
        ("@@Bob", ["bob"]),
        ("@Zo\u00eb", ["zo\u00eb"]),
        ("cc:@Bob", ["bob"]),
        ("hi\n@Bob\nbye", ["bob"]),
        ("\u4f60\u597d@Bob", ["bob"]),
        ("@Bob\uff0c\u4f60\u597d", ["bob"]),
        ("@here @all @everyone @Server", ["here", "all", "everyone", "server"]),
        ("@__proto__", ["__proto__", "__proto"]),
        # no mentions
        ("bob@example.org", []),
        ("b.o.b+x@example.org", []),
        ("a_@b", []),
        ("caf\u00e9@b", []),
        ("https://example.org/@bob", []),
        ("https://user@example.org/", []),
        ("@", []),
        ("@ Bob", []),
        ("@!!!", []),
        ("@\u200b", []),
        ("@" + "x" * 33, []),
        # code
        ("`@Bob`", []),
        ("`a` @Bob `b`", ["bob"]),
        ("``a ` @Bob``", []),
        ("`` @Bob `", ["bob"]),
        ("```\n@Bob\n``` @Alice", ["alice"]),
        ("```\n@Bob", []),
        ("@Alice\n```py\n@Bob", ["alice"]),
        ("a ``` @Bob", ["bob"]),
        ("`code`@Bob", ["bob"]),
        ("`open @Bob", ["bob"]),
    ],
)
def test_mentions_are_what_people_mean(text: str, keys: list[str]) -> None:
    assert list(mentioned_names(text)) == keys


def test_a_message_mentions_at_most_fifty() -> None:
    many = " ".join(f"@user{n}" for n in range(300))
    assert mentioned_names(many) == tuple(f"user{n}" for n in range(MENTIONS_MAX))
    wrong = " ".join("@" + "!" * n for n in range(1, 300))
    assert mentioned_names(wrong + " @Bob") == ()


@given(NASTY)
def test_mentions_are_keys_and_each_stands_once(text: str) -> None:
    keys = mentioned_names(text)
    assert len(set(keys)) == len(keys) <= MENTIONS_MAX


@pytest.mark.parametrize(
    ("text", "found_by"),
    [
        ("Cr\u00e8me Br\u00fbl\u00e9e", "creme brulee"),
        ("STRASSE Stra\u00dfe", "strasse strasse"),
        ("\uff21\uff22\uff23 \ufb01", "abc fi"),
        ("\u0130stanbul", "istanbul"),
        (
            "\u0399\u03ce\u03b1\u03bd\u03bd\u03b7\u03c2",
            "\u03b9\u03c9\u03b1\u03bd\u03bd\u03b7\u03c3",
        ),
        ("\u0439\u043e\u0433\u0443\u0440\u0442", "\u0438\u043e\u0433\u0443\u0440\u0442"),
        ("\u53ef\u80fd", "\u53ef\u80fd"),
        ("\u304c\u304e", "\u304c\u304e"),
        ("\ud55c\uad6d", "\ud55c\uad6d"),
        ("\u0939\u093f\u0928\u094d\u0926\u0940", "\u0939\u093f\u0928\u094d\u0926\u0940"),
        ("\u0643\u064f\u062a\u064f\u0628", "\u0643\u062a\u0628"),
        ("soft\u00adhyphen\u200b", "softhyphen"),
        ("two  spaces\n", "two  spaces\n"),
        ("", ""),
    ],
)
def test_search_finds_letters_without_their_marks(text: str, found_by: str) -> None:
    assert search_text(text) == found_by


@given(st.text(max_size=40))
def test_folding_twice_is_folding_once(text: str) -> None:
    folded = search_text(text)
    assert search_text(folded) == folded
    assert search_text(unicodedata.normalize("NFD", text)) == folded


@pytest.mark.parametrize(
    ("text", "logged"),
    [
        ("Alice", "Alice"),
        ("Zo\u00eb \U0001f98a", "Zo\u00eb \U0001f98a"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[31m\x00\x7f\x9b", r"\x1b[31m\x00\x7f\x9b"),
        ("\u202e\u2028\u200b", r"\u202e\u2028\u200b"),
        ("\ud800", r"\ud800"),
        ("\\n", r"\\n"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_logs_show_what_is_invisible(text: str, logged: str) -> None:
    assert escape_for_log(text) == logged


@given(NASTY)
def test_a_logged_text_is_one_printable_line_and_can_be_read_back(text: str) -> None:
    logged = escape_for_log(text)
    assert logged.isprintable()
    assert "".join(readable(logged)) == text


def readable(logged: str) -> list[str]:
    """Undo the escapes, piece by piece."""
    pieces = re.findall(r"\\(?:u.{4}|U.{8}|x..|.)|[^\\]", logged)
    return [
        piece.encode().decode("unicode_escape") if piece.startswith("\\") else piece
        for piece in pieces
    ]
