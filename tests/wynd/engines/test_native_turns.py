"""Turns of the native engine: what one takes, what ends it, and what happens between two."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import NATIVE_IS_BUILT
from wynd.engines.base import Opcode
from wynd.limits import Limits

if TYPE_CHECKING or NATIVE_IS_BUILT:
    from tests.wynd.engines.native_kit import (
        DEADLINE_S,
        serving,
    )

pytestmark = pytest.mark.usefixtures("native_engine")

TEXT, BINARY = Opcode.TEXT, Opcode.BINARY


class Clock:
    """Time that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


# The turn


async def test_input_that_waits_in_user_space_gets_further_turns() -> None:
    limits = Limits(inbound_messages_max=4)
    async with serving(limits) as served:
        _, peer = await served.open()
        peer.text(*[str(at) for at in range(40)])
        served.engine.turn()
        assert len(served.sink.named("received")) == 4
        received = await served.sink.wait("received", 40)
        assert [message for _, message in received] == [str(at) for at in range(40)]


async def test_an_interrupt_in_a_handler_loses_no_other_event() -> None:
    async with serving() as served:
        key, peer = await served.open()

        def interrupt(_: int, message: str | bytes) -> None:
            served.engine.send(key, TEXT, message)
            if message == "1":
                raise KeyboardInterrupt

        served.sink.hooks["received"] = interrupt
        peer.text("0", "1", "2", "3")
        with pytest.raises(KeyboardInterrupt):
            served.engine.turn()
        assert [message for _, message in served.sink.named("received")] == ["0", "1"]
        received = await served.sink.wait("received", 4)
        assert [message for _, message in received] == ["0", "1", "2", "3"]
        assert await peer.receive(4) == [("text", str(at)) for at in range(4)]


async def test_replies_leave_between_slices_of_handlers() -> None:
    clock = Clock()
    async with serving(clock=clock) as served:
        (first, one), (_, two) = await served.open(), await served.open()
        seen: list[list[tuple[Any, ...]]] = []

        def slow(key: int, message: str | bytes) -> None:
            peer = one if key == first else two
            while peer.look():
                pass
            seen.append(list(peer.events))
            served.engine.send(key, TEXT, message)
            clock.now += 0.002

        served.sink.hooks["received"] = slow
        one.text("a", "b")
        served.engine.turn()
        assert seen == [[], [("text", "a")]]


async def test_a_turn_ends_after_five_milliseconds_of_handlers() -> None:
    clock = Clock()
    async with serving(clock=clock) as served:
        _, peer = await served.open()

        def slow(_key: int, _message: str | bytes) -> None:
            clock.now += 0.003

        served.sink.hooks["received"] = slow
        peer.text(*"abcdef")
        served.engine.turn()
        assert len(served.sink.named("received")) == 2
        await served.sink.wait("received", 6)


async def test_quick_handlers_share_a_turn() -> None:
    async with serving(Limits(inbound_messages_max=64)) as served:
        _, peer = await served.open()
        peer.text(*["x"] * 50)
        served.engine.turn()
        assert len(served.sink.named("received")) >= 40  # a busy machine may end a slice earlier


async def test_a_paused_connection_is_not_read() -> None:
    async with serving() as served:
        key, peer = await served.open()
        (_, other) = await served.open()
        served.engine.pause_reading(key)
        peer.text("waits")
        other.text("passes")
        assert [message for _, message in await served.sink.wait("received")] == ["passes"]
        served.engine.resume_reading(key)
        assert served.sink.named("received")[1:] == []
        received = await served.sink.wait("received", 2)
        assert received[1] == (key, "waits")


async def test_pausing_in_a_handler_stops_after_the_inbound_bound() -> None:
    async with serving(Limits(inbound_messages_max=2)) as served:
        key, peer = await served.open()
        served.sink.hooks["received"] = lambda key, _: served.engine.pause_reading(key)
        peer.text(*"abcdef")
        await served.sink.wait("received", 1)
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(served.sink.named("received")) <= 2
        served.sink.hooks.clear()
        served.engine.resume_reading(key)
        received = await served.sink.wait("received", 6)
        assert "".join(str(message) for _, message in received) == "abcdef"


# Outside the turn


async def test_commands_outside_a_turn_are_flushed_together() -> None:
    async with serving() as served:
        key, peer = await served.open()
        served.engine.send(key, TEXT, "0")
        first = served.engine._soon
        assert first is not None
        for at in range(1, 100):
            served.engine.send(key, TEXT, str(at))
        assert served.engine._soon is first
        assert await peer.receive(100) == [("text", str(at)) for at in range(100)]
        assert served.engine.buffered_bytes(key) == 0


