"""Flow control, over both engines: slow readers, busy handlers, other threads.

The portable engine counts what its host has not taken; the host and the kernel hold some more.
So amounts here are either far below that or far above it.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.contracts.peers import EngineName, Log, RawPeer, connect, eventually, serving
from wynd import (
    Connection,
    ConnectionClosed,
    ConnectionHandle,
    Limits,
    Policy,
    TextMessage,
    Wynd,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

KIB = 1024
CHUNK = "x" * (64 * KIB)
SMALL_OUTBOX = Limits(outbox_bytes_soft=128 * KIB, outbox_bytes_hard=512 * KIB, close_timeout_s=0.2)
HARD_MAX = 512 * KIB + len(CHUNK) + 10  # the message that goes over it may still be on its way
CHUNKS_MAX = 500  # 32 MiB: more than any kernel takes for a peer that does not read


def server(engine: EngineName, limits: Limits = SMALL_OUTBOX) -> tuple[Wynd, Log]:
    """Return a server that joins everybody to "room", and the log of its closes."""
    wynd, closed = Wynd(engine=engine, limits=limits), Log()
    wynd.on_open(lambda handle: handle.join("room"))
    wynd.on_disconnect(lambda event, handle: closed.append((handle.id, event.code)))
    return wynd, closed


async def clog(handle: ConnectionHandle) -> int:
    """Send chunks to a peer that does not read until the outbox holds some; return how many."""
    for count in range(1, CHUNKS_MAX):
        handle.send_text(CHUNK)
        await asyncio.sleep(0)
        if handle.buffered_bytes > 2 * len(CHUNK):
            await asyncio.sleep(0)
            if handle.buffered_bytes > 2 * len(CHUNK):
                return count
    raise AssertionError("everything was taken")


async def test_await_send_waits_while_the_outbox_is_above_its_soft_limit(
    engine: EngineName,
) -> None:
    wynd, _ = server(engine)
    async with serving(wynd) as port, await RawPeer.connect(port) as peer:
        await eventually(lambda: wynd.clients())
        handle = wynd.clients()[0]
        waiting, sent = handle.send_text(CHUNK), 1
        while waiting.done():
            assert sent < CHUNKS_MAX
            await asyncio.sleep(0)
            waiting, sent = handle.send_text(CHUNK), sent + 1
        assert handle.buffered_bytes >= 128 * KIB
        waits = asyncio.ensure_future(_wait(waiting))
        await asyncio.sleep(0)
        assert not waits.done()
        for _ in range(sent):
            assert await peer.receive() == CHUNK
        await waits
        assert handle.buffered_bytes < 64 * KIB
        await handle.send_text("under the limit again")
        assert await peer.receive() == "under the limit again"


async def _wait(sent: Any) -> None:
    await sent


async def test_a_wait_for_a_peer_that_vanishes_raises(engine: EngineName) -> None:
    wynd, closed = server(engine)
    async with serving(wynd) as port:
        peer = await RawPeer.connect(port)
        await eventually(lambda: wynd.clients())
        handle = wynd.clients()[0]
        await clog(handle)
        waiting = asyncio.ensure_future(_wait(handle.send_text(CHUNK)))
        await asyncio.sleep(0)
        peer.reset()
        with pytest.raises(ConnectionClosed):
            await waiting
        assert await closed.length(1) == [(1, 1006)]
        assert handle.buffered_bytes == 0


async def test_direct_sends_close_a_slow_reader_at_the_hard_limit(engine: EngineName) -> None:
    wynd, closed = server(engine)
    async with serving(wynd) as port, await RawPeer.connect(port) as peer, connect(port) as good:
        await eventually(lambda: len(wynd.clients()) == 2)
        slow = wynd.clients()[0]
        most = 0
        for _ in range(CHUNKS_MAX):
            slow.send_text(CHUNK)
            most = max(most, slow.buffered_bytes)
            await asyncio.sleep(0)
            if slow.state.value != "open":
                break
        assert most <= HARD_MAX
        await closed.length(1)
        assert closed[0][0] == slow.id
        assert wynd.statistics().limits_hit["outbox_bytes_hard"] >= 1
        messages, close = await peer.drain()
        assert set(messages) <= {CHUNK}
        assert close is None or (close.code, close.reason) == (1013, "Too slow.")
        wynd.broadcast.text("the others go on")
        assert await good.recv() == "the others go on"


async def test_a_room_closes_a_slow_member_and_nobody_waits(engine: EngineName) -> None:
    wynd, closed = server(engine)
    wynd.room_policy("room", Policy.close(4008, "keep up"))
    async with (
        serving(wynd) as port,
        await RawPeer.connect(port),
        connect(port, max_size=None, max_queue=None) as good,
    ):
        await eventually(lambda: len(wynd.clients()) == 2)
        slow = wynd.clients()[0]
        count = 0
        while slow.state.value == "open":
            assert count < CHUNKS_MAX
            await wynd.to("room").text(CHUNK)
            count += 1
            assert await good.recv() == CHUNK
        await closed.length(1)
        assert closed[0][0] == slow.id
        wynd.to("room").text("still here")
        assert await good.recv() == "still here"
        assert wynd.statistics().rooms == 1


async def publish_until_dropped(wynd: Wynd, **options: Any) -> int:
    """Publish numbered chunks to the room until something was dropped, and some more."""
    for number in range(CHUNKS_MAX):
        wynd.to("room").text(f"{number} {CHUNK}", **options)
        await asyncio.sleep(0)
        if sum(wynd.statistics().messages_dropped.values()) >= 20:
            return number
    raise AssertionError("nothing was dropped")


def numbers(messages: list[str | bytes]) -> list[int]:
    """Return the numbers of numbered chunks."""
    return [int(message.split()[0]) for message in messages if " " in str(message)]


@pytest.fixture
async def clogged(
    engine: EngineName,
) -> AsyncIterator[Any]:
    """Return a function that serves one slow member of "room" under a policy."""
    stack: list[AbstractAsyncContextManager[Any]] = []
    peers: list[RawPeer] = []

    async def start(policy: Policy) -> tuple[Wynd, RawPeer]:
        wynd, _ = server(engine)
        wynd.room_policy("ro*m", policy)
        context = serving(wynd)
        port = await context.__aenter__()
        stack.append(context)
        peers.append(await RawPeer.connect(port))
        await eventually(lambda: wynd.clients())
        return wynd, peers[-1]

    yield start
    for peer in peers:
        peer.leave()
    for context in stack:
        await context.__aexit__(None, None, None)


async def read_to_end(wynd: Wynd, peer: RawPeer) -> list[str | bytes]:
    """Let the peer read everything; the server says "end" and closes."""
    handle = wynd.clients()[0]
    reading = asyncio.ensure_future(peer.drain())
    await eventually(lambda: handle.buffered_bytes < 64 * KIB)
    handle.send_text("end")
    handle.close()
    messages, close = await reading
    peer.leave()
    assert messages[-1] == "end"
    assert close is not None
    assert close.code == 1000
    return messages


async def test_drop_oldest_keeps_the_newest(clogged: Any) -> None:
    wynd, peer = await clogged(Policy.drop_oldest)
    last = await publish_until_dropped(wynd)
    assert set(wynd.statistics().messages_dropped) == {"drop_oldest"}
    received = numbers(await read_to_end(wynd, peer))
    assert received == sorted(received)
    assert received[0] == 0
    assert received[-1] == last
    assert len(received) < last + 1


async def test_drop_newest_keeps_the_oldest(clogged: Any) -> None:
    wynd, peer = await clogged(Policy.drop_newest)
    last = await publish_until_dropped(wynd)
    assert set(wynd.statistics().messages_dropped) == {"drop_newest"}
    received = numbers(await read_to_end(wynd, peer))
    assert received == list(range(len(received)))
    assert received[-1] < last


async def test_latest_keeps_the_newest_of_each_key(clogged: Any) -> None:
    wynd, peer = await clogged(Policy.latest)
    await clog(wynd.clients()[0])
    for number in range(100):
        for key in ("gold", "silver"):
            wynd.to("room").text(f"{key} {number}", key=key)
    await eventually(lambda: wynd.statistics().messages_dropped == {"latest": 198})
    received = await read_to_end(wynd, peer)
    assert [text for text in received if text != CHUNK] == ["gold 99", "silver 99", "end"]


async def test_droppable_messages_go_before_the_member_does(clogged: Any) -> None:
    wynd, peer = await clogged(Policy.close())
    last = await publish_until_dropped(wynd, droppable=True)
    handle = wynd.clients()[0]
    handle.send_text("important")
    received = await read_to_end(wynd, peer)
    assert received[-2:] == ["important", "end"]
    assert len(numbers(received)) < last + 1


async def test_a_busy_handler_pauses_reading_and_nothing_is_lost(engine: EngineName) -> None:
    release = asyncio.Event()
    seen = Log()
    wynd = Wynd(engine=engine)

    @wynd.on_text
    async def text(message: TextMessage) -> None:
        await release.wait()
        seen.append(len(message.data))

    async with serving(wynd) as port, await RawPeer.connect(port) as peer:
        sending = asyncio.ensure_future(_send_many(peer, 400))
        stuck = Log()
        while len(stuck) < 50:  # as long as it moves, it is not paused yet
            before = wynd.statistics().bytes_received
            await asyncio.sleep(0.005)
            stuck.append(before) if before == wynd.statistics().bytes_received else stuck.clear()
        assert not sending.done()
        assert wynd.statistics().messages_received < 200
        release.set()
        await sending
        assert await seen.length(400) == [len(CHUNK)] * 400


async def _send_many(peer: RawPeer, count: int) -> None:
    for _ in range(count):
        await peer.send_text(CHUNK)


async def test_iteration_that_takes_nothing_pauses_reading(engine: EngineName) -> None:
    release = asyncio.Event()
    seen = Log()
    wynd = Wynd(engine=engine)

    @wynd.on_connection
    async def connected(conn: Connection) -> None:
        async for message in conn:
            await release.wait()
            seen.append(message.data)

    async with serving(wynd) as port, connect(port) as client:
        for number in range(300):
            await client.send(str(number))
        await eventually(lambda: wynd.statistics().messages_received >= 1)
        release.set()
        assert await seen.length(300) == [str(number) for number in range(300)]


async def test_threads_may_send_and_their_order_is_kept(engine: EngineName) -> None:
    wynd = Wynd(engine=engine)
    results = Log()

    def work(handle: ConnectionHandle, name: str) -> None:
        handle.join(name)
        for number in range(200):
            handle.send_text(f"{name} direct {number}")
            wynd.to(name).text(f"{name} room {number}")
        handle.leave(name)
        wynd.to(name).text("to nobody")
        results.append(handle.send_text(f"{name} end"))

    async with serving(wynd) as port, connect(port) as client:
        await eventually(lambda: wynd.clients())
        handle = wynd.clients()[0]
        names = ("a", "b", "c")
        threads = [threading.Thread(target=work, args=(handle, name)) for name in names]
        for thread in threads:
            thread.start()
        received = [str(await client.recv()) for _ in range(3 * 401)]
        for thread in threads:
            await asyncio.to_thread(thread.join)
        for name in names:
            expected = [f"{name} {kind} {n}" for n in range(200) for kind in ("direct", "room")]
            mine = [text for text in received if text.startswith(f"{name} ")]
            assert mine == [*expected, f"{name} end"]
        with pytest.raises(RuntimeError, match="outside the event loop's thread"):
            await results[0]


async def test_a_thread_may_close(engine: EngineName) -> None:
    wynd, closed = server(engine)
    async with serving(wynd) as port, connect(port) as client:
        await eventually(lambda: wynd.clients())
        handle = wynd.clients()[0]

        def work() -> None:
            handle.send_text("last")
            handle.close(4002, "from a thread")

        await asyncio.to_thread(work)
        assert await client.recv() == "last"
        await client.wait_closed()
        assert (client.close_code, client.close_reason) == (4002, "from a thread")
        assert await closed.length(1) == [(1, 4002)]


async def test_a_thread_that_floods_a_slow_reader_is_bounded(engine: EngineName) -> None:
    wynd, closed = server(engine)
    async with serving(wynd) as port, await RawPeer.connect(port):
        await eventually(lambda: wynd.clients())
        handle = wynd.clients()[0]
        most = Log()

        def flood() -> None:
            for _ in range(CHUNKS_MAX):
                handle.send_text(CHUNK)
                most.append(handle.buffered_bytes)

        await asyncio.to_thread(flood)
        assert max(most) <= HARD_MAX
        await closed.length(1)


async def test_the_largest_holder_goes_when_the_process_holds_too_much(
    engine: EngineName,
) -> None:
    limits = Limits(
        outbox_bytes_soft=512 * KIB,
        outbox_bytes_hard=64 * 1024 * KIB,
        process_bytes_max=1024 * KIB,
        close_timeout_s=0.2,
    )
    wynd, closed = server(engine, limits)
    async with serving(wynd) as port, await RawPeer.connect(port), connect(port) as good:
        await eventually(lambda: len(wynd.clients()) == 2)
        slow = wynd.clients()[0]
        for _ in range(CHUNKS_MAX):
            slow.send_text(CHUNK)
            await asyncio.sleep(0)
            if slow.state.value != "open":
                break
        await closed.length(1)
        assert closed[0][0] == slow.id
        assert wynd.statistics().limits_hit["process_bytes_max"] >= 1
        wynd.broadcast.text("unharmed")
        assert await good.recv() == "unharmed"
