"""Commands from other threads: in order, bounded, one wake-up for many."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.wynd.engines.hosts import settle
from wynd.engines.backlog import COMMAND_BYTES, Backlog
from wynd.errors import LimitExceeded


async def test_commands_run_on_the_loop_in_order() -> None:
    backlog = Backlog(asyncio.get_running_loop(), 10**6)
    seen: list[tuple[int, int]] = []

    def note(number: int) -> None:
        seen.append((number, threading.get_ident()))

    def work() -> None:
        for number in range(100):
            backlog.post(note, number)

    await asyncio.to_thread(work)
    await settle()
    assert seen == [(number, threading.get_ident()) for number in range(100)]


async def test_it_may_be_run_early_and_then_runs_nothing_twice() -> None:
    backlog = Backlog(asyncio.get_running_loop(), 10**6)
    seen: list[int] = []
    backlog.post(seen.append, 1)
    backlog.run()
    backlog.run()
    await settle()
    assert seen == [1]


async def test_commands_that_post_commands_are_no_endless_run() -> None:
    backlog = Backlog(asyncio.get_running_loop(), 10**6)
    rounds: list[int] = []

    def again(left: int) -> None:
        rounds.append(left)
        if left:
            backlog.post(again, left - 1)

    backlog.post(again, 3)
    backlog.run()
    assert rounds == [3]
    await settle()
    assert rounds == [3, 2, 1, 0]


async def test_a_failing_command_does_not_take_the_others_with_it() -> None:
    errors: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: errors.append(context["exception"]))
    backlog = Backlog(loop, 10**6)
    seen: list[int] = []

    def fail() -> None:
        raise RuntimeError("a bug")

    backlog.post(fail)
    backlog.post(seen.append, 1)
    await settle()
    assert seen == [1]
    assert len(errors) == 1


async def test_the_bound_raises_and_is_lifted_when_the_loop_turns() -> None:
    backlog = Backlog(asyncio.get_running_loop(), 10 * COMMAND_BYTES)
    seen: list[int] = []
    for number in range(10):
        backlog.post(seen.append, number)
    with pytest.raises(LimitExceeded, match="process_bytes_max"):
        backlog.post(seen.append, 10)
    await settle()
    assert seen == list(range(10))
    backlog.post(seen.append, 10, size=10**9)  # one of any size passes when nothing waits
    await settle()
    assert seen[-1] == 10
