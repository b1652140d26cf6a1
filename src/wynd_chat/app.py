"""The composition root: settings → store → services → gateway → listeners, and their end.

Read `Chat.open` from top to bottom to see the whole. Decides the order of start and drain
(chat.md 11.7); knows no rules of the chat.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from wynd_chat import __version__
from wynd_chat.adapters.backup.archive import BackupError
from wynd_chat.adapters.backup.backups import make_backup
from wynd_chat.adapters.backup.schedule import BackupSchedule
from wynd_chat.adapters.broker.memory import MemoryBroker
from wynd_chat.adapters.clock import SystemClock, SystemTokens
from wynd_chat.adapters.files.folder import FolderFiles
from wynd_chat.adapters.files.memory import MemoryFiles
from wynd_chat.adapters.passwords import ArgonPasswords
from wynd_chat.adapters.store.making import SQLITE, make_store
from wynd_chat.assembly import make_services
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.presence import Presence
from wynd_chat.gateway.addresses import base_url_of
from wynd_chat.gateway.admission import Admission
from wynd_chat.gateway.calls import Router
from wynd_chat.gateway.commands import HANDLERS
from wynd_chat.gateway.control import Control
from wynd_chat.gateway.doorman import Doorman
from wynd_chat.gateway.forms import Forms
from wynd_chat.gateway.forms.html import Frame
from wynd_chat.gateway.hub import Hub
from wynd_chat.gateway.listening import Listeners
from wynd_chat.gateway.operations import Operations
from wynd_chat.gateway.sockets import Sockets
from wynd_chat.observability.health import Health
from wynd_chat.observability.metrics import LoopLag, Metrics
from wynd_chat.ports.backups import BackupMade
from wynd_chat.ports.faults import NoFaults
from wynd_chat.ports.files import FilesFailure
from wynd_chat.ports.store import StoreFailure, StoreUnusable
from wynd_chat.services.feed import Feed
from wynd_chat.services.housekeeping import Housekeeping
from wynd_chat.services.presence import Presences
from wynd_chat.services.rooms import make_lobby
from wynd_chat.settings import guests_allowed, registration_mode, unsafe
from wynd_chat.web import load_assets

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from wynd_chat.domain.events import FileInfo
    from wynd_chat.ports.broker import Broker
    from wynd_chat.ports.clock import Clock, Tokens
    from wynd_chat.ports.faults import Faults
    from wynd_chat.ports.files import FileStore
    from wynd_chat.ports.passwords import Passwords
    from wynd_chat.ports.rereading import Reread
    from wynd_chat.ports.store import Store
    from wynd_chat.services.bundle import Services
    from wynd_chat.settings import Settings

__all__ = ["Chat", "open_store", "serve"]

log = logging.getLogger("wynd_chat")

PROGRAM = f"wynd-chat {__version__}"
RESTART = 1012  # close code: the server comes back
FORCED = 3  # exit status after a second signal
LOCAL = ("127.0.0.1", "::1", "0.0.0.0", "::")


async def open_store(settings: Settings) -> Store:
    """Open the database of these settings, for commands that work on it directly.

    Raises:
        StoreUnusable: it cannot be opened; the text says what to do.
    """
    store = make_store(settings.storage.database_url)
    await store.open()
    return store


class Chat:
    """One running chat server.

    Args:
        settings: All settings.
        store: The database, open; else the one of the settings.
        clock: Time; else the machine's.
        tokens: Randomness; else the machine's.
        faults: Points where a simulation may stop what is under way.
        broker: What wakes up other nodes.
        passwords: Hashes keys of rooms, and passwords; else Argon2id.
        listeners: Makes what clients come through; a simulation has no ports.
        sockets: That listen already, instead of the port and of the plain port.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        store: Store | None = None,
        clock: Clock | None = None,
        tokens: Tokens | None = None,
        faults: Faults | None = None,
        broker: Broker | None = None,
        passwords: tuple[Passwords, Passwords] | None = None,
        listeners: Callable[..., Listeners] = Listeners,
        sockets: Sequence[socket.socket] = (),
    ) -> None:
        self._settings = settings
        self._store = store
        self._clock: Clock = clock or SystemClock()
        self._tokens: Tokens = tokens or SystemTokens()
        self._faults: Faults = faults or NoFaults()
        self._broker: Broker = broker or MemoryBroker()
        self._passwords = passwords
        self._argon: tuple[ArgonPasswords, ...] = ()
        self._make_listeners = listeners
        self._inherited = sockets
        self.services: Services
        self.hub: Hub
        self.listeners: Listeners
        self.claim_link: str | None = None
        """With which the first administrator claims the server; None: there is one."""
        self.reread: Callable[[], Reread] = _cannot_reread
        """Reads the settings again; set by whoever knows where they are."""
        self.stopping = asyncio.Event()
        """Set when the server was told to end; `stop_code` then says how."""
        self.stop_code = RESTART
        self._backups: BackupSchedule | None = None
        self._refreshing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Put everything together and listen.

        Raises:
            StoreUnusable: the database cannot be used.
            OSError: a port is in use.
        """
        settings, clock, tokens = self.settings, self._clock, self._tokens
        store = self._store = self._store or await open_store(settings)
        contents = self._contents = make_contents(settings, clock)
        await contents.open()
        lobby = await store.write(
            lambda tx: make_lobby(tx, tokens, settings.rooms.lobby, clock.now_ms())
        )
        epoch = await store.read(lambda snapshot: snapshot.meta("epoch")) or ""

        metrics = self.metrics = Metrics()
        feed = Feed(store, self._broker, clock, self._faults)
        presences = Presences(Presence(), clock)
        hub = self.hub = Hub(
            feed,
            presences,
            clock,
            lobby.id,
            self._file_link,
            is_strict=settings.text.strict_tutorial,
            metrics=metrics,
        )
        feed.attach(hub)
        presences.attach(hub)

        hashers = self._passwords
        if hashers is None:
            hashers = self._argon = (
                ArgonPasswords(chars_min=1, workers_max=1),  # keys of rooms
                ArgonPasswords(chars_min=lambda: self.settings.auth.password_min),
            )
        services = self.services = make_services(
            settings,
            store,
            contents,
            hub,
            feed,
            presences,
            clock,
            tokens,
            hashers,
            self._faults,
            lobby_id=lobby.id,
            epoch=epoch,
            registration=self._registration,
        )
        services.files.start()

        doorman = self._doorman = Doorman(
            services, hub, lobby.id, self._are_guests_allowed, metrics
        )
        doorman.takes_query_tokens = lambda: self.settings.auth.query_tokens
        hub.judge = doorman.judge
        router = self._router = Router(
            services,
            hub,
            HANDLERS,
            doorman.check_guests,
            is_strict=settings.text.strict_tutorial,
            metrics=metrics,
        )
        self._router = router
        self._control = router.control = Control(
            services,
            hub,
            version=__version__,
            reread=lambda: self.reread(),
            stop=self.stop,
            sizes=self._sizes,
            backup=self._make_backup,
        )
        base_url = base_url_of(settings.server.public_url)
        sockets = Sockets(
            services,
            hub,
            router,
            doorman,
            Admission(services, doorman),
            metrics=metrics,
            server_name=settings.server.name,
            lobby=lobby.shown,
            version=__version__,
            origins=self._origins,
            base_url=base_url,
            plain_base_url=base_url_of(
                settings.server.public_url, lambda: self.listeners.addresses[0][1]
            ),
        )
        self._housekeeping = Housekeeping(store, presences, clock)
        self._lag = LoopLag(metrics, clock)
        self.health = Health({"store": store.is_writable}, clock)
        operations = Operations(
            self.health,
            metrics,
            services,
            (sockets.main, sockets.plain),
            lambda: self.settings.metrics.token,
            self._sizes,
        )
        assets = load_assets()
        frame = Frame(settings.server.name, f"assets/{assets.hash}/style.css")
        forms = Forms(
            services, doorman, frame, self._origins, lambda: self.settings.auth.password_min
        )
        self.listeners = self._make_listeners(
            hosts=settings.server.host,
            port=settings.server.port,
            plain_port=settings.server.plain_port,
            trusted_proxies=settings.server.trusted_proxies,
            version=__version__,
            router=router,
            doorman=doorman,
            sockets=sockets,
            hub=hub,
            operations=operations,
            metrics_endpoint=endpoint_of(settings.metrics.listen),
            assets=assets,
            forms=forms,
            base_url=base_url,
            origins=self._origins,
            inherited=self._inherited,
        )
        self.health.start()
        self._lag.start()
        await self.listeners.open()
        doorman.revocation.start(store.on_foreign_change(self._foreign_change))
        self._housekeeping.start()
        self._start_backups()
        warnings = unsafe(settings, [host for host, _ in self.listeners.addresses])
        for sentence in warnings:
            log.warning("unsafe: %s", sentence)
        metrics.set_unsafe(len(warnings))
        code = await services.invitations.claim_code()
        if code is not None:
            base = settings.server.public_url or self.local_url
            self.claim_link = f"{base.rstrip('/')}/claim/{code}"

    @property
    def settings(self) -> Settings:
        """All settings; assigned anew, those that can change live hold at once."""
        return self._settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self._settings = settings
        self.services.rooms.create_by = settings.rooms.create
        self.hub.is_strict = self._router.is_strict = settings.text.strict_tutorial

    def stop(self, code: int = RESTART) -> None:
        """Ask whoever runs this chat to close it, with this code; returns at once."""
        self.stop_code = code
        self.stopping.set()

    async def close(self, code: int = RESTART) -> None:
        """Drain: not ready, no new connections, finish what arrived, close frames, the store."""
        self.health.drain()
        self._control.close()
        if self._backups is not None:
            await self._backups.close()
        log.info("Chat server shutting down")
        await self.listeners.close(code)
        await self._router.close()
        await self._router.terminals.close()
        await self._doorman.revocation.close()
        await self._housekeeping.close()
        self.hub.close()
        self.services.presences.close()
        self._lag.stop()
        await self.health.close()
        if self._refreshing is not None:
            self._refreshing.cancel()
        await self.services.feed.close()
        await self.services.files.close()
        await self._contents.close()
        await self.services.store.close()
        for passwords in self._argon:
            passwords.close()

    def _foreign_change(self) -> None:
        """Look at everything that another program may have changed in the database."""
        self._doorman.revocation.recheck()
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.get_running_loop().create_task(self._refresh())

    async def _refresh(self) -> None:
        try:
            await self.services.feed.refresh()
        except StoreFailure as error:
            log.warning("what another program stored cannot be read yet: %s", error)

    def _start_backups(self) -> None:
        """Make backups by the clock, where that is set."""
        settings = self.settings
        if settings.backup.every is None or settings.storage.is_ephemeral:
            return
        data = settings.storage.directory
        self._backups = BackupSchedule(
            data,
            settings.backup.to or data / "backups",
            every_s=settings.backup.every,
            keep=settings.backup.keep,
            program=PROGRAM,
            database=self._database_file,
            clock=self._clock,
        )
        self._backups.start()

    @property
    def _database_file(self) -> Path | None:
        """The SQLite file, None where the database is elsewhere."""
        url = self.settings.storage.database_url
        return Path(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else None

    async def _make_backup(self) -> BackupMade:
        """Make a backup now, as an administrator asked.

        Raises:
            ChatError: `unsupported`, `unavailable`.
        """
        settings = self.settings
        if settings.storage.is_ephemeral:
            raise ChatError(ErrorCode.UNSUPPORTED, "this server keeps nothing that could be saved")
        data = settings.storage.directory
        try:
            made = await asyncio.to_thread(
                make_backup,
                data,
                settings.backup.to or data / "backups",
                now_ms=self._clock.now_ms(),
                program=PROGRAM,
                database=self._database_file,
            )
        except BackupError as error:
            log.error("no backup was made: %s", error)
            raise ChatError(ErrorCode.UNAVAILABLE, "no backup could be made, see the log") from None
        return BackupMade(made.path.name, made.size, len(made.missing))

    @property
    def local_url(self) -> str:
        """Where the chat is reached from this machine."""
        host, port = self.listeners.addresses[0]
        shown = "localhost" if host in LOCAL else f"[{host}]" if ":" in host else host
        return f"http://{shown}:{port}"

    @property
    def _origins(self) -> str | tuple[str, ...]:
        """Which pages may connect, and write with a cookie, as the library takes it."""
        origins = self.settings.server.origins
        return "*" if origins == ("*",) else origins or "same-host"

    def _are_guests_allowed(self) -> bool:
        return guests_allowed(self.settings, [host for host, _ in self.listeners.addresses])

    def _registration(self) -> str:
        return registration_mode(self.settings, has_guests=self._are_guests_allowed())

    def _sizes(self) -> tuple[int, int]:
        """Return bytes of the database, its log included, and of all files."""
        if self.settings.storage.is_ephemeral:
            return 0, self._contents.held_bytes
        folder = self.settings.storage.directory
        database = sum(path.stat().st_size for path in folder.glob("chat.sqlite3*"))
        return database, self._contents.held_bytes

    def _file_link(self, file: FileInfo) -> str:
        base = self.settings.server.public_url or self.local_url
        return f"{base.rstrip('/')}/files/{file.id}/{quote(file.name, safe='')}"


def make_contents(settings: Settings, clock: Clock) -> FileStore:
    """Return where files are kept: in the data directory, or nowhere but in memory."""
    if settings.storage.is_ephemeral:
        return MemoryFiles(clock)
    return FolderFiles(settings.storage.directory / "files", clock)


def _cannot_reread() -> Reread:
    raise ChatError(ErrorCode.UNSUPPORTED, "this server's settings are not kept anywhere")


def endpoint_of(text: str | None) -> tuple[str, int] | None:
    """Return host and port of `host:port`, None for none."""
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def serve(
    settings: Settings,
    on_ready: Callable[[Chat], None] | None = None,
    sockets: Sequence[socket.socket] = (),
) -> int:
    """Run a chat until SIGINT or SIGTERM; return the exit status.

    A second signal ends it at once: what was acknowledged is stored.

    Args:
        settings: All of them.
        on_ready: Called when it listens.
        sockets: That listen already, instead of the port and of the plain port.
    """
    try:
        asyncio.run(_serve(Chat(settings, sockets=sockets), on_ready))
    except (StoreUnusable, FilesFailure, OSError) as error:
        sys.stderr.write(f"wynd-chat: {error}\n")
        return 1
    return 0


async def _serve(chat: Chat, on_ready: Callable[[Chat], None] | None) -> None:
    loop = asyncio.get_running_loop()
    signals = 0

    def stop() -> None:
        nonlocal signals
        signals += 1
        if signals > 1:
            log.warning("forced to end at once")
            os._exit(FORCED)
        chat.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows has Ctrl-C as an exception only
            loop.add_signal_handler(number, stop)
    await chat.open()
    try:
        if on_ready is not None:
            on_ready(chat)
        await chat.stopping.wait()
    finally:
        await chat.close(chat.stop_code)
