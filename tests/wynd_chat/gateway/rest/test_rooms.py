"""Rooms over HTTP: the list, making, changing, archiving."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.wynd_chat.gateway.chat_kit import RunningChat, a_chat
from tests.wynd_chat.gateway.rest.refusals_kit import assert_refused
from wynd_chat.domain.models import RoomKind

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_room_is_made_with_its_settings(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    chat.connect(alice.user)
    made = await alice.post(
        "/rooms", {"name": "#Dev", "topic": "Release 1.2", "private": True, "key": "sesame"}
    )
    assert (made.status_code, made.headers["location"]) == (201, "rooms/dev")
    room = made.json()
    expected = {
        "room": "dev",
        "kind": "private",
        "topic": "Release 1.2",
        "head": 2,  # that its owner joined, and the topic
        "here": 1,
        "key": True,
        "locked": False,
        "slow_s": 0,
        "archived_at": None,
        "member": True,
        "role": "owner",
    }
    assert {key: room[key] for key in expected} == expected
    assert "sesame" not in made.text
    assert (await alice.get(f"/rooms/{room['id']}")).json() == room
    assert (await alice.get("/rooms/%23DEV")).json() == room
    assert_refused(await bob.get("/rooms/dev"), "not_found")
    assert_refused(await bob.post("/rooms", {"name": "dev"}), "conflict")
    mine = {one["room"]: one for one in (await alice.get("/users/me/rooms")).json()["rooms"]}
    assert (mine["dev"]["unread"], mine["dev"]["read"]) == (0, 2)  # nothing to catch up with


async def test_a_room_that_is_refused_is_not_made(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    assert_refused(await alice.post("/rooms", {"name": "dev", "topic": "x" * 301}), "too_large")
    assert_refused(await alice.post("/rooms", {"name": "dev", "key": "ü" * 65}), "too_large")
    assert_refused(await alice.post("/rooms", {"name": "dev", "key": ""}), "bad_request")
    assert_refused(await alice.get("/rooms/dev"), "not_found")


async def test_only_who_may_makes_rooms(tmp_path: Path) -> None:
    async with a_chat(tmp_path, rooms={"create": "accounts"}) as chat:
        gail, alice = await chat.guest("Gail"), await chat.account("Alice")
        assert_refused(await gail.post("/rooms", {"name": "dev"}), "forbidden")
        assert (await alice.post("/rooms", {"name": "dev"})).status_code == 201
    async with a_chat(tmp_path, rooms={"create": "admins"}) as chat:
        alice, ada = await chat.account("Alice"), await chat.account("Ada", is_admin=True)
        assert_refused(await alice.post("/rooms", {"name": "dev"}), "not_found")
        assert (await ada.post("/rooms", {"name": "dev"})).status_code == 201


async def test_the_list_has_public_rooms_and_ones_own_page_by_page(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    for name in ("b", "a", "d", "c", "secret"):
        await chat.room(alice, name)
    secret = await chat.services.rooms.find(alice.user, "secret")
    await chat.change(secret, kind=RoomKind.PRIVATE)
    await alice.post("/rooms/@Bob/messages", {"text": "no room"})
    await alice.say("a", "unread")
    await chat.services.rooms.join(bob.user, "a")
    await alice.say("a", "hi @Bob", "hi")
    chat.connect(alice.user)

    async def listed(limit: int) -> list[str]:
        names, cursor = [], ""
        while True:
            page = (await bob.get(f"/rooms?limit={limit}{cursor}")).json()
            assert len(page["rooms"]) <= limit
            names += [one["room"] for one in page["rooms"]]
            if page["next_cursor"] is None:
                return names
            cursor = f"&cursor={page['next_cursor']}"

    for limit in (1, 2, 5, 50):
        assert await listed(limit) == ["a", "b", "c", "d", "lobby"]
    room = (await bob.get("/rooms?limit=1")).json()["rooms"][0]
    assert room["member"] is True
    assert (room["here"], room["unread"], room["mentions"]) == (1, 2, 1)
    names = [one["room"] for one in (await alice.get("/rooms")).json()["rooms"]]
    assert names == ["a", "b", "c", "d", "lobby", "secret"]


async def test_settings_change_together_or_not_at_all(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    await chat.room(alice, "dev", bob)
    changed = await alice.call(
        "PATCH",
        "/rooms/dev",
        json={"topic": "t", "private": True, "key": "k", "locked": True, "slow_s": 30},
    )
    room = changed.json()
    got = (room["topic"], room["kind"], room["key"], room["locked"], room["slow_s"])
    assert got == ("t", "private", True, True, 30)
    back = await alice.call(
        "PATCH", "/rooms/dev", json={"private": False, "key": "", "locked": False, "slow_s": 0}
    )
    room = back.json()
    got = (room["topic"], room["kind"], room["key"], room["locked"], room["slow_s"])
    assert got == ("t", "public", False, False, 0)
    # a member may set the topic, and nothing else: so neither
    both = await bob.call("PATCH", "/rooms/dev", json={"topic": "mine", "locked": True})
    assert_refused(both, "forbidden", "only ops can do that")
    assert (await bob.get("/rooms/dev")).json()["topic"] == "t"
    assert (await bob.call("PATCH", "/rooms/dev", json={"topic": "mine"})).status_code == 200
    unchanged = await bob.call("PATCH", "/rooms/dev", json={})
    assert unchanged.json()["topic"] == "mine"


async def test_the_lobby_stays_open_and_conversations_have_no_settings(chat: RunningChat) -> None:
    ada, bob = await chat.account("Ada", is_admin=True), await chat.account("Bob")
    for body in ({"private": True}, {"key": "k"}):
        assert_refused(await ada.call("PATCH", "/rooms/lobby", json=body), "forbidden")
    assert_refused(await ada.call("DELETE", "/rooms/lobby"), "forbidden")
    await ada.post("/rooms/@Bob/messages", {"text": "hi"})
    direct = (await bob.get("/rooms/@Ada")).json()
    assert direct["kind"] == "dm"
    assert direct["with"]["name"] == "Ada"
    for body in ({"topic": "x"}, {"locked": True}):
        assert_refused(await bob.call("PATCH", "/rooms/@Ada", json=body), "forbidden")
    assert_refused(await bob.call("DELETE", "/rooms/@Ada"), "forbidden")


async def test_an_archived_room_is_read_only(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    room = await chat.room(alice, "dev", bob)
    await chat.make_op(bob, room)
    await alice.say("dev", "hello")
    assert_refused(await bob.call("DELETE", "/rooms/dev"), "forbidden", "only owners can do that")
    gone = await alice.call("DELETE", "/rooms/dev")
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await alice.get("/rooms/dev")).json()["archived_at"] is not None
    refused = await alice.post("/rooms/dev/messages", {"text": "x"})
    assert_refused(refused, "forbidden", "#dev is archived")
    assert len((await bob.get("/rooms/dev/messages")).json()["messages"]) == 1
