"""Bans and timeouts over HTTP: made, listed, lifted; what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.wynd_chat.gateway.rest.refusals_kit import assert_refused
from wynd_chat.gateway.rest.banmodels import BanList, MemberSilence

if TYPE_CHECKING:
    from tests.wynd_chat.gateway.chat_kit import RunningChat


async def test_a_ban_is_made_listed_and_lifted(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    await chat.room(alice, "dev", bob)
    body = {"user": "@Bob", "seconds": 600, "reason": "spam"}
    made = await alice.post("/rooms/dev/bans", body)
    assert made.status_code == 201
    page = (await alice.get("/rooms/dev/bans")).json()
    BanList.model_validate(page)
    assert page["bans"] == [made.json()]
    assert_refused(await bob.call("PUT", "/rooms/dev/members/me"), "banned")
    assert (await alice.call("DELETE", "/rooms/dev/bans?user=Bob")).status_code == 204
    assert_refused(await alice.call("DELETE", "/rooms/dev/bans?user=Bob"), "not_found")
    assert (await bob.call("PUT", "/rooms/dev/members/me")).status_code == 201


async def test_newcomers_are_banned_by_nobodys_name(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    await chat.room(alice, "dev")
    made = (await alice.post("/rooms/dev/bans", {})).json()
    assert made["newcomers"] is True
    assert made["until"] is None
    assert_refused(await bob.call("PUT", "/rooms/dev/members/me"), "banned")
    assert (await alice.call("DELETE", "/rooms/dev/bans?user=*")).status_code == 204


async def test_a_repeated_ban_is_made_once(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    await chat.room(alice, "dev", bob)
    key = {"idempotency-key": "ban-1"}
    first = await alice.post("/rooms/dev/bans", {"user": "Bob"}, headers=key)
    again = await alice.post("/rooms/dev/bans", {"user": "Bob"}, headers=key)
    assert first.json() == again.json()


async def test_a_member_is_silenced_and_heard_again(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    await chat.room(alice, "dev", bob)
    path = "/rooms/dev/members/Bob/timeout"
    done = await alice.post(path, {"seconds": 60, "reason": "loud"})
    MemberSilence.model_validate(done.json())
    assert done.json()["silenced_until"] is not None
    assert_refused(await bob.post("/rooms/dev/messages", {"text": "x"}), "silenced")
    done = await alice.post(path, {"seconds": None})
    assert done.json()["silenced_until"] is None
    assert (await bob.post("/rooms/dev/messages", {"text": "x"})).status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/rooms/dev/bans", None),
        ("POST", "/rooms/dev/bans", {"user": "Alice"}),
        ("DELETE", "/rooms/dev/bans?user=Alice", None),
        ("POST", "/rooms/dev/members/Alice/timeout", {}),
    ],
)
async def test_only_ops_may_and_strangers_know_nothing(
    chat: RunningChat, method: str, path: str, body: Any
) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    await chat.room(alice, "dev", bob)
    await chat.room(alice, "secret")
    await alice.call("PATCH", "/rooms/secret", json={"private": True})
    more = {} if body is None else {"json": body}
    assert_refused(await chat.stranger().call(method, path, **more), "unauthorized")
    assert_refused(await bob.call(method, path, **more), "forbidden", "only ops can do that")
    hidden = path.replace("/dev/", "/secret/")
    assert_refused(await bob.call(method, hidden, **more), "not_found")


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/rooms/dev/bans", {"user": "Nobody"}, "not_found"),
        ("/rooms/dev/bans", {"user": "Bob", "seconds": 0}, "bad_request"),
        ("/rooms/dev/bans", {"user": "Bob", "seconds": 10**12}, "bad_request"),
        ("/rooms/dev/bans", {"user": "Bob", "reason": "x" * 201}, "too_large"),
        ("/rooms/dev/bans", {"nobody": "Bob"}, "bad_request"),
        ("/rooms/dev/bans", {"user": "Alice"}, "forbidden"),
        ("/rooms/dev/members/Nobody/timeout", {}, "not_found"),
        ("/rooms/dev/members/Sam/timeout", {}, "not_found"),
        ("/rooms/dev/members/Bob/timeout", {"seconds": "10m"}, "bad_request"),
        ("/rooms/dev/members/Bob/timeout", {"reason": "x" * 201}, "too_large"),
    ],
)
async def test_what_does_not_fit_is_refused(
    chat: RunningChat, path: str, body: Any, code: str
) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    await chat.account("Sam")
    await chat.room(alice, "dev", bob)
    assert_refused(await alice.post(path, body), code)
