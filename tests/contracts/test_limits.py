"""Every limit at its number and one past it, over both engines, with what the peer is told.

`TESTED` says for each field of `Limits` which tests hold it; those that need no wire, or a virtual
clock or network, stand beside what they test. Where a limit is the host server's on the portable
engine, docs/reference/limits.md says so and the portable half is left out here.
"""

from __future__ import annotations

import asyncio
import dataclasses
import re
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.conformance.wire import BINARY, CLOSE, CONTINUATION, TEXT, Frame, Server, Wire, frame
from tests.conformance.wire import head as request_head
from tests.conformance.wire import opened as dialled
from tests.contracts.peers import EngineName, Log, RawPeer, eventually, serving
from tools.limits_page import rows
from wynd import ConnectionHandle, Limits, Request, TextMessage, Wynd
from wynd.testing import FakeClock, serve

ROOT = Path(__file__).parents[2]
HERE = "tests/contracts/test_limits.py"
HANDSHAKES = "crates/wynd-engine/tests/handshakes.rs"
OUTBOXES = "crates/wynd-engine/tests/outboxes.rs"
ENDINGS = "crates/wynd-engine/tests/endings.rs"
PEERS = "tests/wynd/engines/test_peers.py"
ROOMS = "tests/contracts/test_rooms.py::test_limits_of_rooms_raise_at_the_call"

