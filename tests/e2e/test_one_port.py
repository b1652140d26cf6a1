"""One port, one process, over TLS: WebSockets and HTTP at once, nothing lost, a stop in order."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.certificates import Authority
from tests.conftest import NATIVE_IS_BUILT

if TYPE_CHECKING:
    import ssl

SERVER = Path(__file__).with_name("one_port_server.py")
DEADLINE_S = 60.0
ROUNDS = 10
OPENING = 50  # handshakes at a time

pytestmark = pytest.mark.skipif(not NATIVE_IS_BUILT, reason="the native module is not built")


class HttpClient:
    """A keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def ask(self, head: bytes, body: bytes = b"") -> None:
        """Send a request."""
        self._writer.write(b"%b HTTP/1.1\r\nHost: a\r\n" % head)
        self._writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    async def answer(self) -> bytes:
        """Return the body of the next answer, which is a 200."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        assert head.startswith(b"http/1.1 200 "), head
        length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return await self._reader.readexactly(int(length))

    async def ends(self) -> None:
        """Expect the end of the connection, with nothing before it."""
        assert await self._reader.read() == b""
        self._writer.close()


async def open_websockets(port: int, context: ssl.SSLContext, count: int) -> list[ClientConnection]:
    sockets: list[ClientConnection] = []
    while len(sockets) < count:
        number = min(OPENING, count - len(sockets))
        uri = f"wss://127.0.0.1:{port}/ws"
        opening = (connect(uri, ssl=context, proxy=None, ping_interval=None) for _ in range(number))
        sockets += await asyncio.gather(*opening)
    return sockets


async def talk(socket: ClientConnection, name: int) -> None:
    """Send some texts at once, and expect each back in its order."""
    texts = [f"{name}-{round_}" for round_ in range(ROUNDS)]
    for text in texts:
        await socket.send(text)
    for text in texts:
        assert await socket.recv() == text


async def request(client: HttpClient, name: int) -> None:
    """Make some requests on one connection, the last two of them pipelined."""
    for round_ in range(ROUNDS):
        body = f"{name}-{round_}-".encode() * 1000
        client.ask(b"POST /echo", body)
        if round_ == ROUNDS - 1:
            client.ask(b"POST /echo", b"pipelined")
        assert await client.answer() == body
    assert await client.answer() == b"pipelined"


async def is_told_to_go(socket: ClientConnection) -> None:
    """Expect the server's close frame."""
    with pytest.raises(ConnectionClosed) as ended:
        await socket.recv()
    received = ended.value.rcvd
    assert received is not None
    assert received.code == 1001


async def one_port(folder: Path, websockets: int, http: int) -> None:
    authority = Authority(folder)
    authority.issue()
    context = authority.client()
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SERVER), str(folder), str(http), stdout=pipe, stderr=pipe
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(DEADLINE_S):
            port = int(await process.stdout.readline())
            sockets = await open_websockets(port, context, websockets)
            clients = [
                HttpClient(*await asyncio.open_connection("127.0.0.1", port, ssl=context))
                for _ in range(http)
            ]
            await asyncio.gather(
                *(talk(socket, name) for name, socket in enumerate(sockets)),
                *(request(client, name) for name, client in enumerate(clients)),
            )
            for client in clients:
                client.ask(b"GET /held")
            assert await process.stdout.readline() == b"held\n"
            process.send_signal(signal.SIGTERM)
            await asyncio.gather(*map(is_told_to_go, sockets))
            for client in clients:
                assert await client.answer() == b"h" * 100_000
                await client.ends()
            output, errors = await process.communicate()
            assert (output, errors, process.returncode) == (b"", b"", 0)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.mark.timeout(90)
async def test_a_thousand_websockets_and_fifty_keep_alive_clients_lose_nothing(
    tmp_path: Path,
) -> None:
    await one_port(tmp_path, websockets=1000, http=50)
