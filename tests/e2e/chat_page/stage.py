"""A chat server, browsers that look at its page, and a line between them that can be cut.

The server is a process of its own (`python -m wynd_chat`); other people are clients of the JSON
face. Every wait has a deadline. What a browser complains about fails the test that ran in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any, cast

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.programs import chromium_browser

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

PATIENCE_MS = 15_000
STARTS_S = 30.0
ANSWERS_S = 30.0
AT_ONCE = 200  # messages that are sent before their answers are read
UNLIMITED = {  # for tests of the page, not of the limits
    "WYND_CHAT__LIMITS__MESSAGES_BURST": "100000",
    "WYND_CHAT__LIMITS__MESSAGES_PER_SECOND": "100000",
    "WYND_CHAT__LIMITS__COMMANDS_BURST": "100000",
    "WYND_CHAT__LIMITS__COMMANDS_PER_SECOND": "100000",
    "WYND_CHAT__LIMITS__FRAMES_BURST": "100000",
    "WYND_CHAT__LIMITS__FRAMES_PER_SECOND": "100000",
}
# Counts tasks that keep the page from answering, as the browser itself reports them.
LONG_TASKS = """
window.longTasks = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.longTasks.push(Math.round(entry.duration));
}).observe({type: "longtask", buffered: true});
"""


class Server:
    """`wynd-chat` on a port that stays the same when it is started again."""

    def __init__(self, data: Path, environment: Mapping[str, str] | None = None) -> None:
        self._data = data
        self._environment = environment or {}
        self.port = free_port()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/"

    async def start(self) -> None:
        """Start it, and wait until it listens."""
        # Its log goes to a file: a pipe that nobody reads would stop it.
        with (self._data.parent / "log.txt").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-u", "-m", "wynd_chat"),
                *("--port", str(self.port), "--data", str(self._data)),
                env={**os.environ, **self._environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(STARTS_S):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    assert self._process.returncode is None, self.log()
                    await asyncio.sleep(0.05)
                    continue
                writer.close()
                return

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, and wait until it is gone; no error if it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        async with asyncio.timeout(STARTS_S):
            await process.wait()

    def log(self) -> str:
        return (self._data.parent / "log.txt").read_text(encoding="utf-8", errors="replace")


@contextlib.asynccontextmanager
async def running_server(
    folder: Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Server]:
    """Run a server until the block ends."""
    server = Server(folder / "data", environment)
    await server.start()
    try:
        yield server
    finally:
        await server.stop(signal.SIGKILL)


class Line:
    """A TCP line to the server: what goes through it can be cut, as a train in a tunnel does."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/"

    async def restore(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)

    async def cut(self) -> None:
        """End every connection, and take no new one."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            self._writers -= {writer, far_writer}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def line_to(server: Server) -> AsyncIterator[Line]:
    """Lay a line to a server."""
    line = Line(server.port)
    await line.restore()
    try:
        yield line
    finally:
        await line.cut()


class Person:
    """Somebody else, on the JSON face."""

    def __init__(self, connection: ClientConnection, name: str) -> None:
        self._connection = connection
        self.name = name
        self.token = ""
        self._count = 0

    async def request(self, **fields: Any) -> dict[str, Any]:
        """Send a request, and return its reply."""
        self._count += 1
        await self._connection.send(json.dumps({"id": self._count, **fields}))
        async with asyncio.timeout(ANSWERS_S):
            while True:
                frame = json.loads(await self._connection.recv())
                if frame.get("re") == self._count:
                    assert frame["ok"], frame
                    return cast("dict[str, Any]", frame)

    async def says(self, text: str, room: str = "lobby", kind: str = "text") -> int:
        """Say something; return its seq."""
        cid = f"{self.name}-{self._count + 1}"
        reply = await self.request(type="send", room=room, text=text, kind=kind, cid=cid)
        return int(reply["seq"])

    async def says_many(self, texts: list[str], room: str = "lobby") -> None:
        """Say many things without waiting in between; return when all are stored."""
        for at in range(0, len(texts), AT_ONCE):
            for text in texts[at : at + AT_ONCE]:
                self._count += 1
                cid = f"{self.name}-{self._count}"
                message = {"type": "send", "room": room, "text": text, "cid": cid}
                await self._connection.send(json.dumps({"id": self._count, **message}))
            # What comes back must be read, or the server counts us as slow.
            await self._until_replied(self._count)

    async def _until_replied(self, number: int) -> None:
        async with asyncio.timeout(ANSWERS_S):
            while json.loads(await self._connection.recv()).get("re") != number:
                pass

    async def runs(self, line: str, room: str = "lobby") -> list[str]:
        """Run a command; return its lines."""
        return list((await self.request(type="command", room=room, text=line))["lines"])


@contextlib.asynccontextmanager
async def person(server: Server, name: str) -> AsyncIterator[Person]:
    """Let somebody come to the chat; the block's end cuts the line."""
    connection = await connect(
        f"ws://localhost:{server.port}/ws",
        subprotocols=["chat.v1.json"],  # type: ignore[list-item]
        proxy=None,
        max_queue=None,
    )
    try:
        somebody = Person(connection, name)
        async with asyncio.timeout(ANSWERS_S):
            await connection.recv()
        somebody.token = (await somebody.request(type="name", name=name))["token"]
        await somebody.request(type="sync", epoch="", rooms={})
        yield somebody
    finally:
        connection.transport.abort()
        await connection.wait_closed()


