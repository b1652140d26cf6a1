"""The token matrix (reliability.md, row 35): every credential that is none, at every door.

0 accepts, and no token or password in any log line or stored row.
"""

from __future__ import annotations

import base64
import hashlib
import io
import logging
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.e2e.security.matrix import Entrance, socket_entrance
from wynd_chat.adapters.store.sqlite import SqliteStore
from wynd_chat.app import Chat
from wynd_chat.domain.models import SessionKind, UserStatus
from wynd_chat.observability.logs import configure
from wynd_chat.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from wynd_chat.domain.models import User

GOOD = "correct horse battery staple"


class Keys:
    """A chat with users, and one token of each kind that must not let anybody in."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat
        self.good = ""
        self.bad: dict[str, str] = {}

    async def make(self) -> None:
        """Make the users and tokens."""
        services = self.chat.services
        alice = (await services.logins.register("Alice", GOOD, None)).user
        gone = (await services.logins.register("Gone", GOOD, None)).user
        inactive = (await services.logins.register("Idle", GOOD, None)).user
        self.good, session = await services.sessions.begin(alice, SessionKind.WEB)
        expired = await self._token(alice, expires_at=services.clock.now_ms() - 1)
        revoked, _ = await services.sessions.new_token(alice, "revoked")
        await services.sessions.revoke(alice, "revoked")
        ended, login = await services.sessions.begin(alice, SessionKind.WEB)
        await services.sessions.end(alice, login.token_hash)
        of_gone, _ = await services.sessions.begin(gone, SessionKind.WEB)
        await services.store.write(lambda tx: tx.drop_user(gone.id))
        of_inactive = await self._token(inactive)
        idle = replace(inactive, status=UserStatus.DEACTIVATED)
        await services.store.write(lambda tx: tx.put_user(idle))
        banned = (await services.logins.register("Banned", GOOD, None)).user
        of_banned = await self._token(banned)
        barred = replace(banned, status=UserStatus.BANNED)
        await services.store.write(lambda tx: tx.put_user(barred))
        code, secret = await services.links.begin()
        claim = (self.chat.claim_link or "").rpartition("/")[2]
        good = self.good
        self.bad = {
            "random": base64.urlsafe_b64encode(b"x" * 32).decode().rstrip("="),
            "expired": expired,
            "revoked": revoked,
            "logged out": ended,
            "of a dropped user": of_gone,
            "of a deactivated user": of_inactive,
            "of a banned user": of_banned,
            "its own hash": session.token_hash,
            "its public id": session.token_hash[:16],
            "hash of the hash": hashlib.sha256(session.token_hash.encode()).hexdigest(),
            "one sign less": good[:-1],
            "one sign more": good + "A",
            "other case": good.swapcase(),
            "reversed": good[::-1],
            "padded": good + "=",
            "doubled": good + good,
            "in quotes": f"'{good}'",
            "base64 of it": base64.b64encode(good.encode()).decode(),
            "with a comma": f"{good},{good}",
            "user id": alice.id,
            "user name": "Alice",
            "password": GOOD.replace(" ", "-"),
            "password hash": (alice.password_hash or "").replace("$", ""),
            "link code": code,
            "link secret": secret,
            "claim code": claim,
            "SQL": "'OR'1'='1",
            "wildcard": "%",
            "star": "*",
            "null": "null",
            "undefined": "undefined",
            "zero": "0",
            "JSON": '{"alg":"none"}',
            "JWT without algorithm": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJBbGljZSJ9.",
            "path": "../../etc/passwd",
            "upper case": good.upper(),
            "lower case": good.lower(),
            "percent-encoded": "".join(f"%{ord(sign):02X}" for sign in good),
            "with its hash": f"{good}.{session.token_hash}",
            "another's hash with it": f"{session.token_hash}:{good}",
            "invite code": await services.rooms.invite_link(alice, await services.rooms.lobby()),
            "long": "A" * 900,
        }

    async def _token(self, user: User, **more: Any) -> str:
        token, session = await self.chat.services.sessions.begin(user, SessionKind.WEB)
        changed = replace(session, **more)
        await self.chat.services.store.write(lambda tx: tx.put_session(changed))
        return token

    @property
    def base(self) -> str:
        """The chat's own address."""
        return self.chat.local_url


@pytest.fixture
async def keys(tmp_path: Path) -> AsyncIterator[Keys]:
    """Give a chat over SQLite, with a memory of all it logs."""
    settings = Settings.model_validate({"server": {"port": 0}, "storage": {"data": tmp_path}})
    store = SqliteStore(tmp_path / "chat.sqlite3")
    await store.open()
    chat = Chat(settings, store=store)
    await chat.open()
    keys = Keys(chat)
    try:
        await keys.make()
        yield keys
    finally:
        await chat.close()