# Field of `Limits` → tests on the native engine and on the portable one; () is the host server's.
TESTED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "handshake_timeout_s": (
        (
            f"{HANDSHAKES}::test_the_handshake_deadline_answers_408_503_or_nothing",
            f"{HERE}::test_a_request_that_is_late_is_408_and_silence_ends_without_a_word",
            f"{HERE}::test_an_answer_that_is_late_is_503",
        ),
        (f"{HERE}::test_an_answer_that_is_late_is_503",),
    ),
    "head_bytes_max": ((f"{HERE}::test_a_head_of_the_limit_passes_and_a_byte_more_is_431",), ()),
    "head_fields_max": ((f"{HERE}::test_fields_of_the_limit_pass_and_one_more_is_431",), ()),
    "message_bytes_max": 2
    * ((f"{HERE}::test_a_message_of_the_limit_passes_and_a_byte_more_is_1009",),),
    "message_fragments_max": (
        (f"{HERE}::test_fragments_of_the_limit_pass_and_one_more_is_1008",),
        (),
    ),
    "messages_per_second_max": 2
    * ((f"{HERE}::test_messages_of_a_second_pass_and_one_more_is_1008",),),
    "inbound_messages_max": (
        (
            "crates/wynd-engine/tests/turn.rs"
            "::test_decoding_stops_at_the_inbound_bound_also_while_paused",
            f"{HERE}::test_so_many_messages_wait_for_a_handler_and_no_more",
        ),
        (
            f"{PEERS}::test_a_paused_connection_is_not_pulled_beyond_the_bound",
            f"{HERE}::test_so_many_messages_wait_for_a_handler_and_no_more",
        ),
    ),
    "ping_interval_s": (
        (
            f"{ENDINGS}::test_a_silent_peer_is_pinged_and_found_dead",
            f"{HERE}::test_a_frozen_peer_is_found_within_36_seconds",
        ),
        (),
    ),
    "ping_timeout_s": (
        (
            f"{ENDINGS}::test_a_silent_peer_is_pinged_and_found_dead",
            f"{HERE}::test_a_frozen_peer_is_found_within_36_seconds",
        ),
        (),
    ),
    "close_timeout_s": (
        (f"{ENDINGS}::test_a_peer_that_never_answers_our_close_is_aborted",),
        ("tests/contracts/test_closing.py::test_a_peer_that_ignores_the_close_is_aborted",),
    ),
    "outbox_bytes_soft": 2
    * ((f"{HERE}::test_a_send_is_done_below_the_soft_limit_and_waits_at_it",),),
    "outbox_bytes_hard": (
        (
            f"{OUTBOXES}::test_the_hard_limit_itself_is_no_excess",
            f"{HERE}::test_a_peer_beyond_the_hard_limit_is_told_that_it_is_too_slow",
        ),
        (
            "tests/wynd/engines/test_outbox.py::test_close_overflows",
            f"{HERE}::test_a_peer_beyond_the_hard_limit_is_told_that_it_is_too_slow",
        ),
    ),
    "outbox_stall_s": (
        (f"{OUTBOXES}::test_an_outbox_without_progress_is_aborted",),
        (f"{PEERS}::test_an_outbox_without_progress_is_aborted",),
    ),
    "pong_bytes_max": (
        (
            f"{OUTBOXES}::test_a_pinging_peer_that_never_reads_costs_little_and_is_then_not_read",
            "crates/wynd-engine/src/outbox.rs"
            "::test_pongs_wait_beyond_their_bound_and_again_after_leaving",
        ),
        (),
    ),
    "process_bytes_max": (
        (
            f"{OUTBOXES}::test_the_process_bound_closes_the_largest_holders_and_refuses_upgrades",
            f"{HERE}::test_messages_that_wait_count_for_the_process_and_the_largest_holder_goes",
            "tests/contracts/test_flow.py"
            "::test_the_largest_holder_goes_when_the_process_holds_too_much",
        ),
        (
            "tests/wynd/engines/test_admission.py::test_memory_at_its_limit_refuses",
            f"{PEERS}::test_inbound_queues_count_for_the_process",
            f"{HERE}::test_messages_that_wait_count_for_the_process_and_the_largest_holder_goes",
            "tests/contracts/test_flow.py"
            "::test_the_largest_holder_goes_when_the_process_holds_too_much",
        ),
    ),
    "connections_max": 2
    * ((f"{HERE}::test_connections_up_to_the_limit_are_served_and_one_more_is_503",),),
    "connections_per_address_max": (
        (
            f"{HANDSHAKES}::test_connections_of_one_address_are_bounded_by_429"
            "_and_loopback_is_exempt",
            "tests/wynd/engines/test_native_listeners.py"
            "::test_connections_of_one_address_are_bounded_by_429",
        ),
        ("tests/wynd/engines/test_asgi.py::test_addresses_are_counted_per_64_bits",),
    ),
    "connections_per_second_max": 2
    * ((f"{HERE}::test_connections_up_to_the_limit_are_served_and_one_more_is_503",),),
    "descriptors_reserved": (
        (
            f"{HANDSHAKES}::test_the_head_room_of_descriptors_is_kept",
            "tests/hostile/test_crowds.py"
            "::test_without_descriptors_the_listener_rests_and_the_open_ones_are_served",
        ),
        (),
    ),
    "rooms_per_connection_max": ((ROOMS,), (ROOMS,)),
    "room_name_bytes_max": ((ROOMS,), (ROOMS,)),
    "early_bytes_max": (
        (f"{HERE}::test_early_bytes_of_the_limit_are_kept_and_one_more_is_400",),
        (),
    ),
}


def test_every_limit_has_its_tests() -> None:
    assert list(TESTED) == [field.name for field in dataclasses.fields(Limits)]
    for row in rows():
        native, portable = TESTED[row.name]
        assert native, row.name
        is_the_hosts = "the host server's" in row.portable and "from the complete" not in (
            row.portable
        )
        assert bool(portable) != is_the_hosts, f"{row.name}: {row.portable}"
        for test in (*native, *portable):
            path, _, name = test.partition("::")
            source = (ROOT / path).read_text(encoding="utf-8")
            assert re.search(rf"\b(def|fn) {name}\(", source), test


def echo(engine: EngineName, limits: Limits) -> Wynd:
    """Return a server that echoes, without a keepalive ping amid what a test waits for."""
    wynd = Wynd(engine=engine, limits=dataclasses.replace(limits, ping_interval_s=None))
    wynd.on_text(lambda message, handle: handle.send_text(message.data))
    wynd.on_binary(lambda message, handle: handle.send_binary(message.data))
    return wynd


async def shake_hands(wire: Wire) -> None:
    """Open the WebSocket."""
    wire.send(request_head())
    status, _, _ = await wire.answer()
    assert status == 101


