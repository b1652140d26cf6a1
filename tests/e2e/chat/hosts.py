"""The servers that transcripts run against: one on the test's own loop, and a real process.

`InLoop` has a clock in hand and arranges rows (`given …`); `Process` is `python -m wynd_chat`, of
which nothing is known but what it prints.
"""

from __future__ import annotations

import asyncio
import re
import sys
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.waiting import eventually
from tests.wynd_chat.kit import FailingStore, HandClock
from wynd_chat.adapters.clock import SystemTokens
from wynd_chat.adapters.passwords import ArgonPasswords
from wynd_chat.adapters.store.sqlite import SqliteStore
from wynd_chat.app import Chat
from wynd_chat.domain.durations import parse_duration
from wynd_chat.domain.models import Ban, RoomRole, ServerRole, Session, SessionKind, UserKind
from wynd_chat.domain.names import parse_user_name
from wynd_chat.ports.faults import NoFaults
from wynd_chat.services.accounts import enter_lobby, hash_of, new_user
from wynd_chat.settings import load

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.e2e.chat.script import Values
    from wynd_chat.ports.store import Transaction

__all__ = ["Host", "InLoop", "Process"]

# Time stands still, so nothing refills: transcripts that are not about limits must not meet them.
GENEROUS = {
    "limits.messages_burst": 100_000,
    "limits.commands_burst": 100_000,
    "limits.frames_burst": 100_000,
    "limits.joins_per_minute": 1_000,
    "limits.new_directs_per_hour": 1_000,
}
STARTS_S = 20.0


class Host(ABC):
    """A server."""

    port: int
    plain_port: int

    @abstractmethod
    async def start(self) -> None:
        """Begin to listen."""

    @abstractmethod
    async def stop(self) -> None:
        """End."""

    async def restart(self) -> None:
        """End, and begin again over the same data, at other ports."""
        await self.stop()
        await self.start()

    @abstractmethod
    async def advance(self, seconds: float) -> None:
        """Let time pass."""

    @abstractmethod
    async def noticed(self, clients: int) -> None:
        """Wait until no more than so many clients are known to be connected."""

    @abstractmethod
    async def given(self, what: str, values: Values) -> None:
        """Arrange what a transcript begins with."""


