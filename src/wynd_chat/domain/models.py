"""The rows of the chat as frozen values: users, rooms, memberships, logins, invitations, bans.

One class per table of the data model, fields named as the columns. Times are milliseconds UTC.
Rules about them live beside this file (`names`, `permissions`, `presence`); how they are stored,
in the adapters.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "NO_PREFS",
    "Ban",
    "History",
    "IdempotentAnswer",
    "Invite",
    "InviteKind",
    "LinkCode",
    "Membership",
    "Notify",
    "Room",
    "RoomKind",
    "RoomRole",
    "ServerRole",
    "Session",
    "SessionKind",
    "Upload",
    "UploadState",
    "UploadToken",
    "User",
    "UserKind",
    "UserStatus",
]

NO_PREFS: Mapping[str, bool] = {}


class UserKind(StrEnum):
    """What stands behind a name."""

    HUMAN = "human"
    GUEST = "guest"
    BOT = "bot"
    SYSTEM = "system"


class ServerRole(StrEnum):
    """A user's role on the server."""

    ADMIN = "admin"
    USER = "user"


class UserStatus(StrEnum):
    """Whether a user may log in."""

    ACTIVE = "active"
    DEACTIVATED = "deactivated"
    BANNED = "banned"


class RoomKind(StrEnum):
    """Who may find and enter a room."""

    PUBLIC = "public"
    PRIVATE = "private"
    DM = "dm"


class RoomRole(StrEnum):
    """A member's role in a room; a guest of the server is a member like others, ranked below."""

    OWNER = "owner"
    OP = "op"
    MEMBER = "member"


class History(StrEnum):
    """What a member may read of what was said before joining."""

    ALL = "all"
    SINCE_JOIN = "since_join"


class Notify(StrEnum):
    """What of a room a member is told about."""

    ALL = "all"
    MENTIONS = "mentions"
    NOTHING = "nothing"
    HIDDEN = "hidden"


class SessionKind(StrEnum):
    """How a login came about."""

    WEB = "web"
    API = "api"
    BOT = "bot"
    DEVICE = "device"
    GUEST = "guest"


class InviteKind(StrEnum):
    """What an invitation lets its holder do."""

    ROOM = "room"
    """Join the room `target`."""
    REGISTER = "register"
    """Make an account; joins the room `target` where there is one."""
    CLAIM = "claim"
    """Become an administrator; printed at the first start."""


class UploadState(StrEnum):
    """Where an upload stands."""

    PENDING = "pending"
    ATTACHED = "attached"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who can speak. `name_key` and `name_skeleton` are None once the name is free."""

    id: str
    name: str
    name_key: str | None
    name_skeleton: str | None
    kind: UserKind
    password_hash: str | None = None
    role: ServerRole = ServerRole.USER
    status: UserStatus = UserStatus.ACTIVE
    away: str | None = None
    """None: here. "" or a text: away."""
    avatar_id: str | None = None
    prefs: Mapping[str, bool] = field(default_factory=dict)
    created_at: int
    last_seen_at: int

    @property
    def is_admin(self) -> bool:
        """Whether the user administers the server."""
        return self.role is ServerRole.ADMIN

    @property
    def is_guest(self) -> bool:
        """Whether the user has only a name."""
        return self.kind is UserKind.GUEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A room, or a direct conversation of two (kind `dm`, no name)."""

    id: str
    kind: RoomKind
    name: str | None
    name_key: str | None
    dm_key: str | None = None
    """The two users' ids, sorted and joined by a space; a conversation with oneself has one."""
    topic: str = ""
    last_seq: int = 0
    min_seq: int = 1
    """Events and messages below it were trimmed."""
    history: History = History.ALL
    key_hash: str | None = None
    locked: bool = False
    slow_s: int = 0
    retention_days: int | None = None
    archive_public: bool = False
    created_by: str | None
    created_at: int
    archived_at: int | None = None

    @property
    def shown(self) -> str:
        """What the JSON face and REST call it: the name, or the id of a direct conversation."""
        return self.name if self.name is not None else self.id

    @property
    def is_direct(self) -> bool:
        """Whether it is a direct conversation."""
        return self.kind is RoomKind.DM

    def peer_of(self, user_id: str) -> str:
        """Return the id of the other side of a direct conversation; one's own alone."""
        ids = (self.dm_key or "").split(" ")
        return next((one for one in ids if one != user_id), user_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """That a user is in a room."""

    room_id: str
    user_id: str
    role: RoomRole = RoomRole.MEMBER
    joined_seq: int
    """The room's last seq when the user joined; `History.SINCE_JOIN` shows what came after."""
    read_seq: int = 0
    notify: Notify = Notify.ALL
    silenced_until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A login. Only the SHA-256 of its token is known."""

    token_hash: str
    user_id: str
    kind: SessionKind
    label: str = ""
    scopes: str = ""
    ip: str = ""
    user_agent: str = ""
    created_at: int
    last_seen_at: int
    expires_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Invite:
    """An invitation by link; the code itself is only known by its hash."""

    code_hash: str
    kind: InviteKind
    owner_id: str | None
    target: str | None
    """The id of a room, or None."""
    uses_left: int
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkCode:
    """A device login under way: the code is typed by somebody who is logged in elsewhere."""

    code_hash: str
    owner_id: str | None
    """Who approved it; None until then."""
    target: str
    """What waits for the approval: an id that the waiting side chose."""
    uses_left: int
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadToken:
    """The right to upload one file into a room, in a link that works once."""

    code_hash: str
    owner_id: str
    target: str
    """The id of the room."""
    uses_left: int
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ban:
    """A ban from a room, or from the server (`room_id` None)."""

    id: str
    room_id: str | None
    user_id: str | None
    """None with `ip_net` None: everybody who is not in yet (`/ban *`)."""
    ip_net: str | None
    reason: str
    by_id: str | None
    at: int
    until: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that was uploaded; its content is stored under its SHA-256."""

    id: str
    sha256: str
    size: int
    mime: str
    name: str
    w: int | None = None
    h: int | None = None
    owner_id: str | None
    room_id: str | None
    message_id: str | None = None
    state: UploadState = UploadState.PENDING
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotentAnswer:
    """What a POST with an `Idempotency-Key` was answered with; kept for 24 h."""

    user_id: str
    key: str
    request_hash: str
    status: int
    body: str
    at: int
