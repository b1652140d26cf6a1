"""Logging in and out over HTTP, accounts, claims and invitations, on a chat that listens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.wynd_chat.gateway.chat_kit import RunningChat, Visitor, a_chat
from tests.wynd_chat.gateway.rest.refusals_kit import assert_refused
from wynd_chat.domain.models import ServerRole
from wynd_chat.gateway.rest.login_models import LoginGiven, LoginList, Registration

if TYPE_CHECKING:
    from pathlib import Path

GOOD = "correct horse battery staple"


async def registered(chat: RunningChat, name: str = "Alice") -> Visitor:
    """Make an account with a password and log it in by a token."""
    user = (await chat.services.logins.register(name, GOOD, None)).user
    answer = await chat.stranger().post(
        "/sessions", {"name": name, "password": GOOD, "cookie": False}
    )
    return Visitor(chat.client, user, answer.json()["token"])


def own_origin(chat: RunningChat) -> dict[str, str]:
    """Return the header fields of a page of the chat."""
    return {"origin": chat.chat.local_url}


async def test_logging_in_gives_a_cookie_and_no_token(chat: RunningChat) -> None:
    await registered(chat)
    answer = await chat.stranger().post("/sessions", {"name": "alice", "password": GOOD})
    assert answer.status_code == 201
    assert "token" not in answer.json()
    LoginGiven.model_validate(answer.json())
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("wynd_chat=")
    for attribute in ("HttpOnly", "SameSite=strict", "Path=/"):
        assert attribute in cookie
    assert (await chat.client.get("/api/v1/users/me")).json()["name"] == "Alice"
    assert answer.headers["cache-control"] == "no-store"


async def test_a_program_asks_for_a_token_instead(chat: RunningChat) -> None:
    answer = await chat.stranger().post(
        "/sessions", {"name": "Nobody", "password": GOOD, "cookie": False}
    )
    assert_refused(answer, "unauthorized", "wrong name or password")
    alice = await registered(chat)
    assert (await alice.get("/users/me")).json()["name"] == "Alice"
    assert not chat.client.cookies


async def test_logins_are_listed_and_ended(chat: RunningChat) -> None:
    alice, bob = await registered(chat), await registered(chat, "Bob")
    phone = await chat.stranger().post(
        "/sessions",
        {"name": "Alice", "password": GOOD, "cookie": False, "label": "phone"},
        headers={"user-agent": "Phone/1.0"},
    )
    other = Visitor(chat.client, alice.user, phone.json()["token"])
    listed = (await alice.get("/sessions")).json()
    LoginList.model_validate(listed)
    assert [(one["label"], one["current"]) for one in listed["sessions"]] == [
        ("", True),
        ("phone", False),
    ]
    assert listed["sessions"][1]["user_agent"] == "Phone/1.0"
    assert listed["sessions"][1]["ip"] in ("127.0.0.1", "::1")
    ref = listed["sessions"][1]["id"]
    assert_refused(await bob.call("DELETE", f"/sessions/{ref}"), "not_found")
    assert (await alice.call("DELETE", f"/sessions/{ref}")).status_code == 204
    assert_refused(await other.get("/users/me"), "unauthorized")
    assert (await alice.call("DELETE", "/sessions/current")).status_code == 204
    assert_refused(await alice.get("/users/me"), "unauthorized")


async def test_logging_out_takes_the_cookie_away(chat: RunningChat) -> None:
    await registered(chat)
    await chat.stranger().post("/sessions", {"name": "Alice", "password": GOOD})
    answer = await chat.client.delete("/api/v1/sessions/current", headers=own_origin(chat))
    assert answer.status_code == 204
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert not chat.client.cookies


async def test_a_foreign_page_logs_nobody_in(chat: RunningChat) -> None:
    await registered(chat)
    for path, body in (
        ("/sessions", {"name": "Alice", "password": GOOD}),
        ("/users", {"name": "Eve", "password": GOOD}),
        ("/link", None),
    ):
        answer = await chat.stranger().post(path, body, headers={"origin": "https://evil.example"})
        assert_refused(answer, "forbidden")
        assert "set-cookie" not in answer.headers


async def test_an_account_is_made_and_then_logged_into(chat: RunningChat) -> None:
    answer = await chat.stranger().post("/users", {"name": "Alice", "password": GOOD})
    assert answer.status_code == 201
    Registration.model_validate(answer.json())
    assert answer.json()["room"] is None
    assert "set-cookie" not in answer.headers
    for body, code in (
        ({"name": "alice", "password": GOOD}, "name_registered"),
        ({"name": "two words", "password": GOOD}, "bad_name"),
        ({"name": "Bob", "password": "short"}, "bad_request"),
        ({"name": "Bob", "password": "x" * 1025}, "bad_request"),
        ({"name": "Bob", "password": GOOD, "invite": "nonsense"}, "expired"),
    ):
        assert_refused(await chat.stranger().post("/users", body), code)


async def test_a_guest_who_registers_the_own_name_keeps_everything(chat: RunningChat) -> None:
    gail = await chat.guest("Gail")
    room = await chat.room(gail, "dev")
    answer = await gail.post("/users", {"name": "Gail", "password": GOOD})
    assert answer.json()["user"]["id"] == gail.user.id
    assert_refused(await gail.get("/users/me"), "unauthorized")  # the guest's token has ended
    found = await chat.store.read(lambda snap: snap.membership(room.id, gail.user.id))
    assert found is not None
    other = await chat.guest("Hal")
    answer = await other.post("/users", {"name": "Ida", "password": GOOD})
    assert answer.json()["user"]["id"] != other.user.id


async def test_a_repeated_registration_keeps_no_secret(chat: RunningChat) -> None:
    gail = await chat.guest("Gail")
    body = {"name": "Gail", "password": GOOD}
    answer = await gail.post("/users", body, headers={"idempotency-key": "k1"})
    assert answer.status_code == 201
    kept = await chat.store.read(lambda snap: snap.idempotent_answer(gail.user.id, "k1"))
    assert kept is None or kept.body == ""


async def test_the_server_is_claimed_by_who_is_logged_in(chat: RunningChat) -> None:
    alice, gail = await registered(chat), await chat.guest("Gail")
    assert chat.chat.claim_link is not None
    code = chat.chat.claim_link.rpartition("/")[2]
    assert_refused(await chat.stranger().post(f"/claim/{code}"), "unauthorized")
    assert_refused(await gail.post(f"/claim/{code}"), "forbidden")
    assert_refused(await alice.post("/claim/nonsense"), "expired")
    answer = await alice.post(f"/claim/{code}")
    assert answer.json()["user"]["role"] == ServerRole.ADMIN
    assert_refused(await alice.post(f"/claim/{code}"), "expired")


async def test_an_invitation_is_accepted(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    await chat.room(alice, "dev")
    made = (await alice.post("/rooms/dev/invites")).json()
    assert_refused(await chat.stranger().post(f"/join/{made['code']}"), "unauthorized")
    assert_refused(await bob.post("/join/nonsense"), "expired")
    answer = await bob.post(f"/join/{made['code']}")
    assert answer.json() == {"room": "dev", "added": True}
    assert (await bob.post(f"/join/{made['code']}")).json()["added"] is False


async def test_an_invitation_registers_where_one_is_needed(tmp_path: Path) -> None:
    async with a_chat(tmp_path, auth={"registration": "invite"}) as chat:
        root = await chat.account("Root", is_admin=True)
        await chat.room(root, "ops")
        code = (await root.post("/rooms/ops/invites")).json()["code"]
        body: dict[str, Any] = {"name": "Alice", "password": GOOD}
        assert_refused(await chat.stranger().post("/users", body), "forbidden")
        answer = await chat.stranger().post("/users", body | {"invite": code})
        assert answer.json()["room"] == "ops"


async def test_a_password_is_changed_and_other_logins_end(chat: RunningChat) -> None:
    alice = await registered(chat)
    answer = await chat.stranger().post(
        "/sessions", {"name": "Alice", "password": GOOD, "cookie": False}
    )
    other = Visitor(chat.client, alice.user, answer.json()["token"])
    new = "another long password"
    for body, code in (
        ({"password": new}, "bad_request"),
        ({"old_password": GOOD}, "bad_request"),
        ({"old_password": GOOD, "password": new, "away": "x"}, "bad_request"),
        ({"old_password": GOOD, "password": "short"}, "bad_request"),
        ({"old_password": "wrong", "password": new}, "unauthorized"),
    ):
        assert_refused(await alice.call("PATCH", "/users/me", json=body), code)
    body = {"old_password": GOOD, "password": new}
    changed = await alice.call("PATCH", "/users/me", json=body)
    assert changed.status_code == 200
    assert "password" not in changed.text
    assert_refused(await other.get("/users/me"), "unauthorized")
    assert (await alice.get("/users/me")).status_code == 200
    gail = await chat.guest("Gail")
    assert_refused(await gail.call("PATCH", "/users/me", json=body), "forbidden")


async def test_who_guesses_is_told_when_to_come_back(chat: RunningChat) -> None:
    await registered(chat)
    answers = [
        await chat.stranger().post("/sessions", {"name": "Alice", "password": f"guess {n}"})
        for n in range(4)
    ]
    assert [one.status_code for one in answers] == [401, 401, 401, 429]
    problem = assert_refused(answers[-1], "rate_limited")
    assert problem["retry_after"] > 0
    assert answers[-1].headers["retry-after"] == "1"


@pytest.mark.timeout(60)
async def test_logins_that_race_are_each_their_own(chat: RunningChat) -> None:
    """One thousand, of which as many as may wait are served and the others told to come back."""
    names = [f"user-{n}" for n in range(20)]
    people = [(await chat.services.logins.register(name, GOOD, None)).user for name in names]
    ids = dict(zip(names, (one.id for one in people), strict=True))
    served = 0

    async def one(number: int) -> None:
        nonlocal served
        name = names[number % len(names)]
        body = {"name": name, "password": GOOD, "cookie": False}
        answer = await chat.stranger().post("/sessions", body)
        if answer.status_code == 201:
            served += 1
            assert answer.json()["user"]["id"] == ids[name]
            who = Visitor(chat.client, None, answer.json()["token"])
            assert (await who.get("/users/me")).json()["name"] == name
        else:
            assert answer.status_code in (429, 503)
            assert "token" not in answer.text

    for start in range(0, 1000, 50):
        await asyncio.gather(*(one(start + n) for n in range(50)))
    assert served >= 20
