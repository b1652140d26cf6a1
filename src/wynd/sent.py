"""`Sent`: the awaitable every call that talks to a peer returns.

The call has acted by the time it returns; awaiting is flow control, or waits for an answer.
Knows the loop, no engine and no connection.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from typing import Never

__all__ = ["Sent"]

T = TypeVar("T")

_PENDING, _DONE, _FAILED, _OFF_LOOP = range(4)


class Sent(Generic[T]):
    """Result of a send, close, join, leave, publish or ping; awaiting it is optional.

    It may be awaited any number of times, also through `asyncio.gather` and `asyncio.wait_for`.
    It is no coroutine: `asyncio.create_task` refuses it. Cancelling a wait withdraws nothing.

    Raises (when awaited):
        ConnectionClosed: the connection was closed, or closed before the outbox drained.
        TimeoutError: `ping` got no answer in `Limits.ping_timeout_s`.
        RuntimeError: the call was made on another thread than the loop's.
    """

    __slots__ = ("_error", "_futures", "_state", "_value")

    def __init__(self) -> None:
        self._state = _PENDING
        self._value: T | None = None
        self._error: BaseException | None = None
        self._futures: list[asyncio.Future[Any]] | None = None

    @classmethod
    def completed(cls) -> Sent[None]:
        """Return the one instance that is already done with None."""
        return _COMPLETED

    @classmethod
    def off_loop(cls) -> Sent[Any]:
        """Return the one instance for calls made on another thread: it cannot be awaited."""
        return _ELSEWHERE

    @classmethod
    def failure(cls, error: BaseException) -> Sent[Any]:
        """Return an instance that raises `error` when awaited."""
        sent: Sent[Any] = cls()
        sent.fail(error)
        return sent

    def done(self) -> bool:
        """Return whether awaiting would not wait."""
        return self._state != _PENDING

    def resolve(self, value: T) -> None:
        """Complete with `value`; no effect if already done."""
        if self._state == _PENDING:
            self._state = _DONE
            self._value = value
            self._wake()

    def fail(self, error: BaseException) -> None:
        """Complete with `error`; no effect if already done."""
        if self._state == _PENDING:
            self._state = _FAILED
            self._error = error
            self._wake()

    def _wake(self) -> None:
        futures, self._futures = self._futures, None
        for future in futures or ():
            if not future.done():
                future.set_result(None)

    def __await__(self) -> Generator[Any, Any, T]:
        return self._wait()

    def _wait(self) -> Generator[Any, Any, T]:
        if self._state == _OFF_LOOP:
            raise RuntimeError(
                "this call was made outside the event loop's thread; it has taken effect, but "
                "its result cannot be awaited (use asyncio.run_coroutine_threadsafe to wait)"
            )
        if self._state == _PENDING:
            future = asyncio.get_running_loop().create_future()
            if self._futures is None:
                self._futures = []
            self._futures.append(future)
            yield from future
        if self._error is not None:
            raise self._error
        return cast("T", self._value)

    def __repr__(self) -> str:
        state = ("pending", "done", "failed", "not awaitable here")[self._state]
        return f"<Sent {state}>"


class _PlainCompleted:
    """The plain twin of the native module's `Completed`."""

    __slots__ = ()

    # An exhausted iterator is enough for `await`, and its maker is no Python function.
    __await__: Callable[[], Iterator[Never]] = staticmethod(().__iter__)


if TYPE_CHECKING:
    Completed = _PlainCompleted
else:
    try:
        from wynd._engine import Completed
    except ImportError:  # a machine without the native module uses the twin
        Completed = _PlainCompleted


class _Completed(Completed, Sent[None]):  # type: ignore[misc]
    """The common case: awaiting it builds no generator and enters no frame."""

    __slots__ = ()


_COMPLETED: Sent[None] = _Completed()
_COMPLETED.resolve(None)
_ELSEWHERE: Sent[Any] = Sent()
_ELSEWHERE._state = _OFF_LOOP
