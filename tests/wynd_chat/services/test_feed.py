"""`Feed`: events are shown once and in order, whatever is lost or late; the ring is bounded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.waiting import eventually
from tests.wynd_chat.kit import Recorder, a_kit
from wynd_chat.adapters.broker.memory import MemoryBroker
from wynd_chat.ports.faults import NoFaults
from wynd_chat.ports.outlet import RoomPurged
from wynd_chat.services import feed as feeds
from wynd_chat.services.feed import Feed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Any

    from tests.wynd_chat.kit import Kit
    from wynd_chat.domain.events import Event
    from wynd_chat.domain.models import Room


@pytest.fixture
async def kit() -> AsyncIterator[Kit]:
    async with a_kit() as made:
        yield made


class OtherNode:
    """A feed that is told of nothing but what a broker says, as on another node."""

    def __init__(self, kit: Kit) -> None:
        self.broker = MemoryBroker()
        self.outlet = Recorder()
        self._store = _Deaf(kit)
        self.feed = Feed(self._store, self.broker, kit.clock)
        self.feed.attach(self.outlet)


class _Deaf:
    """A store that tells nobody of commits."""

    def __init__(self, kit: Kit) -> None:
        self._store = kit.store

    def on_commit(self, callback: Callable[[Room, Event], None]) -> None:
        """Tell nobody."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