def bearer_offer(token: str) -> str:
    """Return the subprotocol that carries a token."""
    return "bearer." + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


async def test_no_bad_token_opens_any_door(keys: Keys, subtests: pytest.Subtests) -> None:
    assert len(keys.bad) >= 40
    tried = 0
    async with httpx.AsyncClient(base_url=keys.base) as http:
        for what, token in keys.bad.items():
            with subtests.test(what):
                answer = await http.get(
                    "/api/v1/users/me", headers={"authorization": f"Bearer {token}"}
                )
                assert answer.status_code in (401, 403)
                answer = await http.get(
                    "/api/v1/users/me", headers={"cookie": f"wynd_chat={token}"}
                )
                assert answer.status_code in (401, 403)
                entrance = await socket_entrance(
                    keys.chat, headers={"authorization": f"Bearer {token}"}
                )
                assert entrance.status in (401, 403)
                cookie = await socket_entrance(
                    keys.chat, origin=keys.base.replace("localhost", "127.0.0.1"),
                    headers={"cookie": f"wynd_chat={token}"},
                )  # fmt: skip
                assert cookie.name is None  # an expired cookie counts as none
                if len(token) < 1000:
                    offered = await socket_entrance(
                        keys.chat, offers=("chat.v1.json", bearer_offer(token))
                    )
                    assert (offered.name, offered.code) in ((None, 4501), (None, 4503))
                asked = await socket_entrance(keys.chat, auth=token)
                assert (asked.name, asked.code) == (None, 4501)
                tried += 1
    assert tried == len(keys.bad)


SCHEMES = [
    *("{}", "Bearer", "Basic {}", "Digest {}", "Token {}", "bearer{}", "Bearer:{}"),
    *("Bearer {} {}", 'Bearer "{}"', "Negotiate {}"),
]


@pytest.mark.parametrize("form", SCHEMES)
async def test_only_one_form_of_authorization_counts(keys: Keys, form: str) -> None:
    header = {"authorization": form.replace("{}", keys.good)}
    async with httpx.AsyncClient(base_url=keys.base) as http:
        assert (await http.get("/api/v1/users/me", headers=header)).status_code == 401
    entrance = await socket_entrance(keys.chat, headers=header)
    assert entrance.name is None


async def test_the_good_token_opens_every_door(keys: Keys) -> None:
    good, inside = keys.good, Entrance(101, "Alice")
    page = keys.base.replace("localhost", "127.0.0.1")
    assert await socket_entrance(keys.chat, headers={"authorization": f"BEARER {good}"}) == inside
    assert await socket_entrance(keys.chat, offers=("chat.v1.json", bearer_offer(good))) == inside
    assert await socket_entrance(keys.chat, auth=good) == inside
    cookie = {"cookie": f"wynd_chat={good}"}
    assert await socket_entrance(keys.chat, origin=page, headers=cookie) == inside
    # Without an Origin, a cookie does not count: no browser sends it so.
    assert await socket_entrance(keys.chat, headers=cookie) == Entrance(101, None)


@pytest.mark.parametrize("name", ["token", "access_token"])
async def test_a_token_in_the_address_is_refused_unless_it_is_switched_on(
    keys: Keys, name: str, tmp_path: Path
) -> None:
    query = f"?{name}={keys.good}"
    async with httpx.AsyncClient(base_url=keys.base) as http:
        assert (await http.get(f"/api/v1/users/me{query}")).status_code == 401
        assert (await http.get(f"/api/users{query}")).status_code == 401
    assert await socket_entrance(keys.chat, path=f"/ws{query}") == Entrance(401)
    auth = keys.chat.settings.auth.model_copy(update={"query_tokens": True})
    keys.chat.settings = keys.chat.settings.model_copy(update={"auth": auth})
    assert await socket_entrance(keys.chat, path=f"/ws{query}") == Entrance(101, "Alice")
    assert (await socket_entrance(keys.chat, path=f"/ws?{name}=nonsense")).status == 401
    async with httpx.AsyncClient(base_url=keys.base) as http:
        assert (await http.get(f"/api/v1/users/me{query}")).json()["name"] == "Alice"


async def test_the_first_credential_counts_and_a_bad_one_is_not_passed_over(keys: Keys) -> None:
    entrance = await socket_entrance(
        keys.chat,
        headers={"authorization": "Bearer nonsense"},
        offers=("chat.v1.json", bearer_offer(keys.good)),
    )
    assert entrance == Entrance(401)


