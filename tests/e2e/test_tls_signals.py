"""SIGHUP from outside: a server process reads its certificate files again and drops nobody."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SERVER = Path(__file__).with_name("tls_server.py")
STARTS_S = 15.0  # a process on a busy machine: interpreter, imports, sockets
ANSWERS_S = 10.0

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP on this system")


class Server:
    """The process, its port and its log."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port

    async def logs(self, part: str) -> str:
        """Return the next line of the log that holds `part`."""
        assert self.process.stderr is not None
        async with asyncio.timeout(ANSWERS_S):
            while True:
                line = (await self.process.stderr.readline()).decode()
                assert line, f"the log ended without {part!r}"
                if part in line:
                    return line.strip()

    async def open(self, authority: Authority) -> ClientConnection:
        """Return a new connection."""
        uri = f"wss://127.0.0.1:{self.port}/"
        return await connect(uri, ssl=authority.client(), proxy=None, ping_interval=None)


@asynccontextmanager
async def running(engine: str, folder: Path, how: str) -> AsyncIterator[Server]:
    """Run a server; it must still be there at the end, and end by SIGTERM."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SERVER), engine, str(folder), how, stdout=pipe, stderr=pipe
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(STARTS_S):
            server = Server(process, int(await process.stdout.readline()))
        yield server
        assert process.returncode is None
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(ANSWERS_S):
            await process.communicate()


def shown_to(client: ClientConnection) -> bytes:
    """Return the certificate a client was shown, as DER."""
    shown = client.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
    assert isinstance(shown, bytes)
    return shown


async def answers(client: ClientConnection) -> None:
    """Expect that a connection is served."""
    await client.send("still there?")
    async with asyncio.timeout(ANSWERS_S):
        assert await client.recv() == "still there?"


@pytest.mark.parametrize("how", ["run", "listen"])
@pytest.mark.timeout(60)
async def test_sighup_renews_the_certificate_and_keeps_connections(
    engine: str, tmp_path: Path, how: str
) -> None:
    authority = Authority(tmp_path)
    authority.issue()
    async with running(engine, tmp_path, how) as server:
        before = await server.open(authority)
        authority.issue()
        server.process.send_signal(signal.SIGHUP)
        await server.logs("SIGHUP: the certificate files were read again")
        after = await server.open(authority)
        assert shown_to(after) != shown_to(before)
        await answers(before)
        await answers(after)

        (tmp_path / "server.key").write_text("no key any more")
        server.process.send_signal(signal.SIGHUP)
        line = await server.logs("SIGHUP")
        assert line == (
            "wynd ERROR SIGHUP: the certificates stay as they were: "
            f"key file {tmp_path}/server.key holds no private key: no PEM block PRIVATE KEY"
        )
        last = await server.open(authority)
        assert shown_to(last) == shown_to(after)
        for client in (before, after, last):
            await answers(client)
            await client.close()
