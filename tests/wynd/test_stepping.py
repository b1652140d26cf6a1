"""Coroutines without a task each: what must hold of the resident task, and of its plain twin."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

import pytest

from wynd import stepping
from wynd.stepping import Resident, start_task

if TYPE_CHECKING:
    from collections.abc import Coroutine

pytestmark = pytest.mark.skipif(not stepping.CAN_STEP, reason="this Python has no _enter_task")

mark: ContextVar[str] = ContextVar("mark", default="unset")


class Driver:
    """Runs coroutines one way or the other and records how each ended."""

    def __init__(self, way: str) -> None:
        self.way = way
        self.loop = asyncio.get_running_loop()
        self.context = copy_context()
        self.resident: Resident | None = None
        self.task: asyncio.Task[Any] | None = None

    async def run(self, coroutine: Coroutine[Any, Any, Any]) -> BaseException | None:
        """Run to the end; return what it failed with."""
        return await self.start(coroutine)

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Future[BaseException | None]:
        """Start from a callback, as a turn does; the future gives what it failed with."""
        ended: asyncio.Future[BaseException | None] = self.loop.create_future()
        self.loop.call_soon(self._start, coroutine, ended)
        return ended

    def _start(
        self, coroutine: Coroutine[Any, Any, Any], ended: asyncio.Future[BaseException | None]
    ) -> None:
        if self.way == "task":
            self.task = start_task(self.loop, coroutine, self.context, ended.set_result, "test")
            return
        if self.resident is None or not self.resident.usable():
            self.resident = Resident(self.loop, self.context, "test")
        self.task = self.resident.task
        try:
            finished = self.resident.step(coroutine, ended.set_result)
        except (Exception, asyncio.CancelledError) as error:
            ended.set_result(error)
        else:
            assert finished is not None
            if finished:
                ended.set_result(None)

    def cancel(self, *arguments: str) -> None:
        """Cancel the task that runs the coroutine."""
        assert self.task is not None
        self.task.cancel(*arguments)


@pytest.fixture(params=["resident", "task"])
async def driver(request: pytest.FixtureRequest) -> Any:
    """A driver of each kind."""
    driver = Driver(request.param)
    yield driver
    if driver.resident is not None:
        driver.resident.release()
        await asyncio.wait([driver.resident.task], timeout=5)
        assert driver.resident.task.done()


async def test_a_coroutine_that_never_suspends_schedules_nothing() -> None:
    driver = Driver("resident")
    seen: list[str] = []

    async def handler() -> None:
        seen.append("ran")

    future = driver.start(handler())
    states: list[bool] = []
    driver.loop.call_soon(lambda: states.append(future.done()))
    await future
    assert seen == ["ran"]
    assert states == [True]
    assert driver.resident is not None
    driver.resident.release()


async def test_current_task_is_the_same_before_and_after_a_suspension(driver: Driver) -> None:
    seen: list[asyncio.Task[Any] | None] = []

    async def handler() -> None:
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())
        await asyncio.sleep(0.001)
        seen.append(asyncio.current_task())

    assert await driver.run(handler()) is None
    assert seen == [driver.task] * 3
    assert asyncio.current_task() not in seen


async def test_result_of_what_was_awaited_first_arrives(driver: Driver) -> None:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    seen: list[str] = []

    async def handler() -> None:
        seen.append(await future)

    ended = driver.start(handler())
    asyncio.get_running_loop().call_soon(future.set_result, "value")
    assert await ended is None
    assert seen == ["value"]


async def test_failure_of_what_was_awaited_first_is_raised_in_the_handler(driver: Driver) -> None:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    seen: list[str] = []

    async def handler() -> None:
        try:
            await future
        except KeyError:
            seen.append("caught")
        await asyncio.sleep(0)

    ended = driver.start(handler())
    asyncio.get_running_loop().call_soon(future.set_exception, KeyError("x"))
    assert await ended is None
    assert seen == ["caught"]


@pytest.mark.parametrize("seconds", [0, 0.001])
async def test_timeout_ends_a_handler_and_nothing_else(driver: Driver, seconds: float) -> None:
    seen: list[str] = []

    async def handler() -> None:
        try:
            async with asyncio.timeout(seconds):
                await asyncio.sleep(30)
        except TimeoutError:
            seen.append("timed out")
        await asyncio.sleep(0)
        seen.append("went on")

    assert await driver.run(handler()) is None
    assert seen == ["timed out", "went on"]
    assert await driver.run(handler()) is None
    assert len(seen) == 4


async def test_cancel_between_suspension_and_pick_up_reaches_the_handler(driver: Driver) -> None:
    seen: list[str] = []
    inner: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def handler() -> None:
        try:
            await inner
        except asyncio.CancelledError as error:
            seen.append(f"cancelled {error}")
            raise

    ended = driver.start(handler())
    if driver.way == "task":
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # its first step
    # In the same iteration of the loop as the step, before the resident task could wake up.
    driver.loop.call_soon(driver.cancel, "by test")
    assert isinstance(await ended, asyncio.CancelledError)
    assert seen == ["cancelled by test"]
    assert inner.cancelled()


async def test_cancel_after_the_result_is_there_still_reaches_the_handler() -> None:
    driver = Driver("resident")
    inner: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    seen: list[str] = []

    async def handler() -> None:
        try:
            await inner
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    ended = driver.start(handler())
    driver.loop.call_soon(inner.set_result, None)
    driver.loop.call_soon(driver.cancel)
    assert isinstance(await ended, asyncio.CancelledError)
    assert seen == ["cancelled"]


async def test_cancelling_a_remembered_task_after_its_handler_ended_harms_nothing() -> None:
    driver = Driver("resident")
    remembered: list[asyncio.Task[Any]] = []

    async def handler() -> None:
        task = asyncio.current_task()
        assert task is not None
        remembered.append(task)
        await asyncio.sleep(0)

    assert await driver.run(handler()) is None
    remembered[0].cancel()
    assert await driver.run(handler()) is None  # even before the cancellation is delivered
    await asyncio.sleep(0)
    assert await driver.run(handler()) is None
    assert remembered[1] is not remembered[0]
    assert remembered[2] is remembered[1]
    assert driver.resident is not None
    driver.resident.release()


async def test_a_handler_that_cancels_itself_is_cancelled_at_its_next_await(
    driver: Driver,
) -> None:
    seen: list[str] = []

    async def handler() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        seen.append("still here")
        await asyncio.sleep(10)
        seen.append("never")

    assert isinstance(await driver.run(handler()), asyncio.CancelledError)
    assert seen == ["still here"]


async def test_a_swallowed_cancellation_lets_the_handler_finish(driver: Driver) -> None:
    seen: list[str] = []

    async def handler() -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            seen.append("swallowed")
        await asyncio.sleep(0)
        seen.append("finished")

    ended = driver.start(handler())
    for _ in range(3):
        await asyncio.sleep(0)
    driver.cancel()
    assert await ended is None
    assert seen == ["swallowed", "finished"]


async def test_context_variables_stay_with_the_connection(driver: Driver) -> None:
    other = Driver(driver.way)
    seen: list[str] = []

    async def set_it() -> None:
        mark.set("mine")
        await asyncio.sleep(0)
        seen.append(mark.get())

    async def read_it() -> None:
        seen.append(mark.get())

    assert await driver.run(set_it()) is None
    assert await driver.run(read_it()) is None
    assert await other.run(read_it()) is None
    assert seen == ["mine", "mine", "unset"]
    assert mark.get() == "unset"
    if other.resident is not None:
        other.resident.release()


async def test_an_exception_after_a_suspension_is_reported(driver: Driver) -> None:
    async def handler() -> None:
        await asyncio.sleep(0)
        raise ValueError("late")

    assert isinstance(await driver.run(handler()), ValueError)
    assert await driver.run(asyncio.sleep(0)) is None


async def test_a_step_while_another_task_is_current_runs_nothing() -> None:
    resident = Resident(asyncio.get_running_loop(), copy_context(), "test")
    coroutine = asyncio.sleep(0)

    async def inside() -> bool | None:
        return resident.step(coroutine, lambda failure: None)

    # A coroutine run by a task of its own: that task is current, so stepping must decline.
    assert await asyncio.create_task(inside()) is None
    coroutine.close()
    resident.release()


async def test_an_eager_task_factory_changes_nothing(driver: Driver) -> None:
    factory = getattr(asyncio, "eager_task_factory", None)
    if factory is None:
        pytest.skip("Python 3.11 has no eager task factory")
    asyncio.get_running_loop().set_task_factory(factory)
    try:
        seen: list[str] = []

        async def child() -> None:
            seen.append("child")

        async def handler() -> None:
            await asyncio.create_task(child())
            await asyncio.sleep(0)
            seen.append("parent")

        assert await driver.run(handler()) is None
        assert seen == ["child", "parent"]
    finally:
        asyncio.get_running_loop().set_task_factory(None)


async def test_task_groups_and_gather_work_inside(driver: Driver) -> None:
    seen: list[int] = []

    async def child(number: int) -> None:
        await asyncio.sleep(0)
        seen.append(number)

    async def handler() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(child(1))
            group.create_task(child(2))
        await asyncio.gather(child(3), child(4))

    assert await driver.run(handler()) is None
    assert sorted(seen) == [1, 2, 3, 4]


async def test_an_idle_resident_does_not_hold_up_the_end_of_the_loop() -> None:
    resident = Resident(asyncio.get_running_loop(), copy_context(), "test")
    await asyncio.sleep(0)
    resident.task.cancel()  # as asyncio.run does with every task that is left
    await asyncio.wait([resident.task], timeout=5)
    assert resident.task.cancelled()