async def refused(port: int) -> tuple[int, bytes, bool]:
    """Ask for an upgrade; return the status, the body, and whether it says when to come back."""
    async with dialled(Server("127.0.0.1", port)) as wire:
        wire.send(request_head())
        status, fields, body = await wire.answer()
        return status, body, int(fields.get(b"retry-after", b"0")) > 0


def head_of(size: int) -> bytes:
    """Return an upgrade request of so many bytes."""
    bare = len(request_head(b"X: "))
    return request_head(b"X: " + b"a" * (size - bare))


# Heads and handshakes


@pytest.mark.usefixtures("native_engine")
async def test_a_head_of_the_limit_passes_and_a_byte_more_is_431() -> None:
    async with serving(echo("native", Limits(head_bytes_max=500))) as port:
        for size, status, body in (
            (500, 101, b""),
            (501, 431, b"The request head is too large.\n"),
        ):
            async with dialled(Server("127.0.0.1", port)) as wire:
                wire.send(head_of(size))
                assert (await wire.answer())[::2] == (status, body)


@pytest.mark.usefixtures("native_engine")
async def test_fields_of_the_limit_pass_and_one_more_is_431() -> None:
    wynd = echo("native", Limits(head_fields_max=8))
    own = request_head().count(b"\r\n") - 2
    async with serving(wynd) as port:
        for count, status in ((8, 101), (9, 431)):
            async with dialled(Server("127.0.0.1", port)) as wire:
                wire.send(request_head(*(b"X: a",) * (count - own)))
                assert (await wire.answer())[0] == status
        assert wynd.statistics().limits_hit == {"head_bytes_max": 1}


@pytest.mark.usefixtures("native_engine")
async def test_a_request_that_is_late_is_408_and_silence_ends_without_a_word() -> None:
    async with serving(echo("native", Limits(handshake_timeout_s=0.1))) as port:
        async with dialled(Server("127.0.0.1", port)) as wire:
            wire.send(request_head()[:20])
            assert (await wire.answer())[::2] == (408, b"The request did not arrive in time.\n")
        async with dialled(Server("127.0.0.1", port)) as wire:
            assert await wire.answer() == (0, {}, b"")


async def test_an_answer_that_is_late_is_503(engine: EngineName) -> None:
    wynd = echo(engine, Limits(handshake_timeout_s=0.1))

    @wynd.on_request
    async def asked(request: Request) -> None:
        await asyncio.Event().wait()

    async with serving(wynd) as port:
        assert await refused(port) == (503, b"The server did not answer in time.\n", True)
        assert wynd.statistics().limits_hit == {"handshake_timeout_s": 1}


@pytest.mark.usefixtures("native_engine")
async def test_early_bytes_of_the_limit_are_kept_and_one_more_is_400() -> None:
    wynd = echo("native", Limits(early_bytes_max=100))
    early = frame(BINARY, b"e" * 94)
    assert len(early) == 100
    answers: list[asyncio.Event] = []

    @wynd.on_request
    async def asked(request: Request) -> None:
        answers.append(asyncio.Event())
        await answers[-1].wait()

    async with serving(wynd) as port:
        async with dialled(Server("127.0.0.1", port)) as wire:
            wire.send(request_head() + early)
            await eventually(lambda: answers)
            answers[0].set()
            assert (await wire.answer())[0] == 101
            assert await wire.frame() == Frame(BINARY, b"e" * 94)
        async with dialled(Server("127.0.0.1", port)) as wire:
            wire.send(request_head() + early + b"\x82")
            assert (await wire.answer())[::2] == (400, b"Too many bytes before the answer.\n")


@pytest.mark.parametrize("limit", ["connections_max", "connections_per_second_max"])
async def test_connections_up_to_the_limit_are_served_and_one_more_is_503(
    engine: EngineName, limit: str
) -> None:
    wynd = echo(engine, Limits(**{limit: 3}))
    async with serving(wynd) as port, AsyncExitStack() as stack:
        there = Server("127.0.0.1", port)
        wires = [await stack.enter_async_context(dialled(there)) for _ in range(3)]
        for wire in wires:
            await shake_hands(wire)
        assert await refused(port) == (503, b"The server is busy.\n", True)
        assert wynd.statistics().limits_hit == {limit: 1}
        for wire in wires:
            wire.send(frame(TEXT, b"unharmed"))
            assert await wire.frame() == Frame(TEXT, b"unharmed")


