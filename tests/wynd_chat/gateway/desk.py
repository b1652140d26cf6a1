"""What tests of the gateway stand on: a chat whose clock is in hand, and stand-ins for connections.

`a_desk()` opens the whole chat on loopback over the memory store; `Stand` is a connection's handle
and the server object behind it, for tests of one part without a socket.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.wynd_chat.kit import FailingStore, HandClock, HandTokens
from wynd import Request
from wynd_chat.adapters.store.memory import MemoryStore
from wynd_chat.app import Chat
from wynd_chat.domain.models import RoomRole, ServerRole, Session, SessionKind, User, UserKind
from wynd_chat.domain.names import parse_user_name
from wynd_chat.gateway.calls import Mode
from wynd_chat.services.accounts import enter_lobby, hash_of, new_user
from wynd_chat.settings import load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from wynd_chat.domain.models import Room
    from wynd_chat.ports.store import Transaction

__all__ = ["Desk", "Line", "Stand", "StandInCaller", "a_desk", "a_request"]

PATIENCE_S = 5.0
_END = "~"  # a command and a type of request that never is one


class Line:
    """A connection to a desk."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.is_json = socket.subprotocol == "chat.v1.json"

    async def read(self) -> Any:
        """Return the next frame, on the JSON face as an object."""
        async with asyncio.timeout(PATIENCE_S):
            frame = await self.socket.recv()
        return json.loads(frame) if self.is_json else frame

    async def send(self, frame: Any) -> None:
        """Send a text frame, or an object."""
        await self.socket.send(frame if isinstance(frame, (str, bytes)) else json.dumps(frame))

    async def ask(self, frame: Any) -> Any:
        """Send a frame and return the next one that comes."""
        await self.send(frame)
        return await self.read()

    async def all(self) -> list[Any]:
        """Return what has come, all that was sent being handled."""
        await self.send({"type": _END, "id": _END} if self.is_json else f"/{_END}")
        frames: list[Any] = []
        while True:
            frame = await self.read()
            if frame["re"] == _END if self.is_json and "re" in frame else _is_unknown(frame):
                return frames
            frames.append(frame)

    async def ended(self) -> tuple[int | None, str | None]:
        """Wait for the end; return code and reason."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                while True:
                    await self.socket.recv()
            except ConnectionClosed:
                return self.socket.close_code, self.socket.close_reason


def _is_unknown(frame: Any) -> bool:
    return isinstance(frame, str) and frame.startswith("Unknown command")


class Desk:
    """A chat that listens on loopback, with its parts in reach."""

    def __init__(self, chat: Chat, store: FailingStore, clock: HandClock) -> None:
        self.chat = chat
        self.store = store
        self.clock = clock
        self.services = chat.services
        self.hub = chat.hub
        self.router = chat._router
        self.doorman = chat._doorman
        self._tokens = HandTokens()
        self._lines: list[Line] = []

    @property
    def address(self) -> str:
        """Host and port."""
        host, port = self.chat.listeners.addresses[0]
        return f"{host}:{port}"

    async def connect(self, *subprotocols: str, token: str = "", path: str = "/ws") -> Line:
        """Open a WebSocket."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        line = Line(
            await connect(
                f"ws://{self.address}{path}",
                subprotocols=list(subprotocols) or None,  # type: ignore[arg-type]
                additional_headers=headers,
                proxy=None,
                ping_interval=None,
            )
        )
        self._lines.append(line)
        return line

    async def text(self, name: str = "", *, token: str = "") -> Line:
        """Connect to the text face, and take a name."""
        line = await self.connect(token=token)
        await line.read()
        if name:
            assert await line.ask(f"/name {name}") == f"You are now known as {name}"
        return line

    async def json(self, name: str = "", *, token: str = "") -> Line:
        """Connect to the JSON face, and take a name and sync."""
        line = await self.connect("chat.v1.json", token=token)
        hello = await line.read()
        if name:
            assert (await line.ask({"type": "name", "id": 0, "name": name}))["ok"]
        if name or token:
            sync = {"type": "sync", "id": 0, "epoch": hello["epoch"], "rooms": {}}
            assert (await line.ask(sync))["ok"]
        return line

    async def account(
        self, name: str, *, role: ServerRole = ServerRole.USER, kind: UserKind = UserKind.HUMAN
    ) -> tuple[User, str]:
        """Make an account with a login; return it and its token."""
        now = self.clock.now_ms()
        made = new_user(self._tokens.new_id("u_acc"), parse_user_name(name), kind, now)
        user = User(**{field: getattr(made, field) for field in User.__slots__} | {"role": role})
        token = f"{name}-{self._tokens.secret()}"
        session = Session(
            token_hash=hash_of(token),
            user_id=user.id,
            kind=SessionKind.API,
            created_at=now,
            last_seen_at=now,
            expires_at=None,
        )

        def work(tx: Transaction) -> None:
            tx.put_user(user)
            enter_lobby(tx, self.services.rooms.lobby_id, user.id)
            tx.put_session(session)

        await self.store.write(work)
        return user, token

    async def guest(self, name: str) -> User:
        """Make a guest, who is not connected."""
        return await self.services.accounts.name_guest(name)

    async def room(self, owner: User, name: str = "dev", *members: User) -> Room:
        """Let somebody make a room and others join it."""
        entry = await self.services.rooms.join(owner, name)
        for member in members:
            entry = await self.services.rooms.join(member, name)
        return entry.room

    async def role(self, user: User, room: Room) -> RoomRole:
        """Return a member's role."""
        found = await self.store.read(lambda snapshot: snapshot.membership(room.id, user.id))
        role: RoomRole = found.role
        return role

    async def hang_up(self) -> None:
        """Close all lines."""
        for line in self._lines:
            await line.socket.close()


