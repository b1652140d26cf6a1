"""Who is told to go, with which words, spread over how long."""

from __future__ import annotations

import asyncio
import random
import re
import signal

import pytest

from tests.wynd.recording import RecordingEngine
from wynd.stopping import StopSignals, close_all, retry_bounds


def test_retry_after_is_drawn_by_default_on_a_restart_only() -> None:
    assert retry_bounds(1001, None) == (None, 0.0)
    assert retry_bounds(1012, None) == (1.0, 10.0)
    assert retry_bounds(1001, 5) == (5, 5)
    assert retry_bounds(1013, (2, 3)) == (2, 3)
    for wrong in (-1, (3, 2)):
        with pytest.raises(ValueError, match="retry_after"):
            retry_bounds(1012, wrong)


async def test_each_client_gets_its_own_retry_after() -> None:
    engine = RecordingEngine()
    await close_all(engine, list(range(50)), 1012, (1.0, 30.0), 0.01, random.Random(1))
    reasons = {reason for _, _, reason in engine.named("close")}
    assert len(reasons) > 10
    for reason in reasons:
        match = re.fullmatch(r"Server is restarting\. retry_after=(\d+)", reason)
        assert match is not None
        assert 1 <= int(match[1]) <= 30


async def test_two_clients_need_no_spread_and_nobody_no_time() -> None:
    engine = RecordingEngine()
    await close_all(engine, [], 1001, (None, 0.0), 5.0, random.Random(1))
    closing = asyncio.create_task(
        close_all(engine, [1, 2], 1001, (None, 0.0), 5.0, random.Random(1))
    )
    await asyncio.wait([closing], timeout=2)
    assert closing.done()
    assert engine.named("close") == [
        (1, 1001, "Server is stopping."),
        (2, 1001, "Server is stopping."),
    ]


async def test_a_stop_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    failed = asyncio.Event()

    async def stop() -> None:
        failed.set()
        raise RuntimeError("of the stop")

    with StopSignals(stop, lambda: None) as signals:
        signals.attach(asyncio.get_running_loop())
        signal.raise_signal(signal.SIGTERM)
        await failed.wait()
        await asyncio.sleep(0)  # the task's end is told
    assert [record.getMessage() for record in caplog.records] == ["the stop failed"]
    assert "of the stop" in caplog.text
