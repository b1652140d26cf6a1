"""Readiness follows a fault, and its end, within five seconds, whatever the probe does."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from tests.wynd_chat.observability.clocks import HandClock, settle
from wynd_chat.observability.health import Health, Report

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Store:
    """A thing that can be well, broken, silent or stubborn."""

    def __init__(self) -> None:
        self.state = "well"
        self.asked = 0

    async def is_writable(self) -> bool:
        """Answer as the state says."""
        self.asked += 1
        if self.state == "raises":
            raise OSError("the disk is gone")
        while self.state in ("silent", "stubborn"):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if self.state == "silent":
                    raise
        return self.state == "well"


@pytest.fixture
def clock() -> HandClock:
    """Time that the test moves."""
    return HandClock()


@pytest.fixture
def store() -> Store:
    """What is probed."""
    return Store()


@pytest.fixture
async def health(clock: HandClock, store: Store) -> AsyncIterator[Health]:
    """Health over two probes, running."""

    async def broker() -> bool:
        return True

    made = Health({"store": store.is_writable, "broker": broker}, clock)
    yield made
    store.state = "well"
    await made.close()


async def test_nothing_is_ready_before_it_was_asked(health: Health, store: Store) -> None:
    before = health.report()
    assert before == Report(False, {"store": "failing", "broker": "failing"})
    health.start()
    await settle()
    assert health.is_ready
    assert health.report().checks == {"store": "ok", "broker": "ok"}


@pytest.mark.parametrize("fault", ["broken", "raises", "silent"])
async def test_a_fault_and_its_end_show_within_five_seconds(
    health: Health, clock: HandClock, store: Store, fault: str
) -> None:
    health.start()
    await settle()
    store.state = fault
    await clock.advance(5)
    assert not health.is_ready
    assert health.report().checks == {"store": "failing", "broker": "ok"}
    store.state = "well"
    await clock.advance(5)
    assert health.is_ready


async def test_a_probe_that_cannot_be_cancelled_counts_as_failing_at_its_deadline(
    health: Health, clock: HandClock, store: Store
) -> None:
    health.start()
    await settle()
    store.state = "stubborn"
    await clock.advance(3.5)
    asked = store.asked
    assert not health.is_ready
    await clock.advance(60)
    assert store.asked == asked  # not asked again while it has not answered
    assert not health.is_ready


async def test_draining_is_never_ready_again(health: Health, clock: HandClock) -> None:
    health.start()
    await settle()
    health.drain()
    assert not health.is_ready
    assert health.report().checks["draining"] == "failing"
    await clock.advance(10)
    assert not health.is_ready


async def test_a_change_is_logged_once(
    health: Health, clock: HandClock, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "wynd_chat.health"):
        health.start()
        await clock.advance(10)
        store.state = "raises"
        await clock.advance(10)
        store.state = "well"
        await clock.advance(10)
    said = [record.getMessage() for record in caplog.records if "store" in record.getMessage()]
    assert said == [
        "the store is well",
        "the probe of the store failed",
        "the store is failing: not ready",
        "the store is well",
    ]


async def test_after_close_nothing_is_asked_any_more(
    health: Health, clock: HandClock, store: Store
) -> None:
    health.start()
    await settle()
    await health.close()
    await health.close()
    asked = store.asked
    await clock.advance(10)
    assert store.asked == asked
