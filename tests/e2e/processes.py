"""Drives an example and its clients from outside: console lines, frames, Ctrl-C.

Every wait has a deadline; nothing sleeps.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "examples" / "tutorial"
RUNNER = Path(__file__).with_name("run_example.py")

STARTS_S = 15.0  # a process on a busy machine: interpreter, imports, sockets
ANSWERS_S = 10.0
LINE_BYTES_MAX = 1024 * 1024  # the echo server prints whole messages


class Program:
    """A running example: what it prints, and how it ends."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.port = 0

    async def line(self) -> str:
        """Return the next line of its console."""
        assert self._process.stdout is not None
        async with asyncio.timeout(ANSWERS_S):
            line = await self._process.stdout.readline()
        assert line.endswith(b"\n"), f"the console ended: {line!r}"
        return line.decode().removesuffix("\n")

    async def prints(self, *lines: str) -> None:
        """Expect exactly these lines next."""
        for expected in lines:
            assert await self.line() == expected

    async def error_line(self) -> str:
        """Return the next line of its standard error."""
        assert self._process.stderr is not None
        async with asyncio.timeout(ANSWERS_S):
            line = await self._process.stderr.readline()
        return line.decode().removesuffix("\n")

    def press_ctrl_c(self) -> None:
        self._process.send_signal(signal.SIGINT)

    async def interrupt(self, *last_lines: str) -> None:
        """Press Ctrl-C; expect these last lines, nothing on standard error, and exit status 0."""
        self.press_ctrl_c()
        output, errors, status = await self.ends()
        assert (output.splitlines(), errors, status) == (list(last_lines), "", 0)

    async def ends(self) -> tuple[str, str, int]:
        """Wait for its end; return the rest of its output, of its errors, and its status."""
        async with asyncio.timeout(ANSWERS_S):
            output, errors = await self._process.communicate()
        assert self._process.returncode is not None
        return output.decode(), errors.decode(), self._process.returncode

    async def find_port(self, told: int) -> None:
        """Read the port that `run_example.py` writes to the pipe `told` once it listens."""
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(told, "rb", buffering=0)
        )
        try:
            async with asyncio.timeout(STARTS_S):
                line = await reader.readline()
        finally:
            transport.close()
        if not line:
            raise AssertionError(f"the example did not start listening: {await self.ends()}")
        self.port = int(line)

    async def end(self) -> None:
        """Make sure that it is gone."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()


@contextlib.asynccontextmanager
async def running(example: str, engine: str) -> AsyncIterator[Program]:
    """Run `examples/tutorial/<example>` on `engine` and a free port until the block ends."""
    told, telling = os.pipe()
    try:
        arguments = (str(RUNNER), str(TUTORIAL / example), engine, str(telling))
        program = await _started(*arguments, pass_fds=(telling,))
    finally:
        os.close(telling)
    try:
        await program.find_port(told)
        yield program
    finally:
        await program.end()


@contextlib.asynccontextmanager
async def running_as_a_reader_does(example: str) -> AsyncIterator[Program]:
    """Run `python examples/tutorial/<example>`: on port 8080, on the engine found."""
    program = await _started(str(TUTORIAL / example))
    program.port = 8080
    try:
        yield program
    finally:
        await program.end()


async def _started(*arguments: str, pass_fds: tuple[int, ...] = ()) -> Program:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-u",  # what it prints must reach the pipe at once
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LINE_BYTES_MAX,
        pass_fds=pass_fds,
        cwd=ROOT,
    )
    return Program(process)


class Client:
    """A client of the `websockets` package that expects frames one by one."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def hears(self, *frames: str) -> None:
        """Expect exactly these text frames next."""
        for expected in frames:
            async with asyncio.timeout(ANSWERS_S):
                assert await self.socket.recv() == expected

    async def says(self, text: str) -> None:
        await self.socket.send(text)

    async def asks(self, text: str, answer: str) -> None:
        """Say `text` and expect `answer` as the next frame."""
        await self.says(text)
        await self.hears(answer)

    async def leaves(self, code: int = 1000, reason: str = "") -> None:
        """Close, and expect the server's answer and that nothing was left unread."""
        await self.socket.close(code, reason)
        await self.is_closed(code, None)  # the answer repeats the code (RFC 6455 §5.5.1)

    async def is_closed(self, code: int, reason: str | None) -> None:
        """Expect the end of the connection next, with the server's `code` and `reason`."""
        with pytest.raises(ConnectionClosed) as caught:
            await self._one_frame_too_many()
        received = caught.value.rcvd
        assert received is not None, "the server sent no close frame"
        assert received.code == code
        assert reason is None or received.reason == reason

    async def _one_frame_too_many(self) -> None:
        async with asyncio.timeout(ANSWERS_S):
            frame = await self.socket.recv()
        pytest.fail(f"one frame too many: {frame!r}")

    def cuts_the_line(self) -> None:
        """End the transport without a closing handshake."""
        self.socket.transport.abort()


@contextlib.asynccontextmanager
async def client_of(program: Program, path: str = "") -> AsyncIterator[Client]:
    """Connect a client; the block's end cuts the line if it is still there."""
    async with asyncio.timeout(ANSWERS_S):
        socket = await connect(f"ws://localhost:{program.port}{path}", proxy=None)
    try:
        yield Client(socket)
    finally:
        socket.transport.abort()
        await socket.wait_closed()
