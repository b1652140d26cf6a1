"""`JsonClient`: the face `chat.v1.json` of one connection: requests, replies, events.

A connection's requests are handled in order. What a frame looks like is decided in `wire`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from wynd import ConnectionClosed
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.events import Message, without_ignored
from wynd_chat.gateway.calls import Mode
from wynd_chat.gateway.client import Client, Face
from wynd_chat.services.accounts import hash_of
from wynd_chat.services.messaging import author_of
from wynd_chat.wire import json_face
from wynd_chat.wire.close_codes import CloseCode
from wynd_chat.wire.json_rooms import encode_entered, encode_exited
from wynd_chat.wire.json_sync import SyncRefused, SyncRoom, encode_sync
from wynd_chat.wire.requests import Auth, Command, Commands, Name, Read, Send, Sync
from wynd_chat.wire.times import time_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wynd import ConnectionHandle, Wynd
    from wynd_chat.domain.events import Event
    from wynd_chat.domain.models import Room, User
    from wynd_chat.gateway.calls import Router
    from wynd_chat.gateway.doorman import Doorman
    from wynd_chat.gateway.hub import Hub
    from wynd_chat.ports.outlet import MembershipEnded, MembershipStarted
    from wynd_chat.wire.requests import Request, RequestId

__all__ = ["JsonClient"]

AUTH_FAILURES_MAX = 3  # chat.v1 §5.2: the third failure closes 4501
MALFORMED_MAX, MALFORMED_WINDOW_S = 3, 60.0  # §4: the third malformed frame in 60 s closes 4500


class JsonClient(Client):
    """A program: the page, or a bot."""

    __slots__ = (
        "_auth_failures",
        "_closing",
        "_doorman",
        "_hub",
        "_is_leaving",
        "_malformed",
        "_memberships",
        "_router",
        "is_synced",
    )

    face = Face.JSON
    mode = Mode.JSON

    def __init__(
        self,
        number: int,
        wynd: Wynd,
        handle: ConnectionHandle,
        address: str,
        now: float,
        hub: Hub,
        router: Router,
        doorman: Doorman,
    ) -> None:
        super().__init__(number, wynd, handle, address, now)
        self._hub = hub
        self._router = router
        self._doorman = doorman
        self._auth_failures = 0
        self._memberships: dict[str, Room] = {}
        self._is_leaving = False
        self._closing: CloseCode | None = None
        self._malformed: deque[float] = deque(maxlen=MALFORMED_MAX)
        self.is_synced = False
        """Whether it is shown events; it asks for them by `sync`."""

    async def received(self, text: str) -> None:
        """Take one frame and answer it."""
        try:
            request = json_face.decode(text)
        except json_face.Malformed as error:
            self._refuse(error.request_id, error)
            if error.is_malformed:
                self._note_malformed()
            return
        try:
            self._doorman.admit_frame(self)
            answer = await self._answer(request)
        except ChatError as error:
            self._refuse(request.id, error)
            self._doorman.note_refusal(self, error)
        except ConnectionClosed:
            raise
        except Exception as error:
            self._refuse(request.id, self._doorman.failure_of(error, self))
        else:
            if answer is not None:
                self.send(answer)
            if self._is_leaving:
                self.handle.close()
            elif self._closing is not None:
                self.end(self._closing)

    def binary(self) -> None:
        """See `Client.binary`."""
        self._doorman.refuse_binary(self)

    def refused(self, error: ChatError) -> None:
        """Answer a frame that is no request."""
        self._refuse(None, error)

    def _refuse(self, request_id: RequestId, error: ChatError) -> None:
        self.send(json_face.encode_error(request_id, error))

    def _note_malformed(self) -> None:
        now = self._doorman.now()
        self._malformed.append(now)
        if len(self._malformed) == MALFORMED_MAX and now - self._malformed[0] <= MALFORMED_WINDOW_S:
            self.handle.close(CloseCode.MISUSE, CloseCode.MISUSE.reason)

    # Requests

    async def _answer(self, request: Request) -> str | None:
        """Carry out a request; return the reply, None where it has no id."""
        match request:
            case Auth():
                known = await self._auth(request)
                if known is None:
                    return None  # refused for the last time; the connection ends
                fields = known
            case Name():
                fields = await self._name(request)
            case Sync():
                return await self._sync(request)
            case Send():
                fields = await self._send(request)
            case Read():
                user = self._known()
                room = await self._router.room(self, user, request.room)
                seq = await self._router.services.rooms.mark_read(user, room, request.seq)
                fields = {"seq": seq}
            case Command():
                fields = await self._command(request)
            case Commands():
                fields = {"commands": self._router.command_objects()}
        return None if request.id is None else json_face.encode_reply(request.id, **fields)

    async def _auth(self, request: Auth) -> dict[str, object] | None:
        try:
            user, session = await self._doorman.resume(request.token)
        except ChatError as error:
            if error.code is ErrorCode.UNAUTHORIZED:
                self._auth_failures += 1
                if self._auth_failures >= AUTH_FAILURES_MAX:
                    self._refuse(request.id, error)
                    self.handle.close(CloseCode.UNAUTHORIZED, CloseCode.UNAUTHORIZED.reason)
                    return None
            raise
        await self.become(user, session.token_hash)
        return {"user": json_face.user_object(user)}

    async def _name(self, request: Name) -> dict[str, object]:
        accounts = self._router.services.accounts
        if self.user is not None:
            self.user = await self._router.whole(accounts.rename(self.user, request.name))
            return {"user": json_face.user_object(self.user)}
        self._doorman.check_guests()
        user = await accounts.name_guest(request.name)
        token = await accounts.guest_token(user)
        await self.become(user, hash_of(token))
        return {"user": json_face.user_object(user), "token": token}

    async def _sync(self, request: Sync) -> str | None:
        user = self._known()
        histories = self._router.services.histories
        self.is_synced = False
        for room_id in tuple(self.rooms):  # what happens meanwhile is in the reply
            self._hub.unsubscribe(self, room_id)
        while True:
            changes, user = self.changes, self._known()
            missed = await histories.missed(user, request.epoch, request.rooms, request.limit)
            if self.changes == changes:  # else a membership began or ended while it was read
                break
        # From here to the reply nothing is awaited: what is shown from now on waits behind it.
        for one in missed.rooms:
            self._hub.subscribe(self, one.room)
        self.is_synced = True
        rooms: list[SyncRoom | SyncRefused] = [
            SyncRoom(
                room_shown=one.room.shown,
                kind=one.room.kind,
                head=one.head,
                read=one.membership.read_seq,
                events=self._visible(one.events),
                peer=None if one.peer is None else author_of(one.peer),
            )
            for one in missed.rooms
        ]
        rooms += [SyncRefused(name) for name in missed.strangers]
        reply = encode_sync(request.id, histories.epoch, rooms, viewer_id=user.id)
        self._doorman.note_sync(len(missed.rooms) - reply.gap_count, reply.gap_count)
        return None if request.id is None else reply.frame

    def _visible(self, events: tuple[Event, ...] | None) -> tuple[Event, ...] | None:
        """Leave out the text of people whom the user ignores; the events stay, without a gap."""
        if events is None or not self.ignored:
            return events
        return tuple(without_ignored(event, self.ignored) for event in events)

    async def _send(self, request: Send) -> dict[str, object]:
        user = self._known()
        room = await self._router.room(self, user, request.room)
        posted = await self._router.say(
            self,
            user,
            room,
            request.text,
            kind=request.kind,
            cid=request.cid,
            file_ids=request.files,
            reply_to=request.reply_to,
        )
        event = posted.event
        fields: dict[str, object] = {
            "room": posted.room.shown,
            "seq": event.seq,
            "at": time_text(event.at),
        }
        if posted.is_duplicate:
            fields["dup"] = True
        return fields

    async def _command(self, request: Command) -> dict[str, object]:
        room = None
        if self.user is not None:
            room = await self._router.room(self, self.user, request.room)
        outcome = await self._router.run(self, request.text, room=room)
        self._is_leaving = outcome.is_goodbye
        self._closing = outcome.closing
        return {"result": outcome.result, "lines": list(outcome.lines)}

    def _known(self) -> User:
        if self.user is None:
            raise ChatError(ErrorCode.UNAUTHORIZED, "say who you are first: auth or name")
        return self.user

    # As a caller of commands

    current: Room | None = None
    """A JSON client names the room of each command."""

    async def become(self, user: User, token_hash: str | None = None) -> None:
        """Take a name; events come after `sync`."""
        await self._doorman.enter(self, user, token_hash)

    def entered(self, rooms: list[Room], lobby_id: str) -> None:
        """See `Client.entered`; another user than before has to `sync` anew."""
        self.is_synced = False
        self._memberships = {room.id: room for room in rooms}
        self._hub.show_presence(self)

    @property
    def known_rooms(self) -> Mapping[str, Room]:
        """The rooms its user is in, also before `sync`."""
        return self._memberships

    def move_back(self) -> None:
        """Nothing: it has no current room."""

    def move_to(self, room: Room) -> None:
        """Nothing: it has no current room."""

    # What it is shown

    def encode(self, room: Room, event: Event) -> str | None:
        """See `Client.encode`."""
        body = event.body
        own = isinstance(body, Message) and body.author.id == self.user_id
        return json_face.encode_event(
            without_ignored(event, self.ignored), room.shown, with_cid=own
        )

    def membership_started(self, notice: MembershipStarted) -> None:
        """See `Client.membership_started`."""
        self._memberships[notice.room.id] = notice.room
        if self.is_synced and notice.room.id not in self.rooms:
            self._hub.subscribe(self, notice.room)
            peer = self._hub.peer(notice.room, notice.user)
            head = self._hub.head(notice.room)
            self.send(encode_entered(notice.room, head, None if peer is None else author_of(peer)))

    def membership_ended(self, notice: MembershipEnded, *, is_told: bool) -> None:
        """See `Client.membership_ended`."""
        self._memberships.pop(notice.room.id, None)
        is_guest = self.user is None or self.user.is_guest
        if self.is_synced and (is_guest or not is_told):
            self.send(encode_exited(notice.room))

    def removed(self, line: str) -> None:
        """See `Client.removed`; the close that follows has no text of anybody."""
        self.refused(ChatError(ErrorCode.BANNED, line))