class Browser:
    """Chromium; collects what its pages complain about."""

    def __init__(self, chromium: Any) -> None:
        self._chromium = chromium
        self.complaints: list[str] = []
        self._expected: tuple[str, ...] = ()

    def expect(self, *parts: str) -> None:
        """Say which complaints belong to the test, by a part of their text."""
        self._expected += parts

    async def context(self, width: int = 1280, height: int = 800, **options: Any) -> Any:
        """Open a window of its own, with storage of its own."""
        context = await self._chromium.new_context(
            viewport={"width": width, "height": height}, locale="en-GB", **options
        )
        await context.add_init_script(LONG_TASKS)
        context.set_default_timeout(PATIENCE_MS)
        context.on("page", self._listen)
        return context

    async def page(self, width: int = 1280, height: int = 800, **options: Any) -> Any:
        """Open a page in a window of its own."""
        return await (await self.context(width, height, **options)).new_page()

    def _listen(self, page: Any) -> None:
        page.on("pageerror", lambda error: self._complain(f"error: {error}"))
        page.on(
            "console",
            lambda told: (
                self._complain(f"{told.type}: {told.text}")
                if told.type in ("error", "warning")
                else None
            ),
        )

    def _complain(self, text: str) -> None:
        if not any(part in text for part in self._expected):
            self.complaints.append(text)


# What a browser itself says when a server or a line is gone.
GONE = ("ERR_CONNECTION", "ERR_EMPTY_RESPONSE", "ERR_NETWORK", "WebSocket connection to")


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Start the system's Chromium; the test fails if a page complains that need not."""
    async with chromium_browser() as started:
        browser = Browser(started)
        yield browser
    if browser.complaints:
        pytest.fail("the browser complained: " + "; ".join(browser.complaints))


async def enter(page: Any, url: str, name: str) -> None:
    """Open the chat as a guest."""
    await page.goto(url)
    await page.get_by_label("Your name").fill(name)
    await page.get_by_role("button", name="Start chatting").click()
    await page.get_by_role("textbox", name="Message #lobby").wait_for()


async def say(page: Any, text: str) -> None:
    """Type into the box and press Enter."""
    box = page.locator("textarea")
    await box.fill(text)
    await box.press("Enter")


async def see(page: Any, text: str) -> Any:
    """Wait until a message with this text is in the log; return it."""
    message = page.locator("li.message[data-seq]", has_text=text).last
    await message.wait_for()
    return message


async def texts(page: Any) -> list[str]:
    """Return the texts of the messages in the log, pending ones too, in their order."""
    return list(await page.locator("li.message .text").all_inner_texts())


async def until(page: Any, condition: str, argument: Any = None) -> None:
    """Wait until an expression of the page is true."""
    await page.wait_for_function(condition, arg=argument, timeout=PATIENCE_MS)


def busy_machine() -> str:
    """Say how busy the machine is where that is too much for a measurement of time, else ""."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    return f"load {load:.1f} on {cores} cores" if load > 1.5 * cores else ""


def free_port() -> int:
    """Return a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
