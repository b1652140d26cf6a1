"""The bot of docs/howto/chat-bot.md against a real chat: answers, comes back, misses and repeats
nothing, and stops when it is not wanted any more.
"""

from __future__ import annotations

import asyncio
import importlib.util
import re
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.docs.pages import EXAMPLES
from tests.docs.test_examples import load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

if importlib.util.find_spec("fastapi") is None:
    pytest.skip("the packages of the chat are not installed", allow_module_level=True)

from wynd_chat.app import Chat
from wynd_chat.settings import load as load_settings

pytestmark = pytest.mark.timeout(90)

PATIENCE_S = 20.0
STOPPED = 1001  # without `retry_after`, so that the bot is back soon


async def command(data: Path, *words: str, stdin: str = "") -> str:
    """Run `wynd-chat` on a data directory; return what it prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wynd_chat", *words, "--data", str(data)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate(stdin.encode())
    assert process.returncode == 0, errors.decode()
    return output.decode()


@asynccontextmanager
async def chat(data: Path, port: int = 0) -> AsyncIterator[Chat]:
    """Serve a chat, and end it for good."""
    server = Chat(load_settings({"server.port": port, "storage.data": data}))
    await server.open()
    try:
        yield server
    finally:
        await server.close(STOPPED)


@asynccontextmanager
async def running_bot(url: str, token: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the example as its page says."""
    bot = await asyncio.create_subprocess_exec(
        *(sys.executable, str(EXAMPLES / "bot.py"), url),
        env={"WYND_CHAT_TOKEN": token, "NO_PROXY": "*"},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield bot
    finally:
        if bot.returncode is None:
            bot.kill()
        await bot.wait()


async def said(bot: asyncio.subprocess.Process, words: str) -> None:
    """Wait for a line on the bot's console."""
    assert bot.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        while words not in (line := await bot.stderr.readline()).decode():
            assert line, f"the bot ended without saying {words!r}"


async def until(socket: ClientConnection, pattern: str) -> str:
    """Return the first frame that a text client receives and that fits."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            frame = await socket.recv()
            assert isinstance(frame, str)
            if re.fullmatch(pattern, frame):
                return frame


@asynccontextmanager
async def person(port: int, name: str) -> AsyncIterator[ClientConnection]:
    """Type at the chat."""
    async with connect(f"ws://127.0.0.1:{port}/", proxy=None) as socket:
        await socket.send(f"/name {name}")
        await until(socket, f"You are now known as {name}")
        yield socket


async def test_the_bot_answers_comes_back_and_goes(tmp_path: Path) -> None:
    added = await command(tmp_path, "migrate") + await command(
        tmp_path, "user", "add", "dice", "--bot"
    )
    token = added.rpartition("shown once: ")[2].strip()
    await command(
        tmp_path, "user", "add", "Bob", "--password-stdin", stdin="correct horse battery staple"
    )
    async with AsyncExitStack() as first:
        server = await first.enter_async_context(chat(tmp_path))
        port = server.listeners.addresses[0][1]
        async with running_bot(f"ws://127.0.0.1:{port}/ws", token) as bot:
            await said(bot, "dice is connected")
            async with person(port, "Alice") as alice:
                await alice.send("!roll 2d6")
                line = await until(alice, r"dice: \d \+ \d = \d+")
                one, two, total = map(int, re.findall(r"\d+", line))
                assert one + two == total
            await first.aclose()
            await said(bot, "Not connected")
            await command(tmp_path, "send", "#lobby", "!roll 1d1", "--as", "Bob")

            async with chat(tmp_path, port):
                await said(bot, "dice is connected")
                async with person(port, "Carol") as carol:
                    await carol.send("!roll 3d1")
                    await until(carol, r"dice: 1 \+ 1 \+ 1 = 3")
                await check_history(port, 3)
                await command(tmp_path, "token", "dice", "--revoke", "user add --bot")
                await said(bot, "The server does not want this bot: 4501 this login has ended")
                assert await bot.wait() == 1


async def check_history(port: int, count: int) -> None:
    """The room has so many answers, the second of them to what was said while nobody served."""
    async with person(port, "Dora") as dora:
        await dora.send("/history")
        lines: list[str] = []
        while not lines or not lines[-1].startswith("-- "):
            lines.append(await until(dora, r"\[\d+ .*|-- .*"))
    answers = [line for line in lines if "] dice: " in line]
    assert len(answers) == count
    assert answers[1].endswith("dice: 1 = 1")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("!roll 2d1", "1 + 1 = 2"),
        (" !roll 1d1 ", "1 = 1"),
        ("!roll 0d6", "There are no such dice."),
        ("!roll 2d6 please", None),
        ("hello", None),
    ],
)
def test_what_the_bot_says(text: str, answer: str | None) -> None:
    assert load("bot.py")["answer_to"](text) == answer
