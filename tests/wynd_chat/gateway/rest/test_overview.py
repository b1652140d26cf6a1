"""The tutorial's endpoints and the meaning of codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.wynd_chat.gateway.chat_kit import RunningChat, a_chat
from wynd_chat import __version__
from wynd_chat.domain.errors import ErrorCode
from wynd_chat.domain.models import RoomKind

if TYPE_CHECKING:
    from pathlib import Path


async def test_status_has_the_tutorials_keys_and_more(chat: RunningChat) -> None:
    stranger = chat.stranger()
    status = (await stranger.get("/api/status")).json()
    assert status["uptime_s"] in range(60)
    assert status == {
        "users": 0,
        "status": "online",
        "version": __version__,
        "uptime_s": status["uptime_s"],
        "rooms": 1,
    }
    alice = await chat.account("Alice")
    await chat.guest("Gail")
    chat.connect(alice.user)
    await chat.room(alice, "dev")
    status = (await stranger.get("/api/status")).json()
    assert (status["users"], status["rooms"]) == (2, 2)
    await chat.change(await chat.room(alice, "secret"), kind=RoomKind.PRIVATE)
    hidden = (await stranger.get("/api/status")).json()
    assert hidden["rooms"] == 2, "a stranger learns nothing of private rooms"


async def test_users_are_those_online_by_name(chat: RunningChat) -> None:
    stranger = chat.stranger()
    assert (await stranger.get("/api/users")).json() == {"users": [], "count": 0}
    for name in ("bob", "Alice", "Carol"):
        await chat.guest(name)
    await chat.guest("Gone", is_online=False)
    expected = {"users": ["Alice", "bob", "Carol"], "count": 3}
    assert (await stranger.get("/api/users")).json() == expected


async def test_names_need_a_login_where_guests_are_off(tmp_path: Path) -> None:
    async with a_chat(tmp_path, auth={"guests": "off"}) as chat:
        alice = await chat.account("Alice")
        chat.connect(alice.user)
        assert (await chat.stranger().get("/api/users")).json() == {"users": [], "count": 1}
        assert (await alice.get("/api/users")).json() == {"users": ["Alice"], "count": 1}


async def test_the_type_of_a_problem_tells_what_its_code_means(chat: RunningChat) -> None:
    stranger = chat.stranger()
    problem = (await stranger.get("/rooms")).json()
    assert (await stranger.get(problem["type"])).json() == {
        "code": "unauthorized",
        "title": "Login needed",
        "status": 401,
        "temporary": False,
    }
    listed = (await stranger.get("/api/errors")).json()["errors"]
    assert [one["code"] for one in listed] == [code.value for code in ErrorCode]
