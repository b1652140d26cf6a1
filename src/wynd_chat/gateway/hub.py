"""`Hub`: who is connected, and what each of them is shown of what happens.

1. An event is encoded once per face and handed to the library once per room and face; only clients
   that are shown something else (their own preferences, people they ignore, the author's `cid`)
   are sent to one by one.
2. A client is in the library's rooms exactly as long as it is in `Client.rooms`.
3. Nothing here waits: sending is queueing, and a client that does not keep up is closed with 4008.

What a line or a frame looks like is decided in `wire`; who may do what, in the services.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wynd import Policy, Prepared
from wynd_chat.domain.events import Joined, LeaveHow, Left, Message, RoleChanged, TopicChanged
from wynd_chat.domain.presence import Face
from wynd_chat.gateway.gathering import Gathering
from wynd_chat.observability.metrics import Metrics
from wynd_chat.ports.outlet import (
    AddressBanned,
    AwayChanged,
    ConnectionsEnded,
    IgnoresChanged,
    MembershipEnded,
    MembershipStarted,
    RoomPurged,
    UserChanged,
    UserRemoved,
    UserRenamed,
)
from wynd_chat.services.bans import parse_address
from wynd_chat.services.messaging import author_of
from wynd_chat.wire import json_face, text_face
from wynd_chat.wire.close_codes import CloseCode
from wynd_chat.wire.lines import event_line

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from wynd import Wynd
    from wynd_chat.domain.events import Event
    from wynd_chat.domain.models import Room, User
    from wynd_chat.gateway.client import Client
    from wynd_chat.ports.clock import Clock, Timer
    from wynd_chat.ports.outlet import Notice
    from wynd_chat.ports.store import Posted
    from wynd_chat.services.feed import Feed
    from wynd_chat.services.presence import Presences
    from wynd_chat.wire.lines import FileLink

__all__ = ["Cast", "Hub"]

log = logging.getLogger("wynd_chat.hub")

NAMED_JSON = "J"  # the library's room of all JSON clients that have a name
TICK_EVERY_S = 25  # chat.v1 §5.5, rule 7
PRESENCE_BATCH_S = 1.0  # chat.v1 §5.4
AWAY_EVERY_S = 300.0  # chat.md 3.2
COLLAPSE_ABOVE = 50  # chat.md 2.6: larger rooms read of joins in one line
PEERS_MAX = 20_000  # users in direct conversations whose names are kept at hand
PRESENCE_USERS_MAX = 200  # above it a count in `tick` instead
ROOM_POLICY = Policy.close(CloseCode.SLOW_CONSUMER, CloseCode.SLOW_CONSUMER.reason)


class Cast:
    """The clients that are shown a room's events."""

    __slots__ = ("clients", "room", "special")

    def __init__(self, room: Room) -> None:
        self.room = room
        self.clients: dict[Face, dict[Client, None]] = {Face.TEXT: {}, Face.JSON: {}}
        self.special: dict[Client, None] = {}
        """Those of them who are shown something else than the rest."""

    @property
    def size(self) -> int:
        """How many clients there are."""
        return len(self.clients[Face.TEXT]) + len(self.clients[Face.JSON])


