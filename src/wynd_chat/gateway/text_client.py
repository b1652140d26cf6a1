"""`TextClient`: the plain-text face of one connection: what is typed, and what is shown.

The order of checks on a frame is chat.md 2.3; the texts themselves are in `wire`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wynd import ConnectionClosed
from wynd_chat.domain.commands import is_command, unescape
from wynd_chat.domain.errors import ChatError
from wynd_chat.domain.models import RoomKind
from wynd_chat.gateway.calls import Mode
from wynd_chat.gateway.client import Client, Face
from wynd_chat.wire import text_face
from wynd_chat.wire.lines import DEFAULT_PREFS, TextPrefs, event_line

if TYPE_CHECKING:
    from wynd import ConnectionHandle, Wynd
    from wynd_chat.domain.events import Event
    from wynd_chat.domain.models import Room, User
    from wynd_chat.gateway.calls import Router
    from wynd_chat.gateway.doorman import Doorman
    from wynd_chat.gateway.hub import Hub
    from wynd_chat.ports.outlet import MembershipEnded, MembershipStarted

__all__ = ["TextClient"]

VISITED_MAX = 50  # rooms that `/leave` finds the way back through


class TextClient(Client):
    """Somebody with a terminal."""

    __slots__ = ("_doorman", "_hub", "_router", "_visited", "current")

    face = Face.TEXT
    mode = Mode.TEXT

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
        self._visited: list[str] = []
        self.current: Room | None = None
        """Where what is typed goes; None until there is a name."""

    # What others need to know

    @property
    def current_id(self) -> str | None:
        """The id of the current room."""
        return None if self.current is None else self.current.id

    @property
    def prefs(self) -> TextPrefs:
        """What the user chose by `/set`."""
        if self.user is None or not self.user.prefs:
            return DEFAULT_PREFS
        return TextPrefs.of(self.user.prefs)

    @property
    def is_plain(self) -> bool:
        """Whether it is shown the same as everybody else of its face."""
        return not self.ignored and (not (self.user and self.user.prefs) or self.has_defaults)

    @property
    def has_defaults(self) -> bool:
        """Whether the user's preferences are the defaults."""
        return self.prefs == DEFAULT_PREFS

    @property
    def wants_joins(self) -> bool:
        """Whether it is shown who comes and goes."""
        return self.prefs.joins

    # What comes in

    def greet(self) -> None:
        """Send the welcome block."""
        self.send(text_face.WELCOME)

    async def received(self, text: str) -> None:
        """See `Client.received`."""
        try:
            self._doorman.admit_frame(self)
            await self._take(text.replace("\x00", "").strip())
        except ChatError as error:
            self.refused(error)
            self._doorman.note_refusal(self, error)
        except ConnectionClosed:
            raise
        except Exception as error:
            self.refused(self._doorman.failure_of(error, self))

    async def _take(self, text: str) -> None:
        """Carry out a command, or post a message."""
        if is_command(text):
            outcome = await self._router.run(self, text)
            for line in outcome.lines:
                sent = self.send(line)
                if outcome.closing is None:  # else a client that does not read would go on
                    await sent
            if outcome.is_goodbye:
                self.handle.close()
            elif outcome.closing is not None:
                self.end(outcome.closing)
        elif self.user is None or self.current is None:
            self.send(text_face.NAME_FIRST)
        elif text:
            posted = await self._router.say(self, self.user, self.current, unescape(text))
            for line in await self._router.away_lines(self.user, posted):
                self.send(line)

    def binary(self) -> None:
        """See `Client.binary`."""
        self._doorman.refuse_binary(self)

    def refused(self, error: ChatError) -> None:
        """Show why a frame was refused."""
        self.send(text_face.error_line(error))

    # As a caller of commands

    async def become(self, user: User, token_hash: str | None = None) -> None:
        """Take a name: from now on it is shown what happens in the user's rooms."""
        self.current = None
        self._visited.clear()
        await self._doorman.enter(self, user, token_hash)

    def entered(self, rooms: list[Room], lobby_id: str) -> None:
        """See `Client.entered`; its user reads the new name before others hear of it."""
        self.current = next((room for room in rooms if room.id == lobby_id), None)
        for room in rooms:
            self._hub.subscribe(self, room)
        if self.user is not None:
            self.send(text_face.you_are(self.user.name))

    def move_to(self, room: Room) -> None:
        """Make a room the current one."""
        if self.current is not None and self.current.id != room.id:
            self._visited = [one for one in self._visited if one != self.current.id][-VISITED_MAX:]
            self._visited.append(self.current.id)
        rooms = [one for one in (self.current, room) if one is not None and one.id in self.rooms]
        for one in rooms:
            self._hub.unsubscribe(self, one.id)
        self.current = room
        for one in rooms:
            self._hub.subscribe(self, one)

    # What it is shown

    def encode(self, room: Room, event: Event) -> str | None:
        """See `Client.encode`."""
        peer_name = None
        if room.kind is RoomKind.DM and self.user is not None:
            peer_name = self._hub.peer_name(room, self.user)
        return event_line(
            event,
            room,
            is_current=room.id == self.current_id,
            viewer_id=self.user_id,
            file_link=self._hub.file_link,
            peer_name=peer_name,
            prefs=self.prefs,
        )

    def membership_started(self, notice: MembershipStarted) -> None:
        """See `Client.membership_started`."""
        self._hub.subscribe(self, notice.room)
        if notice.by is not None:
            self.send(text_face.server_line(f"{notice.by.name} added you to #{notice.room.name}"))

    def membership_ended(self, notice: MembershipEnded, *, is_told: bool) -> None:
        """See `Client.membership_ended`."""
        room = notice.room
        self._visited = [one for one in self._visited if one != room.id]
        if notice.kicked_by is not None:
            by = notice.kicked_by.name
            self.send(text_face.kicked_line(room, by, notice.reason, is_ban=notice.is_ban))
        elif notice.is_purged:
            self.send(text_face.purged_line(room))
        if self.current_id == room.id:
            self.current = None
            self.move_back()

    def removed(self, line: str) -> None:
        """See `Client.removed`."""
        self.send(line)

    def move_back(self) -> None:
        """See `Client.move_back`; the lobby at last."""
        before = [self.rooms[one] for one in reversed(self._visited) if one in self.rooms]
        lobby = self._doorman.lobby_of(self)
        target = before[0] if before else lobby
        if target is not None:
            self.move_to(target)
