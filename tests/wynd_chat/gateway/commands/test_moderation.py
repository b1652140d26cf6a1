"""Moderation commands: how their arguments are read, and what programs are told.

What people read is in the transcripts `moderation.chat` and `bans.chat`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.wynd_chat.gateway.chat_kit import RunningChat, Visitor, a_chat

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[RunningChat]:
    """Return a chat in memory."""
    async with a_chat(tmp_path) as running:
        yield running


async def run(visitor: Visitor, text: str, room: str = "dev") -> dict[str, Any]:
    """Run a command; return its result, or the problem."""
    answer = await visitor.post(f"/rooms/{room}/commands", {"text": text})
    value: dict[str, Any] = answer.json()
    return value["result"] if answer.status_code == 200 else value


@pytest.mark.parametrize(
    ("text", "reason", "is_limited"),
    [
        ("/ban Bob", "", False),
        ("/ban @bob spam", "spam", False),
        ("/ban Bob 10m", "", True),
        ("/ban Bob 10m 7d of spam", "7d of spam", True),
        ("/ban Bob off", "", False),
        ("/ban  Bob   10m   two  words", "two  words", True),
        ("/ban --purge 1h Bob 10m spam", "spam", True),
        ("/ban Bob 10 minutes", "10 minutes", False),
        ("/ban Bob said --no", "said --no", False),
    ],
)
async def test_a_ban_is_read(chat: RunningChat, text: str, reason: str, is_limited: bool) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    await chat.room(alice, "dev", bob)
    result = await run(alice, text)
    assert result["user"] == {"id": bob.user.id, "name": "Bob", "kind": "human"}
    assert result["by"]["name"] == "Alice"
    assert (result["reason"], result["until"] is not None) == (reason, is_limited)


@pytest.mark.parametrize(
    "text",
    [
        "/ban",
        "/ban --purge",
        "/ban --purge 1h",
        "/ban --nonsense Bob",
        "/ban Bob --purge 1h",
        "/ban --purge 1h *",
        "/unban",
        "/unban Bob 10m",
        "/unban Bob because",
        "/unban --purge 1h Bob",
        "/bans all",
        "/kick",
        "/timeout",
        "/op",
    ],
)
async def test_what_does_not_fit_is_answered_with_the_syntax(chat: RunningChat, text: str) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    await chat.room(alice, "dev", bob)
    problem = await run(alice, text)
    assert problem["code"] == "bad_request"
    assert problem["detail"].startswith("Usage: /")
    assert len((await alice.get("/rooms/dev/members")).json()["members"]) == 2


async def test_an_unreadable_time_to_delete_is_told(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    await chat.room(alice, "dev", bob)
    problem = await run(alice, "/ban --purge forever Bob")
    assert problem["detail"] == "a duration looks like 30s, 10m, 2h, 7d or 1w; off clears"


async def test_addresses_and_names_that_look_like_them(chat: RunningChat) -> None:
    root = await chat.account("Root", is_admin=True)
    named = await chat.account("10.0.0.1")
    result = await run(root, "/ban --server 192.0.2.7/24 1h proxies", "lobby")
    assert (result["address"], result["reason"]) == ("192.0.2.0/24", "proxies")
    result = await run(root, "/ban --server 2001:db8::/32", "lobby")
    assert result["address"] == "2001:db8::/32"
    result = await run(root, "/ban --server @10.0.0.1", "lobby")
    assert result["user"]["id"] == named.user.id
    listed = await run(root, "/bans --server", "lobby")
    assert len(listed["bans"]) == 3
    assert (await run(root, "/unban --server 2001:db8::/32", "lobby"))["room"] is None
    refused = await run(root, "/ban --server --purge 1h 192.0.2.9", "lobby")
    assert refused["detail"].startswith("Usage: /ban")


async def test_newcomers_are_named_as_such(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    await chat.room(alice, "dev")
    assert (await run(alice, "/ban * 1h"))["newcomers"] is True
    (ban,) = (await run(alice, "/bans"))["bans"]
    assert ban["newcomers"] is True
    assert "user" not in ban
    assert (await run(alice, "/unban *"))["unbanned"] == "newcomers"


@pytest.mark.parametrize(
    ("text", "seconds", "reason"),
    [
        ("/timeout Bob", 600, ""),
        ("/timeout Bob 30s", 30, ""),
        ("/silence Bob 30s too loud", 30, "too loud"),
        ("/timeout Bob too loud", 600, "too loud"),
        ("/timeout Bob 1h 30 times", 3600, "30 times"),
    ],
)
async def test_a_timeout_is_read(chat: RunningChat, text: str, seconds: int, reason: str) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    dev = await chat.room(alice, "dev", bob)
    before = chat.clock.now_ms()
    result = await run(alice, text)
    assert result["user"]["name"] == "Bob"
    membership = await chat.services.rooms.membership(bob.user, dev)
    assert membership is not None
    assert abs((membership.silenced_until or 0) - before - seconds * 1000) < 20_000
    events = await chat.store.read(lambda s: s.events_after(dev.id, 0, 100))
    assert events.events[-1].body.reason == reason


async def test_roles_are_told_to_programs(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    await chat.room(alice, "dev", bob)
    first = await run(alice, "/op Bob")
    assert (first["room"], first["room_role"], first["changed"]) == ("dev", "op", True)
    assert (await run(alice, "/op Bob"))["changed"] is False
    assert (await run(alice, "/deop Bob"))["room_role"] == "member"
    assert (await run(alice, "/owner Bob"))["room_role"] == "owner"
