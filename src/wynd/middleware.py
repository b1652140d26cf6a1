"""The middleware chain: what runs after the upgrade and before any handler of a connection."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wynd.connection import Connection
    from wynd.handle import ConnectionHandle

__all__ = ["Middleware", "Next", "run_chain"]

Next = Callable[["Connection", "ConnectionHandle"], Awaitable[None]]
"""What a middleware calls to let the connection through: `await next(conn, handle)`."""

Middleware = Callable[["Connection", "ConnectionHandle", Next], Any]
"""`def` or `async def` function of `(conn, handle, next)`; raise `Reject` to refuse."""


async def run_chain(
    chain: tuple[Middleware, ...],
    conn: Connection,
    handle: ConnectionHandle,
    innermost: Callable[[], Awaitable[None]],
) -> bool:
    """Run the middleware in order of registration around `innermost`.

    Returns:
        True if every middleware called its `next`, so that `innermost` ran.
    """
    run = _Run(chain, innermost)
    await run.call(0, conn, handle)
    return run.reached


class _Run:
    """One pass through the chain. No closures: they would form a cycle with the connection."""

    __slots__ = ("_chain", "_innermost", "reached")

    def __init__(
        self, chain: tuple[Middleware, ...], innermost: Callable[[], Awaitable[None]]
    ) -> None:
        self._chain = chain
        self._innermost = innermost
        self.reached = False

    async def call(self, position: int, conn: Connection, handle: ConnectionHandle) -> None:
        if position == len(self._chain):
            self.reached = True
            await self._innermost()
            return
        result = self._chain[position](conn, handle, partial(self.call, position + 1))
        if inspect.isawaitable(result):
            await result
