"""`Hub`: who is shown what, encoded once per face; ignoring, presence, ticks, busy rooms."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.waiting import eventually
from tests.wynd_chat.gateway.desk import Stand
from tests.wynd_chat.kit import a_kit
from wynd_chat.domain.events import Message, MessageKind
from wynd_chat.gateway.client import Client, Face
from wynd_chat.gateway.hub import Hub
from wynd_chat.ports.outlet import (
    ConnectionsEnded,
    IgnoresChanged,
    MembershipEnded,
    UserChanged,
)
from wynd_chat.wire import json_face
from wynd_chat.wire.lines import DEFAULT_PREFS, TextPrefs, event_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.wynd_chat.kit import Kit
    from wynd_chat.domain.errors import ChatError
    from wynd_chat.domain.events import Event
    from wynd_chat.domain.models import Room, User
    from wynd_chat.ports.outlet import MembershipStarted


class Viewer(Client):
    """A client that shows what it is told, without a face of its own."""

    def __init__(self, number: int, face: Face, stage: Stage, current: Room | None) -> None:
        super().__init__(number, stage.stand, stage.stand.handle(), "10.0.0.1", 0.0)  # type: ignore[arg-type]
        self.face = face
        self.current = current
        self.told: list[object] = []
        self._stand = stage.stand

    @property
    def current_id(self) -> str | None:
        return None if self.current is None else self.current.id

    @property
    def prefs(self) -> TextPrefs:
        return DEFAULT_PREFS if self.user is None else TextPrefs.of(self.user.prefs)

    @property
    def is_plain(self) -> bool:
        return not self.ignored and self.prefs == DEFAULT_PREFS

    @property
    def wants_joins(self) -> bool:
        return self.prefs.joins

    @property
    def seen(self) -> list[str]:
        """What reached it since it was last asked."""
        frames = self._stand.sent[self.handle.number]  # type: ignore[attr-defined]
        taken, frames[:] = list(frames), []
        return taken

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(frame) for frame in self.seen]

    async def received(self, text: str) -> None:
        raise NotImplementedError

    def binary(self) -> None:
        raise NotImplementedError

    def move_back(self) -> None:
        raise NotImplementedError

    def refused(self, error: ChatError) -> None:
        raise NotImplementedError

    def removed(self, line: str) -> None:
        self.told.append(line)

    def entered(self, rooms: list[Room], lobby_id: str) -> None:
        raise NotImplementedError

    def encode(self, room: Room, event: Event) -> str | None:
        if self.face is Face.TEXT:
            return event_line(
                event,
                room,
                is_current=room.id == self.current_id,
                viewer_id=self.user_id,
                file_link=str,
                prefs=self.prefs,
            )
        body = event.body
        own = isinstance(body, Message) and body.author.id == self.user_id
        return json_face.encode_event(event, room.shown, with_cid=own)

    def membership_started(self, notice: MembershipStarted) -> None:
        self.told.append(notice)

    def membership_ended(self, notice: MembershipEnded, *, is_told: bool) -> None:
        self.told.append((notice, is_told))


class Stage:
    """A hub over a kit, with a server object that writes down."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.stand = Stand()
        self.hub = Hub(kit.feed, kit.presences, kit.clock, kit.lobby.id, str, is_strict=False)
        kit.feed.attach(self.hub)
        kit.presences.attach(self.hub)
        for service in (kit.accounts, kit.rooms, kit.settings):
            service._outlet = self.hub
        self.hub.serve(self.stand)  # type: ignore[arg-type]
        self.hub.listening(self.stand)  # type: ignore[arg-type]
        self._number = 0

    def add(self, user: User, face: Face = Face.TEXT, *rooms: Room) -> Viewer:
        """Connect a user who listens to the lobby and other rooms."""
        self._number += 1
        viewer = Viewer(self._number, face, self, self.kit.lobby)
        self.hub.opened(viewer)
        self.hub.attach(viewer, user)
        if face is Face.JSON:
            self.hub.show_presence(viewer)
        for room in (self.kit.lobby, *rooms):
            self.hub.subscribe(viewer, room)
        self.kit.presences.connected(viewer.number, user, face)
        return viewer

    async def post(
        self, user: User, room: Room, text: str, by: Viewer | None = None, **more: Any
    ) -> None:
        """Post a message through a connection."""
        message_id = self.kit.tokens.new_id("m_")
        if by is not None:
            self.hub.begin_post(message_id, by)
        posted = await self.kit.messaging.post(user, room, text, message_id=message_id, **more)
        self.hub.end_post(message_id, posted)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with a_kit(rooms_created_per_day=1000) as kit:
        made = Stage(kit)
        yield made
        made.hub.close()


