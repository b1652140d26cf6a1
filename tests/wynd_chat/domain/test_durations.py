"""Durations: every spelling, what clears, and what is refused with how to write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wynd_chat.domain.durations import (
    DURATION_MAX_S,
    is_duration,
    parse_duration,
    short_duration,
)
from wynd_chat.domain.errors import ChatError, ErrorCode


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("10m", 600),
        ("2h", 7200),
        ("7d", 604_800),
        ("1w", 604_800),
        ("1W", 604_800),
        (" 5m ", 300),
        ("007s", 7),
        ("520w", 314_496_000),
        ("3650d", DURATION_MAX_S),
    ],
)
def test_a_number_and_a_unit_are_seconds(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds
    assert is_duration(text)


@pytest.mark.parametrize("text", ["0", "off", "OFF", " off ", "0s", "00w"])
def test_nothing_and_off_clear(text: str) -> None:
    assert parse_duration(text) is None
    assert is_duration(text)


@pytest.mark.parametrize(
    "text",
    ["", "s", "5", "5 m", "-5m", "1.5h", "1h30m", "5min", "5y", "\u0665m", "²s", "off!", "1e3s"],
)
def test_other_spellings_are_refused_with_examples(text: str) -> None:
    assert not is_duration(text)
    with pytest.raises(ChatError, match="30s, 10m, 2h, 7d or 1w") as refused:
        parse_duration(text)
    assert refused.value.code is ErrorCode.BAD_REQUEST


@pytest.mark.parametrize("text", ["3651d", "522w", "999999999999w"])
def test_more_than_ten_years_is_refused(text: str) -> None:
    assert is_duration(text)
    with pytest.raises(ChatError, match="at most 10 years") as refused:
        parse_duration(text)
    assert refused.value.code is ErrorCode.BAD_REQUEST


def test_a_number_too_long_to_be_meant_is_refused_at_once() -> None:
    with pytest.raises(ChatError):
        parse_duration("9" * 60_000 + "s")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "1s"),
        (0.2, "1s"),
        (30, "30s"),
        (59.1, "1m"),
        (60, "1m"),
        (61, "2m"),
        (479, "8m"),
        (3600, "1h"),
        (7200, "2h"),
        (86_400, "1d"),
        (86_401, "2d"),
        (604_800, "7d"),
    ],
)
def test_shown_durations_round_up_to_one_unit(seconds: float, shown: str) -> None:
    assert short_duration(seconds) == shown


@given(st.integers(1, DURATION_MAX_S))
def test_what_is_shown_is_never_shorter_and_can_be_typed(seconds: int) -> None:
    shown = parse_duration(short_duration(min(seconds, DURATION_MAX_S - 86_400)))
    assert shown is not None
    assert shown >= min(seconds, DURATION_MAX_S - 86_400)
