"""`wynd-chat backup` and `wynd-chat restore`: with a bar, and what is not in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wynd_chat import __version__
from wynd_chat.adapters.backup.backups import make_backup, restore_backup
from wynd_chat.adapters.clock import SystemClock
from wynd_chat.adapters.datalock import DataLock
from wynd_chat.cli.options import ConfigOption, DataOption, settings_of
from wynd_chat.cli.output import Failure, progress_bar, say, warn
from wynd_chat.settings import KEYS, masked

if TYPE_CHECKING:
    from wynd_chat.settings import Settings

__all__ = ["backup", "restore"]

SQLITE = "sqlite:///"


def backup(
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            help="A .tar file or a folder; backups in the data directory.",
            show_default=False,
        ),
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Save everything into one file, also while the server runs, and check it.

    A plain copy of the database file is no backup: it may be torn, and lacks what is in the log
    beside it.
    """
    settings = settings_of(data, config)
    directory = settings.storage.directory
    target = to or settings.backup.to or directory / "backups"
    with progress_bar("Backup") as progress:
        made = make_backup(
            directory,
            target,
            now_ms=SystemClock().now_ms(),
            program=f"wynd-chat {__version__}",
            database=_database(settings),
            progress=progress,
        )
    for sha256 in made.missing:
        warn(f"a file is missing or damaged, so it is not in the backup: {sha256}")
    counts = made.manifest.counts
    what = f"{counts.get('messages', 0)} messages, " if made.manifest.database == "sqlite" else ""
    files = sum(entry.path.startswith("files/") for entry in made.manifest.files)
    say(f"Saved {what}{files} files, {made.size} bytes, checked: {made.path}")
    if made.manifest.database == "postgresql":
        url = masked(KEYS["storage.url"], settings.storage.url)
        warn("the database is not in it; save that too, after the files, with:")
        say(f"pg_dump --format=custom --file=chat.dump '{url}'")


def restore(
    archive: Annotated[Path, typer.Argument(help="A file that wynd-chat backup wrote.")],
    force: Annotated[
        bool, typer.Option("--force", help="Move aside what is in the data directory.")
    ] = False,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Put a backup into an empty data directory; clients will load everything anew."""
    settings = settings_of(data, config)
    directory = settings.storage.directory
    if settings.storage.url is not None and _database(settings) is not None:
        raise Failure(
            "storage.url names a database of its own; restore into a folder without it: "
            "leave out storage.url and name the folder with --data"
        )
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with DataLock(directory), progress_bar("Restore") as progress:
        restored = restore_backup(
            archive,
            directory,
            now_ms=SystemClock().now_ms(),
            known_schemas=_known_schemas(),
            is_forced=force,
            progress=progress,
        )
    if restored.replaced is not None:
        say(f"What was there is now in {restored.replaced}; delete it when you no longer need it")
    say(f"Restored {directory} as of {restored.manifest.made_at}")
    if restored.epoch is None:
        warn("the database is not in it; restore that with pg_restore, then start the server")


def _database(settings: Settings) -> Path | None:
    """Return the SQLite file; None where the database is elsewhere."""
    url = settings.storage.database_url
    return Path(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else None


def _known_schemas() -> frozenset[str]:
    from alembic.script import ScriptDirectory

    from wynd_chat.adapters.store.migrate import SCRIPTS

    return frozenset(script.revision for script in ScriptDirectory(str(SCRIPTS)).walk_revisions())