async def test_a_token_among_the_subprotocols_is_never_echoed(keys: Keys) -> None:
    for offers in (("chat.v1.json", bearer_offer(keys.good)), (bearer_offer(keys.good),)):
        entrance = await socket_entrance(keys.chat, offers=offers)
        assert entrance.status in (101, 400)


# What is written down


@pytest.mark.parametrize("form", ["text", "json"])
async def test_no_secret_is_in_any_log_line_or_row(
    keys: Keys, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    configure(form, "debug", stream)  # type: ignore[arg-type]
    wynd_log = logging.getLogger("wynd")
    try:
        secrets = await use_everything(keys)
    finally:
        configure("text", "info", io.StringIO())
        wynd_log.setLevel(logging.NOTSET)
        logging.getLogger("wynd_chat").setLevel(logging.NOTSET)
    written = stream.getvalue()
    assert len(written.splitlines()) > 6
    assert [what for what, secret in secrets.items() if secret in written] == []
    with closing(sqlite3.connect(tmp_path / "chat.sqlite3")) as database:
        rows = "\n".join(database.iterdump())
    kept = {"message"}  # messages are stored, and never logged
    assert [what for what, text in secrets.items() if what not in kept and text in rows] == []


async def use_everything(keys: Keys) -> dict[str, str]:
    """Log in, out, register, talk and fail in every way; return what must not be written down."""
    chat = keys.chat
    secrets = {
        "token": keys.good,
        "password": GOOD,
        "wrong password": "a wrong but secret password",
        "new password": "a new and secret password",
        "message": "a message for nobody's log",
        "text password": "typed-in-a-terminal-once",
    }
    async with httpx.AsyncClient(base_url=keys.base) as http:

        async def post(path: str, body: object, **headers: str) -> httpx.Response:
            return await http.post(f"/api/v1{path}", json=body, headers=headers)

        bearer = {"authorization": f"Bearer {keys.good}"}
        body = {"name": "Alice", "password": secrets["wrong password"]}
        assert (await post("/sessions", body)).status_code == 401
        given = await post("/sessions", {"name": "Alice", "password": GOOD})
        secrets["cookie"] = given.cookies["wynd_chat"]
        made = await post("/tokens", {"label": "x"}, **bearer)
        secrets["new token"] = made.json()["token"]
        shown = (await post("/link", None)).json()
        secrets["link secret"] = shown["secret"]
        await post("/rooms/lobby/messages", {"text": secrets["message"]}, **bearer)
        await post("/rooms/lobby/commands", {"text": f"/login Alice {GOOD}"}, **bearer)
        await http.get(f"/api/v1/users/me?token={secrets['new token']}")
        await http.get(f"/join/{secrets['new token']}")
        await http.post("/login", data={"name": "Alice", "password": secrets["wrong password"]})
        change = {"old_password": GOOD, "password": secrets["new password"]}
        assert (await http.patch("/api/v1/users/me", json=change, headers=bearer)).is_success
    await talk(chat, secrets)
    chat.services.store.on_commit(_failing)
    async with httpx.AsyncClient(base_url=keys.base, timeout=5) as http:
        headers = {"authorization": f"Bearer {keys.good}"}
        text = {"text": secrets["message"]}
        await http.post("/api/v1/rooms/lobby/messages", json=text, headers=headers)
    return secrets


async def talk(chat: Chat, secrets: dict[str, str]) -> None:
    """Type secrets at the text face, and offer a token in every way."""
    from websockets.asyncio.client import connect  # this function alone is a client of its own

    port = chat.listeners.addresses[0][1]
    async with connect(f"ws://127.0.0.1:{port}/ws", compression=None, proxy=None) as socket:
        for line in (
            f"/login Alice {secrets['wrong password']}",
            "/name Typist",
            f"/register {secrets['text password']}",
            f"/login Typist {secrets['text password']}",
            secrets["message"],
            f"/msg Alice {secrets['message']}",
            f"/nosuch {secrets['message']}",
        ):
            await socket.send(line)
        await socket.send("/users")
        while "Online users" not in str(await socket.recv()):
            pass
    await socket_entrance(chat, headers={"authorization": f"Bearer {secrets['new token']}x"})
    await socket_entrance(chat, offers=("chat.v1.json", bearer_offer(secrets["token"])))
    await socket_entrance(chat, path=f"/ws?token={secrets['token']}")


def _failing(room: object, event: object) -> None:
    raise RuntimeError("something that goes wrong while a message is shown")
