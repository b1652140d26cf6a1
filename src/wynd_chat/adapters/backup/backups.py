"""`make_backup`, `restore_backup`, `prune_backups`: a chat into one file, and back.

Decides what belongs to a chat (database, files), in which order things are written, and when
something counts as done: a backup after it was read again and checked, a restore after the
database was checked and has a new epoch. What a restore replaces is moved aside, never deleted.
Blocking; callers run it in a thread.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

from wynd_chat.adapters.backup.archive import (
    DATABASE_NAME,
    ArchiveWriter,
    BackupError,
    Manifest,
    content_path,
    read_archive,
    sync_folder,
)
from wynd_chat.adapters.backup.database import Copy, check_database, copy_database, set_epoch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from wynd_chat.adapters.backup.archive import Progress

__all__ = [
    "Backup",
    "Restored",
    "backup_name",
    "make_backup",
    "newest_backup",
    "prune_backups",
    "restore_backup",
]

_NAME = re.compile(r"wynd-chat-(\d{8}T\d{6}Z)(-\d+)?\.tar", re.ASCII)
_CONTENT_NAME = re.compile(r"[0-9a-f]{64}", re.ASCII)
EPOCH_BYTES = 8


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was written and checked."""

    path: Path
    size: int
    manifest: Manifest
    missing: tuple[str, ...]
    """SHA-256 of contents that the database names and the disk has not, or has damaged."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did."""

    manifest: Manifest
    epoch: str | None
    """The new one; None where the database is elsewhere."""
    replaced: Path | None
    """Where what was there before is now."""


def backup_name(now_ms: int) -> str:
    """Return the name of a backup made at this time; names sort by time."""
    return f"wynd-chat-{datetime.fromtimestamp(now_ms / 1000, UTC):%Y%m%dT%H%M%SZ}.tar"


def make_backup(
    data: Path,
    target: Path,
    *,
    now_ms: int,
    program: str,
    database: Path | None,
    progress: Progress = lambda _done, _total: None,
) -> Backup:
    """Write a backup of a chat, beside the running server, and check it.

    Args:
        data: The data directory.
        target: The file to write, or a folder for one named after the time.
        now_ms: Wall time, milliseconds UTC.
        program: Name and version of this program, for the manifest.
        database: The SQLite file; None: the database is elsewhere, only files are saved.
        progress: Told (bytes done, bytes in all); reading it again counts.

    Raises:
        BackupError: nothing was written under the target's name.
    """
    path = _target(target, now_ms)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix=".wynd-chat-", dir=path.parent) as scratch:
            return _write(data, path, Path(scratch), now_ms, program, database, progress)
    except OSError as error:
        raise BackupError(f"{error.filename or path}: {error.strerror or error}") from None


def restore_backup(
    archive: Path,
    data: Path,
    *,
    now_ms: int,
    known_schemas: Collection[str] | None = None,
    is_forced: bool = False,
    progress: Progress = lambda _done, _total: None,
) -> Restored:
    """Put a backup into a data directory that no server uses, with a new epoch.

    Everything is unpacked and checked beside the target first; only then names change.

    Args:
        archive: The backup.
        data: The data directory; made if it is not there.
        now_ms: Wall time, milliseconds UTC; names the folder of what is replaced.
        known_schemas: The migrations that this program knows.
        is_forced: Move aside what is there instead of refusing.
        progress: Told (bytes read, bytes in all).

    Raises:
        BackupError: the target is as it was.
    """
    present = [name for name in _parts() if (data / name).exists()]
    if present and not is_forced:
        raise BackupError(
            f"{data} holds a chat already; name an empty folder with --data, "
            "or move this one aside with --force"
        )
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix=".restoring-", dir=data) as scratch:
            staged = Path(scratch)
            manifest = read_archive(archive, keep=_Stage(staged).open, progress=progress)
            epoch = _prepare(staged, manifest, known_schemas)
            _give_to_owner(staged, data)
            replaced = _swap(staged, data, now_ms)
    except OSError as error:
        raise BackupError(f"{error.filename or data}: {error.strerror or error}") from None
    return Restored(manifest, epoch, replaced)


def newest_backup(folder: Path, *, now_ms: int) -> float | None:
    """Return when the newest backup of a folder was made, by its name, in seconds UTC.

    One from the future, made under a wrong clock, does not count. None: there is none.
    """
    times = (_time_of(path.name) for path in _backups_in(folder))
    past = (one for one in times if one is not None and one <= now_ms / 1000)
    return max(past, default=None)


def prune_backups(folder: Path, keep: int) -> list[Path]:
    """Delete all but the newest `keep` backups of a folder; return those that went.

    Only files that are named as `make_backup` names them are touched.
    """
    found = _backups_in(folder)
    old = found[: max(0, len(found) - keep)]
    for path in old:
        path.unlink(missing_ok=True)
    return old


def _time_of(name: str) -> float | None:
    match = _NAME.fullmatch(name)
    try:
        at = datetime.strptime(match[1] if match else "", "%Y%m%dT%H%M%SZ")
    except ValueError:  # somebody's own file: 31 February
        return None
    return at.replace(tzinfo=UTC).timestamp()