# Messages


async def closed_with(wire: Wire) -> tuple[int, bytes]:
    """Read on to the close frame; return its code and reason, and answer it."""
    while (found := await wire.frame()) is not None:
        if found.opcode == CLOSE:
            wire.send(frame(CLOSE, found.payload[:2]))
            return int.from_bytes(found.payload[:2], "big"), found.payload[2:]
    raise AssertionError("the connection ended without a close frame")


async def test_a_message_of_the_limit_passes_and_a_byte_more_is_1009(engine: EngineName) -> None:
    wynd = echo(engine, Limits(message_bytes_max=300))
    async with serving(wynd) as port, dialled(Server("127.0.0.1", port)) as wire:
        await shake_hands(wire)
        wire.send(frame(BINARY, b"m" * 300))
        assert await wire.frame() == Frame(BINARY, b"m" * 300)
        wire.send(frame(BINARY, b"m" * 200, fin=False) + frame(CONTINUATION, b"m" * 100))
        assert await wire.frame() == Frame(BINARY, b"m" * 300)
        wire.send(frame(BINARY, b"m" * 200, fin=False) + frame(CONTINUATION, b"m" * 101))
        assert await closed_with(wire) == (1009, b"Message too big.")
        assert wynd.statistics().limits_hit == {"message_bytes_max": 1}


@pytest.mark.usefixtures("native_engine")
async def test_fragments_of_the_limit_pass_and_one_more_is_1008() -> None:
    wynd = echo("native", Limits(message_fragments_max=4))
    begun = frame(TEXT, b"a", fin=False)
    more, last = frame(CONTINUATION, b"b", fin=False), frame(CONTINUATION, b"c")
    async with serving(wynd) as port, dialled(Server("127.0.0.1", port)) as wire:
        await shake_hands(wire)
        wire.send(begun + more * 2 + last)
        assert await wire.frame() == Frame(TEXT, b"abbc")
        wire.send(begun + more * 3 + last)
        assert await closed_with(wire) == (1008, b"Limit exceeded.")
        assert wynd.statistics().limits_hit == {"message_fragments_max": 1}


async def test_messages_of_a_second_pass_and_one_more_is_1008(engine: EngineName) -> None:
    wynd = echo(engine, Limits(messages_per_second_max=3))
    async with serving(wynd) as port, dialled(Server("127.0.0.1", port)) as wire:
        await shake_hands(wire)
        wire.send(frame(TEXT, b"m") * 4)
        for _ in range(3):
            assert await wire.frame() == Frame(TEXT, b"m")
        assert await closed_with(wire) == (1008, b"Limit exceeded.")
        assert wynd.statistics().limits_hit == {"messages_per_second_max": 1}


async def test_so_many_messages_wait_for_a_handler_and_no_more(engine: EngineName) -> None:
    limit = 4
    release = asyncio.Event()
    handled = Log()
    wynd = Wynd(engine=engine, limits=Limits(inbound_messages_max=limit, ping_interval_s=None))

    @wynd.on_text
    async def text(message: TextMessage) -> None:
        await release.wait()
        handled.append(message.data)

    async with serving(wynd) as port, dialled(Server("127.0.0.1", port)) as wire:
        await shake_hands(wire)
        wire.send(b"".join(frame(TEXT, b"%d" % number) for number in range(40)))
        await eventually(lambda: wynd.statistics().messages_received >= limit)
        for _ in range(100):  # turns enough to take everything, if it were taken
            await asyncio.sleep(0)
        # The one that is handled; on the portable engine one more is told before it pauses.
        assert wynd.statistics().messages_received <= limit + 2
        release.set()
        assert await handled.length(40) == [str(number) for number in range(40)]


