"""Names: what is one, what it becomes, what is refused with which sentence, what looks alike."""

from __future__ import annotations

import unicodedata
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wynd_chat.domain.hostile_names import HOSTILE
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.names import (
    NAME_MAX,
    RESERVED,
    is_direct_target,
    parse_room_name,
    parse_user_name,
    room_key,
    suggestions,
    user_key,
)


@pytest.mark.parametrize(
    ("typed", "shown", "key"),
    [
        ("Alice", "Alice", "alice"),
        ("@Alice", "Alice", "alice"),
        ("  Alice\t", "Alice", "alice"),
        ("@ Alice", "Alice", "alice"),
        ("ALICE", "ALICE", "alice"),
        ("a", "a", "a"),
        ("x" * 32, "x" * 32, "x" * 32),
        ("7", "7", "7"),
        ("O'Brien", "O'Brien", "o'brien"),
        ("J.R.", "J.R.", "j.r."),
        ("Jean-Luc_7", "Jean-Luc_7", "jean-luc_7"),
        ("__proto__", "__proto__", "__proto__"),
        ("constructor", "constructor", "constructor"),
        ("toString", "toString", "tostring"),
        ("Alice:", "Alice:", "alice:"),
        ("Zoe\u0308", "Zo\u00eb", "zo\u00eb"),
        ("\uff21lice", "Alice", "alice"),
        ("\u212bngstr\u00f6m", "\u00c5ngstr\u00f6m", "\u00e5ngstr\u00f6m"),
        ("\ufb01nn", "finn", "finn"),
        (
            "\u0410\u043b\u0438\u0441\u0430",
            "\u0410\u043b\u0438\u0441\u0430",
            "\u0430\u043b\u0438\u0441\u0430",
        ),
        ("\u03a3\u0399\u03a3", "\u03a3\u0399\u03a3", "\u03c3\u03b9\u03c2"),
        ("\u5c71\u7530Taro", "\u5c71\u7530Taro", "\u5c71\u7530taro"),
        ("\ud55c\uad6dBob", "\ud55c\uad6dBob", "\ud55c\uad6dbob"),
        ("\u3055\u304f\u3089\u30b5\u30af\u30e9\u685c",) * 3,
        ("\u0639\u0631\u0628\u064a",) * 3,
        ("\u05d3\u05d5\u05d3",) * 3,
        ("\u0915\u094d\u0937\u093f",) * 3,
        ("\u0e44\u0e17\u0e22",) * 3,
        ("\U0001f98a",) * 3,
        ("l\u00b7l",) * 3,
        ("Vi\u1ec7t", "Vi\u1ec7t", "vi\u1ec7t"),
    ],
)
def test_names_are_shown_as_the_nickname_profile_says(typed: str, shown: str, key: str) -> None:
    name = parse_user_name(typed)
    assert (name.shown, name.key) == (shown, key)
    assert user_key(typed) == key


@pytest.mark.parametrize(
    ("name", "sentence"), HOSTILE, ids=[ascii(name)[:40] for name, _ in HOSTILE]
)
def test_hostile_names_are_refused_with_what_to_change(name: str, sentence: str) -> None:
    with pytest.raises(ChatError) as refused:
        parse_user_name(name)
    assert refused.value.code is ErrorCode.BAD_NAME
    assert sentence in refused.value.sentence
    assert refused.value.sentence.isprintable()


def test_there_are_300_hostile_names_and_none_twice() -> None:
    assert len({name for name, _ in HOSTILE}) == len(HOSTILE) >= 300


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("Alice Smith", "names can't contain spaces, try /name Alice_Smith"),
        ("Alice  van\tder\nBerg", "names can't contain spaces, try /name Alice_van_der_Berg"),
        ("\uff21lice Smith", "names can't contain spaces, try /name Alice_Smith"),
        ("Alice \x1b[31m", "names can't contain spaces"),
        ("x " * 30, "names can't contain spaces"),
    ],
)
def test_a_name_with_spaces_is_answered_with_one_that_works(typed: str, sentence: str) -> None:
    with pytest.raises(ChatError) as refused:
        parse_user_name(typed)
    assert refused.value.sentence == sentence


def test_the_sentence_names_what_a_name_begins_with() -> None:
    with pytest.raises(ChatError, match=r"^names can't begin with #$"):
        parse_user_name("\uff03dev")


LOOK_ALIKES = [
    ("Alice", "AIice"),
    ("Alice", "A|ice"),
    ("Alice", "Al\u0131ce"),
    ("paypal", "paypaI"),
    ("paypal", "paypa1"),
    ("Tom", "Torn"),
    ("modern", "modem"),
    ("Bob", "B0b"),
    ("Bob", "BOB"),
    ("Bob", "\u0184ob"),
    ("Oscar", "0scar"),
    ("scope", "\u0455\u0441\u043e\u0440\u0435"),
    ("\u03bf\u03bd", "ov"),
    ("\u0410\u0412\u0421", "ABC"),
    ("\u13aa\u13de\u13df", "ALC"),
    ("\u01cdna", "\u0102na"),
    ("pa\u00dfe", "passe"),
    ("\u00e6on", "aeon"),
    ("\u0e02", "\u0e03"),
    ("\u0e1b", "\u0e9b"),
    ("\u30fc\u30cb", "\u4e00\u30cb"),
    ("\u0c05", "\u0c85"),
]