def _backups_in(folder: Path) -> list[Path]:
    """Return the backups of a folder, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


# Writing


def _target(target: Path, now_ms: int) -> Path:
    if target.suffix == ".tar" and not target.is_dir():
        return target
    name = Path(backup_name(now_ms))
    path = target / name
    number = 2
    while path.exists():  # two within one second
        path = target / f"{name.stem}-{number}.tar"
        number += 1
    return path


def _write(
    data: Path,
    path: Path,
    scratch: Path,
    now_ms: int,
    program: str,
    database: Path | None,
    progress: Progress,
) -> Backup:
    copy_path = scratch / DATABASE_NAME
    size = 0 if database is None or not database.exists() else database.stat().st_size
    copy = Copy(None, None, {}, dict(_walk(data)))
    if database is not None:
        copy = copy_database(database, copy_path, lambda done, total: progress(done, total * 4))
        size = copy_path.stat().st_size
    content_bytes = sum(copy.contents.values())
    # The database is copied, written and read again; files are written and read again.
    meter = _Meter(progress, done=size, total=3 * size + 2 * content_bytes)
    with ArchiveWriter(path) as writer:
        if database is not None:
            with copy_path.open("rb") as source:
                writer.add(DATABASE_NAME, source, size, meter.note)
        missing = [
            sha256 for sha256 in sorted(copy.contents) if not _add(writer, data, sha256, meter)
        ]
        made_at = datetime.fromtimestamp(now_ms / 1000, UTC)
        manifest = Manifest(
            program=program,
            made_at=f"{made_at:%Y-%m-%dT%H:%M:%SZ}",
            database="postgresql" if database is None else "sqlite",
            schema=copy.schema,
            epoch=copy.epoch,
            counts=copy.counts,
            files=tuple(writer.entries),
        )
        writer.close_with(manifest)
        written = meter.done
        read_archive(writer.partial, progress=lambda done, _: meter.at(written + done))
        writer.commit()
    progress(meter.total, meter.total)
    return Backup(path, path.stat().st_size, manifest, tuple(missing))


def _add(writer: ArchiveWriter, data: Path, sha256: str, meter: _Meter) -> bool:
    """Add a content; return False where it is not there, or not what its name says."""
    path = data / content_path(sha256)
    if not _is_sound(path, sha256):
        return False
    with path.open("rb") as source:
        size = os.fstat(source.fileno()).st_size
        writer.add(content_path(sha256), source, size, meter.note)
    return True


def _is_sound(path: Path, sha256: str) -> bool:
    if not _CONTENT_NAME.fullmatch(sha256) or path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest() == sha256


def _walk(data: Path) -> Iterator[tuple[str, int]]:
    """Yield (SHA-256, size) of every content on disk."""
    for path in sorted((data / "files").glob("??/??/*")):
        if _CONTENT_NAME.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            yield path.name, path.stat().st_size


# Restoring


def _parts() -> tuple[str, ...]:
    return (DATABASE_NAME, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm", "files")


class _Stage:
    """Opens the files of a backup below a folder; names were judged by the reader."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, name: str) -> IO[bytes]:
        """Open one for writing."""
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _prepare(staged: Path, manifest: Manifest, known_schemas: Collection[str] | None) -> str | None:
    """Check what was unpacked and give it a new epoch; return it."""
    path = staged / DATABASE_NAME
    if manifest.database != "sqlite":
        return None
    if not path.exists():
        raise BackupError("this backup has no database in it")
    found = check_database(path, known_schemas=known_schemas)
    if dict(found.counts) != dict(manifest.counts) or found.epoch != manifest.epoch:
        raise BackupError("the database of this backup is not what its manifest says")
    epoch = secrets.token_hex(EPOCH_BYTES)
    set_epoch(path, epoch)
    return epoch


def _give_to_owner(staged: Path, data: Path) -> None:
    """Run by root, leave the files to whom the folder belongs: the server runs as that user."""
    if os.name == "nt" or os.geteuid() != 0:
        return
    owner = data.stat()
    for path in staged.rglob("*"):
        os.chown(path, owner.st_uid, owner.st_gid)


def _swap(staged: Path, data: Path, now_ms: int) -> Path | None:
    """Move aside what is there and put in what was unpacked; undo it if that fails."""
    present = [name for name in _parts() if (data / name).exists()]
    aside = data / f"replaced-{datetime.fromtimestamp(now_ms / 1000, UTC):%Y%m%dT%H%M%SZ}"
    while present and aside.exists():
        aside = aside.with_name(f"{aside.name}-{secrets.token_hex(2)}")
    if present:
        aside.mkdir(mode=0o700)
    moved: list[tuple[Path, Path]] = []
    try:
        steps = [(data / name, aside / name) for name in present]
        steps += [(staged / name, data / name) for name in _parts() if (staged / name).exists()]
        for source, target in steps:
            os.replace(source, target)
            moved.append((source, target))
    except OSError:
        for source, target in reversed(moved):
            os.replace(target, source)
        raise
    sync_folder(data)
    return aside if present else None


class _Meter:
    """Adds up bytes for a progress bar."""

    def __init__(self, progress: Progress, *, done: int, total: int) -> None:
        self._progress = progress
        self.done = done
        self.total = max(total, 1)

    def note(self, count: int) -> None:
        """Add bytes that were done."""
        self.at(self.done + count)

    def at(self, done: int) -> None:
        """Say how far it is; never more than all."""
        self.done = min(done, self.total)
        self._progress(self.done, self.total)
