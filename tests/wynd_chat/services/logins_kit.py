"""Services of logins over the memory store, with time, chance and cheap passwords in hand."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.wynd_chat.kit import HandTokens, Kit, a_kit
from wynd_chat.services.invitations import Invitations
from wynd_chat.services.links import Links
from wynd_chat.services.logins import Logins
from wynd_chat.services.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wynd_chat.domain.models import User

__all__ = ["GOOD", "LoginsKit", "a_logins_kit"]

GOOD = "correct horse battery staple"


class LoginsKit:
    """A `Kit` with what is about logins.

    Attributes:
        registration: Who may make an account: "open", "invite" or "closed".
    """

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.store = kit.store
        self.clock = kit.clock
        self.tokens: HandTokens = kit.tokens
        self.outlet = kit.outlet
        self.accounts = kit.accounts
        self.registration = "open"
        self.sessions = Sessions(kit.store, kit.outlet, kit.clock, kit.tokens)
        self.logins = Logins(
            kit.store,
            kit.outlet,
            kit.presences,
            kit.passwords,
            self.sessions,
            kit.rate_limits,
            kit.clock,
            kit.tokens,
            kit.lobby.id,
            lambda: self.registration,
        )
        self.invitations = Invitations(kit.store, kit.clock, kit.tokens)
        self.links = Links(kit.store, kit.clock, kit.tokens, kit.rate_limits)

    async def registered(self, name: str, password: str = GOOD) -> User:
        """Make an account with a password."""
        return (await self.logins.register(name, password, None)).user

    async def stored(self, user: User) -> User | None:
        """Return a user's row as it is now."""
        return await self.accounts.user(user.id)


@asynccontextmanager
async def a_logins_kit(**bounds: Any) -> AsyncIterator[LoginsKit]:
    """Open a kit; `bounds` are limits that differ from the defaults."""
    async with a_kit(**bounds) as kit:
        yield LoginsKit(kit)
