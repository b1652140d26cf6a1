"""A running chat: every listener on a port of its own, on the test's loop, with its parts in reach.

`a_chat()` opens one; `Visitor` is somebody who talks to it over HTTP. Nothing leaves loopback.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import httpx
from fastapi import FastAPI
from starlette.routing import Mount

from tests.wynd_chat.kit import FailingStore
from wynd_chat.adapters.clock import SystemClock, SystemTokens
from wynd_chat.adapters.store.memory import MemoryStore
from wynd_chat.app import Chat
from wynd_chat.domain.models import (
    Membership,
    Room,
    RoomRole,
    ServerRole,
    Session,
    SessionKind,
    User,
    UserKind,
)
from wynd_chat.domain.names import parse_user_name
from wynd_chat.domain.presence import Face
from wynd_chat.services.accounts import enter_lobby, hash_of, new_user
from wynd_chat.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from wynd_chat.ports.store import Store, Transaction

__all__ = ["RunningChat", "Visitor", "a_chat", "api_of"]

API = "/api/v1"
# Far above what a test sends; tests of the limits set their own.
FREELY = {
    "messages_burst": 10_000,
    "messages_per_second": 1_000,
    "commands_burst": 10_000,
    "commands_per_second": 1_000,
    "joins_per_minute": 10_000,
    "uploads_per_minute": 10_000,
    "rooms_created_per_day": 10_000,
}


class Visitor:
    """Somebody at the API, with a login or without one."""

    def __init__(self, client: httpx.AsyncClient, user: User | None, token: str | None) -> None:
        self.client = client
        self.token = token
        self._user = user

    @property
    def user(self) -> User:
        """Who it is."""
        assert self._user is not None
        return self._user

    async def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send a request: `/x` below `/api/v1`, unless it begins with `/api`."""
        headers = {} if self.token is None else {"authorization": f"Bearer {self.token}"}
        headers |= more.pop("headers", {})
        target = path if path.startswith("/api") else API + path
        return await self.client.request(method, target, headers=headers, **more)

    async def get(self, path: str, **more: Any) -> httpx.Response:
        """Send GET."""
        return await self.call("GET", path, **more)

    async def post(self, path: str, json: object = None, **more: Any) -> httpx.Response:
        """Send POST."""
        if json is not None:
            more["json"] = json
        return await self.call("POST", path, **more)

    async def say(self, room: str, *texts: str) -> list[int]:
        """Post messages; return their numbers."""
        seqs = []
        for text in texts:
            answer = await self.post(f"/rooms/{room}/messages", {"text": text})
            assert answer.status_code == 201, answer.text
            seqs.append(answer.json()["seq"])
        return seqs


class RunningChat:
    """A chat that listens, and short ways to fill it."""

    def __init__(self, chat: Chat, store: FailingStore, client: httpx.AsyncClient) -> None:
        self.chat = chat
        self.store = store
        self.client = client
        self.services = chat.services
        self.clock = SystemClock()
        self.tokens = SystemTokens()
        self._connections = count(1_000_000)  # far above those of real connections

    def stranger(self) -> Visitor:
        """Return somebody without a login."""
        return Visitor(self.client, None, None)

    async def account(self, name: str, *, is_admin: bool = False, **more: Any) -> Visitor:
        """Make an account with a login; `more` are fields of its row."""
        now = self.clock.now_ms()
        made = new_user(self.tokens.new_id("u_"), parse_user_name(name), UserKind.HUMAN, now)
        role = ServerRole.ADMIN if is_admin else ServerRole.USER
        user = replace(made, role=role, **more)
        lobby_id = self.services.rooms.lobby_id

        def work(tx: Transaction) -> None:
            tx.put_user(user)
            enter_lobby(tx, lobby_id, user.id)

        await self.store.write(work)
        return Visitor(self.client, user, await self.login(user))

    async def guest(self, name: str, *, is_online: bool = True) -> Visitor:
        """Make a guest, who is online unless told otherwise."""
        user = await self.services.accounts.name_guest(name)
        if is_online:
            self.connect(user)
        return Visitor(self.client, user, await self.services.accounts.guest_token(user))

    async def login(self, user: User, *, expires_at: int | None = None) -> str:
        """Make a login of a user; return its token."""
        token, now = self.tokens.secret(), self.clock.now_ms()
        session = Session(
            token_hash=hash_of(token),
            user_id=user.id,
            kind=SessionKind.API,
            created_at=now,
            last_seen_at=now,
            expires_at=expires_at,
        )
        await self.store.write(lambda tx: tx.put_session(session))
        return token

    def connect(self, user: User) -> None:
        """Show a user as online, without a socket."""
        self.services.presences.connected(next(self._connections), user, Face.TEXT)

    async def room(self, owner: Visitor, name: str, *members: Visitor) -> Room:
        """Let somebody make a room and others join it."""
        entry = await self.services.rooms.join(owner.user, name)
        for member in members:
            entry = await self.services.rooms.join(member.user, name)
        return entry.room

    async def change(self, room: Room, **changes: Any) -> None:
        """Change a room's row, whoever may."""
        current = await self.store.read(lambda snapshot: snapshot.room(room.id))
        changed: Room = replace(current, **changes)
        await self.store.write(lambda tx: tx.put_room(changed))

    async def change_member(self, visitor: Visitor, room: Room, **changes: Any) -> None:
        """Change a membership's row, whoever may."""
        found: Membership = await self.store.read(
            lambda snapshot: snapshot.membership(room.id, visitor.user.id)
        )
        changed = replace(found, **changes)
        await self.store.write(lambda tx: tx.put_membership(changed))

    async def make_op(self, visitor: Visitor, room: Room) -> None:
        """Make a member an op, whoever may."""
        await self.change_member(visitor, room, role=RoomRole.OP)


@asynccontextmanager
async def a_chat(
    data: Path, *, store: Store | None = None, limits: dict[str, Any] | None = None, **sections: Any
) -> AsyncIterator[RunningChat]:
    """Open a chat on ports of its own.

    Args:
        data: A folder of the test.
        store: Where it is kept; by default in memory.
        limits: Limits that differ from those that tests do not reach.
        sections: Sections of the settings, such as `auth={"guests": "off"}`.
    """
    server = {"port": 0} | sections.pop("server", {})
    values = {
        "server": server,
        "storage": {"url": "memory:", "data": data},
        "limits": FREELY | (limits or {}),
        **sections,
    }
    settings = Settings.model_validate(values)
    failing = FailingStore(store or MemoryStore())
    await failing.open()
    chat = Chat(settings, store=failing)
    await chat.open()
    try:
        async with httpx.AsyncClient(base_url=chat.local_url, timeout=20) as client:
            yield RunningChat(chat, failing, client)
    finally:
        failing.failure = None
        await chat.close()


def api_of(running: RunningChat) -> FastAPI:
    """Return the application that answers below `/api`."""
    for route in running.chat.listeners._app.routes:
        if isinstance(route, Mount) and isinstance(route.app, FastAPI):
            return route.app
    raise LookupError("there is no API")
