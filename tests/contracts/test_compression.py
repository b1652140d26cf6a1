"""permessage-deflate (RFC 7692) over a socket, with `websockets` as the independent client.

On the portable engine `listen` declines the offer; messages come back all the same.
"""

from __future__ import annotations

import logging
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode

from tests.contracts.peers import EngineName, RawPeer, connect, serving
from wynd import BinaryMessage, Compression, ConnectionHandle, Limits, Prepared, TextMessage, Wynd

if TYPE_CHECKING:
    import websockets

pytestmark = pytest.mark.usefixtures("native_engine")

MIB = 1024 * 1024
WORDS = "Was in allen Nachrichten gleich ist, wird nur einmal übertragen. " * 40
MODES = ("shared", "dedicated")
OFFERS: tuple[dict[str, Any], ...] = (
    {},
    {"client_max_window_bits": None},
    {"client_max_window_bits": True, "server_max_window_bits": 9},
    {"client_max_window_bits": 10, "server_max_window_bits": 12},
    {"server_no_context_takeover": True, "client_no_context_takeover": True},
    {"server_no_context_takeover": True, "server_max_window_bits": 10},
)


def echo(engine: EngineName = "native", **options: Any) -> Wynd:
    wynd = Wynd(engine=engine, **options)

    @wynd.on_text
    def text(message: TextMessage, handle: ConnectionHandle) -> None:
        handle.send_text(message.data)

    @wynd.on_binary
    def binary(message: BinaryMessage, handle: ConnectionHandle) -> None:
        handle.send_binary(message.data)

    wynd.on_open(lambda handle: handle.join("room"))
    return wynd


def agreed(client: websockets.ClientConnection) -> str | None:
    """Return what the server answered to the offer."""
    assert client.response is not None
    return client.response.headers.get("Sec-WebSocket-Extensions")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("offer", OFFERS)
async def test_messages_come_back_under_every_offer(mode: str, offer: dict[str, Any]) -> None:
    options = {"client_max_window_bits": True, **offer}
    extensions = [ClientPerMessageDeflateFactory(**options)]
    wynd = echo(compression=mode)
    async with serving(wynd) as port, connect(port, extensions=extensions) as client:
        assert str(agreed(client)).startswith("permessage-deflate")
        for number in range(10):
            for message in (f"{number}{WORDS}", "short", "", WORDS.encode() * 50):
                await client.send(message)
                assert await client.recv() == message
        await client.send([WORDS, "", WORDS])  # fragments
        assert await client.recv() == WORDS * 2
        counted = wynd.statistics()
        assert counted.messages_deflated == 21
        assert counted.bytes_sent < 200_000  # of 1.4 million


async def test_compression_is_off_unless_asked_for(engine: EngineName) -> None:
    async with serving(echo(engine)) as port, connect(port, compression="deflate") as client:
        assert agreed(client) is None
        await client.send(WORDS)
        assert await client.recv() == WORDS


async def test_the_portable_engine_leaves_it_to_the_host(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "wynd")
    wynd = echo("portable", compression="shared")
    async with serving(wynd) as port, connect(port, compression="deflate") as client:
        assert agreed(client) is None
        await client.send(WORDS)
        assert await client.recv() == WORDS
    said = [line for line in caplog.messages if "compression" in line]
    assert said == [
        "portable engine: the host server decides about compression; listen() declines it"
    ]


async def test_the_answer_says_what_holds() -> None:
    dedicated = Compression(mode="dedicated", server_max_window_bits=11, client_max_window_bits=10)
    none = "server_no_context_takeover; client_no_context_takeover"
    for compression, answer in [
        ("shared", f"permessage-deflate; {none}"),
        (dedicated, "permessage-deflate; server_max_window_bits=11; client_max_window_bits=10"),
    ]:
        wynd = echo(compression=compression)
        async with serving(wynd) as port, connect(port, compression="deflate") as client:
            assert agreed(client) == answer


