"""A whole chat without ports: services over the memory store, with time and chance in hand.

`Kit` is what tests of services and gateway begin with; it also records what an outlet is told.
Knows no faces.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tests.wynd_chat.observability import clocks
from wynd_chat.adapters.broker.memory import MemoryBroker
from wynd_chat.adapters.store.memory import MemoryStore
from wynd_chat.domain.errors import ChatError
from wynd_chat.domain.events import MessageKind
from wynd_chat.domain.limits import ChatLimits
from wynd_chat.domain.models import Membership, Room, RoomKind, RoomRole, User, UserKind
from wynd_chat.domain.names import parse_user_name
from wynd_chat.domain.presence import Face, Presence
from wynd_chat.ports.faults import NoFaults
from wynd_chat.ports.store import StoreFailure
from wynd_chat.services.accounts import Accounts, enter_lobby, new_user
from wynd_chat.services.feed import Feed
from wynd_chat.services.history import Histories
from wynd_chat.services.messaging import Messaging
from wynd_chat.services.presence import Presences
from wynd_chat.services.ratelimits import RateLimits
from wynd_chat.services.rooms import Rooms, make_lobby
from wynd_chat.services.roomsettings import RoomSettings

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable

    from wynd_chat.domain.errors import ErrorCode
    from wynd_chat.domain.events import Event
    from wynd_chat.ports.outlet import Notice
    from wynd_chat.ports.store import NewMessage, Posted, Snapshot, Store, Transaction

__all__ = [
    "START_MS",
    "FailingStore",
    "HandClock",
    "HandTokens",
    "Kit",
    "PlainPasswords",
    "Recorder",
    "a_kit",
    "refusal",
]

START_MS = 1_795_435_445_123  # 2026-11-23T12:04:05.123Z


class HandClock(clocks.HandClock):
    """Time stands still, at noon of a day, until `advance`."""

    def now_ms(self) -> int:
        """Return wall time, milliseconds UTC."""
        return START_MS + super().now_ms()


class HandTokens:
    """Draws 1, 2, 3, …"""

    def __init__(self) -> None:
        self._numbers = count(1)

    def secret(self) -> str:
        """Return a secret that is only new."""
        return f"secret-{next(self._numbers)}"

    def code(self) -> str:
        """Return a code that is only new."""
        return f"CODE-{next(self._numbers):04}"

    def new_id(self, prefix: str) -> str:
        """Return an id whose order is that of the calls."""
        return f"{prefix}{next(self._numbers):06}"

    def fraction(self) -> float:
        """Return the middle."""
        return 0.5


class PlainPasswords:
    """Hashes nothing; as fast as a test wants it."""

    async def hash(self, password: str) -> str:
        """Return what stands for the hash."""
        return f"hash of {password}"

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Tell whether it fits."""
        return password_hash == f"hash of {password}"

    def needs_rehash(self, password_hash: str) -> bool:
        """Never."""
        return False


class Recorder:
    """An outlet and a watcher that writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[Room, Event]] = []
        self.notices: list[Notice] = []
        self.comings: list[str] = []
        """`Alice came`, `Alice went`, `Alice went: bye`."""

    def event(self, room: Room, event: Event) -> None:
        """See `Outlet.event`."""
        self.events.append((room, event))

    def notice(self, notice: Notice) -> None:
        """See `Outlet.notice`."""
        self.notices.append(notice)

    def came(self, user: User, connection: int) -> None:
        """See `Watcher.came`."""
        self.comings.append(f"{user.name} came")

    def went(self, user: User, farewell: str | None) -> None:
        """See `Watcher.went`."""
        self.comings.append(f"{user.name} went" + (f": {farewell}" if farewell else ""))

    def seqs(self, room: Room) -> list[int]:
        """Return the numbers of a room's events, in the order they were shown."""
        return [event.seq for where, event in self.events if where.id == room.id]


