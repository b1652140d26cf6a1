"""Rate limits admit what they promise, never more, in bounded memory."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wynd_chat.domain.ratelimit import Backoff, Buckets, Rate, SlidingCount, Strikes, TokenBucket

MESSAGES = Rate(10, 2.0)  # chat.md 6
GAPS = st.lists(st.floats(0, 5, allow_nan=False), min_size=1, max_size=120)


def test_a_burst_is_admitted_and_then_the_rate() -> None:
    bucket = TokenBucket(MESSAGES, now=100.0)
    assert [bucket.take(100.0) for _ in range(10)] == [None] * 10
    assert bucket.take(100.0) == pytest.approx(0.5)
    assert bucket.take(100.25) == pytest.approx(0.25)
    assert bucket.take(100.5) is None
    assert bucket.take(100.5) == pytest.approx(0.5)


def test_a_refusal_takes_nothing() -> None:
    bucket = TokenBucket(Rate(1, 1.0), now=0.0)
    assert bucket.take(0.0) is None
    for _ in range(100):
        assert bucket.take(0.5) == pytest.approx(0.5)
    assert bucket.take(1.0) is None


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    bucket = TokenBucket(Rate(3, 1.0), now=0.0)
    assert [bucket.take(1e9) for _ in range(4)][:3] == [None] * 3
    assert bucket.take(1e9) is not None


def test_time_that_goes_back_gives_nothing() -> None:
    bucket = TokenBucket(Rate(1, 1.0), now=10.0)
    assert bucket.take(10.0) is None
    assert bucket.take(0.0) == pytest.approx(1.0)
    assert bucket.take(10.5) == pytest.approx(0.5)


def test_a_cost_is_paid_whole_or_not_at_all() -> None:
    bucket = TokenBucket(Rate(5, 1.0), now=0.0)
    assert bucket.take(0.0, cost=3) is None
    assert bucket.take(0.0, cost=3) == pytest.approx(1.0)
    assert bucket.take(0.0, cost=2) is None
    with pytest.raises(ValueError, match="cost 6 is above the burst of 5"):
        bucket.take(0.0, cost=6)


@given(GAPS)
def test_a_bucket_never_admits_more_than_burst_and_rate(gaps: list[float]) -> None:
    bucket = TokenBucket(MESSAGES, now=0.0)
    now = 0.0
    admitted: list[float] = []
    for gap in gaps:
        now += gap
        if bucket.take(now) is None:
            admitted.append(now)
    for first in range(len(admitted)):
        for last in range(first, len(admitted)):
            allowed = 10 + 2.0 * (admitted[last] - admitted[first])
            assert last - first + 1 <= allowed + 1e-3


@given(GAPS)
def test_who_waits_as_long_as_told_is_admitted(gaps: list[float]) -> None:
    bucket = TokenBucket(Rate(3, 0.7), now=0.0)
    now = 0.0
    for gap in gaps:
        now += gap / 10
        wait = bucket.take(now)
        if wait is not None:
            assert wait > 0
            now += wait
            assert bucket.take(now) is None


@pytest.mark.parametrize(("burst", "per_second"), [(0, 1.0), (-1, 1.0), (1, 0.0), (1, -2.0)])
def test_a_rate_that_admits_nothing_is_refused(burst: int, per_second: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        Rate(burst, per_second)


def test_a_rate_can_be_given_by_the_minute() -> None:
    assert Rate.every(10, 60.0) == Rate(10, 10 / 60.0)


def test_a_count_that_admits_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="limit must be 1 or more"):
        SlidingCount(0, 60.0)


def test_keys_are_limited_each_for_itself() -> None:
    buckets = Buckets(Rate(1, 1.0))
    assert buckets.take("a", 0.0) is None
    assert buckets.take("a", 0.0) == pytest.approx(1.0)
    assert buckets.take("b", 0.0) is None
    assert buckets.take("a", 1.0) is None


def test_a_forgotten_key_starts_afresh() -> None:
    buckets = Buckets(Rate(1, 1.0))
    buckets.take("a", 0.0)
    buckets.forget("a")
    buckets.forget("never seen")
    assert buckets.take("a", 0.0) is None


def test_full_buckets_make_room_for_new_ones() -> None:
    buckets = Buckets(Rate(1, 1.0))
    for key in range(1000):
        buckets.take(key, now=0.0)
    assert len(buckets) == 1000
    for key in range(1000, 1600):
        buckets.take(key, now=10.0)
    assert len(buckets) == 600


def test_keys_never_exceed_the_capacity_and_the_oldest_goes_first() -> None:
    buckets = Buckets(Rate(1, 0.001), capacity=3)
    for key in "abc":
        assert buckets.take(key, 0.0) is None
    assert buckets.take("a", 1.0) is not None  # used again: b is the oldest now
    assert buckets.take("d", 2.0) is None
    assert len(buckets) == 3
    assert buckets.take("a", 3.0) is not None
    assert buckets.take("c", 3.0) is not None
    assert buckets.take("b", 3.0) is None


@given(st.lists(st.tuples(st.integers(0, 20), st.floats(0, 3)), max_size=80), st.integers(1, 5))
def test_memory_is_bounded_whoever_comes(steps: list[tuple[int, float]], capacity: int) -> None:
    buckets = Buckets(Rate(2, 1.0), capacity)
    counts = SlidingCount(2, 1.0, capacity)
    now = 0.0
    for key, gap in steps:
        now += gap
        buckets.take(key, now)
        counts.take(key, now)
        assert 1 <= len(buckets) <= capacity
        assert 1 <= len(counts) <= capacity


def test_so_many_within_a_window_are_admitted() -> None:
    logins = SlidingCount(10, 180.0)
    assert [logins.take("alice", float(n)) for n in range(10)] == [None] * 10
    assert logins.take("alice", 10.0) == pytest.approx(170.0)
    assert logins.wait("alice", 100.0) == pytest.approx(80.0)
    assert logins.wait("bob", 100.0) is None
    assert logins.wait("alice", 180.0) is None
    assert logins.take("alice", 180.0) is None
    assert logins.take("alice", 180.5) == pytest.approx(0.5)
    logins.forget("alice")
    logins.forget("nobody")
    assert logins.take("alice", 180.5) is None


def test_windows_that_are_over_make_room_for_new_ones() -> None:
    counts = SlidingCount(1, 10.0)
    for key in range(100):
        counts.take(key, now=0.0)
    assert len(counts) == 100
    for key in range(100, 160):
        counts.take(key, now=20.0)
    assert len(counts) == 60


@given(GAPS)
@example([2.9038161749279316, 0.0, 0.0, 0.0, 0.0])  # rounding made it 3.0000000000000004
def test_no_window_ever_holds_more_than_the_limit(gaps: list[float]) -> None:
    counts = SlidingCount(4, 3.0)
    now = 0.0
    admitted: list[float] = []
    for gap in gaps:
        now += gap / 2
        wait = counts.take("a", now)
        if wait is None:
            admitted.append(now)
        else:
            assert 0 < wait <= 3.0
            assert counts.wait("a", now + wait) is None
    for early, late in zip(admitted, admitted[4:], strict=False):
        assert late - early >= 3.0 - 1e-3


def test_time_that_goes_back_does_not_shorten_a_window() -> None:
    counts = SlidingCount(2, 10.0)
    assert counts.take("a", 100.0) is None
    assert counts.take("a", 50.0) is None
    assert counts.take("a", 105.0) == pytest.approx(5.0)


def test_refusals_within_a_second_are_one_strike_and_the_third_is_a_flood() -> None:
    strikes = Strikes()
    assert [strikes.strike("a", now) for now in (0.0, 0.1, 0.5, 0.99)] == [False] * 4
    assert [strikes.strike("a", now) for now in (1.0, 1.9)] == [False] * 2
    assert strikes.strike("a", 2.0)
    assert strikes.strike("a", 2.1)


def test_a_key_that_goes_on_rests_until_its_strike_is_over() -> None:
    strikes = Strikes(patience=3)
    assert strikes.rest("a", 0.0) == 0.0
    for now in (10.0, 10.1):
        strikes.strike("a", now)
        assert strikes.rest("a", now) == 0.0
    strikes.strike("a", 10.25)
    assert strikes.rest("a", 10.25) == 0.75
    assert strikes.rest("b", 10.25) == 0.0
    assert strikes.rest("a", 11.5) == 0.0
    strikes.strike("a", 11.5)  # the next strike begins to count anew
    assert strikes.rest("a", 11.5) == 0.0


def test_strikes_are_forgotten_after_a_minute() -> None:
    strikes = Strikes()
    assert not any(strikes.strike("a", now) for now in (0.0, 30.0, 60.0, 90.0, 120.0))
    assert strikes.strike("a", 121.0)


def test_strikes_are_counted_for_each_key_and_can_be_forgotten() -> None:
    strikes = Strikes()
    assert not any(strikes.strike(key, now) for key in "abc" for now in (0.0, 1.0))
    strikes.forget("a")
    strikes.forget("never seen")
    assert not strikes.strike("a", 2.0)
    assert strikes.strike("b", 2.0)


def test_strikes_of_too_many_keys_are_forgotten_the_oldest_first() -> None:
    strikes = Strikes(limit=2, capacity=2)
    for key in "aba":
        strikes.strike(key, 0.0)
    strikes.strike("c", 0.0)
    assert len(strikes) == 2
    assert strikes.strike("a", 1.0)
    assert not strikes.strike("b", 1.0)


def test_tries_are_let_through_ever_later() -> None:
    backoff = Backoff(free=3, delay_max_s=4.0)
    tries = [now for now in range(20) if backoff.take("alice", float(now)) is None]
    assert tries == [0, 1, 2, 3, 5, 9, 13, 17]


def test_tries_at_once_are_bounded_by_the_free_ones() -> None:
    backoff = Backoff(free=3)
    waits = [backoff.take("alice", 5.0) for _ in range(1000)]
    assert waits[:4] == [None, None, None, 1.0]
    assert waits.count(None) == 3


def test_the_wait_that_is_told_is_long_enough() -> None:
    backoff = Backoff()
    now = 0.0
    for _ in range(30):
        wait = backoff.take("alice", now)
        if wait is not None:
            now += wait
            assert backoff.take("alice", now) is None


def test_a_right_try_and_a_long_rest_forgive() -> None:
    backoff = Backoff(free=1, window_s=60.0)
    assert backoff.take("alice", 0.0) is None
    assert backoff.take("alice", 0.0) == 1.0
    backoff.forgive("alice")
    assert backoff.take("alice", 0.0) is None
    assert backoff.take("alice", 60.0) is None
    assert backoff.take("alice", 60.0) == 1.0  # counted from one again
    backoff.forgive("nobody")


def test_others_are_not_held_up_and_memory_is_bounded() -> None:
    backoff = Backoff(free=1, capacity=10)
    assert backoff.take("alice", 0.0) is None
    for number in range(100):
        assert backoff.take(number, 0.0) is None
    assert len(backoff) == 10
    assert backoff.take("alice", 0.0) is None  # forgotten under so many
