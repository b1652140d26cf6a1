"""What a handle sends, and what its awaitables say, over an engine that only records."""

from __future__ import annotations

import asyncio
import pickle
import threading
from typing import Any

import pytest

from tests.wynd.recording import RecordingEngine, request
from wynd.engines.base import Opcode, Prepared
from wynd.errors import ConnectionClosed, LimitExceeded
from wynd.events import ConnState
from wynd.handle import ConnectionHandle
from wynd.limits import Limits
from wynd.registry import Registry
from wynd.testing import FakeClock

LIMITS = Limits(
    outbox_bytes_soft=100, outbox_bytes_hard=200, rooms_per_connection_max=2, room_name_bytes_max=8
)


class Peer:
    """An open handle and what is around it."""

    def __init__(self) -> None:
        self.engine = RecordingEngine(LIMITS)
        self.clock = FakeClock()
        loop = asyncio.get_running_loop()
        self.registry = Registry(self.engine, LIMITS, loop, self.clock)
        self.handle = ConnectionHandle(self.registry, 7, 1, request("/x"), "chat")
        self.handle._note_open()


@pytest.fixture
async def peer() -> Peer:
    """An open connection."""
    return Peer()


async def test_sends_act_at_once_without_being_awaited(peer: Peer) -> None:
    peer.handle.send_text("")
    peer.handle.send_binary(bytearray(b"ab"))
    assert peer.engine.named("send") == [(7, Opcode.TEXT, ""), (7, Opcode.BINARY, b"ab")]


@pytest.mark.parametrize("wrong", [b"bytes", None, 1, Prepared(b"x")])
async def test_text_of_the_wrong_type_is_refused_at_the_call(peer: Peer, wrong: Any) -> None:
    with pytest.raises(TypeError):
        peer.handle.send_text(wrong)
    with pytest.raises(TypeError):
        peer.handle.broadcast.text(wrong)
    assert peer.engine.calls == []


@pytest.mark.parametrize("wrong", ["text", None, 1, Prepared("x")])
async def test_binary_of_the_wrong_type_is_refused_at_the_call(peer: Peer, wrong: Any) -> None:
    with pytest.raises(TypeError):
        peer.handle.send_binary(wrong)
    with pytest.raises(TypeError):
        peer.handle.to("room").emit_binary(wrong)


async def test_below_the_soft_limit_awaiting_does_not_wait(peer: Peer) -> None:
    peer.engine.unsent = 99
    sent = peer.handle.send_text("x")
    assert sent.done()
    await sent
    await asyncio.gather(sent, sent)


async def test_at_the_soft_limit_awaiting_waits_for_drained(peer: Peer) -> None:
    peer.engine.unsent = 100
    first, second = peer.handle.send_text("x"), peer.handle.send_text("y")
    assert not first.done()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(first, 0.001)  # cancelling a wait withdraws nothing
    waiting = asyncio.gather(first, second)
    await asyncio.sleep(0)
    peer.handle._note_drained()
    await waiting
    peer.engine.unsent = 10
    assert peer.handle.send_text("z").done()


async def test_a_close_fails_what_waits_for_the_outbox(peer: Peer) -> None:
    peer.engine.unsent = 100
    sent = peer.handle.send_text("x")
    peer.handle._note_closed(None, 1006)
    with pytest.raises(ConnectionClosed) as caught:
        await sent
    assert (caught.value.sent, caught.value.received) == (None, 1006)


async def test_sending_on_a_closed_connection_fails_when_awaited_only(peer: Peer) -> None:
    peer.handle._note_closed(1000, 1000)
    sent = peer.handle.send_text("x")
    with pytest.raises(ConnectionClosed):
        await sent
    with pytest.raises(ConnectionClosed):
        await peer.handle.ping()
    with pytest.raises(ConnectionClosed):
        await peer.handle.join("room")
    assert peer.registry.sends_failed == 3
    await peer.handle.close()  # closing what is closed is no error
    await peer.handle.leave("room")


async def test_the_engine_may_refuse_a_send_the_mirror_allowed(peer: Peer) -> None:
    peer.engine.unsent = -1
    with pytest.raises(ConnectionClosed):
        await peer.handle.send_text("x")


async def test_a_sent_is_no_coroutine(peer: Peer) -> None:
    with pytest.raises(TypeError):
        asyncio.get_running_loop().create_task(peer.handle.send_text("x"))  # type: ignore[arg-type]


