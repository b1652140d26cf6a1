"""Tokens for programs and codes of other devices over HTTP, on a chat that listens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.wynd_chat.gateway.chat_kit import Visitor
from tests.wynd_chat.gateway.rest.refusals_kit import assert_refused
from wynd_chat.gateway.rest.login_models import LinkShown, LinkTaken, TokenGiven, TokenList

if TYPE_CHECKING:
    from tests.wynd_chat.gateway.chat_kit import RunningChat


async def test_a_token_is_made_shown_once_and_revoked(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    made = await alice.post("/tokens", {"label": "backup script", "days": 7})
    assert made.status_code == 201
    TokenGiven.model_validate(made.json())
    token, ref = made.json()["token"], made.json()["id"]
    bot = Visitor(chat.client, alice.user, token)
    assert (await bot.get("/users/me")).json()["name"] == "Alice"
    listed = await alice.get("/tokens")
    TokenList.model_validate(listed.json())
    assert token not in listed.text
    assert "backup script" in [one["label"] for one in listed.json()["tokens"]]
    assert_refused(await bob.call("DELETE", f"/tokens/{ref}"), "not_found")
    assert (await alice.call("DELETE", f"/tokens/{ref}")).status_code == 204
    assert_refused(await bot.get("/users/me"), "unauthorized")
    assert_refused(await alice.call("DELETE", f"/tokens/{ref}"), "not_found")


async def test_a_tokens_answer_is_kept_nowhere(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    headers = {"idempotency-key": "once"}
    made = await alice.post("/tokens", {"label": "x"}, headers=headers)
    again = await alice.post("/tokens", {"label": "x"}, headers=headers)
    assert_refused(again, "conflict")
    kept = await chat.store.read(lambda snap: snap.idempotent_answer(alice.user.id, "once"))
    assert kept is not None
    assert made.json()["token"] not in kept.body


async def test_guests_have_no_tokens(chat: RunningChat) -> None:
    gail = await chat.guest("Gail")
    assert_refused(await gail.post("/tokens", {}), "forbidden")
    assert (await gail.get("/tokens")).json() == {"tokens": []}


async def test_another_device_logs_in_by_a_code(chat: RunningChat) -> None:
    alice, gail = await chat.account("Alice"), await chat.guest("Gail")
    device = chat.stranger()
    shown = await device.post("/link")
    assert shown.status_code == 201
    LinkShown.model_validate(shown.json())
    asked = {"code": shown.json()["code"], "secret": shown.json()["secret"]}
    assert shown.json()["link"] == f"{chat.chat.local_url}/link"
    waiting = await device.post("/link", asked)
    assert (waiting.status_code, waiting.json()) == (200, {"approved": False})
    assert_refused(await chat.stranger().post(f"/link/{asked['code']}"), "unauthorized")
    assert_refused(await gail.post(f"/link/{asked['code']}"), "forbidden")
    assert_refused(await alice.post("/link/AAAA-AAAA"), "expired")
    assert (await alice.post(f"/link/{asked['code'].lower()}")).status_code == 204
    assert_refused(await device.post("/link", asked | {"secret": "guessed"}), "expired")
    taken = await device.post("/link", asked)
    LinkTaken.model_validate(taken.json())
    assert taken.status_code == 201
    now = Visitor(chat.client, alice.user, taken.json()["token"])
    assert (await now.get("/users/me")).json()["id"] == alice.user.id
    assert_refused(await device.post("/link", asked), "expired")
