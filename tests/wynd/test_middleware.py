"""The chain runs in order of registration, around what is innermost."""

from __future__ import annotations

from typing import Any, cast

import pytest

from wynd.errors import Reject
from wynd.middleware import run_chain

CONN, HANDLE = cast("Any", "conn"), cast("Any", "handle")


async def test_order_and_result() -> None:
    seen: list[str] = []

    async def outer(conn: Any, handle: Any, next: Any) -> None:
        seen.append("outer")
        await next(conn, handle)
        seen.append("outer after")

    def plain(conn: Any, handle: Any, next: Any) -> Any:
        seen.append(f"plain {conn} {handle}")
        return next(conn, handle)

    async def innermost() -> None:
        seen.append("innermost")

    assert await run_chain((outer, plain), CONN, HANDLE, innermost)
    assert seen == ["outer", "plain conn handle", "innermost", "outer after"]


async def test_an_empty_chain_reaches_the_innermost() -> None:
    async def innermost() -> None: ...

    assert await run_chain((), CONN, HANDLE, innermost)


async def test_one_that_does_not_call_next_lets_nobody_through() -> None:
    async def innermost() -> None:
        raise AssertionError("reached")

    assert not await run_chain((lambda conn, handle, next_: None,), CONN, HANDLE, innermost)


async def test_reject_passes_through_the_chain() -> None:
    def refuse(conn: Any, handle: Any, next: Any) -> None:
        raise Reject(4001)

    async def innermost() -> None: ...

    with pytest.raises(Reject):
        await run_chain((refuse,), CONN, HANDLE, innermost)
