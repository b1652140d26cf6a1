"""Running coroutines without a task per message: one resident task per connection.

A handler's coroutine is stepped at once, with the resident task as the current one. Most finish
in that step, and nothing was scheduled. One that suspends is handed to the resident task, which
drives the rest. The plain twin is a task per coroutine (`start_task`); both pass the same tests.

Rules:
 1. The resident's coroutine is a state machine of its own (`Resident.send`, `throw`), so that a
    task that has not started yet, or is cancelled before it did, loses no handler.
 2. The resident has at most one coroutine; the dispatcher keeps the order.
 3. A cancellation that arrives while no coroutine is held ends the resident task and nothing
    else; the connection makes a new one when it needs one.
 4. A cancellation between suspension and pick-up goes to what the coroutine waits for, as
    `Task.cancel` does, and so reaches the coroutine.

asyncio's `_enter_task` and its like are private: they are looked up here and nowhere else.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextvars import Context
    from types import TracebackType

__all__ = ["CAN_STEP", "CURRENT_TASKS", "Resident", "start_task"]

try:
    from asyncio.tasks import _enter_task, _leave_task

    CAN_STEP = sys.version_info < (3, 14)  # 3.14 keeps the current task in the thread state
except ImportError:  # pragma: no cover - a Python without them runs the plain twin
    CAN_STEP = False

CURRENT_TASKS: dict[Any, Any] | None = getattr(asyncio.tasks, "_current_tasks", None)
"""What the two work on, by loop: the native step enters and leaves tasks by itself."""

Ended = Callable[[BaseException | None], None]
"""Called once when a handed-over coroutine ended: with its exception, or None."""


class _Nothing:
    """Marks "the coroutine's last yield was already passed on"; None is a legal yield."""


_NOTHING = _Nothing()


class _ResidentTask(asyncio.Task[None]):
    """The task of a `Resident`; says so when somebody cancels it."""

    __slots__ = ("interrupted",)

    interrupted: Callable[[], object]

    def cancel(self, msg: Any | None = None) -> bool:
        self.interrupted()
        return super().cancel(msg)


def _nothing() -> None:
    pass


class Resident(Coroutine[Any, Any, None]):
    """The long-lived task of one connection, and the coroutine it currently drives."""

    __slots__ = (
        "__name__",
        "__qualname__",
        "__weakref__",
        "_context",
        "_coroutine",
        "_ended",
        "_interrupted",
        "_loop",
        "_released",
        "_wakeup",
        "_yielded",
        "running",
        "task",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: Context,
        name: str,
        interrupted: Callable[[], object] = _nothing,
    ) -> None:
        self.__name__: str = name
        self.__qualname__: str = name
        self._loop = loop
        self._context = context
        self._coroutine: Coroutine[Any, Any, Any] | None = None
        self._yielded: Any = _NOTHING
        self._ended: Ended | None = None
        self._wakeup: asyncio.Future[None] | None = None
        self._released = False
        self.running: bool = False  # inside `send` or `throw`: the task is the current one
        # Not through the loop's task factory: an eager one would run `send` before it is needed.
        task = _ResidentTask(self, loop=loop, context=context, name=name)
        task.interrupted = self._interrupted = interrupted
        self.task: _ResidentTask = task

    # What the dispatcher calls

    def usable(self) -> bool:
        """Return whether `step` may be called: idle, alive and not being cancelled."""
        return (
            self._coroutine is None
            and not self._released
            and not self.task.done()
            and not self.task.cancelling()
        )

    def step(self, coroutine: Coroutine[Any, Any, Any], ended: Ended) -> bool | None:
        """Run `coroutine` up to its first suspension; True if it finished.

        False if it suspended: the resident task drives the rest and calls `ended`. None if
        another task is current work on this loop: nothing was run, use `start_task`. What the
        coroutine raises in its first step is raised here.
        """
        try:
            if self.running:  # called by `ended`, inside the task
                yielded = coroutine.send(None)
            else:
                try:
                    _enter_task(self._loop, self.task)
                except RuntimeError:
                    return None
                try:
                    yielded = self._context.run(coroutine.send, None)
                finally:
                    _leave_task(self._loop, self.task)
        except StopIteration:
            return True
        self.hold(coroutine, yielded, ended)
        return False

    def hold(self, coroutine: Coroutine[Any, Any, Any], yielded: Any, ended: Ended) -> None:
        """Drive a coroutine whose first step ended with `yielded`; the task must be usable."""
        self._coroutine = coroutine
        self._yielded = yielded
        self._ended = ended
        self._wake()

    def release(self) -> None:
        """End the task at its next step if it is idle; harmless if it is not."""
        if self._coroutine is None:
            self._released = True
            self._interrupted = self.task.interrupted = _nothing  # whose they are may go now
            self._wake()

    def _wake(self) -> None:
        wakeup, self._wakeup = self._wakeup, None
        if wakeup is not None and not wakeup.done():
            wakeup.set_result(None)

    # What asyncio's task calls: the coroutine protocol

    def send(self, value: Any) -> Any:
        """Continue, as the task does when what it waited for is there."""
        if self._coroutine is None:
            return self._idle()
        if self._yielded is not _NOTHING:  # the pick-up: pass on what the first step waited for
            yielded, self._yielded = self._yielded, _NOTHING
            return yielded
        return self._continue(self._coroutine.send, None)

    def throw(  # type: ignore[override]
        self,
        typ: BaseException | type[BaseException],
        val: BaseException | None = None,
        tb: TracebackType | None = None,
    ) -> Any:
        """Continue with an exception: a cancellation, or the failure of what was waited for."""
        error = typ if isinstance(typ, BaseException) else (val if val is not None else typ())
        if self._coroutine is None:
            self._released = True
            self._interrupted()
            raise error
        yielded, self._yielded = self._yielded, _NOTHING
        if yielded is not _NOTHING:
            cancels = isinstance(error, asyncio.CancelledError) and yielded is not None
            if cancels and yielded.cancel(*error.args):
                return yielded  # now cancelled: the task wakes up with it and throws it in
            if yielded is not None:
                yielded._asyncio_future_blocking = False
        return self._continue(self._coroutine.throw, error)

    def close(self) -> None:
        """End what is held, as a coroutine's `close` does."""
        self._released = True
        coroutine, self._coroutine = self._coroutine, None
        if coroutine is not None:
            coroutine.close()

    def __await__(self) -> Generator[Any, Any, None]:
        raise TypeError("a resident task's coroutine is driven by its task only")

    def _continue(self, resume: Callable[[Any], Any], argument: Any) -> Any:
        self.running = True
        try:
            return self._run_on(resume, argument)
        finally:
            self.running = False

    def _run_on(self, resume: Callable[[Any], Any], argument: Any) -> Any:
        try:
            return resume(argument)
        except StopIteration:
            failure = None
        except (KeyboardInterrupt, SystemExit) as error:
            self._interrupted()  # it ends the task
            self._finish(error)
            raise
        except BaseException as error:
            failure = error
        self._finish(failure)
        if self._coroutine is not None:  # `ended` stepped the next one, and that suspended
            return self.send(None)
        return self._idle()

    def _finish(self, failure: BaseException | None) -> None:
        ended, self._ended = self._ended, None
        self._coroutine = None
        if isinstance(failure, asyncio.CancelledError) or self.task.cancelling():
            self._released = True  # a cancelled task is not used again
            self._interrupted()
        if ended is not None:
            ended(failure)

    def _idle(self) -> asyncio.Future[None]:
        if self._released:
            raise StopIteration
        self._wakeup = wakeup = self._loop.create_future()
        wakeup._asyncio_future_blocking = True  # what `await` does (PEP 492 protocol of asyncio)
        return wakeup


def start_task(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, Any],
    context: Context,
    ended: Ended,
    name: str,
) -> asyncio.Task[Any]:
    """Run `coroutine` in a task of its own; the plain twin of `Resident.step`.

    The task starts with the loop's next iteration. `ended` is called when it is done.
    """
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, context=context, name=name)

    def report(task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            ended(asyncio.CancelledError())
        else:
            ended(task.exception())

    task.add_done_callback(report)
    return task
