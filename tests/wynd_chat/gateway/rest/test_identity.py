"""Who a request comes from: tokens, cookies, and where cookies do not count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.wynd_chat.gateway.chat_kit import RunningChat, a_chat
from tests.wynd_chat.gateway.rest.refusals_kit import assert_refused
from wynd_chat.domain.models import UserStatus

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.wynd_chat.gateway.chat_kit import Visitor

BODY = {"text": "hi"}


async def send(
    chat: RunningChat, visitor: Visitor, method: str, name: str = "wynd_chat", **headers: str
) -> httpx.Response:
    """Send a request with a visitor's session as a cookie."""
    path = "/users/me" if method == "GET" else "/rooms/lobby/messages"
    return await chat.stranger().call(
        method,
        path,
        headers={"cookie": f"other=1; {name}={visitor.token}"} | headers,
        json=None if method == "GET" else BODY,
    )


async def test_a_token_is_who_it_was_given_to(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    for scheme in ("Bearer ", "bearer ", "BEARER   "):
        answer = await chat.stranger().get(
            "/users/me", headers={"authorization": f"{scheme}{alice.token}"}
        )
        assert answer.json()["name"] == "Alice"


@pytest.mark.parametrize("header", ["", "Bearer", "Basic QTpi", "Bearer nonsense"])
async def test_a_bad_authorization_is_refused_and_not_passed_over(
    chat: RunningChat, header: str
) -> None:
    alice = await chat.account("Alice")
    answer = await send(chat, alice, "GET", authorization=header)  # the cookie would be good
    assert_refused(answer, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert_refused(
        await chat.stranger().get("/api/users", headers={"authorization": header}), "unauthorized"
    )


async def test_tokens_end(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    old = await chat.login(alice.user, expires_at=chat.clock.now_ms() - 1)
    answer = await chat.stranger().get("/users/me", headers={"authorization": f"Bearer {old}"})
    assert_refused(answer, "unauthorized")
    banned = await chat.account("Bad", status=UserStatus.BANNED)
    assert_refused(await banned.get("/users/me"), "unauthorized")


async def test_a_cookie_reads_and_from_our_own_page_writes(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    assert (await send(chat, alice, "GET")).json()["name"] == "Alice"
    own = await send(chat, alice, "POST", origin=chat.chat.local_url)
    assert own.status_code == 201
    for name in ("session", "__Host-wynd_chat"):  # the latter is of TLS
        assert_refused(await send(chat, alice, "GET", name), "unauthorized")


async def test_a_cookie_does_not_write_from_elsewhere(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    assert_refused(await send(chat, alice, "POST"), "unauthorized")  # no page says who it is
    for origin in ("https://evil.org", "null", chat.chat.local_url + "0"):
        assert_refused(await send(chat, alice, "POST", origin=origin), "forbidden")
        assert_refused(await send(chat, alice, "GET", origin=origin), "unauthorized")
    assert (await alice.get("/rooms/lobby/messages")).json()["messages"] == []
    with_token = await alice.post(
        "/rooms/lobby/messages", BODY, headers={"origin": "https://evil.org"}
    )
    assert with_token.status_code == 201  # who has the token needs no cookie
    assert "access-control-allow-origin" not in with_token.headers


async def test_pages_of_the_list_write_with_cookies(tmp_path: Path) -> None:
    listed = {"origins": ["https://example.org"]}
    async with a_chat(tmp_path, server=listed) as chat:
        alice = await chat.account("Alice")
        answer = await send(chat, alice, "POST", origin="https://example.org")
        assert answer.status_code == 201
        own = await send(chat, alice, "POST", origin=chat.chat.local_url)
        assert_refused(own, "forbidden")


async def test_a_cookie_that_has_ended_is_none(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    alice.token = await chat.login(alice.user, expires_at=1)
    assert_refused(await send(chat, alice, "GET"), "unauthorized")
    open_to_all = await chat.stranger().get(
        "/api/users", headers={"cookie": f"wynd_chat={alice.token}"}
    )
    assert open_to_all.status_code == 200


async def test_a_guest_comes_back_with_its_token(chat: RunningChat) -> None:
    gail = await chat.guest("Gail", is_online=False)
    assert (await gail.get("/users/me")).json()["kind"] == "guest"
    assert (await gail.post("/rooms/lobby/messages", BODY)).status_code == 201