async def test_a_message_is_published_once_per_face_and_place(stage: Stage) -> None:
    alice = await stage.kit.guest("Alice", face=None)
    users = [await stage.kit.guest(f"user{n}x", face=None) for n in range(20)]
    for user in users:
        stage.add(user, Face.TEXT)
        stage.add(user, Face.JSON)
    stage.stand.publishes = 0
    await stage.post(alice, stage.kit.lobby, "hi")
    assert stage.stand.publishes == 3  # current and other room of the text face, and JSON


async def test_the_typing_connection_gets_no_echo_its_users_others_do(stage: Stage) -> None:
    alice, bob = [await stage.kit.guest(name, face=None) for name in ("Alice", "Bob")]
    typing, other = stage.add(alice), stage.add(alice)
    reader = stage.add(bob)
    _ = typing.seen, other.seen, reader.seen
    await stage.post(alice, stage.kit.lobby, "hi", by=typing)
    assert (typing.seen, other.seen, reader.seen) == ([], ["Alice: hi"], ["Alice: hi"])


async def test_the_typing_connection_gets_no_echo_either_where_its_message_is_shown_later(
    stage: Stage,
) -> None:
    """Another program has stored messages before it, which are read first."""
    alice, bob = [await stage.kit.guest(name, face=None) for name in ("Alice", "Bob")]
    typing, reader = stage.add(alice), stage.add(bob)
    _ = typing.seen, reader.seen
    stage.kit.store.on_commit(lambda _room, _event: None)  # nobody tells the feed of this one
    await stage.kit.say(bob, stage.kit.lobby, "from a shell")
    stage.kit.store.on_commit(stage.kit.feed._committed)
    await stage.post(alice, stage.kit.lobby, "hi", by=typing)
    assert reader.seen == []
    await eventually(lambda: stage.kit.feed.known_head(stage.kit.lobby.id) == 2)
    assert (typing.seen, reader.seen) == (
        ["Bob: from a shell"],
        ["Bob: from a shell", "Alice: hi"],
    )
    assert stage.hub._late_origins == {}


async def test_who_has_left_is_shown_their_leaving_and_nothing_that_is_committed_with_it(
    stage: Stage,
) -> None:
    alice, bob = [await stage.kit.account(name) for name in ("Alice", "Bob")]
    dev = await stage.kit.room(alice, "dev", bob)
    page, terminal = stage.add(alice, Face.JSON, dev), stage.add(alice, Face.TEXT, dev)
    _ = page.seen, terminal.seen
    await stage.kit.rooms.leave(alice, dev)  # Bob owns the room from now on, the next event says
    assert [frame["type"] for frame in page.objects] == ["left"]
    assert terminal.seen == ["Alice left #dev"]
    assert dev.id not in page.rooms
    assert [told[1] for told in page.told] == [True]  # type: ignore[index]


async def test_a_leaving_that_is_shown_later_is_told_as_untold(stage: Stage) -> None:
    alice, bob = [await stage.kit.account(name) for name in ("Alice", "Bob")]
    dev = await stage.kit.room(alice, "dev", bob)
    page = stage.add(bob, Face.JSON, dev)
    stage.hub.notice(MembershipEnded(dev, bob.id))  # its event waits for what others have stored
    assert page.told == [(MembershipEnded(dev, bob.id), False)]
    assert dev.id not in page.rooms


