"""Row 23: whatever position a client resumes from, the answer is complete or `gap`, never a part.

A model of plain lists knows what each room holds; thousands of random positions are asked for while
rooms grow, are trimmed, grow cold in memory, and the server starts anew.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.chat_client import ChatClient, Refused
from wynd_chat.adapters.broker.memory import MemoryBroker
from wynd_chat.adapters.clock import SystemClock
from wynd_chat.adapters.store.memory import MemoryStore
from wynd_chat.adapters.store.sqlite import SqliteStore
from wynd_chat.domain.events import Author, MessageKind, TopicChanged
from wynd_chat.domain.models import History, Membership, Room, RoomKind, RoomRole, User, UserKind
from wynd_chat.ports.store import NewMessage
from wynd_chat.services.feed import Feed
from wynd_chat.services.history import Histories

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.delivery.servers import ChatServer
    from wynd_chat.ports.store import Store, Transaction
    from wynd_chat.services.history import Missed

pytestmark = pytest.mark.timeout(600)  # of the nightly form; the small one takes seconds

POSITIONS, POSITIONS_NIGHTLY = 10_000, 200_000
POSITIONS_SQLITE = 1_000
POSITIONS_WIRE = 300
LIMIT_MAX = 500
FORGED = 2**53 - 1  # the largest number that JSON may carry here
EPOCH = "the epoch"


class JumpingClock(SystemClock):
    """Time that can be moved on, so that what memory keeps for two minutes is dropped."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        """See `Clock`."""
        return super().monotonic() + self.ahead_s


@dataclass
class ModelRoom:
    """What a room holds, as a list says it."""

    room: Room
    first: int
    """The seq below which nothing ever was, or everything is gone."""
    head: int
    texts: dict[int, str] = field(default_factory=dict)
    trimmed_below: int = 0
    """Events below it are gone from the store; memory may still have them."""
    joined: dict[str, int] = field(default_factory=dict)
    """User id → the seq at which the user joined."""

    def expected(self, user_id: str, position: int, head: int, limit: int) -> list[list[int]]:
        """Return the answers that are right, as seqs; an empty list of answers means `gap` only."""
        after = position
        if self.room.history is History.SINCE_JOIN:
            after = max(after, self.joined[user_id])
        if after > head or after < self.first - 1 or head - after > limit:
            return []
        return [list(range(after + 1, head + 1))]

    def may_gap(self, user_id: str, position: int, head: int) -> bool:
        """Tell whether `gap` is right because some of the answer was trimmed from the store."""
        after = position
        if self.room.history is History.SINCE_JOIN:
            after = max(after, self.joined[user_id])
        return after < head and after + 1 < self.trimmed_below


class World:
    """A store with its feed, and the model beside it."""

    def __init__(self, store: Store, rng: random.Random) -> None:
        self.store = store
        self.rng = rng
        self.clock = JumpingClock()
        self.users = [a_user(name) for name in ("alice", "bob", "carol")]
        self.rooms: list[ModelRoom] = []
        self.asked = 0
        self.answers = {"complete": 0, "gap": 0}
        self._messages = 0
        self.start_anew()

    def start_anew(self) -> None:
        """Be another process on the same store: memory is empty."""
        self.feed = Feed(self.store, MemoryBroker(), self.clock)
        self.histories = Histories(self.store, self.feed, EPOCH)

    async def build(self) -> None:
        """Make the rooms: whole, with a beginning that is gone, and readable since joining."""
        for name, first, history in (
            ("lobby", 1, History.ALL),
            ("old", 41, History.ALL),
            ("fresh", 1, History.ALL),
            ("private", 1, History.SINCE_JOIN),
        ):
            room = Room(
                id=f"r_{name}",
                kind=RoomKind.PUBLIC,
                name=name,
                name_key=name,
                history=history,
                min_seq=first,
                last_seq=first - 1,
                created_by=None,
                created_at=0,
            )
            self.rooms.append(ModelRoom(room, first, first - 1))
        await self.store.write(self._put)
        for model in self.rooms[:2] + self.rooms[3:]:
            await self._enter(self.users[0], model)
            await self.grow(model, 30)
            await self._enter(self.users[1], model)
            await self.grow(model, 30)
        await self._enter(self.users[0], self.rooms[2])  # nothing was ever said there

    def _put(self, tx: Transaction) -> None:
        for user in self.users:
            tx.put_user(user)
        for model in self.rooms:
            tx.put_room(model.room)

    async def _enter(self, user: User, model: ModelRoom) -> None:
        model.joined[user.id] = model.head
        member = Membership(
            room_id=model.room.id, user_id=user.id, role=RoomRole.MEMBER, joined_seq=model.head
        )
        await self.store.write(lambda tx: tx.put_membership(member))

    async def grow(self, model: ModelRoom, count: int) -> None:
        """Add messages, and now and then an event that is none."""
        alice = Author(self.users[0].id, "alice", UserKind.HUMAN)
        for _ in range(count):
            self._messages += 1
            text = f"text {self._messages}"
            if self.rng.random() < 0.1:
                body = TopicChanged(alice, text)
                await self.store.write(lambda tx, body=body: tx.append(model.room.id, body, 0))  # type: ignore[misc]
            else:
                await self.store.post(
                    NewMessage(
                        id=f"m_{self._messages}",
                        room_id=model.room.id,
                        author=alice,
                        kind=MessageKind.TEXT,
                        text=text,
                        at=0,
                    )
                )
            model.head += 1
            model.texts[model.head] = text

    async def disturb(self) -> None:
        """Do one of the things that happen to a server."""
        model = self.rng.choice(self.rooms)
        match self.rng.randrange(8):
            case 0 | 1 | 2 if model is not self.rooms[2]:
                await self.grow(model, self.rng.choice((1, 3, 10, 200)))
            case 3 if model.head > model.first:
                below = self.rng.randrange(model.first, model.head + 2)
                model.trimmed_below = max(model.trimmed_below, below)
                await self.store.write(lambda tx: tx.trim_events(model.room.id, below))
            case 4:
                self.clock.ahead_s += self.rng.choice((1, 60, 200))
            case 5:
                await self.feed.close()
                self.start_anew()
            case _:
                pass

    def position_in(self, model: ModelRoom) -> int:
        """Draw a position: likely ones, edges, the future, and forged ones."""
        rng, head = self.rng, model.head
        return rng.choice(
            (
                head,
                max(0, head - rng.randrange(1, 20)),
                rng.randrange(0, head + 1),
                rng.randrange(0, head + 1),
                model.first - 1,
                max(0, model.trimmed_below - rng.randrange(0, 3)),
                0,
                head + rng.randrange(1, 5),
                rng.choice((2**31, 2**53, 2**63 - 1)),
            )
        )

    async def ask(self) -> None:
        """Resume from random positions, sometimes while a room grows, and judge the answer."""
        rng = self.rng
        user = rng.choice(self.users)
        epoch = EPOCH if rng.random() < 0.9 else rng.choice(("", "another", EPOCH.upper()))
        wanted = {
            model.room.shown: self.position_in(model) for model in self.rooms if rng.random() < 0.8
        }
        limit = rng.choice((1, 20, 200, LIMIT_MAX))
        before = {model.room.id: model.head for model in self.rooms}
        growing = self.grow(rng.choice(self.rooms[:2]), rng.choice((0, 0, 0, 2)))
        missed, _ = await asyncio.gather(self.histories.missed(user, epoch, wanted, limit), growing)
        self.judge(user, epoch, wanted, limit, missed, before)
        self.asked += len(wanted)

    def judge(
        self,
        user: User,
        epoch: str,
        wanted: dict[str, int],
        limit: int,
        missed: Missed,
        before: dict[str, int],
    ) -> None:
        """Compare an answer with the model."""
        mine = {model.room.id: model for model in self.rooms if user.id in model.joined}
        assert {one.room.id for one in missed.rooms} == mine.keys()
        others = {model.room.shown for model in self.rooms} - {m.room.shown for m in mine.values()}
        assert set(missed.strangers) == others & wanted.keys()
        for one in missed.rooms:
            model = mine[one.room.id]
            assert before[one.room.id] <= one.head <= model.head
            position = wanted.get(one.room.shown)
            if epoch != EPOCH or position is None:
                assert one.events is None
                continue
            context = f"{one.room.shown} from {position}, head {one.head}, limit {limit}"
            right = model.expected(user.id, position, one.head, limit)
            if one.events is None:
                may = model.may_gap(user.id, position, one.head)
                assert may or not right, f"gap without need: {context}"
                self.answers["gap"] += 1
            else:
                assert [event.seq for event in one.events] in right, f"partial: {context}"
                shown = [getattr(event.body, "text", None) for event in one.events]
                for event, text in zip(one.events, shown, strict=True):
                    topic = getattr(event.body, "topic", None)
                    assert model.texts[event.seq] == (topic if text is None else text)
                self.answers["complete"] += 1


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_any_position_is_answered_completely_or_with_gap(
    kind: str, tmp_path: Path, is_nightly: bool
) -> None:
    positions = POSITIONS_NIGHTLY if is_nightly else POSITIONS
    make: Callable[[], Store] = MemoryStore
    if kind == "sqlite":
        positions = positions // 10
        make = lambda: SqliteStore(tmp_path / "chat.sqlite3")  # noqa: E731 - one of two factories
    store = make()
    await store.open()
    world = World(store, random.Random(23))
    await world.build()
    try:
        while world.asked < positions:
            await world.disturb()
            for _ in range(10):
                await world.ask()
    finally:
        await world.feed.close()
        await store.close()
    assert min(world.answers.values()) > positions // 20, f"one-sided: {world.answers}"


async def test_any_position_over_the_wire_is_answered_completely_or_with_gap(
    server: ChatServer,
) -> None:
    rng = random.Random(23)
    alice = await ChatClient.connect(server.port)
    token = await alice.name("Alice")
    await alice.command("/join #dev")
    for shown, count in (("lobby", 620), ("dev", 90)):
        await asyncio.gather(
            *(alice.begin("send", room=shown, cid=f"{shown}{n}", text=f"{n}") for n in range(count))
        )
    await server.stop()
    trimmed = {"lobby": 31, "dev": 1}
    store = SqliteStore(server.database)
    await store.open()
    lobby = await store.read(lambda snapshot: snapshot.room_by_key("lobby"))
    assert lobby is not None
    await store.write(lambda tx: tx.trim_events(lobby.id, trimmed["lobby"]))
    await store.close()
    await server.start()
    client = await ChatClient.connect(server.port)
    await client.auth(token)
    heads = {"lobby": 620, "dev": 90}
    answers = {"events": 0, "gap": 0}
    for _ in range(POSITIONS_WIRE):
        epoch = client.hello["epoch"] if rng.random() < 0.9 else "another"
        limit = rng.choice((1, 50, 500))
        wanted = {
            name: rng.choice((rng.randrange(0, head + 1), head - 5, head, head + 1, FORGED))
            for name, head in heads.items()
            if rng.random() < 0.9
        }
        rooms = await client.sync({**wanted, "elsewhere": 3}, epoch=epoch, limit=limit)
        assert rooms.pop("elsewhere")["error"] == "not_member"
        for name, head in heads.items():
            room, position = rooms.pop(name), wanted.get(name)
            is_whole = (
                position is not None
                and epoch == client.hello["epoch"]
                and position <= head
                and head - position <= limit
                and (position == head or position >= trimmed[name] - 1)
            )
            assert room["head"] == head
            if is_whole:
                assert position is not None
                seqs = [event["seq"] for event in room["events"]]
                assert seqs == list(range(position + 1, head + 1))
                answers["events"] += 1
            else:
                assert room["gap"] is True
                assert "events" not in room
                answers["gap"] += 1
        assert rooms == {}
    assert min(answers.values()) > POSITIONS_WIRE // 4


async def test_what_is_no_position_is_refused_and_nothing_is_replayed(server: ChatServer) -> None:
    alice = await ChatClient.connect(server.port)
    await alice.name("Alice")
    await alice.send("1", "hello")
    unfit: tuple[Any, ...] = (-1, 1.5, "1", None, True, [])
    for position in unfit:
        with pytest.raises(Refused) as caught:
            await alice.sync({"lobby": position})
        assert caught.value.code == "bad_request"
    for position in (FORGED + 1, 2**64):  # no number of JSON's; two such frames are let pass
        with pytest.raises(Refused) as caught:
            await alice.sync({"lobby": position})
        assert caught.value.code == "bad_request"
    assert (await alice.sync({"lobby": 0}))["lobby"]["events"][0]["text"] == "hello"


async def test_a_replay_that_passes_the_reply_s_size_is_refused_whole(server: ChatServer) -> None:
    alice = await ChatClient.connect(server.port)
    await alice.name("Alice")
    text = "x" * 7_900
    await asyncio.gather(
        *(alice.begin("send", room="lobby", cid=f"{n}", text=text) for n in range(80))
    )
    room = (await alice.sync({"lobby": 0}))["lobby"]
    assert (room["gap"], room["head"], "events" in room) == (True, 80, False)
    room = (await alice.sync({"lobby": 40}))["lobby"]
    assert [event["seq"] for event in room["events"]] == list(range(41, 81))


def a_user(name: str) -> User:
    """Return the row of an account."""
    return User(
        id=f"u_{name}",
        name=name,
        name_key=name,
        name_skeleton=name,
        kind=UserKind.HUMAN,
        created_at=0,
        last_seen_at=0,
    )
