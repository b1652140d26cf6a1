"""`Control`: what administrators ask of the running server: its numbers, its settings, its end.

Decides how people are told of a stop. What settings are and how a process ends is the composition
root's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wynd_chat.domain.durations import short_duration
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.events import Author
from wynd_chat.domain.models import UserKind
from wynd_chat.domain.presence import Face
from wynd_chat.wire.close_codes import CloseCode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wynd_chat.gateway.hub import Hub
    from wynd_chat.ports.backups import BackupMade
    from wynd_chat.ports.clock import Timer
    from wynd_chat.ports.rereading import Reread
    from wynd_chat.ports.store import Posted
    from wynd_chat.services.bundle import Services

__all__ = ["SERVER", "Control"]

SERVER = Author(None, "Server", UserKind.SYSTEM)
STOP_AFTER_MAX_S = 7 * 86_400


class Control:
    """The server, for those who run it.

    Args:
        services: The use cases.
        hub: Who is connected.
        version: Of this program.
        reread: Reads the settings again; raises ChatError where they come from nowhere.
        stop: Ends the server, with a close code; returns at once.
        sizes: Returns bytes of the database and of all files.
        backup: Makes a backup; raises ChatError where it cannot.
    """

    def __init__(
        self,
        services: Services,
        hub: Hub,
        *,
        version: str,
        reread: Callable[[], Reread],
        stop: Callable[[int], None],
        sizes: Callable[[], tuple[int, int]],
        backup: Callable[[], Awaitable[BackupMade]],
    ) -> None:
        self._services = services
        self._hub = hub
        self._version = version
        self._reread = reread
        self._stop = stop
        self._sizes = sizes
        self._backup = backup
        self._is_backing_up = False
        self._started_at = services.clock.monotonic()
        self._timer: Timer | None = None

    async def statistics(self) -> dict[str, Any]:
        """Return the server's numbers, as programs read them."""
        services, clients = self._services, self._hub.clients.values()
        db_bytes, upload_bytes = self._sizes()
        return {
            "version": self._version,
            "uptime_s": int(services.clock.monotonic() - self._started_at),
            "users_online": services.presences.count(),
            "connections": {
                face.value: sum(client.face is face for client in clients) for face in Face
            },
            "accounts": await services.store.read(lambda snapshot: snapshot.count_users()),
            "rooms": await services.rooms.count(),
            "db_bytes": db_bytes,
            "upload_bytes": upload_bytes,
            "refused": dict(services.rate_limits.refused),
            "store": dict(services.store.statistics()),
        }

    async def backup(self) -> BackupMade:
        """Make a backup beside the running server; one at a time.

        Raises:
            ChatError: `conflict`: one is being made; `unsupported`: nothing is kept on disk;
                `unavailable`: it could not be written, the log says why.
        """
        if self._is_backing_up:
            raise ChatError(ErrorCode.CONFLICT, "a backup is being made already")
        self._is_backing_up = True
        try:
            return await self._backup()
        finally:
            self._is_backing_up = False

    def reread(self) -> Reread:
        """Read the settings again and take over what can change live.

        Raises:
            ChatError: `unsupported`: this server was not started from settings that are kept.
        """
        return self._reread()

    async def announce(self, text: str) -> Posted:
        """Speak as the server in the lobby.

        Raises:
            ChatError: `too_large`, `bad_request` for an empty text.
        """
        lobby = await self._services.rooms.lobby()
        return await self._services.messaging.announce(SERVER, lobby, text)

    async def stop_after(self, seconds: int, reason: str) -> None:
        """Tell everybody, and stop for good after a while; another call counts instead.

        Raises:
            ChatError: `bad_request` for more than a week, `too_large`.
        """
        if seconds > STOP_AFTER_MAX_S:
            raise ChatError(ErrorCode.BAD_REQUEST, "that is more than a week ahead")
        when = f"in {short_duration(seconds)}" if seconds else "now"
        await self.announce(f"The server stops {when}: {reason}")
        self.close()
        clock = self._services.clock
        self._timer = clock.call_later(float(seconds), self._stop, int(CloseCode.SHUTDOWN))

    async def keep_running(self, reason: str) -> None:
        """Call a stop off, and tell everybody.

        Raises:
            ChatError: `not_found`: none was ordered.
        """
        if self._timer is None:
            raise ChatError(ErrorCode.NOT_FOUND, "nothing was going to stop")
        await self.announce(f"The server goes on: {reason}")
        self.close()

    def close(self) -> None:
        """Forget a stop that was ordered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
