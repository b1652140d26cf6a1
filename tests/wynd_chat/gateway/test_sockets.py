"""`Sockets`: connections become clients: faces, the hello, credentials, the library's limits."""

from __future__ import annotations

import base64
import logging
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import InvalidStatus

from tests.waiting import eventually
from tests.wynd_chat.gateway.desk import a_desk
from wynd_chat.domain.limits import ChatLimits
from wynd_chat.gateway.sockets import library_limits
from wynd_chat.wire.text_face import WELCOME

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.wynd_chat.gateway.desk import Desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    settings = {"server.name": "Acme", "server.plain_port": 0, "limits.frames_burst": 1000}
    async with a_desk(tmp_path, settings) as made:
        yield made


def test_the_librarys_limits_are_the_chats() -> None:
    limits = library_limits(ChatLimits(frame_bytes_max=40_000, connections_max=5))
    assert (limits.message_bytes_max, limits.connections_max) == (40_000, 5)
    assert limits.rooms_per_connection_max > 2 * ChatLimits().rooms_per_user_max


async def test_both_paths_have_both_faces(desk: Desk) -> None:
    for path in ("/", "/ws"):
        text = await desk.connect(path=path)
        assert await text.read() == WELCOME
        page = await desk.connect("chat.v1.json", path=path)
        assert (await page.read())["type"] == "hello"


async def test_the_hello_says_whose_the_credential_is(desk: Desk) -> None:
    user, token = await desk.account("Carol")
    line = await desk.connect("chat.v1.json", token=token)
    hello = await line.read()
    assert hello["server"]["name"] == "Acme"
    assert hello["epoch"] == desk.services.histories.epoch
    assert hello["user"] == {"id": user.id, "name": "Carol", "kind": "human", "role": "user"}
    assert hello["limits"]["text"] == 8000


async def test_a_credential_names_a_text_connection_after_the_welcome(desk: Desk) -> None:
    _, token = await desk.account("Carol")
    line = await desk.connect(token=token)
    assert [await line.read(), await line.read()] == [WELCOME, "You are now known as Carol"]


async def test_no_text_of_anybody_is_logged(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    _, token = await desk.account("Carol")
    line = await desk.text(token=token)
    await line.send("a private word")
    await line.send("/msg Carol a private word")
    await line.all()
    await line.socket.close()
    await eventually(lambda: not desk.hub.clients)
    assert "opened, text face" in caplog.text
    ours = [r.getMessage() for r in caplog.records if r.name.startswith(("wynd", "wynd_chat"))]
    assert not any("private word" in line or token in line for line in ours)


async def test_a_connection_that_has_gone_is_forgotten(desk: Desk) -> None:
    line = await desk.text("Alice")
    assert len(desk.hub.clients) == 1
    line.socket.transport.abort()
    await eventually(lambda: not desk.hub.clients)
    assert desk.services.presences.online() == []


async def test_who_cannot_be_looked_up_right_now_is_told_when_to_come_back(desk: Desk) -> None:
    _, token = await desk.account("Carol")
    desk.store.fail()
    with pytest.raises(InvalidStatus) as refused:
        await desk.connect("chat.v1.json", token=token)
    answer = refused.value.response
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    subprotocol = "bearer." + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
    desk.store.failure = None
    await (await desk.connect()).read()  # the bans of its address are known from now on
    desk.store.fail()
    line = await desk.connect("chat.v1.json", subprotocol)
    assert await line.ended() == (1013, "the server is overloaded; retry_after=1")