@pytest.mark.parametrize(("one", "other"), LOOK_ALIKES, ids=ascii)
def test_names_that_look_alike_share_a_skeleton(one: str, other: str) -> None:
    assert parse_user_name(one).skeleton == parse_user_name(other).skeleton


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Alice", "Alice2"),
        ("Zoe", "Zo\u00eb"),
        ("Bob", "Rob"),
        ("Ann", "Anna"),
        ("resume", "r\u00e9sum\u00e9"),
        ("\u5c71", "\u5ddd"),
        ("Alice", "Alice_"),
    ],
)
def test_names_that_differ_visibly_do_not(one: str, other: str) -> None:
    assert parse_user_name(one).skeleton != parse_user_name(other).skeleton


@pytest.mark.parametrize("reserved", sorted(RESERVED))
def test_reserved_names_are_for_the_server_only(reserved: str) -> None:
    with pytest.raises(ChatError, match="is reserved"):
        parse_user_name(reserved.title())
    assert parse_user_name(reserved, allow_reserved=True).key == reserved
    assert user_key(f"@{reserved}") == reserved


@pytest.mark.parametrize("text", ["", "@", "Alice Smith", "#dev", "\x00", "\ud800", "x" * 33])
def test_what_is_no_name_is_found_by_no_key(text: str) -> None:
    assert user_key(text) is None


@given(st.text(max_size=40))
def test_a_name_stays_itself_and_nothing_hidden_gets_in(text: str) -> None:
    try:
        name = parse_user_name(text, allow_reserved=True)
    except ChatError as refused:
        assert refused.code is ErrorCode.BAD_NAME  # noqa: PT017
        return
    assert 1 <= len(name.shown) <= NAME_MAX
    assert parse_user_name(name.shown, allow_reserved=True) == name
    assert user_key(name.key) == name.key
    categories = {unicodedata.category(character) for character in name.shown}
    assert not categories & {"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"}
    assert name.shown[0] not in "#@/:+"


@given(st.text("aAbBlI10oO|m", min_size=1, max_size=12))
def test_case_alone_never_makes_another_name(text: str) -> None:
    try:
        key = parse_user_name(text, allow_reserved=True).key
    except ChatError:
        return
    assert user_key(text.upper()) == user_key(text.lower()) == key


@pytest.mark.parametrize(
    ("shown", "proposed"),
    [
        ("Alice", ["Alice2", "Alice3", "Alice4"]),
        ("Alice7", ["Alice8", "Alice9", "Alice10"]),
        ("R2D2", ["R2D3", "R2D4", "R2D5"]),
        ("2048", ["20482", "20483", "20484"]),
        ("Bond007", ["Bond0072", "Bond0073", "Bond0074"]),
        ("d20261129", ["d202611292", "d202611293", "d202611294"]),
        ("x" * 32, ["x" * 31 + "2", "x" * 31 + "3", "x" * 31 + "4"]),
        ("x" * 27 + "12342", [f"{'x' * 27}1234{n}" for n in (3, 4, 5)]),
        ("x" * 31 + "9", ["x" * 30 + "10", "x" * 30 + "11", "x" * 30 + "12"]),
    ],
)
def test_a_taken_name_is_answered_with_others(shown: str, proposed: list[str]) -> None:
    assert list(islice(suggestions(shown), 3)) == proposed
    assert all(parse_user_name(name).shown == name for name in proposed)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("dev", "dev"),
        ("#dev", "dev"),
        (" #Dev ", "dev"),
        ("# dev", "dev"),
        ("\uff24\uff25\uff36", "dev"),
        ("a", "a"),
        ("2026", "2026"),
        ("a.b-c_d", "a.b-c_d"),
        ("x" * 32, "x" * 32),
        ("rx", "rx"),
        ("constructor", "constructor"),
        ("stra\u00dfe", "strasse"),
    ],
)
def test_rooms_are_folded_to_a_short_word(typed: str, name: str) -> None:
    assert parse_room_name(typed) == name
    assert room_key(typed) == name
    assert parse_room_name(name) == name


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "Please provide a room name, such as #dev"),
        ("#", "Please provide a room name, such as #dev"),
        ("x" * 33, "room names have at most 32 characters"),
        ("x" * 60_000, "room names have at most 32 characters"),
        ("\ufdfa" * 16, "room names have at most 32 characters"),
        ("r_x", "room names can't begin with r_"),
        ("#R_01JD", "room names can't begin with r_"),
        ("Dev Team", "and underscore, try #dev-team"),
        ("a/b", "and underscore, try #a-b"),
        ("##dev", "and underscore, try #dev"),
        ("-x", "and underscore, try #x"),
        ("dev\u200b", "and underscore, try #dev"),
        ("d\u0435v", "and underscore, try #d-v"),
        ("dev\x00", "and underscore, try #dev"),
        ("..", "dash and underscore"),
        ("__proto__", "and underscore, try #proto"),
        ("\u65e5\u672c", "dash and underscore"),
        ("\ud800", "dash and underscore"),
        ("../etc", "and underscore, try #etc"),
        ("dev\nx", "and underscore, try #dev-x"),
    ],
)
def test_other_room_names_are_refused_with_what_to_change(typed: str, sentence: str) -> None:
    with pytest.raises(ChatError) as refused:
        parse_room_name(typed)
    assert refused.value.code is ErrorCode.BAD_NAME
    assert refused.value.sentence.endswith(sentence)
    assert room_key(typed) is None


def test_a_target_with_an_at_sign_is_a_person() -> None:
    assert is_direct_target("@Bob")
    assert not is_direct_target("#dev")
    assert not is_direct_target("Bob")
