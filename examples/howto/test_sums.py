"""Tests of `sums.py`: no port, no network, no sleeping."""

import asyncio

import pytest

from examples.howto.sums import wynd
from wynd import ConnectionClosed
from wynd.testing import serve


def test_adds_up_what_each_client_sends() -> None:
    async def scenario() -> None:
        async with serve(wynd) as server:
            first = await server.connect()
            second = await server.connect()
            await first.send_text("20")
            await second.send_text("1")
            await first.send_text("22")
            assert await first.receive_text() == "Sum: 20"
            assert await first.receive_text() == "Sum: 42"
            assert await second.receive_text() == "Sum: 1"

    asyncio.run(scenario())


def test_closes_on_what_is_no_number() -> None:
    async def scenario() -> None:
        async with serve(wynd) as server:
            client = await server.connect()
            await client.send_text("many")
            assert await client.wait_closed() == (4000, "Numbers only.")
            with pytest.raises(ConnectionClosed):
                await client.send_text("1")

    asyncio.run(scenario())
