"""The loop's side of group commit: accepts operations, bounds how many wait, resolves them.

Shared by the SQL stores. Knows nothing of databases; how an operation gets to the writer is told.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from wynd_chat.adapters.store.groups import Operation
from wynd_chat.ports.store import Posted, StoreFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wynd_chat.domain.events import Event
    from wynd_chat.domain.models import Room
    from wynd_chat.ports.store import NewMessage, Transaction

__all__ = ["Intake"]

logger = logging.getLogger("wynd_chat.store")

WAITING_MAX = 10_000  # operations; as many as a full server has users, each with one under way


class Intake:
    """What waits for a commit, and who is told of it.

    Attributes:
        is_open: Whether operations are accepted.
        waiting: Operations that were accepted and not resolved yet.
        posts: Messages that were committed, repeats included.
        groups: Groups that were committed or lost.
        in_doubt: The last thing that is known of the database is a failure.
    """

    def __init__(self) -> None:
        self.is_open = False
        self.waiting = 0
        self.posts = 0
        self.groups = 0
        self.in_doubt = False
        self._tell: Callable[[Room, Event], None] | None = None

    def on_commit(self, callback: Callable[[Room, Event], None]) -> None:
        """Call `callback` with each event that is committed."""
        self._tell = callback

    def accept(self, todo: Callable[[Transaction], Any] | NewMessage) -> Operation:
        """Return an operation to be queued; its future belongs to its caller alone.

        Raises:
            StoreFailure: The store is closed, or too many operations wait.
        """
        if not self.is_open:
            raise StoreFailure("the store is closed")
        if self.waiting >= WAITING_MAX:
            raise StoreFailure("too many writes are waiting")
        self.waiting += 1
        return Operation(todo, asyncio.get_running_loop().create_future())

    def resolve(self, operations: Sequence[Operation]) -> None:
        """Tell what happened and let the callers go on; after the commit, on the loop.

        A caller that was cancelled meanwhile is not told; its events are.
        """
        self.groups += 1
        self.waiting -= len(operations)
        posts = sum(isinstance(operation.result, Posted) for operation in operations)
        self.posts += posts
        if any(isinstance(operation.error, StoreFailure) for operation in operations):
            self.in_doubt = True
        elif posts:
            self.in_doubt = False
        for operation in operations:
            for room, event in operation.happened:
                self._tell_of(room, event)
            future = operation.future
            if future.done():
                continue
            if operation.error is None:
                future.set_result(operation.result)
            elif isinstance(operation.error, StopIteration):  # which no future can hold
                future.set_exception(RuntimeError("a work raised StopIteration"))
            else:
                future.set_exception(operation.error)

    def _tell_of(self, room: Room, event: Event) -> None:
        if self._tell is None:
            return
        try:
            self._tell(room, event)
        except Exception:
            logger.exception("What follows a commit failed; readers may be late.")
