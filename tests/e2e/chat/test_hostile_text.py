"""Hostile texts and names from end to end: no line is forged, no control reaches a terminal or log.

At least 300 texts as messages, topics, reasons, away texts and names of files, read by somebody on
the text face; at least 300 names, none of which anybody gets (row 41 of the scorecard).
"""

from __future__ import annotations

import json
import logging
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from websockets.asyncio.client import connect

from tests.e2e.chat.hostile_texts import MARK, TEXTS
from tests.wynd_chat.domain.hostile_names import HOSTILE
from tests.wynd_chat.gateway.chat_kit import RunningChat, Visitor, a_chat
from wynd_chat.observability.logs import TextFormatter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from websockets.asyncio.client import ClientConnection

RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
LINE = re.compile(
    r"(\[#dev\] )?(Eve: |Eve shared |Eve (joined|left) #dev|-- Eve (set|cleared) the topic of #dev"
    r"|-- Eve is silenced in #dev|-- Eve may write in #dev again|Eve was (kicked|banned) from #dev"
    r"|done$|\[#dev\] Ada: done$|Ada: done$)"
)


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[RunningChat]:
    """Return a chat whose limits nobody reaches."""
    async with a_chat(tmp_path) as running:
        yield running


@asynccontextmanager
async def watching(chat: RunningChat, visitor: Visitor) -> AsyncIterator[ClientConnection]:
    """Connect somebody's terminal."""
    url = chat.chat.local_url.replace("http", "ws", 1) + "/ws"
    login = {"authorization": f"Bearer {visitor.token}"}
    async with connect(url, additional_headers=login, compression=None, proxy=None) as socket:
        assert str(await socket.recv()).startswith("\nWelcome")
        assert str(await socket.recv()).startswith("You are now known as")
        yield socket


async def frames_until_done(socket: ClientConnection, ada: Visitor) -> list[str]:
    """Return the frames that came, up to a message that says "done"."""
    await ada.say("dev", "done")
    frames = []
    while not (frame := str(await socket.recv())).endswith("Ada: done"):
        frames.append(frame)
    return frames


def assert_harmless(frame: str) -> None:
    """Assert that a frame does nothing to a terminal and that no line of it looks like another."""
    first, *more = frame.split("\n")
    assert RAW.search(frame) is None, ascii(frame)
    assert LINE.match(first), ascii(frame)
    assert all(line.startswith("  | ") for line in more), ascii(frame)


def test_there_are_enough_of_them() -> None:
    assert len(set(TEXTS)) == len(TEXTS) >= 300
    assert len(HOSTILE) >= 300


async def test_messages_forge_nothing(chat: RunningChat, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ada, eve = await chat.account("Ada"), await chat.account("Eve")
    await chat.room(ada, "dev", eve)
    async with watching(chat, ada) as socket:
        for text in TEXTS:
            await eve.say("dev", text)
        frames = await frames_until_done(socket, ada)
        assert len(frames) == len(TEXTS)
        for frame in frames:
            assert_harmless(frame)
            assert MARK in frame
    history = await ada.post("/rooms/dev/commands", {"text": "/history 200"})
    for line in history.json()["lines"]:
        assert RAW.search(line) is None
        assert all(part.startswith("  | ") for part in line.split("\n")[1:])
    assert_log_is_clean(caplog)


async def test_topics_reasons_and_files_forge_nothing(
    chat: RunningChat, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ada, eve = await chat.account("Ada"), await chat.account("Eve")
    root = await chat.account("Root", is_admin=True)
    dev = await chat.room(root, "dev", ada, eve)
    async with watching(chat, ada) as socket:
        for text in TEXTS:
            topic = await eve.call("PATCH", "/rooms/dev", json={"topic": text})
            assert topic.status_code == 200, topic.text
            name = quote(text.encode(), safe="")
            file = await eve.call("PUT", f"/uploads/{name}", content=b"x")
            if file.status_code == 201:
                await eve.post("/rooms/dev/messages", {"files": [file.json()["id"]]})
        for frame in await frames_until_done(socket, ada):
            assert_harmless(frame)
            assert "\n" not in frame
        for text in TEXTS[::7]:
            await chat.services.rooms.leave(eve.user, dev, text)
            await chat.services.rooms.join(eve.user, "dev")
            await chat.services.moderation.timeout(root.user, dev, eve.user, 60, text)
            await chat.services.moderation.timeout(root.user, dev, eve.user, None)
        for frame in await frames_until_done(socket, ada):
            assert_harmless(frame)
            assert "\n" not in frame
    assert_log_is_clean(caplog)


async def test_away_texts_and_lists_forge_nothing(chat: RunningChat) -> None:
    ada, eve = await chat.account("Ada"), await chat.account("Eve")
    await chat.room(ada, "dev", eve)
    chat.connect(eve.user)
    for text in TEXTS[::5]:
        await eve.call("PATCH", "/users/me", json={"away": text})
        await eve.call("PATCH", "/rooms/dev", json={"topic": text})
        for command in ("/who #dev", "/who @Eve", "/rooms", "/topic"):
            answer = await ada.post("/rooms/dev/commands", {"text": command})
            for frame in answer.json()["lines"]:
                assert RAW.search(frame) is None, ascii(frame)
                assert not re.search("^(Bob|\\[#dev\\] Bob)", frame, re.MULTILINE)


async def test_bans_with_hostile_reasons_forge_nothing(chat: RunningChat) -> None:
    root = await chat.account("Root", is_admin=True)
    bob = await chat.account("Bob")
    for text in TEXTS[::7]:
        await chat.services.server_bans.ban(root.user, bob.user, 60, text)
        answer = await root.post("/rooms/lobby/commands", {"text": "/bans --server"})
        (frame,) = answer.json()["lines"]
        assert RAW.search(frame) is None
        assert frame.startswith("-- Bob until ")
        assert "\n" not in frame


async def test_nobody_gets_a_hostile_name(
    chat: RunningChat, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("alice", "bob", "paul", "Admin", "Oscar"):
        await chat.account(name)
    eve = await chat.account("Eve")
    for name, _ in HOSTILE:
        if "\0" in name:
            continue  # U+0000 is removed on input, whatever is left may be a name
        body = json.dumps({"name": name}).encode()
        kind = {"content-type": "application/json"}
        answer = await eve.call("PATCH", "/users/me", content=body, headers=kind)
        assert answer.status_code in (400, 409, 422), ascii(name)
        assert RAW.search(answer.json()["detail"]) is None, ascii(name)
    assert (await eve.get("/users/me")).json()["name"] == "Eve"
    assert_log_is_clean(caplog)


def assert_log_is_clean(caplog: pytest.LogCaptureFixture) -> None:
    """Assert that every record is one line without controls, and that no text of a user is in."""
    formatter = TextFormatter()
    for record in caplog.records:
        if record.name.startswith(("httpx", "httpcore", "websockets", "asyncio")):
            continue  # those of the test itself
        line = formatter.format(record)
        assert RAW.search(line) is None, ascii(line)
        assert MARK not in line, ascii(line)
