"""Every refusal that an operation declares happens, and is answered in the one form.

The table below has a row for each operation and code of the OpenAPI document; a test holds that
none is missing. Failures of the server are provoked for every operation alike.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.wynd_chat.gateway.chat_kit import RunningChat, Visitor, a_chat
from tests.wynd_chat.gateway.rest.refusals_kit import assert_refused
from wynd_chat.domain.models import Ban, RoomKind
from wynd_chat.ports.store import StoreFailure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

V1 = "/api/v1"
MESSAGES, MEMBERS = "/rooms/{room}/messages", "/rooms/{room}/members"
MEMBER = "/rooms/{room}/members/{user}"
SERVER_SIDE = {"internal", "unavailable"}
ROOM_200 = "x" * 201


@dataclass(frozen=True)
class Row:
    """One refusal: which operation, which code, and the request that gets it."""

    operation: str
    code: str
    who: str
    path: str
    more: dict[str, Any] = field(default_factory=dict)
    detail: str | None = None

    @property
    def method(self) -> str:
        """Of the operation."""
        return self.operation.split(" ")[0]


def row(
    operation: str, code: str, who: str, path: str, json: Any = None, detail: str | None = None
) -> Row:
    """Return a row; `json` is the body."""
    return Row(operation, code, who, path, {} if json is None else {"json": json}, detail)


def nobody(operation: str, path: str, json: Any = None) -> Row:
    """Return the row of a request without a login."""
    return row(operation, "unauthorized", "stranger", path, json)


BIG = {"content": b"x" * (128 * 1024 + 1), "headers": {"content-type": "application/json"}}
LONG = "x" * 8001
TAKES_LOGIN = "log in first: Authorization: Bearer TOKEN"


def too_large(operation: str, path: str) -> Row:
    """Return the row of a body beyond the limit."""
    return Row(operation, "too_large", "bob", path, BIG, "a body has at most 131072 bytes")


ROWS = [
    # the overview
    Row(
        "GET /api/users",
        "unauthorized",
        "stranger",
        "/api/users",
        {"headers": {"authorization": "Bearer nonsense"}},
        "this token is not valid, log in again",
    ),
    row("GET /api/errors/{code}", "not_found", "stranger", "/api/errors/nonsense"),
    # rooms
    nobody("GET /rooms", "/rooms"),
    row("GET /rooms", "bad_request", "bob", "/rooms?cursor=garbled"),
    nobody("POST /rooms", "/rooms", {"name": "new"}),
    row("POST /rooms", "bad_request", "bob", "/rooms", {}, "body.name is missing"),
    row("POST /rooms", "forbidden", "full", "/rooms", {"name": "new"}),
    row("POST /rooms", "conflict", "bob", "/rooms", {"name": "#dev"}),
    row("POST /rooms", "too_large", "bob", "/rooms", {"name": "new", "topic": "x" * 301}),
    too_large("POST /rooms", "/rooms"),
    row("POST /rooms", "bad_name", "bob", "/rooms", {"name": "two words"}),
    nobody("GET /rooms/{room}", "/rooms/dev"),
    row("GET /rooms/{room}", "not_found", "bob", "/rooms/secret", None, "there is no room #secret"),
    row("GET /rooms/{room}", "bad_request", "bob", f"/rooms/{ROOM_200}"),
    nobody("PATCH /rooms/{room}", "/rooms/dev", {"topic": "x"}),
    row("PATCH /rooms/{room}", "bad_request", "alice", "/rooms/dev", {"slow_s": -1}),
    row("PATCH /rooms/{room}", "forbidden", "bob", "/rooms/dev", {"locked": True}),
    row("PATCH /rooms/{room}", "not_member", "carol", "/rooms/dev", {"topic": "x"}),
    row("PATCH /rooms/{room}", "not_found", "bob", "/rooms/secret", {"topic": "x"}),
    row("PATCH /rooms/{room}", "too_large", "alice", "/rooms/dev", {"key": "x" * 129}),
    nobody("DELETE /rooms/{room}", "/rooms/dev"),
    row("DELETE /rooms/{room}", "bad_request", "bob", f"/rooms/{ROOM_200}"),
    row("DELETE /rooms/{room}", "forbidden", "bob", "/rooms/dev"),
    row("DELETE /rooms/{room}", "not_member", "carol", "/rooms/dev"),
    row("DELETE /rooms/{room}", "not_found", "bob", "/rooms/secret"),
    too_large("DELETE /rooms/{room}", "/rooms/dev"),
    # members
    nobody(f"GET {MEMBERS}", "/rooms/dev/members"),
    row(f"GET {MEMBERS}", "bad_request", "bob", "/rooms/dev/members?limit=0"),
    row(f"GET {MEMBERS}", "not_found", "bob", "/rooms/secret/members"),
    nobody(f"PUT {MEMBER}", "/rooms/dev/members/me"),
    row(f"PUT {MEMBER}", "bad_request", "bob", "/rooms/dev/members/me", {"key": 1}),
    row(f"PUT {MEMBER}", "forbidden", "bob", "/rooms/keyed/members/me", {"key": "wrong"}),
    row(f"PUT {MEMBER}", "forbidden", "bob", "/rooms/keyed/members/me"),
    row(f"PUT {MEMBER}", "banned", "dan", "/rooms/dev/members/me"),
    row(f"PUT {MEMBER}", "not_member", "carol", "/rooms/dev/members/Bob"),
    row(f"PUT {MEMBER}", "not_found", "bob", "/rooms/dev/members/Nobody"),
    row(f"PUT {MEMBER}", "not_found", "bob", "/rooms/secret/members/me"),
    row(f"PUT {MEMBER}", "not_online", "bob", "/rooms/dev/members/Gone"),
    too_large(f"PUT {MEMBER}", "/rooms/dev/members/me"),
    nobody(f"DELETE {MEMBER}", "/rooms/dev/members/me"),
    row(f"DELETE {MEMBER}", "bad_request", "bob", f"/rooms/dev/members/me?reason={'x' * 2001}"),
    row(f"DELETE {MEMBER}", "forbidden", "bob", "/rooms/lobby/members/me"),
    row(f"DELETE {MEMBER}", "not_member", "carol", "/rooms/dev/members/me"),
    row(f"DELETE {MEMBER}", "not_found", "bob", "/rooms/dev/members/Nobody"),
    row(f"DELETE {MEMBER}", "too_large", "bob", f"/rooms/dev/members/me?reason={'x' * 201}"),
    nobody("POST /rooms/{room}/invites", "/rooms/dev/invites"),
    row("POST /rooms/{room}/invites", "bad_request", "bob", f"/rooms/{ROOM_200}/invites"),
    row("POST /rooms/{room}/invites", "forbidden", "sid", "/rooms/secret/invites"),
    row("POST /rooms/{room}/invites", "not_member", "carol", "/rooms/dev/invites"),
    row("POST /rooms/{room}/invites", "not_found", "bob", "/rooms/secret/invites"),
    too_large("POST /rooms/{room}/invites", "/rooms/dev/invites"),
    # messages
    nobody(f"GET {MESSAGES}", "/rooms/dev/messages"),
    row(f"GET {MESSAGES}", "bad_request", "bob", "/rooms/dev/messages?before=x"),
    row(f"GET {MESSAGES}", "not_member", "carol", "/rooms/dev/messages"),
    row(f"GET {MESSAGES}", "not_found", "bob", "/rooms/secret/messages"),
    nobody(f"GET {MESSAGES}/{{seq}}", "/rooms/dev/messages/1"),
    row(f"GET {MESSAGES}/{{seq}}", "bad_request", "bob", "/rooms/dev/messages/x"),
    row(f"GET {MESSAGES}/{{seq}}", "not_member", "carol", "/rooms/dev/messages/1"),
    row(f"GET {MESSAGES}/{{seq}}", "not_found", "bob", "/rooms/dev/messages/1"),
    nobody(f"POST {MESSAGES}", "/rooms/dev/messages", {"text": "x"}),
    row(f"POST {MESSAGES}", "bad_request", "bob", "/rooms/dev/messages", {"reply_to": 1}),
    row(f"POST {MESSAGES}", "bad_request", "bob", "/rooms/dev/messages", {"files": ["f_x"]}),
    Row(f"POST {MESSAGES}", "unsupported", "bob", "/rooms/dev/messages", {"data": {"a": "b"}}),
    row(f"POST {MESSAGES}", "forbidden", "bob", "/rooms/locked/messages", {"text": "x"}),
    row(f"POST {MESSAGES}", "not_member", "carol", "/rooms/dev/messages", {"text": "x"}),
    row(f"POST {MESSAGES}", "silenced", "sid", "/rooms/dev/messages", {"text": "x"}),
    row(f"POST {MESSAGES}", "not_found", "bob", "/rooms/secret/messages", {"text": "x"}),
    row(f"POST {MESSAGES}", "not_found", "bob", "/rooms/@Nobody/messages", {"text": "x"}),
    row(f"POST {MESSAGES}", "not_online", "bob", "/rooms/@Gone/messages", {"text": "x"}),
    row(f"POST {MESSAGES}", "too_large", "bob", "/rooms/dev/messages", {"text": LONG}),
    row(f"POST {MESSAGES}", "too_large", "bob", "/rooms/dev/messages", {"files": ["f_"] * 11}),
    too_large(f"POST {MESSAGES}", "/rooms/dev/messages"),
    row(f"POST {MESSAGES}", "rate_limited", "bob", "/rooms/slow/messages", {"text": "x"}),
    # users
    nobody("GET /users", "/users"),
    row("GET /users", "bad_request", "bob", "/users?limit=x"),
    nobody("GET /users/me", "/users/me"),
    nobody("PATCH /users/me", "/users/me", {"away": ""}),
    row("PATCH /users/me", "bad_request", "bob", "/users/me", {"prefs": {"sound": True}}),
    row(
        "PATCH /users/me",
        "forbidden",
        "bob",
        "/users/me",
        {"old_password": "wrong", "password": "a password that is long enough"},
    ),
    row("PATCH /users/me", "name_taken", "bob", "/users/me", {"name": "Gail"}),
    row("PATCH /users/me", "name_registered", "bob", "/users/me", {"name": "Alice"}),
    row("PATCH /users/me", "too_large", "bob", "/users/me", {"away": "x" * 201, "name": "New"}),
    row("PATCH /users/me", "bad_name", "bob", "/users/me", {"name": "Bob Two"}),
    nobody("GET /users/me/rooms", "/users/me/rooms"),
    nobody("PUT /users/me/read", "/users/me/read", {"rooms": {}}),
    row("PUT /users/me/read", "bad_request", "bob", "/users/me/read", {"rooms": {"dev": -1}}),
    row("PUT /users/me/read", "not_member", "carol", "/users/me/read", {"rooms": {"dev": 1}}),
    row("PUT /users/me/read", "not_found", "bob", "/users/me/read", {"rooms": {"secret": 1}}),
    too_large("PUT /users/me/read", "/users/me/read"),
    nobody("GET /users/{user}", "/users/Bob"),
    row("GET /users/{user}", "bad_request", "bob", f"/users/{'x' * 401}"),
    row("GET /users/{user}", "not_found", "bob", "/users/Nobody"),
    # commands
    nobody("POST /rooms/{room}/commands", "/rooms/dev/commands", {"text": "/who"}),
    row(
        "POST /rooms/{room}/commands",
        "bad_request",
        "bob",
        "/rooms/dev/commands",
        {"text": "hello"},
        "a command begins with a slash",
    ),
    row(
        "POST /rooms/{room}/commands",
        "not_found",
        "bob",
        "/rooms/dev/commands",
        {"text": "/nonsense"},
        "Unknown command. Type /help for available commands.",
    ),
]

# Declared, and for a reason not provoked here.
ELSEWHERE = {
    **{
        (operation, "rate_limited"): "test_limits_of_how_often_hold_for_every_write"
        for operation in (
            "POST /rooms",
            "PATCH /rooms/{room}",
            "DELETE /rooms/{room}",
            f"PUT {MEMBER}",
            f"DELETE {MEMBER}",
            "POST /rooms/{room}/invites",
            "PATCH /users/me",
            "PUT /users/me/read",
        )
    },
    ("POST /rooms", "not_found"): "test_rooms.py: where only admins make rooms",
}
# Areas of this table; the refusals of others (logins, files, moderation) are tested beside them.
AREAS = {"Overview", "Rooms", "Members", "Messages", "Users", "Commands"}
# A request without parameters has nothing to be malformed.
NOTHING_TO_GET_WRONG = {
    "GET /api/status",
    "GET /api/users",
    "GET /api/errors",
    "GET /api/errors/{code}",
    "GET /users/me",
    "GET /users/me/rooms",
    "GET /commands",
}


@pytest.fixture
async def filled(chat: RunningChat) -> dict[str, Visitor]:
    """Return visitors by name, in a chat with rooms of every kind."""
    names = ("Alice", "Bob", "Carol", "Dan", "Sid", "Full")
    people = {name.lower(): await chat.account(name) for name in names}
    people["stranger"] = chat.stranger()
    await chat.guest("Gail")
    await chat.guest("Gone", is_online=False)
    alice, bob, sid = people["alice"], people["bob"], people["sid"]
    dev = await chat.room(alice, "dev", bob, sid)
    now = chat.clock.now_ms()
    await chat.change_member(sid, dev, silenced_until=now + 600_000)
    ban = Ban(
        id="b_1",
        room_id=dev.id,
        user_id=people["dan"].user.id,
        ip_net=None,
        reason="",
        by_id=None,
        at=now,
        until=None,
    )
    await chat.store.write(lambda tx: tx.put_ban(ban))
    await chat.change(await chat.room(alice, "secret", sid), kind=RoomKind.PRIVATE)
    keyed = await chat.room(alice, "keyed")
    await chat.services.room_settings.set_key(alice.user, keyed, "open sesame")
    await chat.change(await chat.room(alice, "locked", bob), locked=True)
    await chat.change(await chat.room(alice, "slow", bob), slow_s=600)
    await bob.say("slow", "one")
    for number in range(199):
        await chat.services.rooms.join(people["full"].user, f"many{number}")
    return people


async def test_every_refusal_is_a_problem_of_its_code(
    filled: dict[str, Visitor], subtests: pytest.Subtests
) -> None:
    for one in ROWS:
        with subtests.test(f"{one.operation} {one.code} {one.path[:40]}"):
            answer = await filled[one.who].call(one.method, one.path, **one.more)
            problem = assert_refused(answer, one.code, one.detail)
            if one.code == "unauthorized":
                assert answer.headers["www-authenticate"] == "Bearer"
            if one.code in ("silenced", "rate_limited"):
                assert problem["retry_after"] > 0


def test_the_table_has_every_refusal_of_the_document(documented: set[tuple[str, str]]) -> None:
    rows = {(one.operation, one.code) for one in ROWS}
    any_command = "POST /rooms/{room}/commands"  # its codes are those of all commands
    wanted = {
        (operation, code)
        for operation, code in documented
        if code not in SERVER_SIDE
        and operation != any_command
        and not (code == "bad_request" and operation in NOTHING_TO_GET_WRONG)
        and code != "banned"  # test_a_banned_address_is_refused_everywhere
        and (operation[:4], code) != ("POST", "conflict")  # test_a_key_of_another_request_is_…
    }
    assert sorted(wanted - rows - ELSEWHERE.keys()) == []
    assert sorted(rows - documented) == []
    assert sorted(ELSEWHERE.keys() - documented) == []


@pytest.fixture
async def documented(chat: RunningChat) -> set[tuple[str, str]]:
    """Return operation and code of every refusal that the document declares."""
    document = (await chat.client.get("/api/openapi.json")).json()
    found: set[tuple[str, str]] = set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if operation["tags"][0] not in AREAS:
                continue
            name = f"{method.upper()} {path.removeprefix(V1)}"
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    codes = re.findall(r"`(\w+)`", response["description"])
                    assert codes, (name, status)
                    found |= {(name, code) for code in codes}
    return found


# What can be asked of every operation, with a login and something to find.
REQUESTS: list[tuple[str, str, Any]] = [
    ("GET", "/api/status", None),
    ("GET", "/api/users", None),
    ("GET", "/rooms", None),
    ("POST", "/rooms", {"name": "new"}),
    ("GET", "/rooms/dev", None),
    ("PATCH", "/rooms/dev", {"topic": "x"}),
    ("DELETE", "/rooms/dev", None),
    ("GET", "/rooms/dev/members", None),
    ("PUT", "/rooms/dev/members/Bob", None),
    ("DELETE", "/rooms/dev/members/me", None),
    ("POST", "/rooms/dev/invites", None),
    ("GET", "/rooms/dev/messages", None),
    ("GET", "/rooms/dev/messages/2", None),
    ("POST", "/rooms/dev/messages", {"text": "x"}),
    ("GET", "/users", None),
    ("GET", "/users/me", None),
    ("PATCH", "/users/me", {"away": "x"}),
    ("GET", "/users/me/rooms", None),
    ("PUT", "/users/me/read", {"rooms": {"dev": 1}}),
    ("GET", "/users/Bob", None),
    ("POST", "/rooms/dev/commands", {"text": "/topic x"}),
]


async def test_a_key_of_another_request_is_refused_everywhere(
    filled: dict[str, Visitor], subtests: pytest.Subtests
) -> None:
    alice, key = filled["alice"], {"idempotency-key": "k"}
    assert (await alice.post("/rooms", {"name": "first"}, headers=key)).status_code == 201
    for method, path, body in REQUESTS:
        if method == "POST" and not path.endswith("/messages"):  # there the key is the cid
            with subtests.test(path):
                answer = await alice.post(path, body, headers=key)
                assert_refused(answer, "conflict", "this Idempotency-Key was of another request")


async def test_a_banned_address_is_refused_everywhere(
    filled: dict[str, Visitor], chat: RunningChat, subtests: pytest.Subtests
) -> None:
    ada = await chat.account("Ada", is_admin=True)
    await chat.services.server_bans.ban_address(ada.user, "127.0.0.0/8")
    for method, path, body in REQUESTS:
        if path != "/api/status":  # which asks nobody who they are
            with subtests.test(f"{method} {path}"):
                assert_refused(await filled["alice"].call(method, path, json=body), "banned")


async def test_failures_of_the_store_are_temporary_and_tell_nothing(
    filled: dict[str, Visitor], chat: RunningChat, subtests: pytest.Subtests
) -> None:
    chat.store.fail()
    for method, path, body in REQUESTS:
        with subtests.test(f"{method} {path}"):
            answer = await filled["alice"].call(method, path, json=body)
            problem = assert_refused(answer, "unavailable")
            assert "no space" not in answer.text
            assert problem["retry_after"] == 1.0


async def test_a_store_that_cannot_write_is_still_read(
    filled: dict[str, Visitor], chat: RunningChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise StoreFailure("disk I/O error at /var/lib/secret.db")

    monkeypatch.setattr(chat.store, "post", full)
    monkeypatch.setattr(chat.store, "write", full)
    alice = filled["alice"]
    for method, path, body in REQUESTS:
        answer = await alice.call(method, path, json=body)
        if method == "GET":
            assert answer.status_code in (200, 404), answer.text
        elif path != "/rooms/dev/members/Bob" or answer.status_code != 200:
            assert_refused(answer, "unavailable")
            assert "secret" not in answer.text


async def test_unexpected_failures_have_an_id_and_tell_nothing(
    filled: dict[str, Visitor],
    chat: RunningChat,
    caplog: pytest.LogCaptureFixture,
    subtests: pytest.Subtests,
) -> None:
    chat.store.failure = RuntimeError("a secret of the server")
    for method, path, body in REQUESTS:
        with subtests.test(f"{method} {path}"), caplog.at_level(logging.ERROR):
            caplog.clear()
            answer = await filled["alice"].call(method, path, json=body)
            problem = assert_refused(answer, "internal")
            assert "a secret" not in answer.text
            (error_id,) = re.findall(r"\((e_\w+)\)", problem["detail"])
            assert error_id in caplog.text
            assert "a secret of the server" in caplog.text


@pytest.fixture
async def strict(tmp_path: Path) -> AsyncIterator[RunningChat]:
    """Return a chat that admits everything once."""
    limits = {
        "messages_burst": 1,
        "messages_per_second": 0.01,
        "commands_burst": 1,
        "commands_per_second": 0.01,
        "joins_per_minute": 1,
    }
    async with a_chat(tmp_path, limits=limits) as running:
        yield running


async def test_limits_of_how_often_hold_for_every_write(
    strict: RunningChat, subtests: pytest.Subtests
) -> None:
    number = 0
    for method, path, body in REQUESTS:
        if method == "GET":
            continue
        with subtests.test(f"{method} {path}"):
            number += 1
            owner, other = await strict.account(f"A{number}"), await strict.account(f"B{number}")
            await strict.room(owner, f"dev{number}", other)
            target = path.replace("dev", f"dev{number}").replace("Bob", f"B{number}")
            rooms = {"rooms": {f"dev{number}": 1}}
            sent = rooms if body == {"rooms": {"dev": 1}} else body
            await owner.call(method, target, json=sent)
            problem = assert_refused(await owner.call(method, target, json=sent), "rate_limited")
            assert problem["detail"] == f"Try again in {problem['retry_after']:g} s"
            assert problem["title"] == "Slow down"


async def test_a_slow_mode_says_when_to_come_again(filled: dict[str, Visitor]) -> None:
    answer = await filled["bob"].post("/rooms/slow/messages", {"text": "two"})
    problem = assert_refused(answer, "rate_limited", "slow mode: one message per 10m")
    assert 590 < problem["retry_after"] <= 600
    assert 590 < int(answer.headers["retry-after"]) <= 600
