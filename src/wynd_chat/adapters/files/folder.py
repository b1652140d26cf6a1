"""`FolderFiles`: contents in a folder, `ab/cd/<sha256>`; what comes in, in `incoming/` until whole.

Decides where bytes are and when they count: written, fsynced, renamed, the folder fsynced. Every
call to the system runs on threads of its own. The only names are hashes and random ones, and no
symbolic link below the folder is followed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import secrets
import shutil
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from wynd_chat.adapters.files.kinds import HEAD_BYTES_MAX, TextCheck, kind_of
from wynd_chat.ports.files import FilesFailure, StoredContent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from wynd_chat.ports.clock import Clock

__all__ = ["FolderFiles"]

T = TypeVar("T")

THREADS = 4  # disks are not faster with more; hashing a chunk takes 0.2 ms
PIECE_BYTES = 256 * 1024  # read at once; a slow reader holds one piece
GATHERED_BYTES = 256 * 1024  # written at once; small chunks of a slow sender wait for more
INCOMING = "incoming"
_HASH = re.compile("[0-9a-f]{64}")
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)  # not on Windows, where links take privileges
_CLOEXEC = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class FolderFiles:
    """Keeps contents on a disk (`ports.files.FileStore`).

    Args:
        root: The folder; made where there is none. It may itself be a link to another disk.
        clock: Tells when contents were kept, which is their modification time.
    """

    def __init__(self, root: Path, clock: Clock) -> None:
        self._root = root
        self._clock = clock
        self._threads = ThreadPoolExecutor(THREADS, "wynd-chat-files")
        self._lock = threading.Lock()  # between keeping and removing
        self._held = 0

    async def open(self) -> None:
        """Make the folder, remove what a crash left half received, and count what is there."""
        await self.run(self._open)

    def _open(self) -> None:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._root = self._root.resolve()
        incoming = self._folder(INCOMING)
        for name in os.listdir(incoming):
            os.unlink(os.path.join(incoming, name))
        self._held = sum(os.lstat(self._path(one)).st_size for one in self._listed())

    async def close(self) -> None:
        """Finish what runs."""
        await asyncio.to_thread(self._threads.shutdown)

    async def receive(self) -> _FolderIncoming:
        """Begin to take a content in."""
        return _FolderIncoming(self)

    async def has(self, sha256: str) -> bool:
        """Tell whether a content is there."""
        return await self.run(lambda: self._is_there(sha256))

    async def read(self, sha256: str, start: int, length: int) -> AsyncIterator[bytes]:
        """Yield a stretch of a content."""
        descriptor = await self.run(lambda: self._opened(sha256))
        try:
            at, end = start, start + length
            while at < end:
                offset, size = at, min(PIECE_BYTES, end - at)
                piece = await self.run(lambda o=offset, n=size: _read_at(descriptor, o, n))  # type: ignore[misc]
                if not piece:
                    raise FilesFailure(f"content {sha256} ends at {at}, before {end}")
                at += len(piece)
                yield piece
        finally:
            os.close(descriptor)  # of a file that was read only: nothing waits for the disk

    async def remove(self, sha256: str, kept_before: int) -> bool:
        """Remove a content that was last kept before a time."""

        def unlink() -> bool:
            with self._lock:
                try:
                    path = self._path(sha256)
                    found = os.lstat(path)
                except FileNotFoundError:
                    return False
                if found.st_mtime_ns // 1_000_000 >= kept_before:
                    return False
                os.unlink(path)
                self._held -= found.st_size
            return True

        return await self.run(unlink)

    async def contents(self, after: str, limit: int) -> list[str]:
        """Return hashes above `after`, ascending."""
        return await self.run(lambda: self._listed(after, limit))

    async def free_bytes(self) -> int:
        """Return how much can still be written."""
        return await self.run(lambda: shutil.disk_usage(self._root).free)

    @property
    def held_bytes(self) -> int:
        """Bytes of all contents."""
        return self._held

    async def run(self, work: Callable[[], T]) -> T:
        """Run something that waits for the disk; it is carried out to its end in any case.

        Raises:
            FilesFailure: the system refused it.
        """
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        running.add_done_callback(_retrieve)
        try:
            return await asyncio.shield(running)
        except OSError as error:
            raise FilesFailure(str(error)) from error

    def make(self) -> tuple[int, str]:
        """Return descriptor and path of a new file for what comes in."""
        path = os.path.join(self._folder(INCOMING), secrets.token_hex(16))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW | _CLOEXEC
        return os.open(path, flags, 0o600), path

    def keep(self, path: str, sha256: str, size: int) -> None:
        """Make a whole file the content of this hash; on the disk when this returns."""
        now_ns = self._clock.now_ms() * 1_000_000
        with self._lock:
            folder = self._folder(sha256[:2], sha256[2:4])
            target = os.path.join(folder, sha256)
            os.utime(path, ns=(now_ns, now_ns))
            is_new = not self._is_there(sha256, size)
            os.replace(path, target)  # also over a link: the link goes, not what it leads to
            if is_new:
                self._held += size
        _sync_folder(folder)

    # Paths; every part of one is checked

    def _path(self, sha256: str) -> str:
        if _HASH.fullmatch(sha256) is None:
            raise FileNotFoundError("that is no hash")
        return os.path.join(self._root, sha256[:2], sha256[2:4], sha256)

    def _folder(self, *parts: str) -> str:
        """Return a folder below the root, made where there is none; never through a link."""
        path = os.fspath(self._root)
        for part in parts:
            parent, path = path, os.path.join(path, part)
            try:
                os.mkdir(path, 0o700)
                _sync_folder(parent)
            except FileExistsError:
                _check_folder(path)
        return path

    def _opened(self, sha256: str) -> int:
        path = self._path(sha256)
        folder = os.path.dirname(path)
        _check_folder(os.path.dirname(folder))
        _check_folder(folder)
        descriptor = os.open(path, os.O_RDONLY | _NOFOLLOW | _CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(f"{path} is no file")
        return descriptor

    def _is_there(self, sha256: str, size: int | None = None) -> bool:
        try:
            found = os.lstat(self._path(sha256))
        except FileNotFoundError:
            return False
        return stat.S_ISREG(found.st_mode) and size in (None, found.st_size)

    def _listed(self, after: str = "", limit: int | None = None) -> list[str]:
        found: list[str] = []
        for outer in _names(self._root, 2):
            if outer < after[:2]:
                continue
            for inner in _names(os.path.join(self._root, outer), 2):
                if outer + inner < after[:4]:
                    continue
                names = _names(os.path.join(self._root, outer, inner), 64)
                found += [
                    name
                    for name in names
                    if name > after and _HASH.fullmatch(name) and name.startswith(outer + inner)
                ]
                if limit is not None and len(found) >= limit:
                    return found[:limit]
        return found


class _FolderIncoming:
    """A content on its way in.

    Its file is made with the first bytes. Whatever runs on a thread holds the lock, so that a
    cancelled write and the discarding that follows it do not meet.
    """

    def __init__(self, files: FolderFiles) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._path = ""
        self._has_ended = False
        self._gathered = bytearray()
        self._hash = hashlib.sha256()
        self._text = TextCheck()
        self._head = b""
        self._size = 0

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._gathered += chunk
        if len(self._gathered) >= GATHERED_BYTES:
            await self._flush()

    async def keep(self) -> StoredContent:
        """Take it as whole."""
        try:
            await self._flush(is_last=True)
            return await self._files.run(self._kept)
        except BaseException:
            await self.discard()
            raise

    async def discard(self) -> None:
        """Forget it."""
        if not self._has_ended:
            await self._files.run(self._discarded)

    async def _flush(self, *, is_last: bool = False) -> None:
        data = bytes(self._gathered)
        self._gathered.clear()
        await self._files.run(lambda: self._written(data, is_last))

    # On threads

    def _written(self, data: bytes, is_last: bool) -> None:
        with self._lock:
            if self._has_ended:
                raise OSError("it was kept or discarded already")
            if self._descriptor is None:
                self._descriptor, self._path = self._files.make()
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]
            self._hash.update(data)
            self._text.feed(data, is_last=is_last)
            if len(self._head) < HEAD_BYTES_MAX:
                self._head += data[: HEAD_BYTES_MAX - len(self._head)]
            self._size += len(data)

    def _kept(self) -> StoredContent:
        with self._lock:
            if self._descriptor is None:
                raise OSError("it was kept or discarded already")
            os.fsync(self._descriptor)
            self._end()
            sha256 = self._hash.hexdigest()
            try:
                self._files.keep(self._path, sha256, self._size)
            except OSError:
                self._unlink()
                raise
        kind = kind_of(self._head, is_text=self._text.is_text)
        return StoredContent(sha256, self._size, *kind)

    def _discarded(self) -> None:
        with self._lock:
            if self._descriptor is not None:
                self._end()
                self._unlink()
            self._has_ended = True

    def _end(self) -> None:
        assert self._descriptor is not None
        descriptor, self._descriptor, self._has_ended = self._descriptor, None, True
        os.close(descriptor)

    def _unlink(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)


def _retrieve(running: asyncio.Future[Any]) -> None:
    """Take the exception of work whose caller was cancelled; other callers get it anyway."""
    if not running.cancelled():
        running.exception()


def _read_at(descriptor: int, offset: int, size: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(descriptor, size, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)  # Windows; one reader has a descriptor of its own
    return os.read(descriptor, size)


def _check_folder(path: str) -> None:
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        raise OSError(f"{path} is no folder, or a link to one")


def _names(path: Any, length: int) -> list[str]:
    """Return what is in a folder under names of this length, sorted; nothing behind a link."""
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        return []
    return sorted(name for name in os.listdir(path) if len(name) == length)


def _sync_folder(path: str) -> None:
    """Have the system write a folder's entries, where it can (not on Windows)."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
