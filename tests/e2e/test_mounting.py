"""`wynd.handler()`, mounted and alone, under every server the how-to names, each as a process."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import signal
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from tests.docs.pages import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.timeout(90)

WAIT_S = 30.0
SERVERS: dict[str, tuple[str, ...]] = {
    "uvicorn": ("uvicorn", "{app}", "--port", "{port}"),
    "uvicorn, our protocol": (
        *("uvicorn", "{app}", "--port", "{port}"),
        *("--ws", "wynd.http.uvicorn:WyndProtocol"),
    ),
    "hypercorn": ("hypercorn", "{app}", "--bind", "127.0.0.1:{port}"),
    "granian": ("granian", "--interface", "asgi", "--port", "{port}", "{app}"),
    "wynd serve": ("wynd.cli.main", "serve", "{app}", "--port", "{port}"),
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def answer_of(port: int, head: bytes, body: bytes = b"") -> bytes:
    """Return everything a server answers to one request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"%b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" % head)
    writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    answer = await reader.read()
    writer.close()
    return answer


async def has_started(process: asyncio.subprocess.Process, port: int) -> None:
    """Return when somebody listens on the port."""
    while process.returncode is None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise AssertionError(f"it ended with {process.returncode}")


@asynccontextmanager
async def running(
    name: str, folder: Path, module_name: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """Run the `app` of a module under a server."""
    module, *arguments = SERVERS[name]
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        pytest.skip(f"{module} is not installed")
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        *(argument.format(port=port, app=f"{module_name}:app") for argument in arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    try:
        async with asyncio.timeout(WAIT_S):
            await has_started(process, port)
            yield process, port
    finally:
        if process.returncode is None:
            process.terminate()  # a kill would leave the workers of hypercorn and granian behind
        async with asyncio.timeout(WAIT_S):
            await process.communicate()


@pytest.mark.parametrize("name", SERVERS)
async def test_sockets_and_routes_share_the_application(name: str) -> None:
    if importlib.util.find_spec("fastapi") is None:
        pytest.skip("fastapi is not installed")
    async with running(name, EXAMPLES / "howto", "fastapi_app") as (process, port):
        address = f"ws://127.0.0.1:{port}/ws/"
        async with connect(address, proxy=None) as one, connect(address, proxy=None) as two:
            assert [await one.recv(), await two.recv()] == ["0", "0"]
            await one.send("3")
            assert [await one.recv(), await two.recv()] == ["3", "3"]
            answer = await answer_of(port, b"POST /add/4")
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert json.loads(answer[answer.index(b"{") : answer.index(b"}") + 1]) == {"count": 7}
            assert [await one.recv(), await two.recv()] == ["7", "7"]
            plain = await answer_of(port, b"GET /ws/")
            assert plain.startswith(b"HTTP/1.1 426 ")
            assert (await answer_of(port, b"GET /nowhere")).startswith(b"HTTP/1.1 404 ")
            process.send_signal(signal.SIGTERM)
            await _is_told(one)
            await _is_told(two)
            output = (await process.communicate())[0].decode()
    # hypercorn cancels its own tasks and shows where; nothing of ours may stand there.
    assert not re.search(r'File ".*/wynd/', output), output


@pytest.mark.parametrize("name", SERVERS)
async def test_codes_reasons_and_refusals_reach_the_client(name: str) -> None:
    async with running(name, Path(__file__).parent, "closing_app") as (_, port):
        address = f"ws://127.0.0.1:{port}/"
        for sent, code, reason in (
            ("4002 go", 4002, "go"),
            ("1000 ", 1000, ""),
            ("x" * 1001, 1009, "Message too big."),
        ):
            async with connect(address, proxy=None, subprotocols=[Subprotocol("chat")]) as client:
                assert client.subprotocol == "chat"
                await client.send(sent)
                if code != 1009:
                    assert await client.recv() == "closing"
                await _is_told(client)
                assert (client.close_code, client.close_reason) == (code, reason)
        for path, origin, status in (("no", None, 401), ("", Origin("http://evil.example"), 403)):
            with pytest.raises(InvalidStatus) as refused:
                await connect(address + path, origin=origin, proxy=None)
            assert refused.value.response.status_code == status


async def _is_told(client: Any) -> None:
    """Expect the end of a connection."""
    with pytest.raises(ConnectionClosed):
        await client.recv()
