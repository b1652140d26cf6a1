"""What administrators do over HTTP: bans from the server, and its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.wynd_chat.gateway.rest.refusals_kit import assert_refused
from wynd_chat.gateway.rest.banmodels import BanList, Numbers

if TYPE_CHECKING:
    from tests.wynd_chat.gateway.chat_kit import RunningChat


async def test_a_banned_user_is_out_at_once(chat: RunningChat) -> None:
    root, bob = await chat.account("Root", is_admin=True), await chat.account("Bob")
    made = await root.post("/admin/bans", {"user": "Bob", "reason": "spam"})
    assert made.status_code == 201
    assert_refused(await bob.get("/users/me"), "unauthorized")
    bob.token = await chat.login(bob.user)  # a login that another node may just have made
    assert_refused(await bob.get("/users/me"), "banned")
    page = (await root.get("/admin/bans")).json()
    BanList.model_validate(page)
    assert page["bans"] == [made.json()]
    assert (await root.call("DELETE", "/admin/bans?user=Bob")).status_code == 204
    assert (await bob.get("/users/me")).status_code == 200


async def test_addresses_are_banned_but_not_ones_own(chat: RunningChat) -> None:
    root = await chat.account("Root", is_admin=True)
    made = await root.post("/admin/bans", {"address": "192.0.2.7/24"})
    assert made.json()["address"] == "192.0.2.0/24"
    own = await root.post("/admin/bans", {"address": "127.0.0.1"})
    assert_refused(own, "bad_request", "you are connected from there yourself")
    lifted = await root.call("DELETE", "/admin/bans?address=192.0.2.0/24")
    assert lifted.status_code == 204


async def test_a_banned_address_reaches_nothing(chat: RunningChat) -> None:
    root, bob = await chat.account("Root", is_admin=True), await chat.account("Bob")
    await chat.services.server_bans.ban_address(root.user, "127.0.0.0/8")
    assert_refused(await bob.get("/rooms"), "banned", "this address is banned here")
    upgrade = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    answer = await chat.client.get("/ws", headers=upgrade)
    assert (answer.status_code, answer.text) == (403, "this address is banned here\n")


async def test_numbers_are_an_object(chat: RunningChat) -> None:
    root = await chat.account("Root", is_admin=True)
    numbers = (await root.get("/admin/stats")).json()
    Numbers.model_validate(numbers)
    assert numbers["accounts"] == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/admin/bans", None),
        ("POST", "/admin/bans", {"user": "Alice"}),
        ("POST", "/admin/bans", {"user": "Nobody"}),
        ("DELETE", "/admin/bans?user=Alice", None),
        ("GET", "/admin/stats", None),
        ("POST", "/admin/backup", None),
    ],
)
async def test_only_administrators_may(
    chat: RunningChat, method: str, path: str, body: Any
) -> None:
    alice = await chat.account("Alice")
    more = {} if body is None else {"json": body}
    assert_refused(await chat.stranger().call(method, path, **more), "unauthorized")
    assert_refused(await alice.call(method, path, **more), "forbidden", "only admins can do that")


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("POST", "/admin/bans", {"user": "Nobody"}, "not_found"),
        ("POST", "/admin/bans", {"user": "Root"}, "forbidden"),
        ("POST", "/admin/bans", {"address": "nonsense"}, "bad_request"),
        ("POST", "/admin/bans", {"address": "192.0.2.1", "user": "Bob"}, "bad_request"),
        ("POST", "/admin/bans", {"address": "192.0.2.1", "purge_seconds": 60}, "bad_request"),
        ("POST", "/admin/bans", {"user": "Bob", "reason": "x" * 201}, "too_large"),
        ("DELETE", "/admin/bans", None, "bad_request"),
        ("DELETE", "/admin/bans?user=Bob&address=192.0.2.1", None, "bad_request"),
        ("DELETE", "/admin/bans?user=Bob", None, "not_found"),
        ("DELETE", "/admin/bans?user=*", None, "not_found"),
        ("POST", "/admin/backup", None, "unsupported"),
    ],
)
async def test_what_does_not_fit_is_refused(
    chat: RunningChat, method: str, path: str, body: Any, code: str
) -> None:
    root = await chat.account("Root", is_admin=True)
    await chat.account("Bob")
    more = {} if body is None else {"json": body}
    assert_refused(await root.call(method, path, **more), code)
