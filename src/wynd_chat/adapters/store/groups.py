"""Group commit: what waits for one transaction, and how it is run inside it.

Shared by the SQL stores. Every operation has a savepoint of its own, so that one that fails takes
nothing else with it; consecutive posts are one batch. Begins and commits nothing: the writer that
owns the connection does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from wynd_chat.adapters.store.failures import Failed, translate
from wynd_chat.adapters.store.transaction import SqlTransaction

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from wynd_chat.domain.events import Event
    from wynd_chat.domain.models import Room
    from wynd_chat.ports.store import NewMessage, Transaction

__all__ = [
    "GROUP_MAX",
    "GroupLost",
    "Operation",
    "run_group",
]

GROUP_MAX = 512  # operations in one transaction; at 40 us each it takes 20 ms


class GroupLost(Exception):
    """The whole transaction failed; nothing in it was done."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(str(failed.error))
        self.failed = failed


@dataclass(slots=True, eq=False)
class Operation:
    """A `write` or a `post` that waits, and what came of it."""

    todo: Callable[[Transaction], Any] | NewMessage
    future: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None
    happened: Sequence[tuple[Room, Event]] = field(default_factory=tuple)

    def finish(self, result: Any, happened: Sequence[tuple[Room, Event]]) -> None:
        """Note the result; it counts once the group is committed."""
        self.result, self.error, self.happened = result, None, happened

    def fail(self, error: Exception) -> None:
        """Note that nothing of it was done."""
        self.result, self.error, self.happened = None, error, ()


def run_group(connection: Connection, operations: Sequence[Operation]) -> None:
    """Run operations in their order, within the transaction the connection is in.

    Raises:
        GroupLost: Nothing of the group can be kept; roll back.
    """
    for is_work, stretch in groupby(operations, key=lambda operation: callable(operation.todo)):
        if is_work:
            for operation in stretch:
                run_one(connection, operation)
        else:
            run_posts(connection, list(stretch))


def run_posts(connection: Connection, operations: list[Operation]) -> None:
    """Run posts as one batch; if a row is refused, one by one, so that only its post fails."""
    savepoint = Savepoint(connection)
    transaction = SqlTransaction(connection)
    try:
        outcomes = transaction.post_many([operation.todo for operation in operations])  # type: ignore[misc]
    except Exception as error:
        savepoint.undo(transaction)
        if len(operations) == 1:
            operations[0].fail(error if transaction.failed is None else transaction.failed.error)
            return
        for operation in operations:
            run_one(connection, operation)
        return
    savepoint.keep()
    events = iter(transaction.happened)
    for operation, outcome in zip(operations, outcomes, strict=True):
        if isinstance(outcome, Exception):
            operation.fail(outcome)
        else:
            operation.finish(outcome, () if outcome.is_duplicate else (next(events),))


def run_one(connection: Connection, operation: Operation) -> None:
    """Run one operation in a savepoint."""
    todo = operation.todo
    savepoint = Savepoint(connection)
    transaction = SqlTransaction(connection)
    try:
        result = todo(transaction) if callable(todo) else transaction.post(todo)
    except Exception as error:
        savepoint.undo(transaction)
        operation.fail(error if transaction.failed is None else transaction.failed.error)
        return
    if transaction.failed is not None:  # the work swallowed it, and is not done all the same
        savepoint.undo(transaction)
        operation.fail(transaction.failed.error)
        return
    savepoint.keep()
    operation.finish(result, transaction.happened)


class Savepoint:
    """A savepoint around one operation; its own failures lose the group."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._execute("SAVEPOINT operation")

    def keep(self) -> None:
        """Release it."""
        self._execute("RELEASE SAVEPOINT operation")

    def undo(self, transaction: SqlTransaction) -> None:
        """Go back to it, unless the transaction as a whole is lost."""
        if transaction.failed is not None and transaction.failed.is_fatal:
            raise GroupLost(transaction.failed)
        self._execute("ROLLBACK TO SAVEPOINT operation")
        self._execute("RELEASE SAVEPOINT operation")

    def _execute(self, statement: str) -> None:
        try:
            self._connection.exec_driver_sql(statement)
        except DBAPIError as error:
            raise GroupLost(translate(error)) from error
