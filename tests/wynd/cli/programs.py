"""Runs the command `wynd` as a user does, and looks at what it prints."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

WAIT_S = 20.0
APPLICATION = """\
import os

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            event = await receive()
            await send({"type": event["type"] + ".complete"})
            if event["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        event = await receive()
        if event.get("text") == "die":
            os._exit(7)
        await send({"type": "websocket.send", "text": str(os.getpid())})
        await receive()
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"VERSION"})
"""


class Program:
    """A running `wynd`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> str:
        """Return the next line of its console."""
        assert self.process.stdout is not None
        async with asyncio.timeout(WAIT_S):
            return (await self.process.stdout.readline()).decode().rstrip("\n")

    async def error_line(self, part: str) -> str:
        """Read on to the next line of its standard error that holds `part`."""
        assert self.process.stderr is not None
        async with asyncio.timeout(WAIT_S):
            while line := (await self.process.stderr.readline()).decode():
                if part in line:
                    return line.rstrip("\n")
        raise AssertionError(f"the errors ended without {part!r}")

    async def port(self) -> int:
        """Read on to the line that tells where it serves; return the port."""
        while True:
            line = await self.line()
            assert line, "the console ended"
            found = re.fullmatch(r"Serving on https?://.*:(\d+)", line)
            if found:
                return int(found[1])

    async def ends(self, with_signal: int | None = signal.SIGTERM) -> tuple[int, str, str]:
        """Send the signal, if any; return exit code, rest of the output, and errors."""
        if with_signal is not None:
            self.process.send_signal(with_signal)
        async with asyncio.timeout(WAIT_S):
            output, errors = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, output.decode(), errors.decode()


@contextlib.asynccontextmanager
async def wynd_command(folder: Path, *arguments: str) -> AsyncIterator[Program]:
    """Run `wynd ARGUMENTS` in `folder`; it is gone at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wynd.cli.main", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def run_command(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run `wynd ARGUMENTS` to its end; return exit code, output and errors."""
    async with wynd_command(folder, *arguments) as program:
        return await program.ends(None)
