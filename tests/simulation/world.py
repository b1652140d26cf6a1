"""A whole world from one number: a server that dies, a bad network, and people who chat.

`simulate(seed)` runs it to its end and returns what was wrong and the hash of its trace. The order:
people talk while things break; then nothing breaks any more, and everybody is connected and has
what the disk has; then the server ends in order.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import traceback
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tests.simulation import actions
from tests.simulation.chance import chance_of
from tests.simulation.database import Disk
from tests.simulation.incidents import Incidents
from tests.simulation.json_client import JsonClient, Lost, Person, Refusal
from tests.simulation.ledger import Ledger
from tests.simulation.loop import Deadlock, Killed, VirtualLoop, is_within_dead
from tests.simulation.network import Network
from tests.simulation.node import Machine, Node
from tests.simulation.text_client import TextClient
from wynd_chat.domain.models import ServerRole, Session, SessionKind, UserKind
from wynd_chat.domain.names import parse_user_name
from wynd_chat.ports.store import StoreFailure
from wynd_chat.services.accounts import enter_lobby, hash_of, new_user
from wynd_chat.services.rooms import make_lobby
from wynd_chat.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wynd_chat.ports.store import Transaction

__all__ = ["Outcome", "simulate"]

LOGGERS = ("wynd", "wynd_chat", "asyncio")
ACTIVE_S = (8.0, 25.0)
SETTLED_S = 120  # a flooder waits 30 s, a frozen link 35 s
STEADY_S = 4  # by then what was under way, such as a close frame, has come
QUIET_S = 27.0  # presence lingers for 10 s; a tick comes every 25 s
ACCOUNTS = ("root", "ann", "bob")
GUESTS = ("gil", "hal", "ida")
TERMINALS = ("tom", "una")


@dataclass(frozen=True)
class Outcome:
    """What came of a seed."""

    seed: int
    hash: str
    problems: list[str]
    counts: dict[str, int]
    lines: list[str] = field(default_factory=list)
    """The trace, where it was asked for."""


def simulate(seed: int, *, keeps_lines: bool = False) -> Outcome:
    """Run the world of a seed."""
    with _without_collector():
        loop = VirtualLoop()
        world = World(loop, seed, keeps_lines=keeps_lines)
        ledger, log = world.ledger, _Log(world)
        for name in LOGGERS:
            logging.getLogger(name).addHandler(log)
        try:
            loop.run_until_complete(world.run())
        except Deadlock as error:
            ledger.wrong("world", f"{error}; it waits for {world.stage}")
        except Exception:
            ledger.wrong("world", f"failed at {world.stage}: {traceback.format_exc()}")
        finally:
            for name in LOGGERS:
                logging.getLogger(name).removeHandler(log)
            for failure in loop.failures:
                ledger.wrong("loop", failure)
            world.bury()
            del world, log
            loop.close()
    return Outcome(seed, ledger.hash, ledger.problems, ledger.counts, ledger.lines)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Collect garbage at the end only: what is left of dead processes is nobody's failure."""
    gc.collect()
    gc.freeze()
    gc.disable()
    hook = sys.unraisablehook
    try:
        yield
    finally:
        sys.unraisablehook = lambda _unraisable: None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            gc.collect()
        sys.unraisablehook = hook
        gc.enable()
        gc.unfreeze()


