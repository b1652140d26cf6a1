"""Heads of plain requests on the native port that serves HTTP too.

On the portable engine they never reach the library: uvicorn reads and answers them.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.conformance.heads import GOOD, HEAD_CASES, HeadCase
from tests.conformance.wire import Server, opened
from wynd import Wynd
from wynd.http import App

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

pytestmark = pytest.mark.usefixtures("native_engine")


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Server, list[str]]]:
    """Serve routes beside a WebSocket; give the server, and the requests it saw."""
    app, seen = App(), list[str]()
    app.use_wynd("/ws", Wynd().handler())

    @app.get("/hello")
    async def hello(request: Request) -> str:
        seen.append("GET /hello")
        return "hello"

    @app.get("/behind")
    async def behind(request: Request) -> str:
        seen.append("GET /behind")
        return "behind"

    @app.post("/echo")
    async def echo(request: Request) -> bytes:
        seen.append("POST /echo")
        return await request.body()

    async with app.serving(0, host="127.0.0.1"):
        address = app.addresses[0]
        assert isinstance(address, tuple)
        yield Server(*address), seen


@pytest.mark.parametrize("case", HEAD_CASES, ids=lambda case: case.name)
async def test_a_head_is_waited_for_served_or_refused(case: HeadCase) -> None:
    async with serving() as (server, seen), opened(server) as wire:
        wire.send(case.sends)
        if case.rest:
            # Whoever connects later is answered, so what was sent has been read: and nothing came.
            async with opened(server) as other:
                other.send(GOOD)
                assert (await other.answer())[0] == 200
            assert not wire.has_input()
            seen.remove("GET /hello")
            wire.send(case.rest)
        status = (await wire.answer())[0]
        while status == 100:
            status = (await wire.answer())[0]
        assert status == case.status, case.rule
        assert len(seen) == (status == 200)
        wire.send(GOOD.replace(b"/hello", b"/behind"))
        if status == 200:
            assert (await wire.answer())[0] == 200
            assert seen[-1] == "GET /behind"
        else:
            assert await wire.is_ended()
            assert seen == []


def test_there_are_as_many_as_the_scorecard_wants() -> None:
    assert len({case.name for case in HEAD_CASES}) == len(HEAD_CASES) == 33