@asynccontextmanager
async def a_desk(data: Path, settings: Mapping[str, Any] | None = None) -> AsyncIterator[Desk]:
    """Open a desk; `settings` by their names, such as "limits.frames_burst"."""
    overrides = {"server.port": 0, "storage.data": data, "storage.url": "memory:"}
    loaded = load({**overrides, **(settings or {})}, {}, None)
    store, clock = FailingStore(MemoryStore()), HandClock()
    await store.open()
    chat = Chat(loaded, store=store, clock=clock)
    await chat.open()
    desk = Desk(chat, store, clock)
    try:
        yield desk
    finally:
        store.failure = None
        await desk.hang_up()
        await chat.close()


class StandInCaller:
    """Somebody who runs commands without a connection, as over REST."""

    mode = Mode.REST
    number = 0
    address = "10.0.0.1"
    base_url = "https://chat.example"
    farewell: str | None = None
    is_secure = True

    def __init__(self, user: User | None, current: Room | None = None) -> None:
        self.user = user
        self.current = current
        self.rooms: dict[str, Room] = {}
        self.known_rooms: dict[str, Room] = {}
        self.token_hash: str | None = None

    async def become(self, user: User, token_hash: str | None = None) -> None:
        """Be somebody."""
        self.user, self.token_hash = user, token_hash

    def move_to(self, room: Room) -> None:
        """Make a room the current one."""
        self.current = room


class Stand:
    """A server object and its handles, that write down what is sent through them.

    Attributes:
        sent: By the handle's number, the frames that reached it, in order.
        publishes: How often a frame was handed to a room.
        engine: None after its end.
    """

    def __init__(self) -> None:
        self.sent: dict[int, list[str]] = {}
        self.publishes = 0
        self.engine: str | None = "stand"
        self.closed: dict[int, tuple[int, str]] = {}
        self._rooms: dict[str, set[int]] = {}
        self._numbers = count(1)

    def room_policy(self, room: str, policy: object) -> None:
        """Take the policy of a room."""

    def to(self, room: str, *, without: int = 0) -> SimpleNamespace:
        """Return what sends to a room's members."""

        def text(frame: Any, *, droppable: bool = False) -> None:
            assert self.engine is not None, "a server object that has stopped cannot send"
            self.publishes += 1
            for number in self._rooms.get(room, set()) - {without}:
                self.sent[number].append(_text_of(frame))

        return SimpleNamespace(text=text)

    def handle(self) -> SimpleNamespace:
        """Return a new handle."""
        number = next(self._numbers)
        self.sent[number] = []

        def close(code: int = 1000, reason: str = "") -> None:
            self.closed[number] = (code, reason)

        return SimpleNamespace(
            number=number,
            join=lambda room: self._rooms.setdefault(room, set()).add(number),
            leave=lambda room: self._rooms.get(room, set()).discard(number),
            to=lambda room: self.to(room, without=number),
            send_text=lambda frame: self.sent[number].append(_text_of(frame)),
            close=close,
            data={},
        )


def _text_of(frame: Any) -> str:
    return frame if isinstance(frame, str) else bytes(frame.payload).decode()


def a_request(
    *headers: str,
    path: str = "/ws",
    address: str = "10.0.0.1",
    secure: bool = False,
    host: str = "chat.example",
) -> Request:
    """Return an upgrade as it came in; `headers` are whole lines."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", *headers]
    head = "\r\n".join([*lines, "", ""]).encode()
    return Request.from_head(head, (address, 5000), secure)
