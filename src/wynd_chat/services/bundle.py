"""`Services`: all use cases of one chat, as the composition root puts them together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wynd_chat.domain.limits import ChatLimits
    from wynd_chat.ports.clock import Clock, Tokens
    from wynd_chat.ports.store import Store
    from wynd_chat.services.accounts import Accounts
    from wynd_chat.services.feed import Feed
    from wynd_chat.services.files import Files
    from wynd_chat.services.history import Histories
    from wynd_chat.services.invitations import Invitations
    from wynd_chat.services.links import Links
    from wynd_chat.services.logins import Logins
    from wynd_chat.services.messaging import Messaging
    from wynd_chat.services.moderation import Moderation
    from wynd_chat.services.presence import Presences
    from wynd_chat.services.ratelimits import RateLimits
    from wynd_chat.services.rooms import Rooms
    from wynd_chat.services.roomsettings import RoomSettings
    from wynd_chat.services.serverbans import ServerBans
    from wynd_chat.services.sessions import Sessions

__all__ = ["Services"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the gateway calls."""

    store: Store
    """For health only; use cases go through the services."""
    clock: Clock
    tokens: Tokens
    limits: ChatLimits
    feed: Feed
    presences: Presences
    rate_limits: RateLimits
    accounts: Accounts
    rooms: Rooms
    room_settings: RoomSettings
    logins: Logins
    sessions: Sessions
    invitations: Invitations
    links: Links
    messaging: Messaging
    histories: Histories
    moderation: Moderation
    server_bans: ServerBans
    files: Files