async def test_on_the_json_face_everybody_gets_it_only_the_author_with_cid(stage: Stage) -> None:
    alice, bob = [await stage.kit.guest(name, face=None) for name in ("Alice", "Bob")]
    one, two = stage.add(alice, Face.JSON), stage.add(alice, Face.JSON)
    reader = stage.add(bob, Face.JSON)
    await stage.post(alice, stage.kit.lobby, "hi", by=one, cid="c")
    assert [frame.get("cid") for frame in one.objects] == ["c"]
    assert [frame.get("cid") for frame in two.objects] == ["c"]
    assert [frame.get("cid") for frame in reader.objects] == [None]


async def test_what_is_no_longer_subscribed_is_not_shown(stage: Stage) -> None:
    alice, bob = [await stage.kit.guest(name, face=None) for name in ("Alice", "Bob")]
    reader = stage.add(bob)
    stage.hub.unsubscribe(reader, stage.kit.lobby.id)
    stage.hub.unsubscribe(reader, stage.kit.lobby.id)
    await stage.post(alice, stage.kit.lobby, "hi")
    assert reader.seen == []
    assert reader.rooms == {}


async def test_other_rooms_have_a_prefix(stage: Stage) -> None:
    alice, bob = [await stage.kit.guest(name, face=None) for name in ("Alice", "Bob")]
    dev = await stage.kit.room(alice, "dev", bob)
    reader = stage.add(bob, Face.TEXT, dev)
    await stage.post(alice, dev, "hi")
    assert reader.seen == ["[#dev] Alice: hi"]


async def test_preferences_of_one_change_nothing_for_others(stage: Stage) -> None:
    alice, bob, carol = [await stage.kit.guest(n, face=None) for n in ("Alice", "Bob", "Carol")]
    special, plain = stage.add(bob), stage.add(carol)
    _ = special.seen, plain.seen
    stage.hub.notice(UserChanged(replace(bob, prefs={"ids": True})))
    await stage.post(alice, stage.kit.lobby, "hi")
    assert (special.seen, plain.seen) == (["[1] Alice: hi"], ["Alice: hi"])
    stage.hub.notice(UserChanged(replace(bob, prefs={"ids": False})))
    stage.stand.publishes = 0
    await stage.post(alice, stage.kit.lobby, "hi")
    assert special.seen == ["Alice: hi"]


async def test_who_is_ignored_is_not_shown_on_the_text_face(stage: Stage) -> None:
    alice, bob = [await stage.kit.guest(name, face=None) for name in ("Alice", "Bob")]
    reader = stage.add(bob)
    stage.hub.notice(IgnoresChanged(bob.id, frozenset({alice.id})))
    assert stage.hub.ignored_by(bob.id) == {alice.id}
    await stage.post(alice, stage.kit.lobby, "hi")
    assert reader.seen == []
    stage.hub.notice(IgnoresChanged(bob.id, frozenset()))
    await stage.post(alice, stage.kit.lobby, "again")
    assert reader.seen == ["Alice: again"]


async def test_who_typed_a_command_reads_the_reply_their_others_the_event(stage: Stage) -> None:
    alice, bob = [await stage.kit.account(name) for name in ("Alice", "Bob")]
    dev = await stage.kit.room(alice, "dev", bob)
    typing, other = stage.add(alice, Face.TEXT, dev), stage.add(alice, Face.TEXT, dev)
    reader = stage.add(bob, Face.TEXT, dev)
    _ = typing.seen, other.seen, reader.seen
    with stage.hub.acting(typing):
        await stage.kit.settings.set_topic(alice, dev, "hi")
    line = "-- Alice set the topic of #dev: hi"
    assert (typing.seen, other.seen, reader.seen) == ([], [line], [line])
    await stage.kit.settings.set_topic(alice, dev, "over REST")
    assert typing.seen == other.seen == ["-- Alice set the topic of #dev: over REST"]


