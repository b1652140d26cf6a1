"""Rooms as addresses name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.wynd_chat.gateway.rest.refusals_kit import assert_refused

if TYPE_CHECKING:
    from tests.wynd_chat.gateway.chat_kit import RunningChat


async def test_a_room_is_named_in_every_way_and_shown_in_one(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    room = await chat.room(alice, "dev")
    for ref in ("dev", "DEV", "%23dev", "%EF%BD%84ev", room.id):
        answer = await alice.get(f"/rooms/{ref}")
        assert answer.json()["room"] == "dev", ref


async def test_what_names_no_room_is_not_found(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    for ref in ("none", "r_none", "%00", "two%20words", "@", "@Nobody", "@Alice", "%F0%9F%92%A9"):
        assert_refused(await alice.get(f"/rooms/{ref}"), "not_found")
        assert_refused(await alice.get(f"/rooms/{ref}/messages"), "not_found")


async def test_reading_opens_no_conversation_and_writing_opens_one(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    for path in ("", "/messages", "/members"):
        assert_refused(await alice.get(f"/rooms/@Bob{path}"), "not_found")
    assert len((await bob.get("/users/me/rooms")).json()["rooms"]) == 1
    await alice.post("/rooms/@Bob/messages", {"text": "hi"})
    assert len((await bob.get("/users/me/rooms")).json()["rooms"]) == 2


async def test_conversations_of_others_are_not_there(chat: RunningChat) -> None:
    alice, _ = await chat.account("Alice"), await chat.account("Bob")
    ada = await chat.account("Ada", is_admin=True)
    posted = await alice.post("/rooms/@Bob/messages", {"text": "hi"})
    for path in ("", "/messages", "/messages/1", "/members"):
        answer = await ada.get(f"/rooms/{posted.json()['room']}{path}")
        assert_refused(answer, "not_found")
