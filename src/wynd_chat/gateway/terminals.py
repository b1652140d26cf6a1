"""`Terminals`: logins that belong to one connection: by a command, or by a code entered elsewhere.

Nobody has the token of such a login, so it ends with its connection. Also waits, for connections
that show a code, until somebody approves it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import SessionKind
from wynd_chat.ports.store import StoreFailure
from wynd_chat.services.sessions import Origin

if TYPE_CHECKING:
    from wynd_chat.domain.models import Session, User
    from wynd_chat.gateway.calls import Caller
    from wynd_chat.gateway.client import Client
    from wynd_chat.gateway.hub import Hub
    from wynd_chat.services.bundle import Services

__all__ = ["TERMINAL", "Terminals"]

log = logging.getLogger("wynd_chat.gateway")

TERMINAL = "terminal"  # the label of these logins


class Terminals:
    """The logins of connections."""

    def __init__(self, services: Services, hub: Hub) -> None:
        self._services = services
        self._hub = hub
        self._owned: dict[int, str] = {}  # hashes, by the number of the connection
        self._tasks: set[asyncio.Task[None]] = set()

    def own(self, connection: int, session: Session) -> None:
        """Let a login end with a connection."""
        self._owned[connection] = session.token_hash

    async def enter(self, caller: Caller, user: User) -> None:
        """Let a connection be a user who was recognised, from now to its end.

        Raises:
            ChatError: `unauthorized`: the user may not log in any more.
        """
        before = self._owned.pop(caller.number, None)
        origin = Origin(address=caller.address)
        _, session = await self._services.sessions.begin(
            user, SessionKind.DEVICE, label=TERMINAL, origin=origin
        )
        self.own(caller.number, session)
        self._services.links.forget(caller.number)
        await caller.become(user, session.token_hash)
        if before is not None:
            await self._services.sessions.forget(before)
        if caller.number not in self._hub.clients:  # it went meanwhile
            await self.left(caller.number)

    async def show_code(self, caller: Caller) -> str:
        """Return a code; who enters it where they are logged in lets this connection be them.

        Raises:
            ChatError: `unsupported` for what is no text connection.
        """
        client = self._hub.clients.get(caller.number)
        if client is None or caller.mode != "text":
            raise ChatError(ErrorCode.UNSUPPORTED, "use POST /api/v1/link")
        code, secret = await self._services.links.begin()

        def approved() -> None:
            task = asyncio.get_running_loop().create_task(self._approved(client, code, secret))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        self._services.links.wait(caller.number, code, approved)
        return code

    async def left(self, connection: int) -> None:
        """Forget a connection that has gone, with its login."""
        self._services.links.forget(connection)
        token_hash = self._owned.pop(connection, None)
        if token_hash is None:
            return
        try:
            await self._services.sessions.forget(token_hash)
        except StoreFailure as error:  # it expires by itself within a day
            log.warning("the login of connection %d stays for a day: %s", connection, error)

    async def close(self) -> None:
        """Finish with those whose codes were just approved."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _approved(self, client: Client, code: str, secret: str) -> None:
        try:
            user = await self._services.links.take(code, secret)
            if user is not None and client.number in self._hub.clients:
                await self.enter(client, user)  # type: ignore[arg-type]
        except ChatError as error:
            client.refused(error)
        except Exception:
            log.exception("%r: its code was approved, and it could not enter", client)
