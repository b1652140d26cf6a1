"""A line is taken apart as the text face needs it; help and guesses say what people can use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wynd_chat.domain.rows import a_user
from wynd_chat.domain.commands import (
    COMMANDS,
    CommandSpec,
    Who,
    did_you_mean,
    find,
    help_lines,
    is_command,
    may_run,
    parse,
    split,
    unescape,
)
from wynd_chat.domain.models import ServerRole, User, UserKind
from wynd_chat.domain.permissions import Rank

each_command = pytest.mark.parametrize("spec", COMMANDS, ids=[spec.name for spec in COMMANDS])


@each_command
def test_commands_are_found_by_name_and_alias_in_any_case(spec: CommandSpec) -> None:
    for word in (spec.name, *spec.aliases):
        assert find(word) is find(word.upper()) is find("/" + word.title()) is spec


@pytest.mark.parametrize("word", ["", "/", "nam", "//name", "__proto__", "edit", "na\u0131me"])
def test_other_words_are_no_command(word: str) -> None:
    assert find(word) is None


@pytest.mark.parametrize(
    ("line", "word", "name", "rest"),
    [
        ("/name Alice", "name", "name", "Alice"),
        ("/NAME Alice", "NAME", "name", "Alice"),
        ("/name", "name", "name", ""),
        ("/nick\tAlice", "nick", "name", "Alice"),
        ("/me\nwaves\n  twice", "me", "me", "waves\n  twice"),
        ("/me\u00a0waves", "me", "me", "waves"),
        ("/msg  Bob   two  spaces ", "msg", "msg", "Bob   two  spaces "),
        ("/topic /name", "topic", "topic", "/name"),
        ("/foo bar", "foo", None, "bar"),
        ("/", "", None, ""),
        ("/ name Alice", "", None, "name Alice"),
        ("/name/x", "name/x", None, ""),
    ],
)
def test_a_line_is_a_word_and_a_rest(line: str, word: str, name: str | None, rest: str) -> None:
    invocation = parse(line)
    assert invocation.word == word
    assert (invocation.spec and invocation.spec.name) == name
    assert invocation.rest == rest


@pytest.mark.parametrize(
    ("text", "is_one", "says"),
    [
        ("/x", True, "/x"),
        ("/", True, "/"),
        ("//x", False, "/x"),
        ("//", False, "/"),
        ("///x", False, "//x"),
        ("x", False, "x"),
        ("", False, ""),
        (" /x", False, " /x"),
    ],
)
def test_two_slashes_are_a_message_that_begins_with_one(text: str, is_one: bool, says: str) -> None:
    assert is_command(text) is is_one
    assert unescape(text) == says


@pytest.mark.parametrize(
    ("rest", "n", "pieces"),
    [
        ("", 1, []),
        ("   ", 2, []),
        ("a", 2, ["a"]),
        ("a b  c", 1, ["a b  c"]),
        ("a b  c", 2, ["a", "b  c"]),
        ("a\tb\u2003c\nd", 3, ["a", "b", "c\nd"]),
        ("a b", 5, ["a", "b"]),
    ],
)
def test_the_last_argument_takes_the_rest_verbatim(rest: str, n: int, pieces: list[str]) -> None:
    assert split(rest, n) == pieces


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("histroy", "history"),
        ("hisory", "history"),
        ("histttory", "history"),
        ("HISTRY", "history"),
        ("jion", "join"),
        ("usres", "users"),
        ("user", "users"),
        ("lave", "leave"),
        ("history", "history"),
        ("ihstory", None),  # another first letter
        ("hstr", None),  # three letters are missing
        ("h", None),
        ("foo", None),
        ("", None),
        ("h" * 60_000, None),
    ],
)
def test_a_slip_of_the_finger_is_understood(word: str, meant: str | None) -> None:
    assert did_you_mean(word, [spec.name for spec in COMMANDS]) == meant


def test_the_nearest_candidate_wins_then_the_first() -> None:
    assert did_you_mean("abcd", ["abxy", "abce", "abcf"]) == "abce"
    assert did_you_mean("", ["", "a"]) == ""


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_the_distance_is_the_textbooks(a: str, b: str) -> None:
    expected = b if a[:1] == b[:1] and naive_distance(a, b) <= 2 else None
    assert did_you_mean(a, [b]) == expected


def naive_distance(a: str, b: str) -> int:
    """Return the optimal string alignment distance by its recursive definition."""
    if not a or not b:
        return len(a) + len(b)
    costs = [
        naive_distance(a[:-1], b) + 1,
        naive_distance(a, b[:-1]) + 1,
        naive_distance(a[:-1], b[:-1]) + (a[-1] != b[-1]),
    ]
    if len(a) > 1 and len(b) > 1 and a[-1] == b[-2] and a[-2] == b[-1]:
        costs.append(naive_distance(a[:-2], b[:-2]) + 1)
    return min(costs)


def test_help_says_syntax_example_and_who_may() -> None:
    spec = find("leave")
    assert spec is not None
    assert help_lines(spec) == (
        "/leave [#ROOM] [REASON] - Leave a room",
        "Also: /part, /close",
        "Example: /leave #dev back on Monday",
        "Who may: anyone with a name",
    )
    spec = find("op")
    assert spec is not None
    assert help_lines(spec) == (
        "/op USER - Make somebody an op of the room",
        "Example: /op Bob",
        "Who may: owners of the room",
    )


GUEST = a_user("Gil", kind=UserKind.GUEST)
ALICE = a_user("Alice")
ADMIN = a_user("Root", role=ServerRole.ADMIN)


@pytest.mark.parametrize(
    ("user", "rank", "may"),
    [
        (None, Rank.NONE, {Who.ANYONE}),
        (GUEST, Rank.GUEST, {Who.ANYONE, Who.NAMED}),
        (ALICE, Rank.NONE, {Who.ANYONE, Who.NAMED, Who.ACCOUNT}),
        (ALICE, Rank.MEMBER, {Who.ANYONE, Who.NAMED, Who.ACCOUNT}),
        (ALICE, Rank.OP, {Who.ANYONE, Who.NAMED, Who.ACCOUNT, Who.OP}),
        (ALICE, Rank.OWNER, {Who.ANYONE, Who.NAMED, Who.ACCOUNT, Who.OP, Who.OWNER}),
        (ADMIN, Rank.ADMIN, set(Who)),
        (ADMIN, Rank.MEMBER, {Who.ANYONE, Who.NAMED, Who.ACCOUNT, Who.ADMIN}),
    ],
)
def test_help_offers_what_somebody_may_run(user: User | None, rank: Rank, may: set[Who]) -> None:
    allowed = {spec.who for spec in COMMANDS if may_run(spec, user, rank)}
    assert allowed == may
