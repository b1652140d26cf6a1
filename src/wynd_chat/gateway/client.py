"""`Client`: one connection to the chat, whatever its face.

Holds who it is and what it listens to. Reading frames is the affair of the faces (`text_client`,
`json_client`), showing events that of the `Hub`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING

from wynd import ConnectionClosed
from wynd_chat.domain.presence import Face
from wynd_chat.wire.close_codes import CloseCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wynd import ConnectionHandle, Sent, Wynd
    from wynd_chat.domain.errors import ChatError
    from wynd_chat.domain.events import Event
    from wynd_chat.domain.models import Room, User
    from wynd_chat.ports.outlet import MembershipEnded, MembershipStarted

__all__ = ["Client", "Face"]


class Client(ABC):
    """One connected client.

    Attributes:
        number: Unique in this process, whichever listener it came through.
        wynd: The server object its connection belongs to.
        handle: What it is sent with.
        user: Who it is; None until it has a name.
        token_hash: The login it came with, if any.
        address: The peer's address, as far as proxies are trusted; "" on Unix sockets.
        opened_at: Monotonic seconds.
        active_at: When it last said something.
        checked_at: When its login was last looked at.
        rooms: The rooms it is shown events of, by id.
        ignored: Ids of users whose messages it is not shown.
        farewell: What its user said on leaving.
        base_url: Where the client reaches the server, without a slash at the end.
        changes: Counts changes of the user and its memberships, to notice them while reading.
        entries: Counts how often it became somebody.
        is_ended: Whether its login has ended; nothing that still arrives is taken.
    """

    __slots__ = (
        "active_at",
        "address",
        "base_url",
        "changes",
        "checked_at",
        "entries",
        "farewell",
        "handle",
        "ignored",
        "is_ended",
        "number",
        "opened_at",
        "rooms",
        "token_hash",
        "user",
        "wynd",
    )

    face: Face

    def __init__(
        self, number: int, wynd: Wynd, handle: ConnectionHandle, address: str, now: float
    ) -> None:
        self.number = number
        self.wynd = wynd
        self.handle = handle
        self.address = address
        self.opened_at = self.active_at = now
        self.checked_at = now
        self.user: User | None = None
        self.token_hash: str | None = None
        self.rooms: dict[str, Room] = {}
        self.ignored: frozenset[str] = frozenset()
        self.farewell: str | None = None
        self.changes = 0
        self.is_ended = False
        self.entries = 0
        self.base_url = ""

    @property
    def is_plain(self) -> bool:
        """Whether it is shown the same as everybody else of its face."""
        return not self.ignored

    @property
    def known_rooms(self) -> Mapping[str, Room]:
        """The rooms its user is known to be in, by id."""
        return self.rooms

    @property
    def user_id(self) -> str | None:
        """The id of its user."""
        return None if self.user is None else self.user.id

    async def frame(self, text: str) -> None:
        """Take one frame; whatever is wrong with it is answered, and nothing is raised."""
        if self.is_ended:
            return
        with suppress(ConnectionClosed):  # it went while it was answered
            await self.received(text)

    def end(self, code: int, reason: str | None = None) -> None:
        """Close the connection for good: its user may not be here any more."""
        self.is_ended = True
        self.handle.close(code, CloseCode(code).reason if reason is None else reason)

    @abstractmethod
    def binary(self) -> None:
        """Refuse a binary frame; it counts as a frame, so that a flood of them ends."""

    @abstractmethod
    async def received(self, text: str) -> None:
        """Take one frame and answer it."""

    @abstractmethod
    def move_back(self) -> None:
        """Make the room current that was so before, where there is such a thing."""

    @abstractmethod
    def refused(self, error: ChatError) -> None:
        """Tell why something was refused."""

    def send(self, frame: str) -> Sent[None]:
        """Send one frame to it; a closed connection is no error unless awaited."""
        return self.handle.send_text(frame)

    @abstractmethod
    def entered(self, rooms: list[Room], lobby_id: str) -> None:
        """Begin to listen, as a user who is in these rooms."""

    @abstractmethod
    def encode(self, room: Room, event: Event) -> str | None:
        """Return an event as this client alone is shown it; None: not at all."""

    @abstractmethod
    def membership_started(self, notice: MembershipStarted) -> None:
        """Be told that the user is in another room."""

    @abstractmethod
    def membership_ended(self, notice: MembershipEnded, *, is_told: bool) -> None:
        """Be told that the user is no longer in a room; `is_told`: the event was shown."""

    @abstractmethod
    def removed(self, line: str) -> None:
        """Be told why the connection ends: the user was put out of the chat."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.number}>"
