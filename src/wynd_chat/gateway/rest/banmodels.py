"""The API's objects of moderation: bans, timeouts, the server's numbers; see `models`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from wynd_chat.domain.durations import DURATION_MAX_S
from wynd_chat.gateway.rest.models import Author, Given, Taken, Time

__all__ = [
    "BackupInfo",
    "BanInfo",
    "BanList",
    "MemberSilence",
    "NewBan",
    "NewServerBan",
    "Numbers",
    "Silence",
]


class BanInfo(Given):
    """A ban; exactly one of `user`, `address` and `newcomers` says whom."""

    id: str
    user: Author | None = None
    address: str | None = Field(None, description="An address or network; only of the server.")
    newcomers: Literal[True] | None = Field(None, description="Everybody who is not in yet.")
    reason: str
    by: Author | None
    at: Time
    until: Time | None = Field(description="Null: until it is lifted.")


class BanList(Given):
    """The bans that have not ended, oldest first."""

    bans: list[BanInfo]


class NewBan(Taken):
    """A ban to make."""

    user: str | None = Field(None, description="Whom; null: all newcomers.", examples=["Bob"])
    seconds: int | None = Field(
        None, ge=1, le=DURATION_MAX_S, description="Null: until it is lifted."
    )
    reason: str = ""
    purge_seconds: int | None = Field(
        None, ge=1, le=DURATION_MAX_S, description="Delete what they wrote in this time."
    )


class NewServerBan(NewBan):
    """A ban from the server to make."""

    address: str | None = Field(
        None, description="Instead of a user: an address or network.", examples=["192.0.2.0/24"]
    )


class Silence(Taken):
    """For how long a member may read and not write."""

    seconds: int | None = Field(
        600, ge=1, le=DURATION_MAX_S, description="Null: may write again at once."
    )
    reason: str = ""


class MemberSilence(Given):
    """What came of it."""

    user: Author
    silenced_until: Time | None


class Numbers(Given):
    """The server's numbers."""

    version: str
    uptime_s: int
    users_online: int
    connections: dict[str, int]
    accounts: int
    rooms: int
    db_bytes: int
    upload_bytes: int
    refused: dict[str, int] = Field(description="By rate limit.")
    store: dict[str, float]


class BackupInfo(Given):
    """A backup that was made."""

    name: str = Field(description="Of the file, in the server's folder of backups.")
    bytes: int
    missing: int = Field(description="Files that were missing or damaged, and are not in it.")
