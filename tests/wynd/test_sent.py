"""`Sent`: awaitable more than once, by every means asyncio has."""

from __future__ import annotations

import asyncio

import pytest

from wynd.sent import Sent


async def test_it_gives_its_value_to_everyone_who_awaits() -> None:
    sent: Sent[int] = Sent()
    waiting = asyncio.gather(sent, asyncio.wait_for(sent, 5))
    await asyncio.sleep(0)
    assert repr(sent) == "<Sent pending>"
    sent.resolve(3)
    assert list(await waiting) == [3, 3]
    assert await sent == 3
    sent.fail(ValueError("too late"))
    assert await sent == 3


async def test_a_failure_is_raised_at_each_await() -> None:
    sent = Sent.failure(KeyError("gone"))
    for _ in range(2):
        with pytest.raises(KeyError):
            await sent


async def test_cancelling_one_wait_leaves_the_others() -> None:
    sent: Sent[None] = Sent()

    async def wait() -> None:
        await sent

    first, second = asyncio.create_task(wait()), asyncio.create_task(wait())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    sent.resolve(None)
    await second
    assert first.cancelled()


async def test_the_completed_one_is_done() -> None:
    assert Sent.completed().done()
    await Sent.completed()