class Hub:
    """Shows what happens to those who are connected to this node."""

    def __init__(
        self,
        feed: Feed,
        presences: Presences,
        clock: Clock,
        lobby_id: str,
        file_link: FileLink,
        *,
        is_strict: bool,
        metrics: Metrics | None = None,
    ) -> None:
        self.file_link = file_link
        self._metrics = metrics or Metrics()
        self._feed = feed
        self._presences = presences
        self._clock = clock
        self._lobby_id = lobby_id
        self.is_strict = is_strict
        """Whether the text face says only what the tutorial has; may change at any time."""
        self._wynds: list[Wynd] = []
        self._casts: dict[str, Cast] = {}
        self._users: dict[str, dict[Client, None]] = {}
        self._origins: dict[str, Client] = {}
        self._late_origins: dict[str, Client] = {}  # of messages that are stored and not shown yet
        self._acting: dict[Client, None] = {}
        self._peers: dict[str, User] = {}
        self._away_said: dict[tuple[str, str], float] = {}
        self._directs: dict[str, str] = {}  # user id → room id of who last wrote to them directly
        self._presence_due: dict[str, tuple[User, str]] = {}
        self._presence_timer: Timer | None = None
        self._tick_timer: Timer | None = None
        self._tick_at = 0
        self._gatherings: dict[str, Gathering] = {}
        self.judge: Callable[[Client, float], None] = lambda _client, _now: None
        """Looks at every connection once in 25 s; set by the composition root."""
        self.clients: dict[int, Client] = {}
        """All connections, by number."""

    # Beginning and end

    def serve(self, wynd: Wynd) -> None:
        """Send through this server object too; called before it listens."""
        wynd.room_policy("*", ROOM_POLICY)

    def listening(self, wynd: Wynd) -> None:
        """Take up a server object that listens now."""
        self._wynds.append(wynd)
        if self._tick_timer is None:
            self._tick_timer = self._clock.call_later(1.0, self._tick)

    def close(self) -> None:
        """Stop ticking."""
        for timer in (self._tick_timer, self._presence_timer):
            if timer is not None:
                timer.cancel()
        for gathering in self._gatherings.values():
            gathering.close()

    # Clients

    def opened(self, client: Client) -> None:
        """Take up a connection."""
        self.clients[client.number] = client

    def closed(self, client: Client) -> None:
        """Forget a connection; others hear of it where it was the user's last."""
        self.clients.pop(client.number, None)
        for room_id in tuple(client.rooms):
            self.unsubscribe(client, room_id)
        self._detach(client)
        for message_id in [one for one, by in self._late_origins.items() if by is client]:
            del self._late_origins[message_id]
        self._presences.gone(client.number, client.farewell)

    def attach(self, client: Client, user: User) -> None:
        """Note whose connection it is, before it is subscribed to anything."""
        self._detach(client)
        client.user = user
        self._users.setdefault(user.id, {})[client] = None

    def _detach(self, client: Client) -> None:
        if client.user is not None:
            others = self._users.get(client.user.id)
            if others is not None:
                others.pop(client, None)
                if not others:
                    del self._users[client.user.id]
                    self._directs.pop(client.user.id, None)

    def head(self, room: Room) -> int:
        """Return up to which number a room was shown: a subscriber is shown what follows."""
        return self._feed.head(room.id, room.last_seq)

    def show_presence(self, client: Client) -> None:
        """Show a JSON client who comes and goes, from now on; twice is once."""
        client.handle.join(NAMED_JSON)

    def clients_of(self, user_id: str) -> tuple[Client, ...]:
        """Return a user's connections."""
        return tuple(self._users.get(user_id, ()))

    def subscribe(self, client: Client, room: Room) -> None:
        """Show a client the room's events from its head on; twice is once."""
        self._feed.head(room.id, room.last_seq)
        client.rooms[room.id] = room
        cast = self._casts.get(room.id)
        if cast is None:
            cast = self._casts[room.id] = Cast(room)
        cast.clients[client.face][client] = None
        if client.is_plain:
            client.handle.join(self._library_room(client, room.id))
        else:
            cast.special[client] = None

    def unsubscribe(self, client: Client, room_id: str) -> None:
        """Show a client no more of a room; no error if it was not shown any."""
        client.rooms.pop(room_id, None)
        cast = self._casts.get(room_id)
        if cast is None:
            return
        cast.clients[client.face].pop(client, None)
        if cast.special.pop(client, False) is False:
            client.handle.leave(self._library_room(client, room_id))
        if not cast.size:
            del self._casts[room_id]

    def reshuffle(self, client: Client, change: object) -> None:
        """Apply `change()`, which may make a client plain or special, or move its current room."""
        rooms = tuple(client.rooms.values())
        for room in rooms:
            self.unsubscribe(client, room.id)
        change()  # type: ignore[operator]
        for room in rooms:
            self.subscribe(client, room)

    def note_peer(self, room: Room, user: User, peer: User) -> None:
        """Note the two sides of a direct conversation, for the lines that name them."""
        self._peers[user.id] = user
        self._peers[peer.id] = peer
        while len(self._peers) > PEERS_MAX:
            self._peers.pop(next(iter(self._peers)))

    def peer(self, room: Room, user: User) -> User | None:
        """Return the other side of a direct conversation, as far as it is known here."""
        other = room.peer_of(user.id)
        return self._presences.user(other) or self._peers.get(other) if room.is_direct else None

    def peer_name(self, room: Room, user: User) -> str | None:
        """Return the name of the other side of a direct conversation."""
        peer = self.peer(room, user)
        return None if peer is None else peer.name

    def room_of_last_direct(self, user_id: str) -> str | None:
        """Return the id of the conversation in which somebody last wrote to a user."""
        return self._directs.get(user_id)

    def ignored_by(self, user_id: str) -> frozenset[str]:
        """Return whom a user who is connected here ignores."""
        return next((client.ignored for client in self.clients_of(user_id)), frozenset())

    def may_say_away(self, sender_id: str, away_id: str) -> bool:
        """Tell whether it is time to say again that somebody is away; once per 5 minutes."""
        now = self._clock.monotonic()
        key = (sender_id, away_id)
        if now < self._away_said.get(key, now) + AWAY_EVERY_S and key in self._away_said:
            return False
        self._away_said.pop(key, None)
        self._away_said[key] = now
        while len(self._away_said) > PEERS_MAX:
            self._away_said.pop(next(iter(self._away_said)))
        return True

    @contextmanager
    def acting(self, client: Client) -> Iterator[None]:
        """While it lasts, a client reads replies to its command instead of what that caused."""
        self._acting[client] = None
        try:
            yield
        finally:
            del self._acting[client]

    def begin_post(self, message_id: str, client: Client) -> None:
        """Note through which connection a message comes, which gets no echo on the text face."""
        self._origins[message_id] = client

    def end_post(self, message_id: str, posted: Posted | None) -> None:
        """Forget it, as soon as the message was shown; None: there is no message."""
        client = self._origins.pop(message_id, None)
        if client is None or posted is None or posted.is_duplicate:
            return
        head = self._feed.known_head(posted.room.id)
        if head is not None and head < posted.event.seq:  # it waits for what others stored before
            self._late_origins[message_id] = client

    def _origin(self, message_id: str) -> Client | None:
        return self._origins.get(message_id) or self._late_origins.get(message_id)

    # Events of rooms; see `Outlet`

    def event(self, room: Room, event: Event) -> None:
        """See `Outlet.event`."""
        began = self._clock.monotonic()
        try:
            self._event(room, event)
            if isinstance(event.body, Message):
                self._late_origins.pop(event.body.id, None)
            self._metrics.delivered(self._clock.monotonic() - began)
        except Exception:
            log.exception("room %s: event %d was not shown to everybody", room.id, event.seq)

    def _event(self, room: Room, event: Event) -> None:
        body = event.body
        if isinstance(body, Joined):  # the one who joined is shown it too
            for client in self.clients_of(body.user.id or ""):
                client.changes += 1
                if client.face is Face.TEXT or client.rooms:
                    self.subscribe(client, room)
        self._show(room, event)
        if isinstance(body, Left):  # and nothing more: what follows may be committed with it
            for client in self.clients_of(body.user.id or ""):
                client.changes += 1
                self.unsubscribe(client, room.id)

    def _show(self, room: Room, event: Event) -> None:
        """Show an event to everybody who is in the room."""
        body = event.body
        if isinstance(body, Message) and room.is_direct:
            self._note_direct(room, body.author.id)
        cast = self._casts.get(room.id)
        if cast is None:
            return
        cast.room = room
        if room.is_direct:
            self._show_each(cast, room, event)
            return
        is_leave = isinstance(body, Left) and body.how is LeaveHow.LEAVE
        is_gathered = (isinstance(body, Joined) or is_leave) and self._gathers(cast)
        if is_gathered:
            self._gathering(room).count(came=not is_leave)
        elif cast.clients[Face.TEXT]:
            self._show_text(cast, room, event)
        if cast.clients[Face.JSON]:
            self._show_json(cast, room, event)
        told = self._told_otherwise(event)
        for client in tuple(cast.special):
            if client not in told and not (is_gathered and client.face is Face.TEXT):
                self._show_one(client, room, event)

    def _told_otherwise(self, event: Event) -> list[Client]:
        """Return the text clients that read a reply or a notice of their own instead of an event.

        Those are the one whose command it was and, where somebody else brought a user into a room
        or threw one out, that user's.
        """
        body = event.body
        if isinstance(body, Message):
            return []
        actor = _actor_of(event)
        told = [client for client in self._acting if client.user_id == actor]
        if isinstance(body, Joined) and not told:
            told = list(self.clients_of(actor or ""))
        elif isinstance(body, Left) and body.by is not None:
            told += self.clients_of(body.user.id or "")
        return [client for client in told if client.face is Face.TEXT]

    def _note_direct(self, room: Room, author_id: str | None) -> None:
        for user_id in (room.dm_key or "").split(" "):
            if user_id != author_id and user_id in self._users:
                self._directs[user_id] = room.id

    def _show_each(self, cast: Cast, room: Room, event: Event) -> None:
        """Show a direct conversation, whose two sides read different lines."""
        for clients in cast.clients.values():
            for client in tuple(clients):
                self._show_one(client, room, event)

    def _show_one(self, client: Client, room: Room, event: Event) -> None:
        body = event.body
        if (
            isinstance(body, Message)
            and client.face is Face.TEXT
            and (body.author.id in client.ignored or self._origin(body.id) is client)
        ):
            return
        frame = client.encode(room, event)
        if frame is not None:
            client.send(frame)

    def _show_text(self, cast: Cast, room: Room, event: Event) -> None:
        body = event.body
        excluded: Collection[Client]
        if isinstance(body, Message):
            origin = self._origin(body.id)
            excluded = () if origin is None else (origin,)
        else:
            excluded = self._told_otherwise(event)
        text = cast.clients[Face.TEXT]
        for is_current in (True, False):
            line = event_line(
                event, room, is_current=is_current, viewer_id=None, file_link=self.file_link
            )
            if line is not None:
                name = ("c" if is_current else "o") + room.id
                self._publish(name, line, excluded, text, is_current=is_current)

    def _show_json(self, cast: Cast, room: Room, event: Event) -> None:
        body = event.body
        frame = json_face.encode_event(event, room.shown, with_cid=False)
        if not isinstance(body, Message) or body.cid is None:
            self._publish("j" + room.id, frame, (), cast.clients[Face.JSON])
            return
        own = [
            client
            for client in self._users.get(body.author.id or "", ())
            if client in cast.clients[Face.JSON] and client.is_plain
        ]
        self._publish("j" + room.id, frame, own, cast.clients[Face.JSON])
        if own:
            mine = Prepared(json_face.add_cid(frame, body.cid))
            for client in own:
                client.handle.send_text(mine)

    def _publish(
        self,
        name: str,
        frame: str,
        excluded: Collection[Client],
        clients: Iterable[Client],
        *,
        is_current: bool | None = None,
        droppable: bool = False,
    ) -> None:
        """Send to the library's room `name`, whose members are the plain ones of `clients`."""
        prepared = Prepared(frame)
        if len(excluded) > 1:
            for client in tuple(clients):
                if (
                    client.is_plain
                    and client not in excluded
                    and (is_current is None or self._is_current(client, name) is is_current)
                ):
                    client.handle.send_text(prepared)
            return
        sender = next(iter(excluded), None)
        for wynd in self._running():
            if sender is not None and sender.wynd is wynd:
                sender.handle.to(name).text(prepared, droppable=droppable)
            else:
                wynd.to(name).text(prepared, droppable=droppable)

    def _running(self) -> list[Wynd]:
        """Return the server objects to send through: at the end one stops before the other."""
        return [wynd for wynd in self._wynds if wynd.engine is not None]

    def _is_current(self, client: Client, name: str) -> bool:
        return getattr(client, "current_id", None) == name[1:]

    def _library_room(self, client: Client, room_id: str) -> str:
        if client.face is Face.JSON:
            return "j" + room_id
        return ("c" if self._is_current(client, "?" + room_id) else "o") + room_id

    # Coming and going; see `Watcher`

    def came(self, user: User, connection: int) -> None:
        """See `Watcher.came`."""
        self._presence(user, "online")
        client = self.clients.get(connection)
        line = text_face.joined_chat(user.name)
        self._tell_lobby(line, () if client is None else (client,), came=True)

    def went(self, user: User, farewell: str | None) -> None:
        """See `Watcher.went`."""
        self._presence(user, "offline")
        self._tell_lobby(text_face.left_chat(user.name, farewell), (), came=False)

    def _tell_lobby(
        self, line: str, excluded: Collection[Client], *, came: bool | None = None
    ) -> None:
        """Send a line to all named text clients, who are all in the lobby."""
        cast = self._casts.get(self._lobby_id)
        if cast is None or not cast.clients[Face.TEXT]:
            return
        if came is not None and self._gathers(cast):
            self._gathering(cast.room).count(came=came)
            return
        self._lobby_line(cast, line, excluded, is_join=came is not None)

    def _lobby_line(
        self, cast: Cast, line: str, excluded: Collection[Client], *, is_join: bool
    ) -> None:
        excluded = [client for client in excluded if client.face is Face.TEXT]
        text = cast.clients[Face.TEXT]
        for prefix, is_current in (("c", True), ("o", False)):
            name = prefix + cast.room.id
            self._publish(name, line, excluded, text, is_current=is_current)
        for client in tuple(cast.special):
            wants = not is_join or getattr(client, "wants_joins", True)
            if client.face is Face.TEXT and client not in excluded and wants:
                client.send(line)

    def _gathers(self, cast: Cast) -> bool:
        return not self.is_strict and cast.size > COLLAPSE_ABOVE

    def _gathering(self, room: Room) -> Gathering:
        gathering = self._gatherings.get(room.id)
        if gathering is None:
            gathering = Gathering(self._clock, room, self._gathered)
            self._gatherings[room.id] = gathering
        return gathering

    def _gathered(self, room: Room, joined: int, left: int) -> None:
        self._gatherings.pop(room.id, None)
        cast = self._casts.get(room.id)
        if cast is not None:
            line = text_face.collapsed_joins(joined, left)
            other = line if room.id == self._lobby_id else f"[#{room.name}] {line}"
            text = cast.clients[Face.TEXT]
            self._publish("c" + room.id, line, (), text, is_current=True)
            self._publish("o" + room.id, other, (), text, is_current=False)
            for client in tuple(cast.special):
                if client.face is Face.TEXT and getattr(client, "wants_joins", True):
                    is_current = self._is_current(client, "?" + room.id)
                    client.send(line if is_current else other)

    # Changes that are no events; see `Outlet`

    def notice(self, notice: Notice) -> None:
        """See `Outlet.notice`."""
        try:
            self._notice(notice)
        except Exception:
            log.exception("%s was not shown to everybody", type(notice).__name__)

    def _notice(self, notice: Notice) -> None:
        match notice:
            case MembershipStarted():
                if notice.peer is not None:
                    self.note_peer(notice.room, notice.user, notice.peer)
                for client in self.clients_of(notice.user.id):
                    client.changes += 1
                    client.membership_started(notice)
            case MembershipEnded():
                for client in self.clients_of(notice.user_id):
                    client.changes += 1
                    is_told = notice.room.id not in client.rooms  # by the room's event
                    self.unsubscribe(client, notice.room.id)
                    client.membership_ended(notice, is_told=is_told)
            case RoomPurged():
                self._purged(notice.room_id)
            case UserRemoved() | AddressBanned():
                self._remove(notice)
            case UserRenamed():
                self._changed(notice.user)
                self._renamed(notice.user, notice.old_name)
            case UserChanged():
                self._changed(notice.user)
            case AwayChanged():
                self._changed(notice.user)
                self._presence(notice.user, "online" if notice.user.away is None else "away")
            case IgnoresChanged():
                for client in self.clients_of(notice.user_id):

                    def ignore(client: Client = client) -> None:
                        client.ignored = notice.ignored

                    self.reshuffle(client, ignore)
            case ConnectionsEnded():
                for client in self.clients_of(notice.user_id):
                    hashes = notice.token_hashes
                    is_meant = hashes is None or client.token_hash in hashes
                    if is_meant and client.number != notice.besides:
                        client.end(notice.code, notice.reason)
            case _:
                pass

    def _purged(self, room_id: str) -> None:
        """Show nobody anything more of a room that is no more."""
        cast = self._casts.get(room_id)
        if cast is None:
            return
        for client in [*cast.clients[Face.TEXT], *cast.clients[Face.JSON]]:
            client.changes += 1
            self.unsubscribe(client, room_id)
            client.membership_ended(
                MembershipEnded(cast.room, client.user_id or "", is_purged=True), is_told=False
            )

    def _remove(self, notice: UserRemoved | AddressBanned) -> None:
        """End connections of somebody who was put out; they and the others read by whom."""
        if isinstance(notice, UserRemoved):
            room, is_ban = notice.room, notice.is_ban
            ended = self.clients_of(notice.user_id)
        else:
            room, is_ban = None, True
            ended = tuple(
                client
                for client in self.clients.values()
                if notice.holds(parse_address(client.address))
            )
        line = text_face.kicked_line(room, notice.by.name, notice.reason, is_ban=is_ban)
        because = f": {notice.reason}" if notice.reason else ""
        farewell = f"{'banned' if is_ban else 'kicked'} by {notice.by.name}{because}"
        for client in ended:
            client.farewell = farewell
            client.removed(line)
            client.handle.close(CloseCode.REMOVED, CloseCode.REMOVED.reason)

    def _changed(self, user: User) -> None:
        self._presences.update(user)
        for client in self.clients_of(user.id):
            client.changes += 1

            def take(client: Client = client) -> None:
                client.user = user

            if client.user is not None and client.user.prefs != user.prefs:
                self.reshuffle(client, take)
            else:
                take()

    def _renamed(self, user: User, old_name: str) -> None:
        self._presence(user, "online" if user.away is None else "away")
        own = [one for one in self.clients_of(user.id) if one.face is Face.TEXT]
        for client in own:  # the caller and the user's other connections, before all others
            client.send(text_face.you_are(user.name))
        self._tell_lobby(text_face.renamed(old_name, user.name), own)

    # Presence and ticks

    def _presence(self, user: User, state: str) -> None:
        if self._presences.count() > PRESENCE_USERS_MAX:
            return
        self._presence_due[user.id] = (user, state)
        if self._presence_timer is None:
            self._presence_timer = self._clock.call_later(PRESENCE_BATCH_S, self._show_presence)

    def _show_presence(self) -> None:
        self._presence_timer = None
        due, self._presence_due = self._presence_due, {}
        for user, state in due.values():
            away = user.away if state == "away" else None
            frame = Prepared(json_face.encode_presence(author_of(user), state, away))
            for wynd in self._running():
                wynd.to(NAMED_JSON).text(frame, droppable=True)

    def _tick(self) -> None:
        """Once a second, a twenty-fifth of the clients get their `tick`."""
        self._tick_timer = self._clock.call_later(1.0, self._tick)
        self._tick_at = (self._tick_at + 1) % TICK_EVERY_S
        now, now_ms = self._clock.monotonic(), self._clock.now_ms()
        frames: dict[frozenset[str], Prepared] = {}
        for number in tuple(self.clients):
            if number % TICK_EVERY_S != self._tick_at:
                continue
            client = self.clients[number]
            self.judge(client, now)
            if client.face is Face.JSON and client.rooms:
                key = frozenset(client.rooms)
                frame = frames.get(key)
                if frame is None:
                    frame = frames[key] = Prepared(self._tick_frame(client, now_ms))
                client.handle.send_text(frame)

    def _tick_frame(self, client: Client, now_ms: int) -> str:
        heads: dict[str, int] = {}
        online: dict[str, int] = {}
        is_large = self._presences.count() > PRESENCE_USERS_MAX
        for room in client.rooms.values():
            head = self._feed.known_head(room.id)
            if head is not None:
                heads[room.shown] = head
            cast = self._casts.get(room.id)
            if is_large and cast is not None and cast.size > PRESENCE_USERS_MAX:
                online[room.shown] = cast.size
        return json_face.encode_tick(now_ms, heads, online)


def _actor_of(event: Event) -> str | None:
    """Return the id of whoever did it, where that is no message."""
    body = event.body
    if isinstance(body, Joined):
        return body.user.id
    if isinstance(body, Left):
        return body.user.id if body.by is None else body.by.id
    if isinstance(body, (TopicChanged, RoleChanged)):
        return body.by.id
    return None