class World:
    """Everything there is."""

    def __init__(self, loop: VirtualLoop, seed: int, *, keeps_lines: bool) -> None:
        self.loop = loop
        self.stage = "the beginning"
        self.chance = chance_of(seed, "world")
        self.disk = Disk("first")
        self.ledger = Ledger(loop, self.disk, keeps_lines=keeps_lines)
        self.disk.on_change = self.ledger.changed
        self.disk.on_events = self.ledger.committed
        self.network = Network(loop, chance_of(seed, "network"))
        settings = Settings.model_validate(
            {
                "storage": {"url": "memory:"},
                "server": {"port": 0},
                "limits": {"outbox_bytes_max": 10_000, "frames_burst": 60},
            }
        )
        self.machine = Machine(loop, settings, self.disk, self.network, str(seed))
        self.machine.report = lambda problem: self.ledger.wrong("server", problem)
        self.machine.on_death = self._died
        self.ledger.head_of = self._head_of
        self.nodes: list[Node] = []
        self.node: Node | None = None
        """The process that runs; None while there is none."""
        self.is_calm = False
        """Whether nothing breaks any more."""
        self.people: list[Person] = []
        self.clients: list[JsonClient] = []
        self.terminals: list[TextClient] = []
        self.absent: set[str] = set()
        """Names of those who have gone home when all is calm."""
        self.seed = seed

    # From beginning to end

    async def run(self) -> None:
        """Live through it."""
        await self._populate()
        await self.start()
        self.stage = "people who talk"
        incidents = Incidents(self)
        living = [asyncio.ensure_future(self._live(client)) for client in self.clients]
        living += [asyncio.ensure_future(self._type(client)) for client in self.terminals]
        breaking = asyncio.ensure_future(incidents.run())
        await asyncio.sleep(self.chance.uniform(*ACTIVE_S))
        self.stage = "calm"
        incidents.is_over = True
        await breaking
        self._calm()
        self.stage = "everybody to settle"
        everybody: list[JsonClient | TextClient] = [*self.clients, *self.terminals]
        steady_s = 0
        for _ in range(SETTLED_S):
            steady_s = steady_s + 1 if all(self._is_settled(one) for one in everybody) else 0
            if steady_s > STEADY_S:
                break
            await asyncio.sleep(1.0)
        for one in everybody:
            if not self._is_settled(one):
                self.ledger.wrong(one.name, f"cannot settle; it ended with {one.end_code}")
        self.stage = "quiet"
        for task in living:
            task.cancel()
        for done in await asyncio.gather(*living, return_exceptions=True):
            if isinstance(done, Exception):
                self.ledger.wrong("world", f"a client failed: {done!r}")
                raise done
        await asyncio.sleep(QUIET_S)
        self.stage = "the checks"
        await self._check()
        self.stage = "the stop"
        assert self.node is not None
        await self.node.stop()
        await asyncio.sleep(5.0)
        if self.network.links:
            self.ledger.wrong("network", f"{len(self.network.links)} links are left")

    async def _populate(self) -> None:
        await self.disk.open()
        names = list(ACCOUNTS)
        now, tokens = self.machine.clock.now_ms(), self.machine.tokens

        def work(tx: Transaction) -> None:
            lobby = make_lobby(tx, tokens, "lobby", now)
            for name in names:
                user = new_user(f"u_{name}", parse_user_name(name), UserKind.HUMAN, now)
                if name == "root":
                    user = replace(user, role=ServerRole.ADMIN)
                tx.put_user(user)
                enter_lobby(tx, lobby.id, user.id)
                tx.put_session(
                    Session(
                        token_hash=hash_of(f"token of {name}"),
                        user_id=user.id,
                        kind=SessionKind.API,
                        created_at=now,
                        last_seen_at=now,
                        expires_at=None,
                    )
                )

        self.disk.commit(work)
        self.ledger.accounts |= {f"u_{name}" for name in ACCOUNTS}
        for name in ACCOUNTS + GUESTS:
            person = Person(name, f"token of {name}" if name in ACCOUNTS else None)
            self.people.append(person)
            for number in range(1, self.chance.choice((1, 2, 2)) + 1):
                client = JsonClient(
                    f"{name}{number}",
                    person,
                    self.network,
                    self.ledger,
                    chance_of(self.seed, f"{name}{number}"),
                )
                self.clients.append(client)
        for name in TERMINALS:
            chance = chance_of(self.seed, name)
            self.terminals.append(TextClient(name, self.network, self.ledger, self.disk, chance))

    # The server

    def _head_of(self, room_id: str) -> int | None:
        return None if self.node is None else self.node.chat.services.feed.known_head(room_id)

    async def start(self) -> None:
        """Start a process; where it dies at once, another one comes."""
        node = Node(self.machine)
        self.nodes.append(node)
        self.ledger.note("world", f"process {len(self.nodes)} starts")
        try:
            await node.start()
        except Killed:
            self.ledger.note("world", "it died while it started")
            return
        except StoreFailure as error:
            self.ledger.note("world", f"it cannot start: {error}")
            node.kill()  # it ends by itself, and is started again
            return
        node.broker.is_lossy = not self.is_calm
        self.node = node

    def _died(self, node: Node) -> None:
        if self.node is node:
            self.node = None
        self.ledger.note("world", f"process {len(self.nodes)} died")
        self.ledger.count("crashes")
        self._reviving = self.loop.create_task(self._revive())

    async def _revive(self) -> None:
        await asyncio.sleep(self.chance.uniform(0.1, 2.0))
        await self.start()

    def _calm(self) -> None:
        self.is_calm = True
        self.ledger.note("world", "nothing breaks any more")
        self.machine.crash_at = None
        self.disk.is_full, self.disk.slow_s = False, 0.01
        self.network.is_calm = True
        self.disk.commit(self._lift_bans)
        for name in (*ACCOUNTS, *GUESTS, *TERMINALS):
            if self.chance.random() < 0.2:
                self.ledger.note("world", f"{name} goes home")
                self.absent.add(name)
        if self.node is not None:
            self.node.broker.is_lossy = False
        for link in self.network.links:
            link.thaw()
            link.resume()

    def _lift_bans(self, tx: Transaction) -> None:
        """Let everybody in again; the clock may have gone back since they were banned."""
        for room_id in self.disk.tables.rooms:
            for ban in tx.bans(room_id):
                tx.drop_ban(ban.id)

    # The clients

    async def _live(self, client: JsonClient) -> None:
        """Connect, do things, come back."""
        chance = client.chance
        await asyncio.sleep(chance.uniform(0.0, 3.0))
        while not self._has_gone(client):
            if not client.is_connected or not client.is_synced:
                if client.is_connected and client.link is not None:
                    client.link.close()
                if not await client.connect():
                    await asyncio.sleep(5.0 if client.end_code == 4503 else chance.uniform(0.2, 2))
                continue
            await asyncio.sleep(chance.expovariate(1.0))
            if not self.is_calm and client.is_connected and client.is_synced:
                await actions.act(client, self._names())

    async def _type(self, client: TextClient) -> None:
        chance = client.chance
        await asyncio.sleep(chance.uniform(0.0, 3.0))
        while not self._has_gone(client):
            if not client.is_connected or client.named is None:
                if not await client.connect():
                    await asyncio.sleep(chance.uniform(1.0, 3.0))
                continue
            await asyncio.sleep(chance.expovariate(0.7))
            if not self.is_calm and client.is_connected:
                await actions.act_at_terminal(client, self._names())

    def _has_gone(self, client: JsonClient | TextClient) -> bool:
        """Tell whether somebody has gone home, and close what is open."""
        name = client.person.login if isinstance(client, JsonClient) else client.name
        if name in self.absent and client.link is not None:
            client.link.close()
        return name in self.absent

    def _names(self) -> list[str]:
        return [person.name for person in self.people] + list(TERMINALS)

    def _is_settled(self, client: JsonClient | TextClient) -> bool:
        if self._has_gone(client):
            return True
        if not client.is_connected or client.link is None or client.link.is_cut:
            return False
        if isinstance(client, TextClient):
            return client.named is not None
        return client.is_synced and client.is_idle

    # When all is quiet

    async def _check(self) -> None:
        node, tables = self.node, self.disk.tables
        assert node is not None
        self.ledger.check()
        for terminal in self.terminals:
            terminal.check()
        here = {one.user_id for one in self.clients if one.is_connected}
        here |= {one.user_id for one in self.terminals if one.is_connected}
        online = node.chat.services.presences.online_ids()
        if online != here:
            self.ledger.wrong("server", f"has {sorted(online)} online, here are {here}")
        names = sorted(tables.users[str(user_id)].name for user_id in here)
        report = node.chat.health.report()
        if not report.is_ready:
            self.ledger.wrong("server", f"is not ready: {report.checks}")
        for client in self.clients:
            if self._has_gone(client):
                continue
            if not client.is_connected:
                self.ledger.wrong(client.name, f"is gone: {client.end_code}")
                continue
            self._check_rooms(client)
            for user_id, state in client.online.items():
                if (state != "offline") != (user_id in here) and not client.was_stalled:
                    self.ledger.wrong(client.name, f"believes {user_id} to be {state}")
            try:
                await self._ask(client, names)
            except (Lost, Refusal) as error:
                self.ledger.wrong(client.name, f"cannot ask: {error!r}")

    def _check_rooms(self, client: JsonClient) -> None:
        tables = self.disk.tables
        user_id = str(client.user_id)
        stored = {
            tables.rooms[room_id].shown: tables.rooms[room_id].last_seq
            for room_id, members in tables.memberships.items()
            if user_id in members
        }
        if client.last != stored:
            self.ledger.wrong(client.name, f"has {client.last}, the disk {stored}")

    async def _ask(self, client: JsonClient, names: list[str]) -> None:
        """Compare what commands say with the disk."""
        tables, user_id = self.disk.tables, str(client.user_id)
        users = (await client.command("lobby", "/users"))["users"]
        if sorted(users) != names:
            self.ledger.wrong(client.name, f"is told that {users} are here, not {names}")
        unread = (await client.command("lobby", "/rooms"))["rooms"]
        for entry in unread:
            if not entry["member"]:
                continue
            room = next(room for room in tables.rooms.values() if room.shown == entry["room"])
            read_seq = tables.memberships[room.id][user_id].read_seq
            expected = self.ledger.unread_of(user_id, room, read_seq)
            if entry["unread"] != expected:
                self.ledger.wrong(
                    client.name,
                    f"has {expected} unread in #{room.shown}, is told {entry['unread']}",
                )
            marked = self.ledger.read.get((user_id, room.shown), 0)
            if read_seq < marked and not self.ledger.has_left(user_id, room.shown):
                self.ledger.wrong(client.name, f"read #{room.shown} to {marked}, not {read_seq}")

    def bury(self) -> None:
        """Take apart what is left."""
        for node in self.nodes:
            node.process.is_dead = True
            node.process.bury()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()


class _Log(logging.Handler):
    """Reads what the program says of itself: an error is a failure, but for a full disk."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.ERROR)
        self._world = world
        self.formatter = logging.Formatter("%(name)s: %(message)s")

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line."""
        text = self.format(record)
        if "the store failed" in text and "no space left" in text:
            return
        if is_within_dead():
            return
        self._world.ledger.wrong("log", text)