async def test_who_is_brought_in_reads_that_instead_of_their_own_joining(stage: Stage) -> None:
    alice, bob = [await stage.kit.account(name) for name in ("Alice", "Bob")]
    dev = await stage.kit.room(alice, "dev")
    host, guest = stage.add(alice, Face.TEXT, dev), stage.add(bob)
    _ = host.seen, guest.seen
    with stage.hub.acting(host):
        await stage.kit.rooms.invite(alice, bob, dev)
    assert (host.seen, guest.seen) == (["Bob joined #dev"], [])
    assert len(guest.told) == 1
    assert guest.changes > 0


async def test_coming_and_going_is_told_to_the_named(stage: Stage) -> None:
    alice, bob = [await stage.kit.guest(name, face=None) for name in ("Alice", "Bob")]
    first = stage.add(alice)
    second = stage.add(bob)
    assert (first.seen, second.seen) == (["Bob joined the chat"], [])
    second.farewell = "bye"
    stage.hub.closed(second)
    stage.hub.closed(second)
    assert first.seen == ["Bob left the chat (bye)"]
    assert stage.hub.clients_of(bob.id) == ()


async def test_a_rename_is_read_by_its_user_before_all_others(stage: Stage) -> None:
    alice, bob = [await stage.kit.guest(name, face=None) for name in ("Alice", "Bob")]
    first, second, other = stage.add(alice), stage.add(alice), stage.add(bob)
    _ = first.seen, second.seen, other.seen
    renamed = await stage.kit.accounts.rename(alice, "Ally")
    assert first.seen == second.seen == ["You are now known as Ally"]
    assert other.seen == ["Alice is now known as Ally"]
    assert first.user == renamed


async def test_presence_is_batched_and_the_last_state_counts(stage: Stage) -> None:
    alice, bob = [await stage.kit.guest(name, face=None) for name in ("Alice", "Bob")]
    viewer = stage.add(alice, Face.JSON)
    await stage.kit.clock.advance(1)
    _ = viewer.seen
    stage.add(bob)
    await stage.kit.accounts.set_away(bob, "lunch")
    await stage.kit.clock.advance(0.9)
    assert viewer.seen == []
    await stage.kit.clock.advance(0.1)
    assert [(f["user"]["name"], f["state"], f.get("text")) for f in viewer.objects] == [
        ("Bob", "away", "lunch")
    ]


async def test_a_client_that_is_not_in_yet_is_shown_nobodys_coming(stage: Stage) -> None:
    """Its hello comes first."""
    alice, bob = [await stage.kit.guest(name, face=None) for name in ("Alice", "Bob")]
    viewer = Viewer(7, Face.JSON, stage, None)
    stage.hub.opened(viewer)
    stage.hub.attach(viewer, alice)
    stage.add(bob)
    await stage.kit.clock.advance(1)
    assert viewer.seen == []
    stage.hub.show_presence(viewer)
    await stage.kit.accounts.set_away(bob, "lunch")
    await stage.kit.clock.advance(1)
    assert [frame["state"] for frame in viewer.objects] == ["away"]


async def test_every_client_is_looked_at_once_in_25_seconds_json_ones_get_heads(
    stage: Stage,
) -> None:
    alice, bob = [await stage.kit.guest(name, face=None) for name in ("Alice", "Bob")]
    page, terminal = stage.add(alice, Face.JSON), stage.add(bob)
    judged: list[int] = []
    stage.hub.judge = lambda client, _now: judged.append(client.number)
    await stage.post(bob, stage.kit.lobby, "hi")
    await stage.kit.clock.advance(1)
    _ = page.seen, terminal.seen
    judged.clear()
    await stage.kit.clock.advance(25)
    assert sorted(judged) == [page.number, terminal.number]
    ticks = [frame for frame in page.objects if frame["type"] == "tick"]
    assert [frame["heads"] for frame in ticks] == [{"lobby": 1}]
    assert terminal.seen == []