async def test_a_send_from_a_thread_wakes_the_loop() -> None:
    async with serving() as served:
        key, peer = await served.open()
        answers: list[int] = []

        def work() -> None:
            answers.extend(served.engine.send(key, TEXT, str(at)) for at in range(50))

        thread = threading.Thread(target=work)
        thread.start()
        received = await peer.receive(50)
        thread.join(DEADLINE_S)
        assert received == [("text", str(at)) for at in range(50)]
        assert all(answer > 0 for answer in answers)


async def test_threads_and_the_loop_may_send_at_once() -> None:
    async with serving() as served:
        key, peer = await served.open()

        def work(name: str) -> None:
            for at in range(200):
                served.engine.send(key, TEXT, f"{name}{at}")

        threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        for at in range(200):
            served.engine.send(key, TEXT, f"c{at}")
            if at % 10 == 0:
                await asyncio.sleep(0)
        texts = [event[1] for event in await peer.receive(600)]
        for thread in threads:
            thread.join(DEADLINE_S)
        for name in "abc":
            own = [text for text in texts if text[0] == name]
            assert own == [f"{name}{at}" for at in range(200)]


async def test_a_loop_of_sends_meets_the_socket_before_a_limit() -> None:
    limits = Limits(outbox_bytes_soft=500_000, outbox_bytes_hard=600_000)
    async with serving(limits) as served:
        key, peer = await served.open()
        for _ in range(700):  # more than the limit; a part leaves inside this loop
            assert served.engine.send(key, BINARY, bytes(1_000)) >= 0
        assert len(await peer.receive(700)) == 700
        assert served.sink.named("closed") == []


async def test_a_send_that_closes_the_connection_says_so() -> None:
    limits = Limits(outbox_bytes_soft=100_000, outbox_bytes_hard=600_000, close_timeout_s=0.05)
    async with serving(limits) as served:
        key, _ = await served.open()
        answers = [served.engine.send(key, BINARY, bytes(100_000)) for _ in range(20)]
        assert answers[0] == 100_010
        assert answers[-1] == -1
        ((closed, sent, _, _),) = await served.sink.wait("closed")
        assert (closed, sent) == (key, 1013)


async def test_a_thread_is_bounded_while_the_loop_is_blocked() -> None:
    limits = Limits(outbox_bytes_soft=100_000, outbox_bytes_hard=600_000, close_timeout_s=0.05)
    async with serving(limits) as served:
        key, _ = await served.open()
        seen: list[tuple[int, int]] = []

        def flood() -> None:
            for _ in range(12):
                answer = served.engine.send(key, BINARY, bytes(100_000))
                seen.append((answer, served.engine.buffered_bytes(key)))

        thread = threading.Thread(target=flood)
        thread.start()
        thread.join(DEADLINE_S)  # a blocked loop: nothing is applied meanwhile
        assert seen[-1][0] == -1
        assert max(unsent for _, unsent in seen) <= 600_000 + 100_010
        ((closed, sent, _, _),) = await served.sink.wait("closed")
        assert (closed, sent) == (key, 1013)


async def test_commands_after_the_stop_are_forgotten() -> None:
    async with serving() as served:
        key, _ = await served.open()
        await served.engine.stop()
        served.engine.publish("room", BINARY, bytes(300_000))
        served.engine.join(key, "room")
        served.engine.close(key, 1000, "")
        assert served.engine._running().flush() is False


async def test_a_full_outbox_tells_when_it_has_drained() -> None:
    limits = Limits(outbox_bytes_soft=100_000, outbox_bytes_hard=10_000_000)
    async with serving(limits) as served:
        key, peer = await served.open()
        for _ in range(20):
            served.engine.send(key, BINARY, bytes(100_000))
        await asyncio.sleep(0)
        assert served.engine.buffered_bytes(key) > limits.outbox_bytes_soft
        await peer.receive(20)
        assert await served.sink.wait("drained") == [(key,)]


# Deadlines


async def test_a_silent_peer_is_closed_at_the_handshake_deadline() -> None:
    clock = Clock()
    async with serving(clock=clock) as served:
        silent = served.adopt()
        clock.now += 4.9
        served.engine.turn()
        silent.look()
        assert not silent.is_ended
        clock.now += 0.2
        served.engine.turn()
        await silent.ended()
        assert served.sink.calls == []


async def test_the_loop_is_woken_at_the_next_deadline() -> None:
    async with serving(Limits(handshake_timeout_s=0.05)) as served:
        await served.adopt().ended()


async def test_a_handler_that_blocks_kills_no_connection() -> None:
    clock = Clock()
    async with serving(clock=clock) as served:
        _, peer = await served.open()
        clock.now += 30.0  # past the first keepalive ping
        served.engine.turn()
        assert (await peer.receive())[0][0] == "ping"
        clock.now += 60.0  # a handler blocked; meanwhile the peer has answered
        peer.text("alive")
        served.engine.turn()
        assert await served.sink.wait("received")
        await asyncio.sleep(0)
        assert served.sink.named("closed") == []