async def test_messages_that_wait_count_for_the_process_and_the_largest_holder_goes(
    engine: EngineName,
) -> None:
    release = asyncio.Event()
    limits = Limits(process_bytes_max=100_000, ping_interval_s=None)
    wynd = Wynd(engine=engine, limits=limits)

    @wynd.on_text
    async def text(message: TextMessage, handle: ConnectionHandle) -> None:
        await release.wait()
        await handle.send_text("handled")

    async with serving(wynd) as port, AsyncExitStack() as stack:
        wires: list[Wire] = []
        for size in (20_000, 50_000, 40_000):
            wire = await stack.enter_async_context(dialled(Server("127.0.0.1", port)))
            await shake_hands(wire)
            # The first is handled, the other waits.
            wire.send(frame(TEXT, b"m") + frame(TEXT, b"m" * size))
            wires.append(wire)
            if len(wires) < 3:
                await eventually(lambda: wynd.statistics().messages_received == 2 * len(wires))
        assert await closed_with(wires[1]) == (1013, b"Server is busy. retry_after=5")
        assert wynd.statistics().limits_hit == {"process_bytes_max": 1}
        release.set()
        for wire in (wires[0], wires[2]):
            assert [await wire.frame() for _ in range(2)] == [Frame(TEXT, b"handled")] * 2


# Sends


async def test_a_send_is_done_below_the_soft_limit_and_waits_at_it(engine: EngineName) -> None:
    soft = 1000
    seen = Log()
    wynd = Wynd(engine=engine, limits=Limits(outbox_bytes_soft=soft, ping_interval_s=None))

    @wynd.on_open
    def opened(handle: ConnectionHandle) -> None:
        handle.send_binary(bytes(500))
        unsent = handle.buffered_bytes
        below = handle.send_binary(bytes(soft - unsent - 5))  # 4 bytes of header: one is left
        seen.append((handle.buffered_bytes, below.done()))
        at = handle.send_binary(b"")
        seen.append((handle.buffered_bytes, at.done()))

    async with serving(wynd) as port, await RawPeer.connect(port) as peer:
        (below, is_done), (at, is_done_at) = await seen.length(2)
        assert below == soft - 1
        assert is_done
        assert at >= soft
        assert not is_done_at
        assert await peer.receive() == bytes(500)


async def test_a_peer_beyond_the_hard_limit_is_told_that_it_is_too_slow(
    engine: EngineName,
) -> None:
    limits = Limits(outbox_bytes_soft=1 << 16, outbox_bytes_hard=1 << 16)
    wynd = Wynd(engine=engine, limits=limits)
    ended = Log()
    wynd.on_disconnect(lambda event, handle: ended.append(event.sent))
    async with serving(wynd) as port, await RawPeer.connect(port) as peer:
        await eventually(wynd.clients)
        handle = wynd.clients()[0]
        while handle.state.value == "open":
            handle.send_binary(bytes(1 << 14))
            await asyncio.sleep(0)
        _, close = await peer.drain()
        assert close is not None
        assert (close.code, close.reason) == (1013, "Too slow.")
        peer.leave()
        await ended.length(1)
        assert wynd.statistics().limits_hit == {"outbox_bytes_hard": 1}


# Time


@pytest.mark.usefixtures("native_engine")
async def test_a_frozen_peer_is_found_within_36_seconds() -> None:
    clock = FakeClock()
    wynd = Wynd(engine="native")
    ended: list[tuple[int, bool]] = []
    wynd.on_open(lambda handle: handle.join("room"))
    wynd.on_disconnect(lambda event, handle: ended.append((event.code, handle in wynd.clients())))
    async with serve(wynd, clock=clock) as server:
        client = await server.connect()
        await eventually(wynd.clients)
        client.pause_reading()
        elapsed = 0.0
        while not ended:
            clock.advance(0.25)
            elapsed += 0.25
            await asyncio.sleep(0)
            assert elapsed <= 36
        assert elapsed >= Limits().ping_timeout_s
        assert ended == [(1006, False)]
        assert wynd.statistics().rooms == 0
