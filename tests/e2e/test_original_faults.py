"""The faults of the Rust original, each with the test that ours is right, over both engines.

Functional forms: nobody waits for a peer that misbehaves. The latency percentiles run nightly.
`FAULTS` names the test of each fault, here or where it belongs more.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import websockets

from tests.e2e.peers import RawPeer, frame, port_of
from tests.waiting import PATIENCE_S, eventually
from wynd import ConnState, Limits, Request, Wynd

if TYPE_CHECKING:
    from wynd import CloseEvent, Connection, ConnectionHandle


ROOT = Path(__file__).parents[2]
HERE = "tests/e2e/test_original_faults.py"

# What the original does → the tests that ours does not.
FAULTS: dict[str, tuple[str, ...]] = {
    "the handshake is awaited under one lock: a silent peer blocks all newcomers": (
        f"{HERE}::test_silent_peers_delay_nobody",
        f"{HERE}::test_a_slow_on_request_delays_nobody_else",
        "tests/hostile/test_crowds.py::test_five_thousand_handshakes_that_never_end",
    ),
    "a message to an unknown room, or from a stranger, ends the rooms of everybody": (
        f"{HERE}::test_messages_to_unknown_rooms_break_nothing",
    ),
    "a publish awaits each member in turn: a slow one stalls all rooms": (
        f"{HERE}::test_a_member_that_stops_reading_is_dropped_and_delays_nobody",
        "tests/hostile/test_busy_room.py::test_a_slow_member_delays_nobody",
    ),
    "no ping of the server's": (
        "tests/contracts/test_limits.py::test_a_frozen_peer_is_found_within_36_seconds",
        "tests/hostile/test_half_open.py::test_frozen_peers_are_found_and_slow_senders_are_not_cut",
    ),
    "messages of any size up to 64 MiB": (
        f"{HERE}::test_one_byte_over_the_message_limit_is_1009_and_the_limit_passes",
    ),
    "an unlimited write buffer": (
        "tests/hostile/test_crowds.py"
        "::test_a_member_that_does_not_read_is_put_out_and_the_others_miss_nothing",
        "tests/contracts/test_flow.py::test_direct_sends_close_a_slow_reader_at_the_hard_limit",
    ),
    "no drain": (
        "tests/hostile/test_drain.py::test_busy_clients_are_told_and_the_process_ends",
        f"{HERE}::test_a_stop_handles_what_has_arrived_and_tells_every_client",
    ),
    "no check of the Origin, and middleware that cannot refuse by status": (
        "tests/contracts/test_origins.py"
        "::test_a_wrong_origin_is_403_before_the_upgrade_and_nobody_hears_of_it",
        "tests/contracts/test_handshake.py::test_a_response_refuses_the_upgrade",
    ),
    "it listens on all interfaces": (f"{HERE}::test_the_default_listens_on_loopback_only",),
    "the tutorial finds who leaves by the close code, so nobody is told": (
        "tests/e2e/test_tutorial.py::test_chat_tells_once_how_ever_somebody_leaves",
        f"{HERE}::test_every_ending_shows_on_close_exactly_once",
    ),
}


def test_every_fault_has_its_test() -> None:
    assert len(FAULTS) == 10
    for tests in FAULTS.values():
        for test in tests:
            path, _, name = test.partition("::")
            source = (ROOT / path).read_text(encoding="utf-8")
            assert re.search(rf"\bdef {name}\(", source), test


def echo_app(engine: Any, **options: Any) -> Wynd:
    """Return an application that echoes."""
    app = Wynd(engine=engine, **options)
    app.on_text(lambda message, handle: handle.send_text(message.data))
    return app


async def echoes(port: int, count: int = 1) -> None:
    """Connect as a good client, and hear `count` echoes."""
    async with websockets.connect(f"ws://127.0.0.1:{port}", open_timeout=PATIENCE_S) as client:
        for number in range(count):
            await client.send(str(number))
            assert await asyncio.wait_for(client.recv(), PATIENCE_S) == str(number)


async def test_silent_peers_delay_nobody(engine: Any) -> None:
    app = echo_app(engine, limits=Limits(handshake_timeout_s=30))
    async with app.serving(0):
        port = port_of(app)
        silent = [await RawPeer.connect(port) for _ in range(100)]
        begun = [await RawPeer.connect(port) for _ in range(100)]
        for peer in begun:
            await peer.send(b"GET / HTTP/1.1\r\nHost: ")
        await echoes(port)  # long before the handshake deadline of the others
        for peer in (*silent, *begun):
            peer.close()


async def test_a_slow_on_request_delays_nobody_else(engine: Any) -> None:
    app = echo_app(engine)
    asked = asyncio.Event()
    answer = asyncio.Event()

    @app.on_request
    async def decide(request: Request) -> None:
        if request.path == "/slow":
            asked.set()
            await answer.wait()

    async with app.serving(0):
        port = port_of(app)
        slow = asyncio.create_task(_connect(f"ws://127.0.0.1:{port}/slow"))
        await asyncio.wait_for(asked.wait(), PATIENCE_S)
        await echoes(port)
        assert not slow.done()
        answer.set()
        client = await asyncio.wait_for(slow, PATIENCE_S)
        await client.close()


async def _connect(address: str) -> websockets.ClientConnection:
    return await websockets.connect(address)


async def test_messages_to_unknown_rooms_break_nothing(engine: Any) -> None:
    app = Wynd(engine=engine)

    @app.on_text
    async def text(message: Any, handle: ConnectionHandle) -> None:
        for number in range(1000):
            handle.to(f"nobody-{number}").text("lost")
            handle.to("good").text(f"from a stranger {number}")
        await handle.send_text("done")

    @app.on_connection
    def connected(conn: Connection) -> None:
        if conn.request.path == "/member":
            conn.handle.join("good")

    async with app.serving(0):
        base = f"ws://127.0.0.1:{port_of(app)}"
        async with websockets.connect(f"{base}/member", max_queue=None) as member:
            async with websockets.connect(base) as stranger:
                await stranger.send("go")
                assert await asyncio.wait_for(stranger.recv(), PATIENCE_S) == "done"
            for number in range(1000):
                heard = await asyncio.wait_for(member.recv(), PATIENCE_S)
                assert heard == f"from a stranger {number}"
            for number in range(1000):
                app.to("good").text(str(number))
            for number in range(1000):
                assert await asyncio.wait_for(member.recv(), PATIENCE_S) == str(number)


async def test_a_member_that_stops_reading_is_dropped_and_delays_nobody(engine: Any) -> None:
    limits = Limits(outbox_bytes_soft=64 << 10, outbox_bytes_hard=256 << 10, close_timeout_s=0.5)
    app = Wynd(engine=engine, limits=limits)
    gone: list[CloseEvent] = []

    @app.on_connection
    def connected(conn: Connection) -> None:
        conn.handle.join("busy")
        conn.on_close(gone.append)

    async with app.serving(0):
        port = port_of(app)
        slow = await RawPeer.open(port, receive_buffer=4096)
        async with websockets.connect(f"ws://127.0.0.1:{port}", max_queue=None) as good:
            text = "x" * 16_000
            for number in range(2000):
                app.to("busy").text(f"{number} {text}")
                received = await asyncio.wait_for(good.recv(), PATIENCE_S)
                assert received == f"{number} {text}"
                if any(client.state is not ConnState.OPEN for client in app.clients()) or gone:
                    break
            else:
                raise AssertionError("the slow member was never dropped")
            async with asyncio.timeout(PATIENCE_S):
                while not gone:
                    await good.ping()
                    app.to("busy").text("still busy")
                    assert await good.recv() == "still busy"
            assert len(app.clients()) == 1
            assert gone[0].sent in (1013, None)
        slow.close()


async def test_every_ending_shows_on_close_exactly_once(engine: Any) -> None:
    app = Wynd(engine=engine)
    ended: list[int] = []

    @app.on_connection
    def connected(conn: Connection) -> None:
        conn.handle.join("room")

        @conn.on_close
        def closed(event: CloseEvent, handle: ConnectionHandle) -> None:
            assert handle not in app.clients()
            ended.append(handle.id)

    @app.on_text
    async def text(message: Any, handle: ConnectionHandle) -> None:
        await handle.close(4000, "kick")

    async with app.serving(0):
        port = port_of(app)
        peers = [await RawPeer.open(port) for _ in range(4)]
        await eventually(lambda: len(app.clients()) == 4)
        await peers[0].send(frame(8, b"\x03\xe8"))
        peers[1].reset()
        peers[2].close()
        await peers[3].send(frame(1, b"kick me"))
        assert await peers[3].read_frame() == (8, b"\x0f\xa0kick")
        await peers[3].send(frame(8, b"\x0f\xa0"))
        await eventually(lambda: len(ended) == 4)
        peers[0].close()
        peers[3].close()
    assert sorted(ended) == [1, 2, 3, 4]


async def test_one_byte_over_the_message_limit_is_1009_and_the_limit_passes(engine: Any) -> None:
    app = echo_app(engine, limits=Limits(message_bytes_max=1000))
    async with app.serving(0), websockets.connect(f"ws://127.0.0.1:{port_of(app)}") as client:
        await client.send("x" * 1000)
        assert await client.recv() == "x" * 1000
        await client.send("x" * 1001)
        await asyncio.wait_for(client.wait_closed(), PATIENCE_S)
        assert (client.close_code, client.close_reason) == (1009, "Message too big.")


async def test_the_default_listens_on_loopback_only(engine: Any) -> None:
    app = echo_app(engine)
    async with app.serving(0):
        assert {address[0] for address in app.addresses} <= {"127.0.0.1", "::1"}


async def test_a_stop_handles_what_has_arrived_and_tells_every_client(engine: Any) -> None:
    app = echo_app(engine)
    async with app.serving(0):
        base = f"ws://127.0.0.1:{port_of(app)}"
        clients = [await websockets.connect(base) for _ in range(20)]
        for client in clients:
            for number in range(5):
                await client.send(str(number))
        await eventually(lambda: app.statistics().messages_received == 100)
        stopping = asyncio.create_task(app.stop(1012, retry_after=(2, 4)))
        for client in clients:
            heard = [await asyncio.wait_for(client.recv(), PATIENCE_S) for _ in range(5)]
            assert heard == [str(number) for number in range(5)]
            await asyncio.wait_for(client.wait_closed(), PATIENCE_S)
            assert client.close_code == 1012
            assert client.close_reason in {
                f"Server is restarting. retry_after={seconds}" for seconds in (2, 3, 4)
            }
        await asyncio.wait_for(stopping, PATIENCE_S)
        assert app.clients() == []
