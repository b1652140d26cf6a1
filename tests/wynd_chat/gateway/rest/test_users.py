"""Users over HTTP: accounts, one user, the caller's settings, rooms and read markers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.wynd_chat.gateway.rest.refusals_kit import assert_refused
from wynd_chat.domain.models import RoomKind

if TYPE_CHECKING:
    from tests.wynd_chat.gateway.chat_kit import RunningChat


async def test_accounts_are_listed_by_name_page_by_page(chat: RunningChat) -> None:
    people = [await chat.account(name) for name in ("bob", "Alice", "Alan", "carol")]
    await chat.guest("Albert")
    chat.connect(people[1].user)
    bob = people[0]

    async def listed(query: str) -> list[str]:
        names, cursor = [], ""
        while True:
            page = (await bob.get(f"/users?{query}{cursor}")).json()
            names += [one["name"] for one in page["users"]]
            if page["next_cursor"] is None:
                return names
            cursor = f"&cursor={page['next_cursor']}"

    for limit in (1, 2, 3, 4, 50):
        assert await listed(f"limit={limit}") == ["Alan", "Alice", "bob", "carol"]
    assert await listed("q=AL&limit=1") == ["Alan", "Alice"]
    assert await listed("q=zz") == []
    shown = (await bob.get("/users?q=alice")).json()["users"]
    assert shown == [
        {
            "id": people[1].user.id,
            "name": "Alice",
            "kind": "human",
            "role": "user",
            "online": True,
            "away": None,
        }
    ]
    for wrong in ("", "x", "AAAA", "%00", "é", "a" * 600):
        assert_refused(await bob.get(f"/users?cursor={wrong}"), "bad_request")


async def test_a_user_shows_rooms_that_both_are_in(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    await chat.room(alice, "dev", bob)
    await chat.change(await chat.room(bob, "secret"), kind=RoomKind.PRIVATE)
    await alice.post("/rooms/@Bob/messages", {"text": "hi"})
    shown = (await alice.get("/users/@bob")).json()
    assert (shown["name"], shown["rooms"]) == ("Bob", ["dev", "lobby"])
    assert "127.0.0.1" not in str(shown)


async def test_the_caller_changes_name_away_and_preferences(chat: RunningChat) -> None:
    gail = await chat.guest("Gail")
    body = {"name": "Gabi", "away": "lunch", "prefs": {"ids": True, "bell": False}}
    changed = (await gail.call("PATCH", "/users/me", json=body)).json()
    assert (changed["name"], changed["away"]) == ("Gabi", "lunch")
    assert changed["prefs"] == {"ids": True, "bell": False}
    assert changed == (await gail.get("/users/me")).json()
    more = {"prefs": {"ids": False}}
    changed = (await gail.call("PATCH", "/users/me", json=more)).json()
    assert changed["prefs"] == {"ids": False, "bell": False}
    assert changed["away"] == "lunch"
    back = (await gail.call("PATCH", "/users/me", json={"away": None})).json()
    assert (back["away"], back["name"]) == (None, "Gabi")


async def test_a_change_that_is_refused_changes_nothing(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    await chat.account("Bob")
    before = (await alice.get("/users/me")).json()
    for code, body in (
        ("name_registered", {"name": "bob", "away": "x", "prefs": {"ids": True}}),
        ("too_large", {"name": "New", "away": "x" * 201}),
        ("bad_request", {"name": "New", "prefs": {"ids": "yes"}}),
        ("bad_request", {"name": "New", "role": "admin"}),
        ("bad_request", {"name": "New", "prefs": {"__proto__": True}}),
    ):
        assert_refused(await alice.call("PATCH", "/users/me", json=body), code)
    assert (await alice.get("/users/me")).json() == before


async def test_my_rooms_have_what_is_unread(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    await chat.room(alice, "dev", bob)
    await alice.say("dev", "hi @Bob", "hi")
    await alice.post("/rooms/@Bob/messages", {"text": "psst"})
    rooms = (await bob.get("/users/me/rooms")).json()["rooms"]
    assert [one["room"] for one in rooms[:2]] == ["dev", "lobby"]
    dev, direct = rooms[0], rooms[2]
    got = (dev["head"], dev["read"], dev["unread"], dev["mentions"], dev["role"], dev["notify"])
    assert got == (4, 2, 2, 1, "member", "all")
    assert "with" not in dev
    assert (direct["kind"], direct["with"]["name"], direct["unread"]) == ("dm", "Alice", 1)


async def test_read_markers_rise_together_or_not_at_all(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    await chat.room(alice, "dev", bob)
    await chat.room(alice, "ops")
    await alice.say("dev", "a", "b", "c")  # 3, 4, 5
    direct = (await alice.post("/rooms/@Bob/messages", {"text": "psst"})).json()["room"]

    async def mark(rooms: dict[str, int]) -> dict[str, int]:
        answer = await bob.call("PUT", "/users/me/read", json={"rooms": rooms})
        assert answer.status_code == 200, answer.text
        marks: dict[str, int] = answer.json()["rooms"]
        return marks

    assert await mark({}) == {}
    assert await mark({"dev": 4, direct: 1}) == {"dev": 4, direct: 1}
    assert await mark({"#dev": 3}) == {"#dev": 4}  # never lower
    assert await mark({"dev": 9007199254740991}) == {"dev": 5}  # never beyond the end
    refused = await bob.call("PUT", "/users/me/read", json={"rooms": {direct: 1, "ops": 1}})
    assert_refused(refused, "not_member", "you are not in #ops")
    for wrong in ({"dev": "4"}, {"dev": 1.5}, {"dev": True}, {"dev": None}, ["dev"], None):
        malformed = {"rooms": wrong}
        refused = await bob.call("PUT", "/users/me/read", json=malformed)
        assert_refused(refused, "bad_request")
    await alice.say("dev", "d")
    body = {"rooms": {"dev": 6, "ops": 1}}
    assert_refused(await bob.call("PUT", "/users/me/read", json=body), "not_member")
    assert await mark({"dev": 0}) == {"dev": 5}  # the refused request raised nothing
