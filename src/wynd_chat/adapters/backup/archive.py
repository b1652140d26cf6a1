"""The form of a backup: a tar of files, and last of all a manifest with size and SHA-256 of each.

Decides which names may be in it and when it counts as whole. Knows neither database nor settings.
A tar is read once, from front to end, so its manifest can be written when everything is known.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Self

__all__ = [
    "DATABASE_NAME",
    "FORMAT",
    "ArchiveWriter",
    "BackupError",
    "Entry",
    "Manifest",
    "Progress",
    "content_path",
    "read_archive",
]

FORMAT = 1  # raised when an older program could not restore what a newer one writes
MANIFEST_NAME = "manifest.json"
DATABASE_NAME = "chat.sqlite3"
CHUNK = 1024 * 1024
MANIFEST_BYTES_MAX = 512 * 1024 * 1024  # three million files

_CONTENT = re.compile(r"files/([0-9a-f]{2})/([0-9a-f]{2})/(\1\2[0-9a-f]{60})", re.ASCII)

Progress = Callable[[int, int], None]
"""Told (bytes done, bytes in all)."""


class BackupError(Exception):
    """A backup that cannot be made or used; the text says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a backup."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup holds."""

    program: str
    """Who wrote it, "wynd-chat 1.2.0"."""
    made_at: str
    """RFC 3339, UTC."""
    database: str
    """"sqlite": the copy is in the tar. "postgresql": it is not."""
    schema: str | None
    """The migration the copy stands at."""
    epoch: str | None
    """The identity of the database that was copied."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Rows by table."""
    files: tuple[Entry, ...] = ()
    format: int = FORMAT


def content_path(sha256: str) -> str:
    """Return where content lies, below the data directory and in the tar."""
    return f"files/{sha256[:2]}/{sha256[2:4]}/{sha256}"


class ArchiveWriter:
    """Writes a tar beside its final name, readable by its owner only; `commit` gives it the name.

    Leaving the `with` block without `commit` removes what was written.

    Raises:
        BackupError: there is a file of that name.
    """

    def __init__(self, path: Path) -> None:
        if path.exists():
            raise BackupError(f"{path} is already there; name another file")
        self._path = path
        self._partial = path.with_name(f".{path.name}.partial")
        descriptor = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._tar = tarfile.TarFile(fileobj=self._file, mode="w", format=tarfile.PAX_FORMAT)
        self.entries: list[Entry] = []
        """What was added so far."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._partial.unlink(missing_ok=True)

    def add(self, path: str, source: IO[bytes], size: int, note: Callable[[int], None]) -> Entry:
        """Copy `size` bytes; return what they were. `note` is told of each piece's length."""
        reader = _Hashing(source, note)
        info = tarfile.TarInfo(path)
        info.size = size
        info.mode = 0o600
        self._tar.addfile(info, reader)
        entry = Entry(path, size, reader.hexdigest())
        self.entries.append(entry)
        return entry

    def close_with(self, manifest: Manifest) -> None:
        """Write the manifest and everything to disk; nothing can be added any more."""
        content = json.dumps(asdict(manifest), indent=1).encode()
        info = tarfile.TarInfo(MANIFEST_NAME)
        info.size = len(content)
        info.mode = 0o600
        self._tar.addfile(info, io.BytesIO(content))
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())

    @property
    def partial(self) -> Path:
        """Where it is written until `commit`."""
        return self._partial

    def commit(self) -> None:
        """Give it its name, durably."""
        self._file.close()
        os.replace(self._partial, self._path)
        sync_folder(self._path.parent)


def read_archive(
    path: Path,
    *,
    keep: Callable[[str], IO[bytes]] | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Manifest:
    """Read a whole backup and check it: names, sizes, hashes, nothing missing, nothing besides.

    Args:
        path: The tar.
        keep: Returns where a file of this path goes; what it returns is closed here. None: only
            check. What was kept counts for nothing unless this returns.
        progress: Told (bytes read, bytes in all).

    Raises:
        BackupError: it cannot be read, is no backup, or is damaged.
    """
    try:
        total = path.stat().st_size
        with tarfile.open(path, "r:") as tar:
            found, manifest = _read_members(tar, keep, lambda: progress(tar.offset, total))
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise BackupError(f"{path} is no backup of wynd-chat, or damaged ({error})") from None
    except OSError as error:
        raise BackupError(f"{path}: {error.strerror or error}") from None
    if manifest is None:
        raise BackupError(f"{path} has no manifest: it was not written to its end")
    _compare(path, found, manifest)
    progress(total, total)
    return manifest


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_members(
    tar: tarfile.TarFile,
    keep: Callable[[str], IO[bytes]] | None,
    note: Callable[[], None],
) -> tuple[dict[str, Entry], Manifest | None]:
    found: dict[str, Entry] = {}
    manifest: Manifest | None = None
    for member in tar:
        name = member.name
        source = tar.extractfile(member) if member.isreg() else None
        if source is None or manifest is not None or name in found:
            raise ValueError(f"{name[:80]!r} does not belong there")
        if name == MANIFEST_NAME:
            manifest = _parse(source.read(MANIFEST_BYTES_MAX))
        elif name == DATABASE_NAME or _CONTENT.fullmatch(name):
            reader = _Hashing(source, lambda _: note())
            _copy(reader, None if keep is None else keep(name))
            found[name] = Entry(name, member.size, reader.hexdigest())
        else:
            raise ValueError(f"{name[:80]!r} does not belong there")
    return found, manifest


def _copy(source: _Hashing, target: IO[bytes] | None) -> None:
    if target is None:
        while source.read(CHUNK):
            pass
        return
    with target:
        while chunk := source.read(CHUNK):
            target.write(chunk)
        target.flush()
        os.fsync(target.fileno())


def _parse(content: bytes) -> Manifest:
    fields: Any = json.loads(content)
    if not isinstance(fields, dict) or not isinstance(fields.get("format"), int):
        raise ValueError("its manifest cannot be read")  # damaged, not a mistake
    if fields["format"] > FORMAT:
        raise BackupError("this backup was made by a newer wynd-chat; restore it with that one")
    try:
        files = tuple(Entry(**entry) for entry in fields.pop("files"))
        return Manifest(**{**fields, "files": files})
    except (TypeError, KeyError):
        raise ValueError("its manifest cannot be read") from None


def _compare(path: Path, found: Mapping[str, Entry], manifest: Manifest) -> None:
    listed = {entry.path: entry for entry in manifest.files}
    wrong = sorted(name for name, entry in listed.items() if found.get(name) != entry)
    unlisted = sorted(found.keys() - listed.keys())
    if wrong or unlisted:
        name = (wrong or unlisted)[0]
        more = len(wrong) + len(unlisted) - 1
        others = f" and {more} more" if more else ""
        raise BackupError(f"{path} is damaged: {name}{others} is not what the manifest says")


class _Hashing:
    """Reads a file and hashes what passes."""

    def __init__(self, source: IO[bytes], note: Callable[[int], None]) -> None:
        self._source = source
        self._hash = hashlib.sha256()
        self._note = note

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes."""
        chunk = self._source.read(size)
        self._hash.update(chunk)
        self._note(len(chunk))
        return chunk

    def hexdigest(self) -> str:
        """Return the SHA-256 of what was read."""
        return self._hash.hexdigest()