async def test_a_busy_room_reads_of_many_in_one_line(stage: Stage) -> None:
    viewers = [stage.add(await stage.kit.guest(f"user{n}x", face=None)) for n in range(51)]
    special = viewers[1]
    assert special.user is not None
    stage.hub.notice(UserChanged(replace(special.user, prefs={"ids": True})))
    for viewer in viewers:
        _ = viewer.seen
    await stage.kit.clock.advance(5)  # the 51st was the first to be counted
    assert viewers[0].seen == ["-- 1 joined"]
    _ = special.seen
    for n in range(3):
        stage.add(await stage.kit.guest(f"late{n}x", face=None))
    stage.hub.closed(viewers[-1])
    assert viewers[0].seen == special.seen == []
    await stage.kit.clock.advance(5)
    assert viewers[0].seen == special.seen == ["-- 3 joined, 1 left"]


async def test_both_sides_of_a_conversation_are_shown_it(stage: Stage) -> None:
    alice, bob = [await stage.kit.guest(name, face=None) for name in ("Alice", "Bob")]
    one, two = stage.add(alice), stage.add(bob, Face.JSON)
    direct = await stage.kit.direct(alice, bob)
    assert [notice.peer for viewer in (one, two) for notice in viewer.told] == [bob, alice]  # type: ignore[attr-defined]
    for viewer in (one, two):
        stage.hub.subscribe(viewer, direct)
    _ = one.seen, two.seen
    await stage.post(bob, direct, "psst", by=two)
    assert one.seen == ["[from Bob] psst"]
    assert [frame["text"] for frame in two.objects] == ["psst"]
    assert stage.hub.room_of_last_direct(alice.id) == direct.id
    assert stage.hub.room_of_last_direct(bob.id) is None
    assert stage.hub.peer_name(direct, alice) == "Bob"


async def test_that_somebody_is_away_is_said_once_in_five_minutes(stage: Stage) -> None:
    assert stage.hub.may_say_away("a", "b")
    assert not stage.hub.may_say_away("a", "b")
    assert stage.hub.may_say_away("b", "a")
    await stage.kit.clock.advance(300)
    assert stage.hub.may_say_away("a", "b")


async def test_connections_of_a_login_are_closed_those_of_others_not(stage: Stage) -> None:
    alice = await stage.kit.account("Alice")
    one, two = stage.add(alice), stage.add(alice)
    one.token_hash = "h1"
    stage.hub.notice(ConnectionsEnded(alice.id, frozenset({"h1"}), 4501, "logged out"))
    assert list(stage.stand.closed.values()) == [(4501, "logged out")]
    stage.hub.notice(ConnectionsEnded(alice.id, None, 4503, "banned"))
    assert len(stage.stand.closed) == 2
    assert two.number


async def test_an_event_that_cannot_be_shown_keeps_nobody_else_from_the_next(
    stage: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = [await stage.kit.guest(name, face=None) for name in ("Alice", "Bob")]
    reader = stage.add(bob)

    def broken(*_: object, **__: object) -> str:
        raise RuntimeError("a mistake of ours")

    with monkeypatch.context() as patched:
        patched.setattr("wynd_chat.gateway.hub.event_line", broken)
        await stage.post(alice, stage.kit.lobby, "lost")
    assert "event 1 was not shown to everybody" in caplog.text
    await stage.post(alice, stage.kit.lobby, "shown", kind=MessageKind.ME)
    assert reader.seen == ["* Alice shown"]


async def test_what_is_left_of_the_server_is_shown_what_happens(stage: Stage) -> None:
    other = Stand()
    stage.hub.listening(other)  # type: ignore[arg-type]
    alice, bob = [await stage.kit.guest(name, face=None) for name in ("Alice", "Bob")]
    reader, leaver = stage.add(bob), stage.add(alice)
    _ = reader.seen
    other.engine = None  # stopped before the first
    stage.hub.closed(leaver)
    await stage.kit.clock.advance(1)
    assert reader.seen == ["Alice left the chat"]
