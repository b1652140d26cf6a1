"""`RateLimits`: what is refused, with how long to wait, and what counts as flooding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.wynd_chat.kit import HandClock
from wynd_chat.domain.errors import ErrorCode
from wynd_chat.domain.limits import ChatLimits
from wynd_chat.services.ratelimits import RateLimits, TooFast

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def limits(clock: HandClock) -> RateLimits:
    return RateLimits(ChatLimits(), clock)


def allowed(take: Callable[[], None]) -> int:
    """Return how many are allowed at once."""
    for count in range(1_000):
        try:
            take()
        except TooFast:
            return count
    raise AssertionError("no end")


def test_the_defaults_are_those_of_the_specification(limits: RateLimits) -> None:
    assert allowed(lambda: limits.frame(1)) == 30
    assert allowed(lambda: limits.message("u")) == 10
    assert allowed(lambda: limits.command("u")) == 20
    assert allowed(lambda: limits.join("u")) == 10
    assert allowed(lambda: limits.new_direct("u")) == 10
    assert allowed(lambda: limits.upload("u")) == 10
    assert allowed(lambda: limits.registration("10.0.0.1")) == 30
    assert limits.refused["messages"] == 1


async def test_a_refusal_says_how_long_to_wait(limits: RateLimits, clock: HandClock) -> None:
    allowed(lambda: limits.message("u"))
    with pytest.raises(TooFast, match="Slow down") as refused:
        limits.message("u")
    assert refused.value.code is ErrorCode.RATE_LIMITED
    assert refused.value.retry_after == 0.5
    await clock.advance(0.5)
    limits.message("u")
    with pytest.raises(TooFast):
        limits.message("u")


def test_everybody_has_their_own(limits: RateLimits) -> None:
    allowed(lambda: limits.message("u"))
    limits.message("other")
    limits.command("u")


def test_loopback_is_exempt_from_limits_per_address(limits: RateLimits) -> None:
    for _ in range(100):
        limits.registration(None)


async def test_the_third_strike_in_a_minute_is_flooding(
    limits: RateLimits, clock: HandClock
) -> None:
    assert not any(limits.is_flooding(1) for _ in range(20))
    await clock.advance(1)
    assert not limits.is_flooding(1)
    assert not limits.is_flooding(2)
    await clock.advance(1)
    assert limits.is_flooding(1)


def test_a_connection_that_has_gone_is_forgotten(limits: RateLimits) -> None:
    allowed(lambda: limits.frame(1))
    limits.forget(1)
    assert allowed(lambda: limits.frame(1)) == 30
