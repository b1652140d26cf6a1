"""What a server sends by itself: closes, pings, and messages under pressure, byte by byte.

The half of the gap pack that an echo cannot show: cancelled sends, peers that do not read, pings
and closes that the server starts. Over both engines; the portable one has no pings of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance.wire import CLOSE, PING, PONG, TEXT, Frame, Server, Wire, frame, head, opened
from tests.contracts.peers import EngineName, eventually, serving
from tests.waiting import eventually as within
from wynd import ConnectionClosed, Limits, Wynd

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wynd import ConnectionHandle

QUIET = Limits(ping_interval_s=None, outbox_bytes_hard=64 << 20)
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate"
LARGE = "large " * 50_000


@contextlib.asynccontextmanager
async def connected(
    engine: EngineName, *fields: bytes, **options: Any
) -> AsyncIterator[tuple[ConnectionHandle, Wire]]:
    """Open a WebSocket; give both of its ends."""
    wynd = Wynd(engine=engine, **{"limits": QUIET, **options})
    async with serving(wynd) as port, opened(Server("127.0.0.1", port)) as wire:
        wire.send(head(*fields))
        assert (await wire.answer())[0] == 101
        await eventually(wynd.clients)
        yield wynd.clients()[0], wire


async def cancelled_at_random(handle: ConnectionHandle, texts: list[str]) -> int:
    """Send all, and cancel every other wait for it; return how many waits were cancelled."""
    rng = random.Random(7692)
    cancelled = 0

    async def send(text: str) -> None:
        await handle.send_text(text)

    for text in texts:
        sending = asyncio.ensure_future(send(text))
        for _ in range(rng.randrange(3)):
            await asyncio.sleep(0)
        if rng.randrange(2) and not sending.done():
            sending.cancel()
            cancelled += 1
        with contextlib.suppress(asyncio.CancelledError, TimeoutError):
            async with asyncio.timeout(rng.choice((0, 0.002))):
                await sending
    return cancelled


@pytest.mark.parametrize("compression", ["off", "shared", "dedicated"])
async def test_cancelled_sends_leave_the_stream_whole(engine: EngineName, compression: Any) -> None:
    rng = random.Random(1)
    texts = [f"{number} {'word ' * rng.randrange(8_000)}" for number in range(150)]
    limits = Limits(ping_interval_s=None, outbox_bytes_soft=16 << 10, outbox_bytes_hard=64 << 20)
    options = {"compression": compression, "limits": limits}
    async with connected(engine, DEFLATE, **options) as (handle, wire):
        sending = asyncio.ensure_future(cancelled_at_random(handle, texts))
        # A text of which the task was cancelled before its first step was never sent.
        inflate, heard = zlib.decompressobj(wbits=-15), list[str]()
        while not sending.done() or handle.buffered_bytes:
            with contextlib.suppress(TimeoutError):
                heard.append(await _text(wire, inflate, patience_s=0.2))
        handle.close()
        while (found := await wire.frame()) is not None and found.opcode != CLOSE:
            heard.append(_inflated(found, inflate))
        assert await sending > 0
        numbers = [int(text.split()[0]) for text in heard]
        assert numbers == sorted(set(numbers))
        assert heard == [texts[number] for number in numbers]
        assert len(heard) > len(texts) / 3


async def _text(wire: Wire, inflate: Any, *, patience_s: float) -> str:
    await within(wire.has_input, patience_s)
    found = await wire.frame()
    assert found is not None
    return _inflated(found, inflate)


def _inflated(found: Frame, inflate: Any) -> str:
    assert found.opcode == TEXT
    assert found.rsv in (0, 4)
    if not found.rsv:
        return found.payload.decode()
    data: bytes = inflate.decompress(found.payload + b"\x00\x00\xff\xff")
    return data.decode()


async def test_a_peer_that_reads_late_gets_everything_in_order(engine: EngineName) -> None:
    async with connected(engine) as (handle, wire):
        for number in range(40):
            handle.send_text(f"{number} {LARGE}")
        await eventually(lambda: handle.buffered_bytes > len(LARGE))
        for number in range(40):
            assert await wire.frame() == Frame(TEXT, f"{number} {LARGE}".encode())


async def test_a_close_waits_behind_what_was_sent(engine: EngineName) -> None:
    async with connected(engine) as (handle, wire):
        handle.send_text(LARGE)
        handle.close(4000, "the end")
        assert await wire.frame() == Frame(TEXT, LARGE.encode())
        assert await wire.frame() == Frame(CLOSE, b"\x0f\xa0the end")
        wire.send(frame(CLOSE, b"\x0f\xa0"))
        assert await wire.is_ended()


async def test_a_close_of_the_servers_is_one_frame_and_what_follows_is_not_read(
    engine: EngineName,
) -> None:
    async with connected(engine) as (handle, wire):
        handle.close(1001, "bye")
        assert await wire.frame() == Frame(CLOSE, b"\x03\xe9bye")
        wire.send(frame(TEXT, b"late") + frame(PING, b"late"))
        wire.send(frame(CLOSE, b"\x03\xe9"))
        assert await wire.is_ended()


async def test_closes_that_cross_are_one_of_each(engine: EngineName) -> None:
    async with connected(engine) as (handle, wire):
        wire.send(frame(CLOSE, b"\x0f\xa1theirs"))
        handle.close(4000, "ours")
        closes = []
        while (found := await wire.frame()) is not None:
            closes.append(found.payload[:2])
        assert closes in ([b"\x0f\xa0"], [b"\x0f\xa1"])


@pytest.mark.usefixtures("native_engine")
async def test_a_ping_of_the_servers_takes_its_own_pong_and_no_other() -> None:
    async with connected("native") as (handle, wire):
        measured = handle.ping()
        ping = await wire.frame()
        assert ping is not None
        assert ping.opcode == PING
        wire.send(frame(PONG, b"another") + frame(PONG))
        wire.send(frame(TEXT, b"in between"))
        await asyncio.sleep(0)
        assert not measured.done()
        wire.send(frame(PONG, ping.payload))
        assert 0 <= await measured < 10


@pytest.mark.usefixtures("native_engine")
async def test_a_ping_fails_with_its_connection() -> None:
    async with connected("native") as (handle, wire):
        measured = handle.ping()
        ping = await wire.frame()
        assert ping is not None
        wire.abort()
        async with asyncio.timeout(10):
            with pytest.raises(ConnectionClosed):
                await measured
