"""Presence: people come and go once, whatever their connections do."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from wynd_chat.domain.presence import LINGER_S, Face, Presence

TEXT, JSON = Face.TEXT, Face.JSON


def test_the_first_connection_comes_and_the_last_text_one_leaves_at_once() -> None:
    presence = Presence()
    assert presence.connected(1, "alice", TEXT, 0.0)
    assert not presence.connected(2, "alice", TEXT, 1.0)
    assert presence.gone(1, 2.0) is None
    assert presence.gone(2, 3.0) == "alice"
    assert not presence.is_online("alice")
    assert presence.next_deadline() is None
    assert presence.connected(3, "alice", TEXT, 4.0)


def test_a_page_reload_is_silent() -> None:
    presence = Presence()
    assert presence.connected(1, "alice", JSON, 0.0)
    assert presence.gone(1, 5.0) is None
    assert presence.is_online("alice")
    assert presence.next_deadline() == 15.0
    assert not presence.connected(2, "alice", JSON, 6.0)
    assert presence.next_deadline() is None
    assert presence.expire(100.0) == []


def test_a_page_that_stays_away_leaves_after_ten_seconds() -> None:
    presence = Presence()
    presence.connected(1, "alice", JSON, 0.0)
    presence.gone(1, 5.0)
    assert presence.expire(14.999) == []
    assert presence.is_held("alice", 14.999)
    assert presence.expire(15.0) == ["alice"]
    assert presence.expire(15.0) == []
    assert not presence.is_online("alice")
    assert LINGER_S == 10.0


def test_a_text_connection_that_ends_does_not_cut_a_reload_short() -> None:
    presence = Presence()
    presence.connected(1, "alice", JSON, 0.0)
    presence.connected(2, "alice", TEXT, 0.0)
    assert presence.gone(1, 10.0) is None
    assert presence.next_deadline() is None
    assert presence.gone(2, 12.0) is None
    assert presence.next_deadline() == 20.0
    assert presence.expire(20.0) == ["alice"]


def test_a_text_connection_keeps_a_page_online_and_then_leaves_at_once() -> None:
    presence = Presence()
    presence.connected(1, "alice", JSON, 0.0)
    presence.connected(2, "alice", TEXT, 0.0)
    presence.gone(1, 10.0)
    assert presence.expire(30.0) == []
    assert presence.gone(2, 31.0) == "alice"


def test_a_second_reload_starts_the_time_again() -> None:
    presence = Presence()
    presence.connected(1, "alice", JSON, 0.0)
    presence.gone(1, 1.0)
    presence.connected(2, "alice", JSON, 2.0)
    presence.gone(2, 3.0)
    assert presence.next_deadline() == 13.0
    assert presence.expire(12.0) == []
    assert presence.expire(13.0) == ["alice"]


def test_those_who_are_overdue_leave_in_the_order_of_their_time() -> None:
    presence = Presence()
    for connection, user_id in enumerate(("carol", "alice", "bob")):
        presence.connected(connection, user_id, JSON, 0.0)
        presence.gone(connection, float(connection))
    assert presence.expire(11.0) == ["carol", "alice"]
    assert presence.next_deadline() == 12.0
    assert list(presence.online_ids()) == ["bob"]


def test_who_comes_back_before_the_leaving_was_told_never_left() -> None:
    presence = Presence()
    presence.connected(1, "alice", JSON, 0.0)
    presence.gone(1, 0.0)
    assert not presence.is_held("alice", 50.0)
    assert presence.is_online("alice")
    assert not presence.connected(2, "alice", TEXT, 50.0)
    assert presence.expire(60.0) == []


def test_ending_twice_and_ending_without_a_name_do_no_harm() -> None:
    presence = Presence()
    presence.connected(1, "alice", TEXT, 0.0)
    assert presence.gone(1, 0.0) == "alice"
    assert presence.gone(1, 0.0) is None
    assert presence.gone(7, 0.0) is None


def test_being_connected_twice_is_once() -> None:
    presence = Presence()
    assert presence.connected(1, "alice", TEXT, 0.0)
    assert not presence.connected(1, "alice", TEXT, 0.0)
    assert presence.gone(1, 0.0) == "alice"


@pytest.mark.parametrize("face", Face)
def test_a_connection_that_logs_in_as_another_leaves_the_former_at_once(face: Face) -> None:
    presence = Presence()
    presence.connected(1, "guest", face, 0.0)
    assert presence.connected(1, "alice", face, 5.0)
    assert presence.user_of(1) == "alice"
    assert presence.next_deadline() == 5.0
    assert not presence.is_held("guest", 5.0)
    assert presence.expire(5.0) == ["guest"]
    assert presence.connections_of("alice") == {1}


def test_the_former_stays_who_has_another_connection() -> None:
    presence = Presence()
    presence.connected(1, "guest", TEXT, 0.0)
    presence.connected(2, "guest", TEXT, 0.0)
    assert presence.connected(1, "alice", TEXT, 5.0)
    assert presence.expire(5.0) == []
    assert presence.gone(2, 6.0) == "guest"


def test_connections_are_known_by_user_and_users_by_connection() -> None:
    presence = Presence()
    presence.connected(1, "alice", TEXT, 0.0)
    presence.connected(2, "alice", JSON, 0.0)
    assert presence.connections_of("alice") == {1, 2}
    assert presence.connections_of("bob") == frozenset()
    assert presence.user_of(2) == "alice"
    assert presence.user_of(3) is None
    assert presence.is_held("alice", 0.0)
    assert not presence.is_held("bob", 0.0)


def test_flapping_leaves_no_trace() -> None:
    presence = Presence()
    for connection in range(10_000):
        presence.connected(connection, "alice", JSON, float(connection))
        presence.gone(connection, float(connection))
        presence.expire(float(connection))
    assert len(presence._deadlines) <= LINGER_S + 1
    assert presence.expire(20_000.0) == ["alice"]
    assert (presence._deadlines, presence._owners, presence._people) == ([], {}, {})


@dataclass
class Link:
    """A connection of the naive model: counts as long as it is open, and until then."""

    user_id: str
    face: Face
    is_open: bool = True
    counts_until: float = 0.0


class PresenceAgainstModel(RuleBasedStateMachine):
    """Compares with a model that keeps every connection for ever and looks at all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.presence = Presence()
        self.now = 0.0
        self.links: dict[int, Link] = {}
        self.past: list[Link] = []
        self.told: set[str] = set()
        """Those of whom others were told that they came, and not that they left."""

    def counts(self, user_id: str) -> bool:
        """Tell whether any connection of a user still counts."""
        links = [link for link in (*self.links.values(), *self.past) if link.user_id == user_id]
        return any(link.is_open or link.counts_until > self.now for link in links)

    @rule(
        connection=st.integers(0, 5),
        user_id=st.sampled_from("ab"),
        face=st.sampled_from(list(Face)),
    )
    def connect(self, connection: int, user_id: str, face: Face) -> None:
        """A connection is named, perhaps for the second time."""
        link = self.links.get(connection)
        came = self.presence.connected(connection, user_id, face, self.now)
        assert came == (user_id not in self.told)
        self.told.add(user_id)
        if link is not None and link.is_open and link.user_id == user_id:
            return
        if link is not None:
            was_open = link.is_open
            link.is_open = False
            link.counts_until = self.now if was_open else link.counts_until
            self.past.append(link)
        self.links[connection] = Link(user_id, face)

    @rule(connection=st.integers(0, 6))
    def end(self, connection: int) -> None:
        """A connection ends, perhaps for the second time."""
        left = self.presence.gone(connection, self.now)
        link = self.links.get(connection)
        if link is None or not link.is_open:
            assert left is None
            return
        link.is_open = False
        link.counts_until = self.now + (LINGER_S if link.face is JSON else 0.0)
        assert left == (None if self.counts(link.user_id) else link.user_id)
        if left is not None:
            self.told.remove(left)

    @rule(seconds=st.sampled_from([0.0, 0.5, 3.0, 10.0, 25.0]))
    def wait(self, seconds: float) -> None:
        """Time passes; nobody is told anything yet."""
        self.now += seconds

    @rule()
    def expire(self) -> None:
        """Those whose time is over have left."""
        left = self.presence.expire(self.now)
        assert len(left) == len(set(left))
        assert set(left) == {user_id for user_id in self.told if not self.counts(user_id)}
        self.told -= set(left)

    @invariant()
    def agrees(self) -> None:
        """Every question has the model's answer."""
        assert set(self.presence.online_ids()) == self.told
        for user_id in "ab":
            is_told = user_id in self.told
            assert self.presence.is_online(user_id) == is_told
            assert self.presence.is_held(user_id, self.now) == self.counts(user_id)
            own = {n for n, link in self.links.items() if link.is_open and link.user_id == user_id}
            assert self.presence.connections_of(user_id) == own
        deadline = self.presence.next_deadline()
        lingering = {user_id for user_id in self.told if not self.presence.connections_of(user_id)}
        assert (deadline is not None) == bool(lingering)
        if deadline is not None and deadline > self.now:
            assert all(self.counts(user_id) for user_id in lingering)


TestPresenceAgainstModel = PresenceAgainstModel.TestCase
