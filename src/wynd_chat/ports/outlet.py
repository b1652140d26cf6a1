"""`Outlet`: where services put what others should see; the gateway stands behind it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    from wynd_chat.domain.events import Author, Event
    from wynd_chat.domain.models import Room, User

__all__ = [
    "AddressBanned",
    "AwayChanged",
    "ConnectionsEnded",
    "IgnoresChanged",
    "MembershipEnded",
    "MembershipStarted",
    "Notice",
    "Outlet",
    "ReadRaised",
    "RoomChanged",
    "RoomPurged",
    "UserChanged",
    "UserRemoved",
    "UserRenamed",
]


@dataclass(frozen=True, slots=True)
class MembershipStarted:
    """A user is in a room from now on."""

    room: Room
    user: User
    by: Author | None = None
    """Who invited, None for one's own joining."""
    peer: User | None = None
    """The other side of a direct conversation."""


@dataclass(frozen=True, slots=True)
class MembershipEnded:
    """A user is no longer in a room."""

    room: Room
    user_id: str
    kicked_by: Author | None = None
    reason: str = ""
    is_ban: bool = False
    is_purged: bool = False
    """The room itself is no more."""


@dataclass(frozen=True, slots=True)
class UserRemoved:
    """A user was put out of the chat: kicked or banned from the lobby, or banned from the server.

    The user's connections end, with 4503.
    """

    user_id: str
    room: Room | None
    """The lobby; None: the server."""
    by: Author
    reason: str
    is_ban: bool


@dataclass(frozen=True, slots=True)
class AddressBanned:
    """Connections from a network must go, with 4503."""

    network: str
    """`192.0.2.0/24`."""
    by: Author
    reason: str

    def holds(self, address: IPv4Address | IPv6Address | None) -> bool:
        """Tell whether an address is in the network; None is in none."""
        network = ip_network(self.network)
        return address is not None and address.version == network.version and address in network


@dataclass(frozen=True, slots=True)
class RoomChanged:
    """A room's settings changed: kind, topic, key, lock, slow mode, archive."""

    room: Room


@dataclass(frozen=True, slots=True)
class RoomPurged:
    """A room is no more; told again as long as it is looked for."""

    room_id: str


@dataclass(frozen=True, slots=True)
class UserRenamed:
    """A user has another name."""

    user: User
    old_name: str


@dataclass(frozen=True, slots=True)
class UserChanged:
    """A user's row changed otherwise: role, preferences."""

    user: User


@dataclass(frozen=True, slots=True)
class AwayChanged:
    """A user went away or came back."""

    user: User


@dataclass(frozen=True, slots=True)
class IgnoresChanged:
    """Whom a user ignores changed."""

    user_id: str
    ignored: frozenset[str]


@dataclass(frozen=True, slots=True)
class ReadRaised:
    """A user's read marker rose."""

    user_id: str
    room: Room
    seq: int


@dataclass(frozen=True, slots=True)
class ConnectionsEnded:
    """Connections must go: those of some logins, or all of a user (`token_hashes` None)."""

    user_id: str
    token_hashes: frozenset[str] | None
    code: int
    reason: str
    besides: int = 0
    """The number of a connection that goes by itself, after its reply; 0: there is none."""


Notice = (
    MembershipStarted
    | MembershipEnded
    | UserRemoved
    | AddressBanned
    | RoomChanged
    | RoomPurged
    | UserRenamed
    | UserChanged
    | AwayChanged
    | IgnoresChanged
    | ReadRaised
    | ConnectionsEnded
)


class Outlet(Protocol):
    """Takes what happened, in order; returns at once and never raises."""

    def event(self, room: Room, event: Event) -> None:
        """Show a committed event; of one room they come in the order of seq, each once."""

    def notice(self, notice: Notice) -> None:
        """Show a change that is no event of a room."""
