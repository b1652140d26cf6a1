"""`wynd serve` in one process, from outside."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import connect

from tests.wynd.cli.programs import APPLICATION, wynd_command
from wynd.cli.serving import where

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
async def test_it_serves_http_and_websocket_and_ends_with_0(tmp_path: Path, ending: int) -> None:
    (tmp_path / "site_app.py").write_text(APPLICATION)
    async with wynd_command(
        tmp_path, "serve", "site_app:app", "--port", "0", "--log-level", "warning"
    ) as program:
        port = await program.port()
        async with connect(f"ws://127.0.0.1:{port}", proxy=None) as socket:
            await socket.send("who")
            assert await socket.recv() == str(program.process.pid)
            code, _, errors = await program.ends(ending)
        assert (code, errors) == (0, "")
        assert socket.close_code == 1012


@pytest.mark.parametrize("more", [[], ["--compression", "shared"]])
async def test_compression_is_off_unless_asked_for(tmp_path: Path, more: list[str]) -> None:
    (tmp_path / "site_app.py").write_text(APPLICATION)
    async with wynd_command(tmp_path, "serve", "site_app:app", "--port", "0", *more) as program:
        port = await program.port()
        async with connect(f"ws://127.0.0.1:{port}", proxy=None) as socket:
            assert socket.response is not None
            agreed = socket.response.headers.get("Sec-WebSocket-Extensions")
            await socket.send("who")
            assert await socket.recv() == str(program.process.pid)
    assert (agreed is not None) == bool(more)


async def test_a_unix_socket(tmp_path: Path) -> None:
    (tmp_path / "site_app.py").write_text(APPLICATION)
    async with wynd_command(tmp_path, "serve", "site_app:app", "--uds", "s") as program:
        assert await program.line() == "Serving on unix:s"
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"VERSION\r\n0\r\n\r\n")
        writer.close()
        assert (await program.ends())[0] == 0
    assert not (tmp_path / "s").exists()


async def test_a_failing_start_up_is_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "site_app.py").write_text(
        "async def app(scope, receive, send):\n"
        "    await receive()\n"
        "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})\n"
    )
    async with wynd_command(tmp_path, "serve", "site_app:app", "--port", "0") as program:
        code, _, errors = await program.ends(None)
    assert code == 1
    assert "no database" in errors
    assert errors.endswith("wynd: the application's start-up failed; the log above says why\n")


def test_addresses_are_told_as_a_browser_takes_them() -> None:
    assert where((("::1", 80), ("127.0.0.1", 80), "/run/s"), is_secure=True) == [
        "Serving on https://[::1]:80",
        "Serving on https://127.0.0.1:80",
        "Serving on unix:/run/s",
    ]