class FailingStore:
    """Another store, which fails for as long as a test says so.

    Attributes:
        failure: What every operation raises; None: nothing.
        reads: How often it was read.
        writes: How many works were to be carried out.
        gate: While it is there and not set, what was read is handed out late: not before it is set.
        late: How many reads wait at the gate.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.failure: Exception | None = None
        self.reads = 0
        self.writes = 0
        self.gate: asyncio.Event | None = None
        self.late = 0

    def fail(self) -> None:
        """Fail from now on, as with a full disk."""
        self.failure = StoreFailure("no space left on device")

    async def write(self, work: Callable[[Transaction], Any]) -> Any:
        """See `Store.write`."""
        self._check()
        self.writes += 1
        return await self._store.write(work)

    async def read(self, work: Callable[[Snapshot], Any]) -> Any:
        """See `Store.read`."""
        self._check()
        self.reads += 1
        found = await self._store.read(work)
        gate = self.gate
        if gate is not None:
            self.late += 1
            await gate.wait()
            self.late -= 1
        return found

    async def post(self, message: NewMessage) -> Posted:
        """See `Store.post`."""
        self._check()
        return await self._store.post(message)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _check(self) -> None:
        if self.failure is not None:
            raise self.failure


class Kit:
    """Services that work together, and short ways to fill them."""

    def __init__(self, limits: ChatLimits, *, create: str = "all") -> None:
        self.clock = HandClock()
        self.tokens = HandTokens()
        self.limits = limits
        self.store = FailingStore(MemoryStore())
        self.outlet = Recorder()
        self.passwords = PlainPasswords()
        self.feed = Feed(self.store, MemoryBroker(), self.clock)
        self.feed.attach(self.outlet)
        self.presences = Presences(Presence(), self.clock)
        self.presences.attach(self.outlet)
        self._create = create
        self._connections = count(1)
        self.lobby: Room
        self.accounts: Accounts
        self.rooms: Rooms
        self.settings: RoomSettings
        self.messaging: Messaging
        self.histories: Histories
        self.rate_limits = RateLimits(limits, self.clock)

    async def open(self) -> None:
        """Open the store and put the services together, as `wynd_chat.app` does."""
        await self.store.open()
        store, clock, tokens = self.store, self.clock, self.tokens
        self.lobby = await store.write(lambda tx: make_lobby(tx, tokens, "lobby", clock.now_ms()))
        outlet, lobby_id, limits = self.outlet, self.lobby.id, self.limits
        self.accounts = Accounts(store, outlet, self.presences, clock, tokens, limits, lobby_id)
        self.rooms = Rooms(
            store,
            outlet,
            self.presences,
            clock,
            tokens,
            self.passwords,
            limits,
            lobby_id,
            self._create,
        )
        self.settings = RoomSettings(store, outlet, clock, self.passwords, limits, lobby_id)
        self.messaging = Messaging(store, clock, tokens, limits, NoFaults())
        epoch = await store.read(lambda snapshot: snapshot.meta("epoch"))
        self.histories = Histories(store, self.feed, epoch or "")

    async def close(self) -> None:
        """End everything."""
        self.store.failure = None
        self.presences.close()
        await self.feed.close()
        await self.store.close()

    # Short ways

    async def account(self, name: str, **more: Any) -> User:
        """Make an account, which is a member of the lobby."""
        made = new_user(
            self.tokens.new_id("u_"), parse_user_name(name), UserKind.HUMAN, self.clock.now_ms()
        )
        user = replace(made, **more)

        def work(tx: Transaction) -> None:
            tx.put_user(user)
            enter_lobby(tx, self.lobby.id, user.id)

        await self.store.write(work)
        return user

    async def guest(self, name: str, *, face: Face | None = Face.TEXT) -> User:
        """Make a guest who is online, or who is not (`face` None)."""
        user = await self.accounts.name_guest(name)
        if face is not None:
            self.connect(user, face)
        return user

    def connect(self, user: User, face: Face = Face.TEXT) -> int:
        """Let a connection be a user's; return its number."""
        number = next(self._connections)
        self.presences.connected(number, user, face)
        return number

    async def room(self, owner: User, name: str = "dev", *members: User) -> Room:
        """Let somebody make a room and others join it."""
        entry = await self.rooms.join(owner, name)
        for member in members:
            entry = await self.rooms.join(member, name)
        return entry.room

    async def direct(self, one: User, other: User) -> Room:
        """Return the conversation of two."""
        return await self.rooms.direct(one, f"@{other.name}")

    async def change(self, room: Room, **changes: Any) -> Room:
        """Change a room's row, whoever may."""
        current = await self.store.read(lambda snapshot: snapshot.room(room.id))
        changed: Room = replace(current, **changes)
        await self.store.write(lambda tx: tx.put_room(changed))
        return changed

    async def membership(self, user: User, room: Room) -> Membership | None:
        """Return a membership as it is stored."""
        found: Membership | None = await self.store.read(
            lambda snapshot: snapshot.membership(room.id, user.id)
        )
        return found

    async def role(self, user: User, room: Room, role: RoomRole) -> None:
        """Give a member a role, whoever may."""
        membership = await self.membership(user, room)
        assert membership is not None
        await self.store.write(lambda tx: tx.put_membership(replace(membership, role=role)))

    async def say(self, user: User, room: Room, *texts: str) -> list[int]:
        """Post messages; return their numbers."""
        return [
            (await self.messaging.post(user, room, text, kind=MessageKind.TEXT)).event.seq
            for text in texts
        ]

    async def private_room(self, owner: User, name: str = "ops") -> Room:
        """Make a room that only its members may know of."""
        return await self.change(await self.room(owner, name), kind=RoomKind.PRIVATE)


def refusal(code: ErrorCode, sentence: str | None = None) -> pytest.RaisesExc[ChatError]:
    """Expect a refusal with this code, whose sentence is or begins with a pattern."""
    return pytest.raises(ChatError, match=sentence, check=lambda error: error.code is code)


@asynccontextmanager
async def a_kit(
    *, create: str = "all", limits: ChatLimits | None = None, **bounds: Any
) -> AsyncIterator[Kit]:
    """Open a kit; `bounds` are limits that differ from the defaults."""
    kit = Kit(limits or ChatLimits(**bounds), create=create)
    await kit.open()
    try:
        yield kit
    finally:
        await kit.close()