@pytest.mark.parametrize("mode", MODES)
async def test_broadcasts_reach_compressed_and_plain_members_alike(mode: str) -> None:
    wynd = echo(compression=mode)
    async with (
        serving(wynd) as port,
        connect(port, compression="deflate") as first,
        connect(port, compression="deflate") as second,
        connect(port) as plain,
    ):
        for client in (first, second, plain):
            await client.send("here")
            assert await client.recv() == "here"
        big = WORDS * 30
        prepared = Prepared(big)
        for number in range(3):
            wynd.to("room").text(f"{number}{big}")
            wynd.broadcast.text(prepared)
        for client in (first, second, plain):
            for number in range(3):
                assert await client.recv() == f"{number}{big}"
                assert await client.recv() == big
        # Shared: three texts once each and the prepared one once, for both members.
        expected = {"shared": 4, "dedicated": 12}[mode]
        assert wynd.statistics().messages_deflated == expected


def wire(frame: Frame) -> bytes:
    """Return a masked frame with the reserved bits it names, whatever the rules say."""
    data = replace(frame, rsv1=False, rsv2=False).serialize(mask=True)
    return bytes([data[0] | frame.rsv1 << 6 | frame.rsv2 << 5]) + data[1:]


async def refused(port: int, *frames: Frame, deflates: bool = True) -> int | None:
    """Send frames as they are; return the code of the close frame that answers."""
    async with await RawPeer.connect(port, deflates=deflates) as peer:
        for frame in frames:
            await peer.send_bytes(wire(frame))
        _, close = await peer.drain()
        return close.code if close else None


def deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


@pytest.mark.parametrize("mode", MODES)
async def test_frames_against_the_rules_get_their_code(mode: str) -> None:
    payload = deflated(WORDS.encode())
    cases = [
        (1002, [Frame(Opcode.PING, b"", rsv1=True)]),
        (1002, [Frame(Opcode.CLOSE, b"", rsv1=True)]),
        (1002, [Frame(Opcode.CONT, b"", rsv1=True)]),
        (
            1002,
            [
                Frame(Opcode.TEXT, payload[:9], fin=False, rsv1=True),
                Frame(Opcode.CONT, payload[9:], rsv1=True),
            ],
        ),
        (1002, [Frame(Opcode.TEXT, payload, rsv1=True, rsv2=True)]),
        (1007, [Frame(Opcode.BINARY, b"\xff" * 100, rsv1=True)]),
        (1007, [Frame(Opcode.TEXT, deflated(b"\xff" * 5000), rsv1=True)]),
        (1009, [Frame(Opcode.BINARY, deflated(bytes(64 * MIB)), rsv1=True)]),
        (1009, [Frame(Opcode.BINARY, deflated(bytes(MIB + 1)), rsv1=True)]),
    ]
    async with serving(echo(compression=mode)) as port:
        for code, frames in cases:
            assert await refused(port, *frames) == code, frames


async def test_rsv1_without_agreement_is_1002(engine: EngineName) -> None:
    frame = Frame(Opcode.TEXT, deflated(b"hello"), rsv1=True)
    async with serving(echo(engine)) as port:
        assert await refused(port, frame, deflates=False) == 1002
    if engine == "native":  # the client offers; the server has it off
        async with serving(echo(engine)) as port:
            assert await refused(port, frame) == 1002


async def test_the_limit_counts_inflated_bytes() -> None:
    limits = Limits(message_bytes_max=10_000)
    wynd = echo(compression="shared", limits=limits)
    async with serving(wynd) as port, await RawPeer.connect(port, deflates=True) as peer:
        for size in (10_000, 10_001):
            frame = Frame(Opcode.BINARY, deflated(bytes(size)), rsv1=True)
            await peer.send_bytes(wire(frame))
        messages, close = await peer.drain()
    assert messages == [bytes(10_000)]
    assert close is not None
    assert (close.code, close.reason) == (1009, "Message too big.")
