"""The native engine by itself: messages, rooms, requests, and what stays behind."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import weakref
from typing import TYPE_CHECKING

import pytest

from tests.conftest import NATIVE_IS_BUILT
from wynd.engines.base import EngineStatistics, Opcode, Policy, Prepared
from wynd.limits import Limits
from wynd.request import Accept, Response

if TYPE_CHECKING or NATIVE_IS_BUILT:
    from tests.wynd.engines.native_kit import (
        DEADLINE_S,
        RecordingSink,
        Serving,
        open_descriptors,
        serving,
        wait_until,
    )

pytestmark = pytest.mark.usefixtures("native_engine")

TEXT, BINARY = Opcode.TEXT, Opcode.BINARY


def echo(served: Serving) -> None:
    """Answer every message with itself."""

    def received(key: int, message: str | bytes) -> None:
        served.engine.send(key, TEXT if isinstance(message, str) else BINARY, message)

    served.sink.hooks["received"] = received


# Messages


async def test_texts_and_binaries_come_back_as_they_were() -> None:
    async with serving() as served:
        echo(served)
        _, peer = await served.open()
        peer.text("", "a", "é€𝄞", "x" * 70_000)
        peer.sock.send(peer.protocol.send_binary(b"\x00\xff"))
        assert await peer.receive(5) == [
            ("text", ""),
            ("text", "a"),
            ("text", "é€𝄞"),
            ("text", "x" * 70_000),
            ("binary", b"\x00\xff"),
        ]


async def test_an_opened_connection_tells_its_request_and_subprotocol() -> None:
    async with serving(subprotocols=("chat", "log")) as served:
        addresses = await served.listen(port=0, host="127.0.0.1")
        peer = await served.connect(addresses[0])
        await peer.open("/a%20b?c=d", subprotocol="log", Cookie="e=f")
        ((_, request, subprotocol),) = await served.sink.wait("opened")
        assert (request.path, request.query, request.cookies) == ("/a b", "c=d", {"e": "f"})
        assert (request.client.host, request.client.port) == peer.sock.getsockname()
        assert (subprotocol, request.secure) == ("log", False)
        assert b"Sec-WebSocket-Protocol: log\r\n" in peer.head


async def test_pings_are_answered_and_pongs_are_told() -> None:
    async with serving() as served:
        key, peer = await served.open()
        peer.sock.send(b"".join(peer.protocol.send_ping(bytes([at])) for at in range(10)))
        assert await peer.receive(10) == [("pong", bytes([at])) for at in range(10)]
        assert served.engine.ping(key, b"are you there") is True
        assert await peer.receive() == [("ping", b"are you there")]
        peer.sock.send(peer.protocol.send_pong(b"yes"))
        assert await served.sink.wait("ponged") == [(key, b"yes")]


async def test_a_prepared_message_is_framed_once() -> None:
    async with serving() as served:
        (first, one), (second, two) = await served.open(), await served.open()
        prepared = Prepared("once")
        served.engine.send(first, TEXT, prepared)
        frame = prepared._frame
        served.engine.send(second, TEXT, prepared)
        assert frame is not None
        assert prepared._frame is frame
        assert len(frame) == 6  # type: ignore[arg-type]
        assert await one.receive() == await two.receive() == [("text", "once")]


async def test_what_is_no_text_is_refused_at_the_call() -> None:
    async with serving() as served:
        key, peer = await served.open()
        with pytest.raises(ValueError, match="surrogate"):
            served.engine.send(key, TEXT, "\ud800")
        with pytest.raises(ValueError, match="UTF-8"):
            served.engine.publish(None, TEXT, b"\xff")
        with pytest.raises(TypeError, match="not int"):
            served.engine.send(key, TEXT, 1)  # type: ignore[arg-type]
        served.engine.send(key, TEXT, "after")
        assert await peer.receive() == [("text", "after")]


async def test_send_returns_the_unsent_bytes() -> None:
    async with serving() as served:
        key, peer = await served.open()
        assert served.engine.send(key, BINARY, b"abc") == 5
        assert served.engine.send(key, BINARY, b"") == 7
        assert served.engine.buffered_bytes(key) == 7
        await peer.receive(2)
        assert served.engine.buffered_bytes(key) == 0


async def test_sends_to_unknown_and_closing_connections_answer_minus_one() -> None:
    async with serving() as served:
        key, peer = await served.open()
        assert served.engine.send(key + 1, TEXT, "x") == -1
        assert served.engine.send(2**64 - 1, TEXT, "x") == -1
        assert served.engine.buffered_bytes(key + 1) == 0
        served.engine.send(key, TEXT, "last")
        served.engine.close(key, 1000, "done")
        served.engine.close(key, 1001, "twice is once")
        assert served.engine.send(key, TEXT, "late") == -1
        assert await peer.receive(2) == [("text", "last"), ("close", 1000, "done")]
        peer.sock.send(peer.protocol.send_close(1000))
        await peer.ended()
        peer.sock.close()
        assert await served.sink.wait("closed") == [(key, 1000, 1000, "")]
        assert served.engine.send(key, TEXT, "later") == -1


async def test_the_peers_close_is_answered_and_told() -> None:
    async with serving() as served:
        key, peer = await served.open()
        peer.sock.send(peer.protocol.send_text("bye") + peer.protocol.send_close(3000, "why"))
        assert await peer.receive() == [("close", 3000, "")]
        assert await served.sink.wait("closing") == [(key, None, 3000)]
        peer.sock.close()
        assert await served.sink.wait("closed") == [(key, 3000, 3000, "why")]
        names = [name for name, *_ in served.sink.calls]
        assert names == ["opened", "received", "closing", "closed"]


async def test_an_abort_ends_the_transport() -> None:
    async with serving() as served:
        key, peer = await served.open()
        served.engine.abort(key)
        await peer.ended()
        ((told, _, received, _),) = await served.sink.wait("closed")
        assert (told, received) == (key, 1006)


# Rooms


async def test_rooms_reach_their_members_only() -> None:
    async with serving() as served:
        opened = [await served.open() for _ in range(3)]
        (first, one), (second, two), (third, three) = opened
        engine = served.engine
        for key in (first, second, second):
            engine.join(key, "tea")
        engine.publish("tea", TEXT, "both")
        engine.publish("tea", TEXT, Prepared("not one"), exclude=first)
        engine.leave(second, "tea")
        engine.leave(third, "tea")
        engine.publish("tea", BINARY, b"one")
        engine.publish("nobody", TEXT, "lost")
        engine.admit(first)
        engine.admit(third)
        engine.publish(None, TEXT, "admitted")
        for key, _ in opened:
            engine.send(key, TEXT, "end")
        assert [event[1] for event in await one.receive(4)] == ["both", b"one", "admitted", "end"]
        assert [event[1] for event in await two.receive(3)] == ["both", "not one", "end"]
        assert [event[1] for event in await three.receive(2)] == ["admitted", "end"]


async def test_a_room_policy_may_be_set_before_the_start_and_after() -> None:
    limits = Limits(outbox_bytes_soft=10_000, outbox_bytes_hard=50_000)
    async with serving(limits) as served:
        served.engine.room_policy("drop.*", Policy.drop_newest)
        key, peer = await served.open()
        served.engine.join(key, "drop.it")
        for _ in range(100):
            served.engine.publish("drop.it", BINARY, bytes(40_000))
            await asyncio.sleep(0)
        await wait_until(lambda: served.engine.statistics().messages_dropped)
        assert set(served.engine.statistics().messages_dropped) == {"drop_newest"}
        assert served.sink.named("closed") == []
        peer.sock.close()


# Requests that are asked about


async def test_a_listener_that_asks_waits_for_the_answer() -> None:
    async with serving() as served:
        peer = served.adopt(7, asks=True)
        peer.ask("/secret")
        ((key, listener, request),) = await served.sink.wait("requested")
        assert (listener, request.path) == (7, "/secret")
        assert served.sink.named("opened") == []
        served.engine.accept(key, Accept({"Set-Cookie": "a=b"}))
        ((opened, same, _),) = await served.sink.wait("opened")
        assert opened == key
        assert same is request
        await peer.wait(lambda: b"\r\n\r\n" in peer.head)
        assert b"set-cookie: a=b" in peer.head.lower()


async def test_a_response_refuses_and_nothing_follows() -> None:
    async with serving() as served:
        peer = served.adopt(asks=True)
        peer.ask()
        ((key, _, _),) = await served.sink.wait("requested")
        served.engine.respond(key, Response("go away", 401, {"X-Why": "none"}))
        await peer.ended()
        assert peer.head.startswith(b"HTTP/1.1 401 ")
        assert b"x-why: none" in peer.head.lower()
        assert peer.head.endswith(b"\r\n\r\ngo away")
        peer.sock.close()
        await wait_until(lambda: served.engine._running().sockets() == 0)
        assert [name for name, *_ in served.sink.calls] == ["requested"]


async def test_a_peer_that_leaves_before_the_answer_is_told() -> None:
    async with serving() as served:
        peer = served.adopt(asks=True)
        peer.ask()
        ((key, _, _),) = await served.sink.wait("requested")
        peer.sock.close()
        assert await served.sink.wait("handshake_lost") == [(key,)]
        served.engine.accept(key, Accept())
        await asyncio.sleep(0)
        assert served.sink.named("opened") == []
        assert served.engine._requests == {}


# Looking, and the end


async def test_statistics_count() -> None:
    async with serving() as served:
        echo(served)
        _, peer = await served.open()
        peer.text("a", "b")
        await peer.receive(2)
        stats = served.engine.statistics()
        assert isinstance(stats, EngineStatistics)
        assert stats.connections_open == 1
        assert (stats.messages_received, stats.messages_sent) == (2, 2)
        assert stats.bytes_sent > 6
        refused = served.adopt()
        refused.sock.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await refused.ended()
        assert served.engine.statistics().handshakes_refused == {426: 1}


async def test_stop_tells_every_connection_and_leaves_no_descriptor() -> None:
    gc.collect()
    before = open_descriptors()
    async with serving() as served:
        await served.listen(port=0)
        keys = [(await served.open())[0] for _ in range(5)]
        await served.engine.stop()
        assert sorted(closed[0] for closed in served.sink.named("closed")) == sorted(keys)
        assert served.engine.send(keys[0], TEXT, "x") == -1
        await served.engine.stop()
    assert open_descriptors() == before


async def test_a_stopped_engine_is_freed() -> None:
    async with serving() as served:
        await served.open()
        gone = weakref.ref(served.engine)
    del served
    gc.collect()
    assert gone() is None


async def test_before_the_start_nothing_runs() -> None:
    from wynd.engines.native import NativeEngine
    from wynd.request import Origins

    engine = NativeEngine(Limits(), Origins.parse("*"), ())
    assert engine.send(0, TEXT, "x") == -1
    assert engine.buffered_bytes(0) == 0
    assert engine.statistics() == EngineStatistics()
    with pytest.raises(RuntimeError, match="not started"):
        engine.join(0, "room")
    await engine.stop()


FORKED = """
import asyncio, os, sys
from tests.wynd.engines.native_kit import serving
from wynd.engines.base import Opcode

async def main():
    async with serving() as served:
        key, peer = await served.open()
        child = os.fork()
        if child == 0:
            calls = [lambda: served.engine.send(key, Opcode.TEXT, "x"), served.engine.turn,
                     served.engine.statistics]
            for call in calls:
                try:
                    call()
                except RuntimeError as error:
                    assert "fork" in str(error), error
                else:
                    os._exit(1)
            del served.engine
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        served.engine.send(key, Opcode.TEXT, "parent")
        assert await peer.receive() == [("text", "parent")]
        print("ok")

asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_of_a_fork_is_refused_and_harms_nobody() -> None:
    run = subprocess.run(
        [sys.executable, "-c", FORKED],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert (run.stdout, run.returncode) == ("ok\n", 0), run.stderr


def test_the_sink_records_what_the_protocol_names() -> None:
    from wynd.engines.base import Sink

    sink: Sink = RecordingSink()
    assert all(hasattr(sink, name) for name in vars(Sink) if not name.startswith("_"))
