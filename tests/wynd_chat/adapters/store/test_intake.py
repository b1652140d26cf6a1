"""The loop's side: how many wait, who is told, and in which order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.contracts.chat_stores import DEV, a_message
from wynd_chat.adapters.store import intake as intake_module
from wynd_chat.adapters.store.intake import Intake
from wynd_chat.adapters.store.rows import message_event
from wynd_chat.ports.store import Posted, StoreFailure

if TYPE_CHECKING:
    from wynd_chat.adapters.store.groups import Operation


@pytest.fixture
def intake() -> Intake:
    """Give one that is open."""
    intake = Intake()
    intake.is_open = True
    return intake


def posted(operation: Operation, seq: int = 1) -> Operation:
    """Note that an operation's message was committed."""
    event = message_event(a_message(str(seq)), seq, ())
    operation.finish(Posted(DEV, event, is_duplicate=False), [(DEV, event)])
    return operation


async def test_a_closed_intake_accepts_nothing() -> None:
    with pytest.raises(StoreFailure, match="closed"):
        Intake().accept(a_message())


async def test_only_so_many_wait(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "WAITING_MAX", 2)
    first, _ = intake.accept(a_message()), intake.accept(a_message())
    with pytest.raises(StoreFailure, match="too many"):
        intake.accept(a_message())
    intake.resolve([posted(first)])
    intake.accept(a_message())
    assert intake.waiting == 2


async def test_events_are_told_before_anybody_goes_on(intake: Intake) -> None:
    order: list[Any] = []
    intake.on_commit(lambda _, event: order.append(event.seq))
    operation = intake.accept(a_message())
    operation.future.add_done_callback(lambda _: order.append("done"))
    intake.resolve([posted(operation, 7)])
    await operation.future
    await asyncio.sleep(0)
    assert order == [7, "done"]


async def test_a_cancelled_caller_spoils_nothing(intake: Intake) -> None:
    told: list[int] = []
    intake.on_commit(lambda _, event: told.append(event.seq))
    gone, failed, kept = (intake.accept(a_message()) for _ in range(3))
    gone.future.cancel()
    failed.future.cancel()
    failed.fail(StoreFailure("full"))
    intake.resolve([posted(gone, 1), failed, posted(kept, 2)])
    assert (await kept.future).event.seq == 2
    assert told == [1, 2]
    assert (intake.waiting, intake.groups, intake.posts) == (0, 1, 2)


async def test_a_listener_that_raises_is_logged_and_nobody_waits_for_ever(
    intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise LookupError("on purpose")

    intake.on_commit(broken)
    operation = intake.accept(a_message())
    intake.resolve([posted(operation)])
    await operation.future
    assert "on purpose" in caplog.text


async def test_errors_come_out_of_the_call(intake: Intake) -> None:
    failed, odd = intake.accept(a_message()), intake.accept(a_message())
    failed.fail(StoreFailure("full"))
    odd.fail(StopIteration())
    intake.resolve([failed, odd])
    with pytest.raises(StoreFailure, match="full"):
        await failed.future
    with pytest.raises(RuntimeError, match="StopIteration"):
        await odd.future


async def test_a_failure_leaves_doubt_until_a_message_was_kept(intake: Intake) -> None:
    first, second, third = (intake.accept(a_message()) for _ in range(3))
    first.fail(StoreFailure("full"))
    intake.resolve([first])
    first.future.exception()
    assert intake.in_doubt
    second.finish("a work", [])
    intake.resolve([second])
    assert intake.in_doubt
    intake.resolve([posted(third)])
    assert not intake.in_doubt
