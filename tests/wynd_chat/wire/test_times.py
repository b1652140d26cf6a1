"""Moments as texts: any number has one, and it is the right one."""

from __future__ import annotations

from datetime import timedelta, timezone

import pytest
from hypothesis import given

from tests.wynd_chat.wire.strategies import TIMES
from wynd_chat.wire.times import clock_text, minute_text, time_text

AT = 1_795_461_845_123


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_000, "1970-01-01T00:00:01.000Z"),
        (AT, "2026-11-23T19:24:05.123Z"),
        (AT // 1000 * 1000 + 999, "2026-11-23T19:24:05.999Z"),
        (-5, "1970-01-01T00:00:00.000Z"),
        (2**63, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_times_are_rfc_3339_with_milliseconds(ms: int, text: str) -> None:
    assert time_text(ms) == text


@given(TIMES, TIMES)
def test_times_sort_as_their_texts(one: int, other: int) -> None:
    assert time_text(min(one, other)) <= time_text(max(one, other))


@given(TIMES)
def test_people_read_minutes_in_their_zone(ms: int) -> None:
    for hours in (-14, 0, 14):
        zone = timezone(timedelta(hours=hours))
        assert len(clock_text(ms, zone)) == 5
        assert minute_text(ms, zone)[-9:-3]
    assert clock_text(AT) == "19:24"
    assert clock_text(AT, timezone(timedelta(hours=5, minutes=30))) == "00:54"
    assert minute_text(AT) == "2026-11-23 19:24 UTC"
