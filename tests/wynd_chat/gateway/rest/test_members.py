"""Members over HTTP: the list, joining, adding, leaving, removing, inviting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.wynd_chat.gateway.rest.refusals_kit import assert_refused
from wynd_chat.domain.models import RoomKind

if TYPE_CHECKING:
    from tests.wynd_chat.gateway.chat_kit import RunningChat, Visitor


async def names(visitor: Visitor, query: str = "") -> list[str]:
    """Return the names of a page of the members of #dev."""
    page = (await visitor.get(f"/rooms/dev/members{query}")).json()
    return [one["user"]["name"] for one in page["members"]]


async def test_members_are_listed_by_name_with_what_they_are(chat: RunningChat) -> None:
    alice, bob, zoe = [await chat.account(name) for name in ("alice", "Bob", "Zoe")]
    gail = await chat.guest("Gail")
    gone = await chat.guest("Gone", is_online=False)
    room = await chat.room(bob, "dev", alice, zoe, gail, gone)
    chat.connect(alice.user)
    await chat.services.accounts.set_away(zoe.user, "lunch")
    until = chat.clock.now_ms() + 60_000
    await chat.change_member(zoe, room, silenced_until=until)
    await chat.change_member(alice, room, silenced_until=1)
    page = (await alice.get("/rooms/dev/members")).json()
    assert page["next_cursor"] is None
    shown = [
        (one["user"]["name"], one["role"], one["online"], one["away"], bool(one["silenced_until"]))
        for one in page["members"]
    ]
    assert shown == [
        ("alice", "member", True, None, False),
        ("Bob", "owner", False, None, False),
        ("Gail", "member", True, None, False),
        ("Zoe", "member", False, "lunch", True),
    ]
    first = (await alice.get("/rooms/dev/members?limit=2")).json()
    assert [one["user"]["name"] for one in first["members"]] == ["alice", "Bob"]
    assert await names(alice, f"?limit=2&cursor={first['next_cursor']}") == ["Gail", "Zoe"]
    # a cursor of another list is none
    refused = await alice.get(f"/rooms?cursor={first['next_cursor']}")
    assert_refused(refused, "bad_request", "this cursor is not one of this list, begin without")


async def test_one_joins_once_and_leaves(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    await chat.room(alice, "dev")
    joined = await bob.call("PUT", "/rooms/dev/members/me")
    assert (joined.status_code, joined.json()["added"]) == (201, True)
    again = await bob.call("PUT", "/rooms/dev/members/Bob", json={})
    assert (again.status_code, again.json()["added"]) == (200, False)
    left = await bob.call("DELETE", "/rooms/dev/members/me?reason=enough%0Aof%20it")
    assert left.status_code == 204
    assert_refused(await bob.call("DELETE", "/rooms/dev/members/me"), "not_member")
    assert await names(alice) == ["Alice"]


async def test_joining_makes_no_room_and_needs_the_key(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    assert_refused(await bob.call("PUT", "/rooms/none/members/me"), "not_found")
    room = await chat.room(alice, "dev")
    await chat.services.room_settings.set_key(alice.user, room, "sesame")
    for body in (None, {}, {"key": "x"}, {"key": ""}):
        refused = await bob.call("PUT", "/rooms/dev/members/me", json=body)
        assert_refused(refused, "forbidden")
    joined = await bob.call("PUT", "/rooms/dev/members/me", json={"key": "sesame"})
    assert joined.status_code == 201


async def test_others_are_added_by_members_and_to_private_rooms_by_ops(chat: RunningChat) -> None:
    alice, bob, carol = [await chat.account(name) for name in ("Alice", "Bob", "Carol")]
    room = await chat.room(alice, "dev", bob)
    await chat.change(room, kind=RoomKind.PRIVATE)
    refused = await bob.call("PUT", "/rooms/dev/members/Carol")
    assert_refused(refused, "forbidden", "only ops can do that")
    added = await alice.call("PUT", "/rooms/dev/members/@carol")
    assert (added.status_code, added.json()["user"]["name"]) == (201, "Carol")
    again = await alice.call("PUT", "/rooms/dev/members/Carol")
    assert (again.status_code, again.json()["added"]) == (200, False)
    assert await names(carol) == ["Alice", "Bob", "Carol"]


async def test_names_with_a_slash_are_reached(chat: RunningChat) -> None:
    alice, odd = await chat.account("Alice"), await chat.account("a/b")
    await chat.room(alice, "dev")
    assert (await alice.call("PUT", "/rooms/dev/members/a%2Fb")).status_code == 201
    assert await names(odd) == ["a/b", "Alice"]
    assert (await alice.get("/users/a%2Fb")).json()["name"] == "a/b"


async def test_a_conversation_keeps_its_two(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    await chat.account("Carol")
    await alice.post("/rooms/@Bob/messages", {"text": "hi"})
    assert (await bob.call("PUT", "/rooms/@Alice/members/me")).json()["added"] is False
    assert_refused(await bob.call("PUT", "/rooms/@Alice/members/Carol"), "forbidden")
    assert_refused(await bob.post("/rooms/@Alice/invites"), "forbidden")


async def test_who_is_above_removes_others(chat: RunningChat) -> None:
    alice, bob, carol = [await chat.account(name) for name in ("Alice", "Bob", "Carol")]
    room = await chat.room(alice, "dev", bob, carol)
    refused = await bob.call("DELETE", "/rooms/dev/members/Carol")
    assert_refused(refused, "forbidden", "only ops can do that")
    await chat.make_op(bob, room)
    assert_refused(await bob.call("DELETE", "/rooms/dev/members/Alice"), "forbidden")
    removed = await bob.call("DELETE", "/rooms/dev/members/@carol?reason=spam%0Aagain")
    assert (removed.status_code, removed.content) == (204, b"")
    assert await names(alice) == ["Alice", "Bob"]
    assert_refused(await bob.call("DELETE", "/rooms/dev/members/Carol"), "not_found")
    assert (await carol.call("PUT", "/rooms/dev/members/me")).status_code == 201


async def test_an_invitation_lets_others_in(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    room = await chat.room(alice, "dev")
    await chat.change(room, kind=RoomKind.PRIVATE)
    answer = await alice.post("/rooms/dev/invites", headers={"idempotency-key": "k"})
    invitation = answer.json()
    assert answer.status_code == 201
    assert invitation["link"] == f"{chat.chat.local_url}/join/{invitation['code']}"
    assert invitation["uses"] == 25
    again = await alice.post("/rooms/dev/invites", headers={"idempotency-key": "k"})
    assert again.json() == invitation
    other = await alice.post("/rooms/dev/invites")
    assert other.json()["code"] != invitation["code"]
    await chat.services.rooms.accept_invite(bob.user, invitation["code"])
    assert await names(bob) == ["Alice", "Bob"]
