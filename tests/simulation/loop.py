"""An asyncio loop with virtual time, and the processes that live on it.

1. Nothing blocks: where nothing is ready, the time jumps to the next timer. No thread, no socket.
2. Everything a simulated process runs carries the process in its context; killed, none of it ever
   runs again, `finally` blocks included, as after `kill -9`.
3. The order of everything is that of the calls, so that the same calls are the same run.
"""

from __future__ import annotations

import asyncio
import warnings
from contextlib import suppress
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

from wynd import watching

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextvars import Context

__all__ = ["Deadlock", "Killed", "Process", "VirtualLoop", "is_within_dead"]

START_S = 1000.0
LAST_S = START_S + 100_000.0  # nobody waits longer in a simulation; who does hangs


class Deadlock(BaseException):
    """Nothing is ready, and nothing waits for the time."""


class Killed(BaseException):
    """The process ends in the middle of what it does."""


class Process:
    """One process of the simulated machine."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.is_dead = False
        """Killed, or ended: nothing reaches it any more."""
        self.tasks: list[asyncio.Task[Any]] = []
        self.context: Context = copy_context()
        self.context.run(_process.set, self)

    def spawn(self, steps: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine as part of the process."""
        return self.context.run(self._loop.create_task, steps)

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Call into the process from outside, unless it is dead."""
        if not self.is_dead:
            self.context.copy().run(function, *arguments)

    def kill(self) -> None:
        """Let nothing of it run any more."""
        self.is_dead = True
        for handle in self._loop.handles_of(self):
            handle.cancel()

    def left(self) -> list[str]:
        """Return what is there still: tasks, timers, calls."""
        tasks = [repr(task.get_coro()) for task in self.tasks if not task.done()]
        return tasks + [repr(handle) for handle in self._loop.handles_of(self)]

    def bury(self) -> None:
        """Close what a killed process left, quietly; at the end of everything."""
        for task in self.tasks:
            if task.done():
                if not task.cancelled():
                    task.exception()
                continue
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            coroutine = task.get_coro()
            assert coroutine is not None
            with suppress(BaseException), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.context.copy().run(coroutine.close)
        self.tasks.clear()


_process: ContextVar[Process | None] = ContextVar("process", default=None)


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs until nothing is left to do; its time is a number."""

    def __init__(self) -> None:
        super().__init__()
        self._now = START_S
        self._clock_resolution = 1e-9
        self._selector = self  # asked by `_run_once` for what is readable
        self._outside = copy_context()
        self.failures: list[str] = []
        """What nobody handled."""
        self.set_exception_handler(self._failed)
        self.set_task_factory(_make_task)
        # The watch over blocked loops is a thread and reads the real time.
        watching._watches[self] = _NoWatch()  # type: ignore[assignment]

    def time(self) -> float:
        """Return virtual seconds."""
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        """Wait: the time is what was waited for."""
        if timeout is None:
            raise Deadlock("nothing is left that could happen")
        if timeout > 0:
            self._now = self._scheduled[0]._when  # type: ignore[attr-defined]
            if self._now > LAST_S:
                raise Deadlock("the simulation does not come to an end")
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        """Nothing is ever readable."""

    def _write_to_self(self) -> None:
        """Nobody sleeps who had to be woken."""

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Any, *args: Any
    ) -> Any:
        """Refuse: a thread would come when it likes."""
        raise RuntimeError(f"{func!r} asks for a thread, which a simulation does not have")

    def call_soon(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Order a call; one by a dead process is none."""
        handle = super().call_soon(callback, *args, context=context)
        if _is_dead(handle):
            handle.cancel()
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Order a call for later; one by a dead process is none."""
        timer = super().call_at(when, callback, *args, context=context)
        if _is_dead(timer):
            timer.cancel()
        return timer

    def later(self, delay: float, callback: Callable[..., object], *args: Any) -> asyncio.Handle:
        """Order a call of the world, whoever asks for it: it outlives every process."""
        return self.call_at(self._now + delay, callback, *args, context=self._outside)

    def handles_of(self, process: Process) -> list[asyncio.Handle]:
        """Return the calls that a process has ordered and not had yet."""
        ordered = [*self._ready, *self._scheduled]  # type: ignore[attr-defined]
        return [one for one in ordered if not one.cancelled() and _owner(one) is process]

    def _check_closed(self) -> None:
        """Whoever comes after the end, as dead processes do when they are collected, is ignored."""

    def close(self) -> None:
        """End it; there is nothing to wait for."""
        watching._watches.pop(self, None)
        super().close()

    def _failed(self, _loop: asyncio.AbstractEventLoop, what: dict[str, Any]) -> None:
        error = what.get("exception")
        if not isinstance(error, Killed):
            self.failures.append(f"{what.get('message')}: {error!r}")


class _NoWatch:
    _users = 1

    def stop(self) -> None:
        """There is nothing to stop."""


def is_within_dead() -> bool:
    """Tell whether the caller is part of a dead process, which is being taken apart."""
    process = _process.get()
    return process is not None and process.is_dead


def _make_task(loop: Any, coro: Any, **more: Any) -> asyncio.Task[Any]:
    task = asyncio.Task(coro, loop=loop, **more)
    context = more.get("context")
    process = _process.get() if context is None else context.get(_process)
    if process is not None:
        process.tasks.append(task)
    return task


def _owner(handle: asyncio.Handle) -> Process | None:
    return handle._context.get(_process)  # type: ignore[attr-defined,no-any-return]


def _is_dead(handle: asyncio.Handle) -> bool:
    process = _owner(handle)
    return process is not None and process.is_dead
