"""`BackupSchedule`: backups that the server makes by itself (`backup.every`, `backup.keep`).

Decides when one is due: so long after the newest in the folder, whoever made that, so a restart
neither skips nor repeats one. A backup that fails is logged and tried again within the hour.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from wynd_chat.adapters.backup.archive import BackupError
from wynd_chat.adapters.backup.backups import make_backup, newest_backup, prune_backups

if TYPE_CHECKING:
    from pathlib import Path

    from wynd_chat.ports.clock import Clock

__all__ = ["BackupSchedule"]

log = logging.getLogger("wynd_chat.backup")

RETRY_S = 3600.0
LONGEST_SLEEP_S = 3600.0  # wall time may jump, and a laptop may sleep


class BackupSchedule:
    """Makes a backup every so often, and keeps the newest.

    Args:
        data: The data directory.
        folder: Where the backups go.
        every_s: Seconds from one to the next.
        keep: How many are kept.
        program: Name and version of this program.
        database: The SQLite file; None: the database is elsewhere.
        clock: Tells time and waits.
    """

    def __init__(
        self,
        data: Path,
        folder: Path,
        *,
        every_s: float,
        keep: int,
        program: str,
        database: Path | None,
        clock: Clock,
    ) -> None:
        self._data = data
        self._folder = folder
        self._every_s = every_s
        self._keep = keep
        self._program = program
        self._database = database
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; on the loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop; a backup that is being written is finished first. Twice is once."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            wait = await asyncio.to_thread(self._due_in_s)
            while wait > 0:
                await self._clock.sleep(min(wait, LONGEST_SLEEP_S))
                wait = await asyncio.to_thread(self._due_in_s)
            writing = asyncio.ensure_future(asyncio.to_thread(self._make))
            try:
                is_made = await asyncio.shield(writing)
            except asyncio.CancelledError:
                await writing
                raise
            if not is_made:
                await self._clock.sleep(min(RETRY_S, self._every_s))

    def _due_in_s(self) -> float:
        now_ms = self._clock.now_ms()
        try:
            newest = newest_backup(self._folder, now_ms=now_ms)
        except OSError as error:
            log.error("the folder of backups cannot be read: %s", error)
            return RETRY_S
        return 0.0 if newest is None else newest + self._every_s - now_ms / 1000

    def _make(self) -> bool:
        """Make one and prune; return whether it was made."""
        try:
            made = make_backup(
                self._data,
                self._folder,
                now_ms=self._clock.now_ms(),
                program=self._program,
                database=self._database,
            )
            gone = prune_backups(self._folder, self._keep)
        except (BackupError, OSError) as error:
            log.error("no backup was made: %s", error)
            return False
        log.info("backup %s: %d bytes, %d old ones removed", made.path.name, made.size, len(gone))
        if made.missing:
            log.error("%d files are missing or damaged and not in the backup", len(made.missing))
        return True
