"""`make_services`: every use case with what it needs, for the composition root.

Read it as a list of who depends on whom; it decides nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wynd_chat.services.accounts import Accounts
from wynd_chat.services.bans import AddressBans
from wynd_chat.services.bundle import Services
from wynd_chat.services.files import Files
from wynd_chat.services.history import Histories
from wynd_chat.services.invitations import Invitations
from wynd_chat.services.links import Links
from wynd_chat.services.logins import Logins
from wynd_chat.services.messaging import Messaging
from wynd_chat.services.moderation import Moderation
from wynd_chat.services.ratelimits import RateLimits
from wynd_chat.services.rooms import Rooms
from wynd_chat.services.roomsettings import RoomSettings
from wynd_chat.services.serverbans import ServerBans
from wynd_chat.services.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from wynd_chat.gateway.hub import Hub
    from wynd_chat.ports.clock import Clock, Tokens
    from wynd_chat.ports.faults import Faults
    from wynd_chat.ports.files import FileStore
    from wynd_chat.ports.passwords import Passwords
    from wynd_chat.ports.store import Store
    from wynd_chat.services.feed import Feed
    from wynd_chat.services.presence import Presences
    from wynd_chat.settings import Settings

__all__ = ["make_services"]


def make_services(
    settings: Settings,
    store: Store,
    contents: FileStore,
    hub: Hub,
    feed: Feed,
    presences: Presences,
    clock: Clock,
    tokens: Tokens,
    hashers: tuple[Passwords, Passwords],
    faults: Faults,
    *,
    lobby_id: str,
    epoch: str,
    registration: Callable[[], str],
) -> Services:
    """Return all use cases of one chat.

    Args:
        settings: All settings.
        store: The database, open.
        contents: Where files are kept.
        hub: Takes what others should see.
        feed: Shows events.
        presences: Who is online.
        clock: Time.
        tokens: Randomness.
        hashers: For keys of rooms, and for passwords.
        faults: Points where a simulation may stop what is under way.
        lobby_id: The id of the lobby.
        epoch: The identity of the database.
        registration: Tells who may make an account now.
    """
    limits = settings.limits
    room_keys, passwords = hashers
    rate_limits = RateLimits(limits, clock)
    sessions = Sessions(store, hub, clock, tokens)
    return Services(
        store=store,
        clock=clock,
        tokens=tokens,
        limits=limits,
        feed=feed,
        presences=presences,
        rate_limits=rate_limits,
        accounts=Accounts(store, hub, presences, clock, tokens, limits, lobby_id),
        rooms=Rooms(
            store,
            hub,
            presences,
            clock,
            tokens,
            room_keys,
            limits,
            lobby_id,
            settings.rooms.create,
        ),
        room_settings=RoomSettings(store, hub, clock, room_keys, limits, lobby_id),
        logins=Logins(
            store,
            hub,
            presences,
            passwords,
            sessions,
            rate_limits,
            clock,
            tokens,
            lobby_id,
            registration,
        ),
        sessions=sessions,
        invitations=Invitations(store, clock, tokens),
        links=Links(store, clock, tokens, rate_limits),
        messaging=Messaging(store, clock, tokens, limits, faults),
        histories=Histories(store, feed, epoch),
        moderation=Moderation(store, hub, feed, clock, tokens, limits, lobby_id),
        server_bans=ServerBans(store, hub, feed, clock, tokens, limits, AddressBans(store, clock)),
        files=Files(store, contents, clock, tokens, limits, rate_limits, lobby_id),
    )