async def test_sends_from_another_thread_act_and_cannot_be_awaited(peer: Peer) -> None:
    results: list[Any] = []

    def elsewhere() -> None:
        results.append(peer.handle.send_text("x"))
        results.append(peer.handle.to("room").text("y"))
        results.append(peer.handle.join("room"))
        results.append(peer.handle.close())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert [call[0] for call in peer.engine.calls] == ["send", "publish", "join", "close"]
    for sent in results:
        with pytest.raises(RuntimeError, match="thread"):
            await sent


async def test_close_waits_for_the_end_and_refuses_bad_codes(peer: Peer) -> None:
    for code in (999, 1004, 1005, 1006, 1015, 2999, 5000):
        with pytest.raises(ValueError, match="cannot be sent"):
            peer.handle.close(code)
    with pytest.raises(ValueError, match="123"):
        peer.handle.close(1000, "x" * 124)
    sent = peer.handle.close(4000, "bye")
    assert peer.handle.state is ConnState.CLOSING
    assert not sent.done()
    with pytest.raises(ConnectionClosed):
        await peer.handle.send_text("late")
    peer.handle._note_closed(4000, 4000)
    await sent
    assert peer.engine.named("close") == [(7, 4000, "bye")]


async def test_rooms_are_mirrored_and_bounded(peer: Peer) -> None:
    peer.handle.join("a")
    peer.handle.join("a")
    peer.handle.join("b")
    assert peer.handle.joined_rooms == {"a", "b"}
    assert peer.engine.named("join") == [(7, "a"), (7, "b")]
    with pytest.raises(LimitExceeded, match="rooms_per_connection_max"):
        peer.handle.join("c")
    with pytest.raises(LimitExceeded, match="room_name_bytes_max"):
        peer.handle.join("ninebytes")
    with pytest.raises(LimitExceeded, match="room_name_bytes_max"):
        peer.handle.to("äääää")
    with pytest.raises(TypeError):
        peer.handle.join(3)  # type: ignore[arg-type]
    peer.handle.leave("z")
    peer.handle.leave_all_rooms()
    assert peer.handle.joined_rooms == frozenset()
    assert sorted(peer.engine.named("leave")) == [(7, "a"), (7, "b")]


async def test_joined_rooms_stay_readable_after_the_close(peer: Peer) -> None:
    peer.handle.join("a")
    peer.handle.data["name"] = "alice"
    peer.handle._note_closed(None, 1006)
    assert peer.handle.joined_rooms == {"a"}
    assert peer.handle.data == {"name": "alice"}
    assert peer.registry.clients() == []


async def test_publishing_leaves_out_or_includes_the_sender(peer: Peer) -> None:
    peer.handle.to("r").text("t", key="k", droppable=True)
    peer.handle.to("r").emit_text("t")
    peer.handle.broadcast.binary(b"b")
    peer.handle.broadcast.emit_binary(b"b")
    assert peer.engine.named("publish") == [
        ("r", Opcode.TEXT, "t", 7, "k", True),
        ("r", Opcode.TEXT, "t", None, None, False),
        (None, Opcode.BINARY, b"b", 7, None, False),
        (None, Opcode.BINARY, b"b", None, None, False),
    ]


async def test_ping_gives_the_round_trip_or_times_out(peer: Peer) -> None:
    first = peer.handle.ping()
    ((_, payload),) = peer.engine.named("ping")
    peer.clock.advance(0.25)
    peer.handle._note_pong(b"unsolicited")
    peer.handle._note_pong(payload)
    assert await first == 0.25
    second = peer.handle.ping()
    peer.clock.advance(LIMITS.ping_timeout_s)
    with pytest.raises(TimeoutError):
        await second
    third = peer.handle.ping()
    peer.handle._note_closed(None, 1006)
    with pytest.raises(ConnectionClosed):
        await third


async def test_a_handle_tells_what_it_is_and_cannot_be_pickled(peer: Peer) -> None:
    assert (peer.handle.id, peer.handle.subprotocol, peer.handle.request.path) == (1, "chat", "/x")
    assert str(peer.handle.addr) == "127.0.0.1:50000"
    assert repr(peer.handle) == "<ConnectionHandle 1 open>"
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(peer.handle)
