"""Starts, kills and restarts a chat server in a process of its own, on one port and folder."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import resource
import signal
import socket
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from wynd_chat.services.housekeeping import EVENTS_MAX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

__all__ = ["MORTAL", "ROOMY", "WYND_CHAT", "ChatServer", "StoredMessage", "running"]

WYND_CHAT = ("-m", "wynd_chat")
MORTAL = (str(Path(__file__).with_name("server.py")),)
ROOT = Path(__file__).parents[3]
STARTS_S = 20.0
ENDS_S = 15.0
READY = re.compile(rb"Server running on http://[^:]+:(\d+)")
ROOMY = {
    # Tests of delivery send more than people do; the limits have tests of their own.
    "MESSAGES_BURST": "1000000",
    "MESSAGES_PER_SECOND": "1000000",
    "COMMANDS_BURST": "1000000",
    "COMMANDS_PER_SECOND": "1000000",
    "FRAMES_BURST": "1000000",
    "FRAMES_PER_SECOND": "1000000",
    "JOINS_PER_MINUTE": "1000000",
}

StoredMessage = tuple[str, str, str, int]
"""Author's id, author's name, cid, seq."""


class ChatServer:
    """One server: a folder and a port that outlive its processes.

    Args:
        folder: The data directory.
        program: What the interpreter runs: `WYND_CHAT`, or `MORTAL`, which can be killed by a text.
        limits: Settings of the section `limits`, in capitals.
    """

    def __init__(
        self,
        folder: Path,
        program: tuple[str, ...] = WYND_CHAT,
        limits: Mapping[str, str] = ROOMY,
    ) -> None:
        self._program = program
        self._limits = dict(limits)
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.port = free_port()
        self._process: asyncio.subprocess.Process | None = None
        self._log = folder.parent / f"{folder.name}.log"

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.folder / "chat.sqlite3"

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start a process and return once it listens."""
        variables = {f"WYND_CHAT__LIMITS__{name}": value for name, value in self._limits.items()}
        variables |= {
            "WYND_CHAT__SERVER__PORT": str(self.port),
            "WYND_CHAT__SERVER__HOST": "127.0.0.1",
            "WYND_CHAT__STORAGE__DATA": str(self.folder),
            "WYND_CHAT__LOG__LEVEL": "warning",
        }
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *self._program,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=os.environ | variables,
                cwd=ROOT,
            )
        assert self._process.stdout is not None
        async with asyncio.timeout(STARTS_S):
            line = await self._process.stdout.readline()
        match = READY.match(line)
        assert match is not None, f"the server did not start: {self._log.read_text()}"
        assert int(match[1]) == self.port

    def kill(self) -> None:
        """Send SIGKILL; nothing in the process runs after it."""
        assert self._process is not None
        self._process.kill()

    async def died(self) -> None:
        """Wait for the end of a process that was killed, by us or by itself."""
        assert self._process is not None
        async with asyncio.timeout(ENDS_S):
            assert await self._process.wait() == -signal.SIGKILL

    async def restart_after_kill(self) -> None:
        """Wait for the end of a killed process, then start the next one."""
        await self.died()
        await self.start()

    async def stop(self) -> None:
        """Send SIGTERM and expect a clean end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(ENDS_S):
            assert await self._process.wait() == 0

    async def end(self) -> None:
        """Make sure that no process is left."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def forbid_growth(self) -> None:
        """Let no write of the process to any file succeed: its disk is full from now on."""
        hard = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (1, hard))

    def allow_growth(self) -> None:
        """Undo `forbid_growth`."""
        hard = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (hard, hard))

    async def status_of(self, path: str) -> int:
        """Return the status of a GET."""
        async with httpx.AsyncClient(trust_env=False) as http:
            return (await http.get(f"http://127.0.0.1:{self.port}{path}")).status_code

    def stored(self, room: str = "lobby") -> list[StoredMessage]:
        """Return the messages of a room, in the order of seq, read past the server.

        Expects a room in which nothing but messages happened: their seqs are contiguous from 1. So
        are those of the events, of which upkeep may have trimmed the oldest.
        """
        with contextlib.closing(sqlite3.connect(self.database)) as database:
            seqs = database.execute(
                "SELECT e.seq FROM events e JOIN rooms r ON r.id = e.room_id"
                " WHERE r.name = ? ORDER BY e.seq",
                (room,),
            ).fetchall()
            last = database.execute("SELECT last_seq FROM rooms WHERE name = ?", (room,)).fetchone()
            rows = database.execute(
                "SELECT m.author_id, m.author_name, m.cid, m.seq FROM messages m"
                " JOIN rooms r ON r.id = m.room_id WHERE r.name = ? ORDER BY m.seq",
                (room,),
            ).fetchall()
        kept = [seq for (seq,) in seqs]
        assert kept == list(range(last[0] + 1 - len(kept), last[0] + 1)), "events have gaps"
        assert len(kept) >= min(last[0], EVENTS_MAX), "events were trimmed too early"
        assert [row[3] for row in rows] == list(range(1, last[0] + 1)), "messages have gaps"
        return rows


@contextlib.asynccontextmanager
async def running(
    folder: Path, program: tuple[str, ...] = WYND_CHAT, limits: Mapping[str, str] = ROOMY
) -> AsyncIterator[ChatServer]:
    """Run a server on a folder until the block ends; its processes may come and go meanwhile."""
    server = ChatServer(folder, program, limits)
    await server.start()
    try:
        yield server
    finally:
        await server.end()


def free_port() -> int:
    """Return a port that no client gets: below the range the kernel takes theirs from."""
    text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    lowest_of_clients = int(text.split()[0])
    while True:
        port = random.randrange(10_000, lowest_of_clients)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
