"""The objects that the API takes and gives, as pydantic models: the source of the OpenAPI document.

What is taken is validated by them. What is given is made by `wire.json_face` and `objects`, one
form for all faces; tests hold it to the models here. Times are RFC 3339 UTC with milliseconds.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from wynd_chat.domain.commands import Group, Who
from wynd_chat.domain.errors import ErrorCode
from wynd_chat.domain.events import MessageKind
from wynd_chat.domain.models import Notify, RoomKind, RoomRole, ServerRole, UserKind
from wynd_chat.wire.strict_json import INTEGER_MAX

__all__ = [
    "Author",
    "Command",
    "CommandDone",
    "CommandList",
    "CommandText",
    "ErrorMeaning",
    "ErrorMeanings",
    "FileInfo",
    "Invitation",
    "Joining",
    "Me",
    "MePatch",
    "MemberChange",
    "MemberInfo",
    "MemberList",
    "Message",
    "MessagePage",
    "MyRoom",
    "MyRoomList",
    "NewMessage",
    "NewRoom",
    "OnlineUsers",
    "PostedMessage",
    "ReadMarks",
    "RoomDetails",
    "RoomList",
    "RoomPatchBody",
    "RoomSummary",
    "Status",
    "UserDetails",
    "UserInfo",
    "UserList",
]

Seq = Annotated[int, Field(ge=1, le=INTEGER_MAX, description="A number in a room's sequence.")]
Head = Annotated[int, Field(ge=0, le=INTEGER_MAX, description="The room's newest seq; 0 is none.")]
Count = Annotated[int, Field(ge=0)]
Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
RoomName = Annotated[
    str, Field(description="A room's name, or the id of a direct conversation.", examples=["dev"])
]
NextCursor = Annotated[
    str | None, Field(description="`cursor` of the next page; null on the last one.")
]


class Given(BaseModel):
    """Something the server answers with; more fields may come."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)


class Taken(BaseModel):
    """A body the server takes: exactly these fields, exactly these types."""

    model_config = ConfigDict(extra="forbid", strict=True)


# Users


class Author(Given):
    """A user, as events and lists show one."""

    id: str | None = Field(description="Null once the user was deleted.")
    name: str
    kind: UserKind


class UserInfo(Given):
    """A user of a list."""

    id: str
    name: str
    kind: UserKind
    role: ServerRole
    online: bool
    away: str | None = Field(description="Null: here. A text, maybe empty: away.")


class UserDetails(UserInfo):
    """What may be known of a user."""

    rooms: list[str] = Field(description="Rooms that the user and the caller are both in.")


class UserList(Given):
    """Accounts, by name; guests are in `/api/users` while they are online."""

    users: list[UserInfo]
    next_cursor: NextCursor


class Me(UserInfo):
    """The caller."""

    prefs: dict[str, bool] = Field(description="Those of the text face that were ever set.")
    created_at: Time


class Preferences(Taken):
    """Preferences of the text face; those left out stay."""

    timestamps: bool | None = None
    ids: bool | None = None
    joins: bool | None = None
    color: bool | None = None
    bell: bool | None = None


class MePatch(Taken):
    """Changes of the caller; what is left out stays."""

    name: str | None = Field(None, description="The new name.")
    away: str | None = Field(None, description="Null: back. A text, maybe empty: away.")
    prefs: Preferences | None = Field(None, description="Preferences to switch.")
    old_password: str | None = Field(
        None, max_length=2048, description="The password now; needed to change it."
    )
    password: str | None = Field(
        None, max_length=2048, description="The new one. All other logins and tokens end."
    )


# Rooms


class RoomSummary(Given):
    """A room of a list."""

    id: str
    room: RoomName
    kind: RoomKind
    topic: str
    here: Count = Field(description="Members who are online.")
    member: bool = Field(description="Whether the caller is in it.")
    unread: Count = Field(description="Messages of others above the read marker, up to 100.")
    mentions: Count = Field(description="Those of them that mention the caller.")


class RoomList(Given):
    """The public rooms and the caller's own, by name; no conversations."""

    rooms: list[RoomSummary]
    next_cursor: NextCursor


class MyRoom(RoomSummary):
    """A room or conversation that the caller is in."""

    head: Head
    read: Head = Field(description="The caller's read marker.")
    role: RoomRole
    notify: Notify
    with_: Author | None = Field(
        None, alias="with", description="The other side of a direct conversation."
    )


class MyRoomList(Given):
    """The rooms and conversations that the caller is in."""

    rooms: list[MyRoom]


class RoomDetails(Given):
    """A room with its settings."""

    id: str
    room: RoomName
    kind: RoomKind
    topic: str
    head: Head
    here: Count = Field(description="Members who are online.")
    key: bool = Field(description="Whether one needs a key to enter.")
    locked: bool = Field(description="Whether only ops write.")
    slow_s: Count = Field(description="Seconds between two messages of a member; 0: no slow mode.")
    created_at: Time
    archived_at: Time | None
    member: bool = Field(description="Whether the caller is in it.")
    role: RoomRole | None = Field(description="The caller's; null for strangers.")
    with_: Author | None = Field(
        None, alias="with", description="The other side of a direct conversation."
    )


