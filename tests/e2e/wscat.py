"""The `wscat` that the tutorial tells its readers to use, driven through pipes.

Installed once from npm into the ignored folder `var/`; where Node, npm or the registry is
missing, the tests that need it are skipped and say why.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.processes import ANSWERS_S, ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

VERSION = "6.1.0"
FOLDER = ROOT / "var" / f"wscat-{VERSION}"
PROGRAM = FOLDER / "node_modules" / "wscat" / "bin" / "wscat"
INSTALL_S = 120.0


def find_wscat() -> tuple[str, Path]:
    """Return Node and the program, installed if need be; skip the test if that is impossible."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None:
        pytest.skip("wscat needs Node, which is not installed here")
    if not PROGRAM.exists():
        if npm is None:
            pytest.skip("wscat is not installed yet, and npm is not here to install it")
        _install(npm)
    return node, PROGRAM


def _install(npm: str) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--prefix", str(FOLDER), "--no-save", "--no-package-lock"]
    command += ["--no-audit", "--no-fund", "--ignore-scripts", f"wscat@{VERSION}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_S, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install wscat within {INSTALL_S:g} s")
    if done.returncode != 0 or not PROGRAM.exists():
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        pytest.skip(f"npm could not install wscat: {reason}")


class Wscat:
    """A running `wscat -c URL`: type lines, read what it shows."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def types(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        await self._process.stdin.drain()

    async def shows(self, *texts: str) -> None:
        """Expect these messages next; each may have several lines."""
        assert self._process.stdout is not None
        for text in texts:
            for expected in text.split("\n"):
                async with asyncio.timeout(ANSWERS_S):
                    line = (await self._process.stdout.readline()).decode().removesuffix("\n")
                # Its prompt, once per line typed, stands before the next message.
                assert line.lstrip("> ") == expected.lstrip("> ")

    async def asks(self, line: str, answer: str) -> None:
        await self.types(line)
        await self.shows(answer)

    async def ends(self) -> str:
        """Wait for its end; return what it still showed, without its prompts."""
        async with asyncio.timeout(ANSWERS_S):
            output, errors = await self._process.communicate()
        assert errors.decode() == ""
        assert self._process.returncode == 0
        return output.decode().strip("> \n")

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.communicate()


@contextlib.asynccontextmanager
async def wscat(port: int) -> AsyncIterator[Wscat]:
    """Run `wscat -c ws://localhost:<port>` until the block ends."""
    node, program = find_wscat()
    process = await asyncio.create_subprocess_exec(
        node,
        str(program),
        "-c",
        f"ws://localhost:{port}",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    client = Wscat(process)
    try:
        yield client
    finally:
        await client.kill()