class InLoop(Host):
    """The chat on the test's loop, over SQLite, with a clock that a transcript moves."""

    def __init__(self, data: Path, settings: Mapping[str, Any]) -> None:
        self._data = data
        limits = {} if "limits.default" in settings else GENEROUS
        self._overrides = {
            "server.port": 0,
            "server.plain_port": 0,
            "storage.data": data,
            **limits,
            **{name: value for name, value in settings.items() if name != "limits.default"},
        }
        self._clock = HandClock()
        self._faults = _Faults()
        self._store: FailingStore
        self.chat: Chat

    async def start(self) -> None:
        """See `Host.start`."""
        settings = load(self._overrides, {}, None)
        self._store = FailingStore(SqliteStore(self._data / "chat.sqlite3"))
        await self._store.open()
        self.chat = Chat(settings, store=self._store, clock=self._clock, faults=self._faults)
        await self.chat.open()
        self.port = self.chat.listeners.addresses[0][1]
        self.plain_port = self.chat.listeners.plain_addresses[0][1]

    async def stop(self) -> None:
        """See `Host.stop`."""
        self._store.failure = None
        await self.chat.close()

    async def advance(self, seconds: float) -> None:
        """See `Host.advance`."""
        await self._clock.advance(seconds)

    async def noticed(self, clients: int) -> None:
        """See `Host.noticed`."""
        await eventually(lambda: len(self.chat.hub.clients) <= clients)

    async def given(self, what: str, values: Values) -> None:
        """Arrange one of:

        - `an account Carol` / `an admin Root`: `$Carol_token` and `$Carol_id` are known then;
        - `Carol's password is "…"`, `Carol approves $code`, which another device shows;
        - `Bob is silenced in #dev for 8m`, `Bob is banned from #dev`, `Bob is op of #dev`;
        - `#dev forgot its events below 5`, `#dev was trimmed below 5`;
        - `the store fails` / `the store works`, `a fault` / `no fault` before acknowledging.
        """
        for form, arrange in self._arrangements():
            found = re.fullmatch(form, what)
            if found is not None:
                await arrange(*found.groups(), values=values)
                return
        raise ValueError(f"nothing of this kind can be given: {what}")

    def _arrangements(self) -> tuple[tuple[str, Any], ...]:
        return (
            (r"an (account|admin) (\w+)", self._account),
            (r"(\w+)'s password is \"(.+)\"", self._password),
            (r"(\w+) approves (\S+)", self._approve),
            (r"(\w+) is silenced in #(\w+) for (\w+)", self._silence),
            (r"(\w+) is banned from #(\w+)", self._ban),
            (r"(\w+) is (op|owner|member) of #(\w+)", self._role),
            (r"#(\w+) forgot its events below (\d+)", self._forget),
            (r"the store (fails|works)", self._fail),
            (r"(a|no) fault", self._fault),
        )

    async def _account(self, kind: str, name: str, *, values: Values) -> None:
        tokens, now = SystemTokens(), self._clock.now_ms()
        token = tokens.secret()
        user = new_user(tokens.new_id("u_"), parse_user_name(name), UserKind.HUMAN, now)
        if kind == "admin":
            user = replace(user, role=ServerRole.ADMIN)
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
            enter_lobby(tx, self.chat.services.rooms.lobby_id, user.id)
            tx.put_session(session)

        await self._store.write(work)
        values.know(f"{name}_token", token)
        values.know(f"{name}_id", user.id)

    async def _password(self, name: str, password: str, *, values: Values) -> None:
        passwords = ArgonPasswords()
        password_hash = await passwords.hash(password)
        passwords.close()

        def work(tx: Transaction) -> None:
            user = tx.user_by_key(name.lower())
            assert user is not None, name
            tx.put_user(replace(user, password_hash=password_hash))

        await self._store.write(work)

    async def _approve(self, name: str, code: str, *, values: Values) -> None:
        user = await self.chat.services.accounts.find(name)
        await self.chat.services.links.approve(user, code)

    async def _member(self, name: str, room: str, **changes: Any) -> None:
        def work(tx: Transaction) -> None:
            user, where = tx.user_by_key(name.lower()), tx.room_by_key(room)
            assert user is not None, name
            assert where is not None, room
            membership = tx.membership(where.id, user.id)
            assert membership is not None, f"{name} is not in #{room}"
            tx.put_membership(replace(membership, **changes))

        await self._store.write(work)

    async def _silence(self, name: str, room: str, duration: str, *, values: Values) -> None:
        seconds = parse_duration(duration) or 0
        until = self._clock.now_ms() + seconds * 1000
        await self._member(name, room, silenced_until=until)

    async def _role(self, name: str, role: str, room: str, *, values: Values) -> None:
        await self._member(name, room, role=RoomRole(role))

    async def _ban(self, name: str, room: str, *, values: Values) -> None:
        now = self._clock.now_ms()

        def work(tx: Transaction) -> None:
            user, where = tx.user_by_key(name.lower()), tx.room_by_key(room)
            assert user is not None, name
            assert where is not None, room
            tx.drop_membership(where.id, user.id)
            ban = Ban(
                id=f"b_{user.id}",
                room_id=where.id,
                user_id=user.id,
                ip_net=None,
                reason="",
                by_id=None,
                at=now,
                until=None,
            )
            tx.put_ban(ban)

        await self._store.write(work)

    async def _forget(self, room: str, below: str, *, values: Values) -> None:
        def work(tx: Transaction) -> None:
            where = tx.room_by_key(room)
            assert where is not None, room
            tx.trim_events(where.id, int(below))

        await self._store.write(work)

    async def _fail(self, how: str, *, values: Values) -> None:
        self._store.failure = None
        if how == "fails":
            self._store.fail()

    async def _fault(self, how: str, *, values: Values) -> None:
        self._faults.is_armed = how == "a"


class _Faults(NoFaults):
    """Fails before an acknowledgement, while armed."""

    is_armed = False

    async def reached(self, point: str) -> None:
        """See `Faults.reached`."""
        if self.is_armed:
            raise RuntimeError(f"a fault at {point}")


class Process(Host):
    """`python -m wynd_chat`, from outside."""

    def __init__(self, data: Path, settings: Mapping[str, Any]) -> None:
        self._data = data
        self._environment = {
            f"WYND_CHAT__{name.upper().replace('.', '__')}": str(value)
            for name, value in {**GENEROUS, **settings}.items()
        }
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """See `Host.start`."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "wynd_chat", "--port", "0", "--plain-port", "0", "--data", str(self._data)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._environment | {"PATH": "", "HOME": str(self._data), "PYTHONUNBUFFERED": "1"},
        )
        self.port = int((await self._says(r"Server running on http://\S+:(\d+)"))[1])
        form = r"Advanced chat server listening on ws://\S+:(\d+)"
        self.plain_port = int((await self._says(form))[1])

    async def stop(self) -> None:
        """See `Host.stop`."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(STARTS_S):
            await process.communicate()
        assert process.returncode == 0, f"it ended with {process.returncode}"

    async def kill(self) -> None:
        """End it whatever it does."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.communicate()

    async def advance(self, seconds: float) -> None:
        """Time cannot be moved from outside."""
        raise ValueError("a transcript for the process cannot let time pass")

    async def noticed(self, clients: int) -> None:
        """Nothing: from outside nobody knows; the next `<` waits for it."""

    async def given(self, what: str, values: Values) -> None:
        """Rows cannot be arranged from outside."""
        raise ValueError("a transcript for the process cannot arrange anything")

    async def _says(self, form: str) -> re.Match[str]:
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(STARTS_S):
            while line := await self._process.stdout.readline():
                found = re.match(form, line.decode())
                if found is not None:
                    return found
        raise AssertionError(f"it ended without saying {form}")