class NewRoom(Taken):
    """A room to make; the caller owns it."""

    name: str = Field(description="`#` is optional.", examples=["dev"])
    topic: str = ""
    private: bool = Field(False, description="By invitation only.")
    key: str | None = Field(None, min_length=1, description="What one must know to enter.")


class RoomPatchBody(Taken):
    """Changes of a room, made together or not at all; what is left out stays."""

    topic: str | None = Field(None, description='"" clears it.')
    private: bool | None = Field(None, description="By invitation only.")
    key: str | None = Field(None, description='"" removes it.')
    locked: bool | None = Field(None, description="Only ops write.")
    slow_s: int | None = Field(None, ge=0, le=21600, description="0 ends slow mode.")


class MemberInfo(Given):
    """A member of a room."""

    user: Author
    role: RoomRole
    online: bool
    away: str | None
    silenced_until: Time | None


class MemberList(Given):
    """Members of a room, by name; guests only while they are online."""

    members: list[MemberInfo]
    next_cursor: NextCursor


class Joining(Taken):
    """How to enter a room."""

    key: str | None = Field(None, description="The room's key, where it has one.")


class MemberChange(Given):
    """What came of joining or adding."""

    room: RoomName
    user: Author
    added: bool = Field(description="False: was a member already.")


class Invitation(Given):
    """A link with which others enter a room."""

    code: str
    link: str
    uses: Count
    expires_at: Time


# Messages


class FileInfo(Given):
    """A file of a message."""

    id: str
    name: str
    mime: str
    size: Count
    w: int | None
    h: int | None


class Message(Given):
    """A message, as on the JSON face."""

    type: Literal["message"]
    room: RoomName
    seq: Seq
    at: Time
    from_: Author = Field(alias="from")
    kind: MessageKind
    text: str
    mentions: list[str] = Field(description="Ids of users.")
    files: list[FileInfo]
    reply_to: Seq | None = None
    edited_at: Time | None = None
    deleted: Literal[True] | None = Field(None, description="Its text and files are gone.")
    hidden: Literal[True] | None = Field(None, description="By somebody whom the caller ignores.")
    cid: str | None = Field(None, description="Only for the author.")


class MessagePage(Given):
    """A stretch of a room's messages."""

    messages: list[Message] = Field(description="Ascending.")
    has_before: bool
    has_after: bool
    head: Head


class NewMessage(Taken):
    """A message to post; a leading `/` is no command."""

    text: str = Field("", description="May be empty only with files.", examples=["hello"])
    kind: Literal["text", "me"] = "text"
    files: list[str] = Field(
        default_factory=list, max_length=100, description="Ids of one's pending uploads."
    )
    reply_to: int | None = Field(None, ge=1, le=INTEGER_MAX)


class PostedMessage(Given):
    """A message that is stored."""

    room: RoomName
    seq: Seq
    at: Time
    dup: Literal[True] | None = Field(
        None, description="This Idempotency-Key was sent before; this is the first message."
    )


class ReadMarks(Taken):
    """Read markers, by room; they only ever rise."""

    rooms: dict[str, Annotated[int, Field(ge=0, le=INTEGER_MAX)]] = Field(
        max_length=1000, examples=[{"dev": 42}]
    )


# Commands


class Argument(Given):
    """An argument of a command."""

    name: str
    required: bool
    rest: bool = Field(description="Whether it takes everything that is left.")
    hint: str


class Command(Given):
    """A command of this server."""

    name: str
    aliases: list[str]
    args: list[Argument]
    summary: str
    example: str
    syntax: str
    who: Who
    group: Group


class CommandList(Given):
    """The commands of this server, in the order of help."""

    commands: list[Command]


class CommandText(Taken):
    """A command line."""

    text: str = Field(description="Begins with a slash.", examples=["/topic Release 1.2"])


class CommandDone(Given):
    """What a command came to."""

    result: dict[str, Any] = Field(description="For programs; differs by command.")
    lines: list[str] = Field(description="As the text face prints them.")


# The rest


class Status(Given):
    """That the server is there."""

    users: Count = Field(description="Named users who are online.")
    status: Literal["online"]
    version: str
    uptime_s: Count
    rooms: Count = Field(description="Public rooms.")


class OnlineUsers(Given):
    """Who is online."""

    users: list[str] = Field(description="Names, sorted; empty without a login if guests are off.")
    count: Count


class ErrorMeaning(Given):
    """What a code of a refusal means."""

    code: ErrorCode
    title: str
    status: int
    temporary: bool = Field(description="Whether the same request may succeed later.")


class ErrorMeanings(Given):
    """All codes."""

    errors: list[ErrorMeaning]
