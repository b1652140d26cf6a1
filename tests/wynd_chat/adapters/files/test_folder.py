"""Contents in a folder: where they lie, what a crash leaves, and links that lead elsewhere."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from typing import TYPE_CHECKING

import pytest

from tests.waiting import eventually
from tests.wynd_chat.kit import START_MS, HandClock
from wynd_chat.adapters.files.folder import FolderFiles
from wynd_chat.ports.files import FilesFailure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HELLO = hashlib.sha256(b"hello").hexdigest()


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[FolderFiles]:
    """Return contents in a folder that is made for them."""
    store = FolderFiles(tmp_path / "data" / "files", HandClock())
    await store.open()
    yield store
    await store.close()


def root(tmp_path: Path) -> Path:
    """Return the folder."""
    return tmp_path / "data" / "files"


def place(tmp_path: Path, sha256: str = HELLO) -> Path:
    """Return where a content lies."""
    return root(tmp_path) / sha256[:2] / sha256[2:4] / sha256


async def keep(files: FolderFiles, data: bytes = b"hello") -> str:
    """Take a content in; return its hash."""
    incoming = await files.receive()
    await incoming.write(data)
    return (await incoming.keep()).sha256


async def read(files: FolderFiles, sha256: str = HELLO, length: int = 5) -> bytes:
    """Return the beginning of a content."""
    return b"".join([piece async for piece in files.read(sha256, 0, length)])


async def test_a_content_lies_where_backups_look_for_it(files: FolderFiles, tmp_path: Path) -> None:
    await keep(files)
    assert place(tmp_path).read_bytes() == b"hello"
    assert stat.S_IMODE(place(tmp_path).stat().st_mode) == 0o600
    assert stat.S_IMODE(root(tmp_path).stat().st_mode) == 0o700
    assert list((root(tmp_path) / "incoming").iterdir()) == []


async def test_what_a_crash_left_half_received_goes_at_the_next_start(
    files: FolderFiles, tmp_path: Path
) -> None:
    await keep(files)
    (root(tmp_path) / "incoming" / "half").write_bytes(b"hel")
    again = FolderFiles(root(tmp_path), HandClock())
    await again.open()
    assert list((root(tmp_path) / "incoming").iterdir()) == []
    assert again.held_bytes == 5
    assert await read(again) == b"hello"
    await again.close()


async def test_foreign_files_in_the_folder_are_let_alone(
    files: FolderFiles, tmp_path: Path
) -> None:
    await keep(files)
    (root(tmp_path) / "README").write_text("hands off")
    (root(tmp_path) / "zz").mkdir()
    (place(tmp_path).parent / ("z" * 64)).write_text("no hash")
    assert await files.contents("", 10) == [HELLO]
    again = FolderFiles(root(tmp_path), HandClock())
    await again.open()
    assert again.held_bytes == 5
    await again.close()


async def test_a_link_instead_of_a_content_is_not_followed(
    files: FolderFiles, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    place(tmp_path).parent.mkdir(parents=True)
    place(tmp_path).symlink_to(secret)
    assert not await files.has(HELLO)
    with pytest.raises(FilesFailure):
        await read(files)
    await keep(files)  # puts the content where the link was
    assert not place(tmp_path).is_symlink()
    assert secret.read_bytes() == b"secret"
    assert await read(files) == b"hello"


@pytest.mark.parametrize("depth", [0, 1])
async def test_a_link_instead_of_a_folder_is_not_followed(
    files: FolderFiles, tmp_path: Path, depth: int
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / HELLO[2:4]).mkdir(parents=True)
    link = (place(tmp_path).parent.parent, place(tmp_path).parent)[depth]
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(elsewhere)
    with pytest.raises(FilesFailure, match="no folder"):
        await keep(files)
    for lure in (elsewhere / HELLO, elsewhere / HELLO[2:4] / HELLO):
        lure.write_bytes(b"LURED")
    with pytest.raises(FilesFailure):
        await read(files)
    assert await files.contents("", 10) == []
    assert list((root(tmp_path) / "incoming").iterdir()) == []


async def test_a_pipe_instead_of_a_content_does_not_block(
    files: FolderFiles, tmp_path: Path
) -> None:
    place(tmp_path).parent.mkdir(parents=True)
    os.mkfifo(place(tmp_path))
    assert not await files.has(HELLO)


async def test_a_cut_content_is_replaced_by_the_whole(files: FolderFiles, tmp_path: Path) -> None:
    await keep(files)
    place(tmp_path).write_bytes(b"hel")
    with pytest.raises(FilesFailure, match="ends at 3"):
        await read(files)
    await keep(files)
    assert await read(files) == b"hello"


async def test_a_full_disk_leaves_nothing_behind(
    files: FolderFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    incoming = await files.receive()
    await incoming.write(b"x" * 300_000)
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(FilesFailure, match="No space left"):
        await incoming.write(b"x" * 300_000)
    monkeypatch.undo()
    await incoming.discard()
    assert list((root(tmp_path) / "incoming").iterdir()) == []


async def test_a_rename_that_fails_leaves_nothing_behind(
    files: FolderFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("refused")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(FilesFailure):
        await keep(files)
    assert list((root(tmp_path) / "incoming").iterdir()) == []
    assert not await files.has(HELLO)


async def test_a_cancelled_upload_leaves_nothing_behind(files: FolderFiles, tmp_path: Path) -> None:
    incoming = await files.receive()

    async def upload() -> None:
        while True:
            await incoming.write(b"x" * 300_000)

    task = asyncio.create_task(upload())
    await eventually(lambda: bool(list((root(tmp_path) / "incoming").iterdir())))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await incoming.discard()
    assert list((root(tmp_path) / "incoming").iterdir()) == []


async def test_times_are_those_of_the_clock(files: FolderFiles, tmp_path: Path) -> None:
    await keep(files)
    assert place(tmp_path).stat().st_mtime_ns // 1_000_000 == START_MS


async def test_a_place_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("a file")
    store = FolderFiles(tmp_path / "files", HandClock())
    with pytest.raises(FilesFailure):
        await store.open()
    await store.close()
