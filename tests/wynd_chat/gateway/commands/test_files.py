"""`/upload`: a one-time command for a shell; that it works is in `rest/test_files.py`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.wynd_chat.gateway.chat_kit import RunningChat, a_chat

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[RunningChat]:
    """Return a chat in memory."""
    async with a_chat(tmp_path) as running:
        yield running


async def test_the_command_is_for_the_room_it_names(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    await chat.room(alice, "dev")
    for text, room in (("/upload", "lobby"), ("/upload #dev", "dev"), ("/upload dev", "dev")):
        answer = (await alice.post("/rooms/lobby/commands", {"text": text})).json()
        assert answer["result"]["room"] == room
        link = re.escape(chat.chat.local_url)
        assert re.fullmatch(rf"curl -T FILE {link}/u/[\w-]{{43}}/", answer["lines"][0])


async def test_every_link_is_another_and_only_its_hash_is_kept(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    links = set()
    for _ in range(3):
        answer = await alice.post("/rooms/lobby/commands", {"text": "/upload"})
        links.add(answer.json()["result"]["link"])
    assert len(links) == 3
    code = links.pop().split("/")[-2]
    assert await chat.store.read(lambda s: s.upload_token(code)) is None