async def test_events_are_shown_before_the_post_returns(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    await kit.say(alice, kit.lobby, "one", "two")
    assert kit.outlet.seqs(kit.lobby) == [1, 2]
    assert kit.outlet.events[-1][0].last_seq == 2
    assert kit.feed.known_head(kit.lobby.id) == 2


async def test_between_a_commit_and_the_wake_up_of_others_it_is_shown_here(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    broker, outlet = MemoryBroker(), Recorder()
    woken: list[int] = []
    broker.subscribe(lambda _room_id, seq: woken.append(seq))
    points: list[tuple[str, int, int]] = []

    class Faults(NoFaults):
        def passed(self, point: str) -> None:
            points.append((point, len(outlet.events), len(woken)))

    feed = Feed(kit.store, broker, kit.clock, Faults())
    feed.attach(outlet)
    await kit.say(alice, kit.lobby, "hi")
    assert points == [("after_commit", 0, 0), ("before_publish", 1, 0)]
    assert woken == [1]
    await feed.close()


async def test_a_room_nobody_listened_to_begins_at_what_is_stored(kit: Kit) -> None:
    assert kit.feed.known_head("r_none") is None
    assert kit.feed.head("r_none", 7) == 7
    assert kit.feed.head("r_none", 9) == 7


async def test_a_node_that_is_woken_reads_what_it_missed(kit: Kit) -> None:
    node = OtherNode(kit)
    alice = await kit.guest("Alice")
    node.feed.head(kit.lobby.id, 0)
    await kit.say(alice, kit.lobby, *"abcde")
    node.broker.publish(kit.lobby.id, 5)
    node.broker.publish(kit.lobby.id, 3)  # late and in the wrong order
    node.broker.publish(kit.lobby.id, 5)
    await eventually(lambda: node.feed.known_head(kit.lobby.id) == 5)
    assert node.outlet.seqs(kit.lobby) == [1, 2, 3, 4, 5]
    await node.feed.close()


async def test_what_another_program_committed_is_shown_after_a_refresh(kit: Kit) -> None:
    node = OtherNode(kit)
    alice = await kit.guest("Alice")
    node.feed.head(kit.lobby.id, 0)
    await kit.say(alice, kit.lobby, "a", "b")
    assert node.outlet.events == []
    await node.feed.refresh()
    await eventually(lambda: node.outlet.seqs(kit.lobby) == [1, 2])
    await node.feed.refresh()
    assert node.outlet.seqs(kit.lobby) == [1, 2]
    await node.feed.close()


async def test_a_room_that_another_program_purged_is_forgotten_and_told(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    dev = await kit.room(alice, "dev")
    await kit.say(alice, dev, "a")
    node = OtherNode(kit)
    node.feed.head(kit.lobby.id, 0)
    node.feed.head(dev.id, 0)
    await node.feed.refresh()
    await eventually(lambda: node.outlet.seqs(dev) == [1])
    await kit.store.write(lambda tx: tx.drop_room(dev.id))
    await node.feed.refresh()
    assert node.outlet.notices == [RoomPurged(dev.id)]
    assert node.feed.recent(dev.id, 0) is None
    await node.feed.close()


async def test_a_wake_up_for_a_room_nobody_listens_to_reads_nothing(kit: Kit) -> None:
    node = OtherNode(kit)
    alice = await kit.guest("Alice")
    await kit.say(alice, kit.lobby, "a")
    reads = kit.store.reads
    node.broker.publish(kit.lobby.id, 1)
    await asyncio.sleep(0)
    assert kit.store.reads == reads
    await node.feed.close()


async def test_catching_up_outlasts_a_store_that_fails_for_a_while(kit: Kit) -> None:
    node = OtherNode(kit)
    alice = await kit.guest("Alice")
    node.feed.head(kit.lobby.id, 0)
    await kit.say(alice, kit.lobby, "a", "b")
    kit.store.fail()
    node.broker.publish(kit.lobby.id, 2)
    await kit.clock.advance(1)
    assert node.outlet.events == []
    kit.store.failure = None
    await kit.clock.advance(5)
    await eventually(lambda: node.outlet.seqs(kit.lobby) == [1, 2])
    await node.feed.close()


async def test_what_was_trimmed_meanwhile_is_skipped_and_leaves_a_visible_gap(kit: Kit) -> None:
    node = OtherNode(kit)
    alice = await kit.guest("Alice")
    node.feed.head(kit.lobby.id, 0)
    await kit.say(alice, kit.lobby, *"abcd")
    await kit.store.write(lambda tx: tx.trim_events(kit.lobby.id, 3))
    node.broker.publish(kit.lobby.id, 4)
    await asyncio.gather(*node.feed._tasks)  # it ends, rather than reading for ever
    assert node.outlet.seqs(kit.lobby) in ([3, 4], [])
    await node.feed.close()


async def test_the_ring_serves_whoever_reconnects_without_the_store(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    await kit.say(alice, kit.lobby, *"abc")
    reads = kit.store.reads
    recent = kit.feed.recent(kit.lobby.id, 1)
    assert recent is not None
    assert [event.seq for event in recent] == [2, 3]
    assert kit.feed.recent(kit.lobby.id, 3) == []
    assert kit.feed.recent(kit.lobby.id, 4) is None  # the future
    assert kit.store.reads == reads


async def test_the_ring_forgets_what_is_old_and_the_store_has_it(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    await kit.say(alice, kit.lobby, "a", "b")
    await kit.clock.advance(feeds.RING_S + 1)
    await kit.say(alice, kit.lobby, "c")
    assert kit.feed.recent(kit.lobby.id, 0) is None
    assert kit.feed.recent(kit.lobby.id, 1) is None
    read = await kit.feed.read(kit.lobby.id, 0, 200)
    joined = kit.feed.join(kit.lobby.id, read)
    assert joined is not None
    assert [event.seq for event in joined] == [1, 2, 3]


async def test_the_ring_is_bounded_per_room_and_in_all(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "RING_EVENTS_MAX", 3)
    monkeypatch.setattr(feeds, "EVENTS_MAX", 5)
    alice = await kit.guest("Alice")
    dev = await kit.room(alice, "dev")
    await kit.say(alice, dev, *"abcdef")
    assert kit.feed.recent(dev.id, 3) is not None
    assert kit.feed.recent(dev.id, 2) is None
    await kit.say(alice, kit.lobby, *"abc")  # six together: the one unused longest is emptied
    assert kit.feed.recent(dev.id, 3) is None
    assert kit.feed.recent(dev.id, 6) == []
    lobby = kit.feed.recent(kit.lobby.id, 0)
    assert lobby is not None
    assert len(lobby) == 3


async def test_many_who_ask_for_the_same_share_one_read(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    await kit.say(alice, kit.lobby, *"abc")
    await kit.clock.advance(feeds.RING_S + 1)
    await kit.say(alice, kit.lobby, "d")
    before = kit.feed.history_reads
    results = await asyncio.gather(*(kit.feed.read(kit.lobby.id, 0, 200) for _ in range(50)))
    assert kit.feed.history_reads == before + 1
    assert all([event.seq for event in read.events] == [1, 2, 3, 4] for read in results)


async def test_what_was_read_fills_the_ring_for_the_next(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    await kit.say(alice, kit.lobby, *"abc")
    await kit.clock.advance(feeds.RING_S + 1)
    await kit.say(alice, kit.lobby, "d")
    await kit.feed.read(kit.lobby.id, 0, 200)
    recent = kit.feed.recent(kit.lobby.id, 0)
    assert recent is not None
    assert [event.seq for event in recent] == [1, 2, 3, 4]


async def test_of_what_was_trimmed_nothing_is_returned(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    await kit.say(alice, kit.lobby, *"abcd")
    await kit.clock.advance(feeds.RING_S + 1)
    await kit.say(alice, kit.lobby, "e")
    await kit.store.write(lambda tx: tx.trim_events(kit.lobby.id, 3))
    read = await kit.feed.read(kit.lobby.id, 0, 200)
    assert read.events == []
    assert kit.feed.join(kit.lobby.id, read) is None


async def test_events_that_come_while_reading_are_joined_without_a_gap(kit: Kit) -> None:
    alice = await kit.guest("Alice")
    await kit.say(alice, kit.lobby, *"ab")
    await kit.clock.advance(feeds.RING_S + 1)
    await kit.say(alice, kit.lobby, "c")
    read = await kit.feed.read(kit.lobby.id, 0, 200)
    await kit.say(alice, kit.lobby, "d", "e")
    joined = kit.feed.join(kit.lobby.id, read)
    assert joined is not None
    assert [event.seq for event in joined] == [1, 2, 3, 4, 5]
