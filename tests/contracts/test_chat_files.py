"""The contract of `wynd_chat.ports.files.FileStore`, over a folder and over memory."""

from __future__ import annotations

import asyncio
import hashlib
import random
from typing import TYPE_CHECKING

import pytest

from tests.wynd_chat.kit import START_MS, HandClock
from wynd_chat.adapters.files.folder import FolderFiles
from wynd_chat.adapters.files.memory import MemoryFiles
from wynd_chat.ports.files import FilesFailure, StoredContent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from wynd_chat.ports.files import FileStore

HOUR_MS = 3_600_000


@pytest.fixture
def clock() -> HandClock:
    """Return a clock that stands still."""
    return HandClock()


@pytest.fixture(params=["folder", "memory"])
async def files(
    request: pytest.FixtureRequest, tmp_path: Path, clock: HandClock
) -> AsyncIterator[FileStore]:
    """Return an empty file store."""
    store: FileStore
    store = MemoryFiles(clock) if request.param == "memory" else FolderFiles(tmp_path / "f", clock)
    await store.open()
    yield store
    await store.close()


async def kept(files: FileStore, *chunks: bytes) -> StoredContent:
    """Take a content in."""
    incoming = await files.receive()
    for chunk in chunks:
        await incoming.write(chunk)
    return await incoming.keep()


async def whole(files: FileStore, sha256: str, start: int, length: int) -> bytes:
    """Return a stretch of a content."""
    return b"".join([piece async for piece in files.read(sha256, start, length)])


async def test_a_content_is_found_under_its_hash(files: FileStore) -> None:
    content = await kept(files, b"hel", b"", b"lo")
    assert content == StoredContent(
        hashlib.sha256(b"hello").hexdigest(), 5, "text/plain", None, None
    )
    assert await files.has(content.sha256)
    assert not await files.has("0" * 64)
    assert await whole(files, content.sha256, 0, 5) == b"hello"
    assert await whole(files, content.sha256, 1, 3) == b"ell"
    assert await whole(files, content.sha256, 5, 0) == b""


async def test_an_empty_content_is_a_content(files: FileStore) -> None:
    content = await kept(files)
    assert content.size == 0
    assert content.sha256 == hashlib.sha256().hexdigest()
    assert await whole(files, content.sha256, 0, 0) == b""


async def test_a_large_content_comes_back_in_pieces(files: FileStore) -> None:
    data = random.Random(7).randbytes(1_000_003)
    content = await kept(files, *(data[at : at + 65_536] for at in range(0, len(data), 65_536)))
    assert content.sha256 == hashlib.sha256(data).hexdigest()
    pieces = [piece async for piece in files.read(content.sha256, 0, len(data))]
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= 256 * 1024
    assert await whole(files, content.sha256, 262_143, 3) == data[262_143:262_146]


async def test_equal_contents_are_kept_once(files: FileStore) -> None:
    first = await kept(files, b"the same")
    second = await kept(files, b"the ", b"same")
    assert first == second
    assert files.held_bytes == 8
    assert await files.contents("", 10) == [first.sha256]


async def test_what_is_discarded_leaves_nothing(files: FileStore) -> None:
    incoming = await files.receive()
    await incoming.write(b"x" * 300_000)
    await incoming.discard()
    await incoming.discard()
    with pytest.raises(FilesFailure):
        await incoming.keep()
    assert files.held_bytes == 0
    assert await files.contents("", 10) == []


async def test_what_was_kept_is_not_discarded_any_more(files: FileStore) -> None:
    incoming = await files.receive()
    await incoming.write(b"here to stay")
    content = await incoming.keep()
    await incoming.discard()
    assert await whole(files, content.sha256, 0, 12) == b"here to stay"
    with pytest.raises(FilesFailure):
        await incoming.keep()


async def test_reading_what_is_not_there_fails(files: FileStore) -> None:
    content = await kept(files, b"short")
    for sha256, length in (("0" * 64, 1), (content.sha256, 6)):
        with pytest.raises(FilesFailure):
            await whole(files, sha256, 0, length)


@pytest.mark.parametrize(
    "name", ["", "../../etc/passwd", "/etc/passwd", "A" * 64, "0" * 63, "..\0"]
)
async def test_what_is_no_hash_is_not_there(files: FileStore, name: str) -> None:
    assert not await files.has(name)
    assert not await files.remove(name, START_MS + HOUR_MS)
    with pytest.raises(FilesFailure):
        await whole(files, name, 0, 1)


async def test_only_what_was_kept_long_ago_is_removed(files: FileStore, clock: HandClock) -> None:
    old = await kept(files, b"old")
    await clock.advance(3600)
    new = await kept(files, b"new")
    assert not await files.remove(new.sha256, START_MS + HOUR_MS)
    assert await files.remove(old.sha256, START_MS + HOUR_MS)
    assert not await files.remove(old.sha256, START_MS + HOUR_MS)
    assert not await files.has(old.sha256)
    assert files.held_bytes == 3


async def test_keeping_again_renews(files: FileStore, clock: HandClock) -> None:
    content = await kept(files, b"again")
    await clock.advance(3600)
    await kept(files, b"again")
    assert not await files.remove(content.sha256, START_MS + HOUR_MS)
    assert await files.has(content.sha256)


async def test_contents_are_listed_in_pages(files: FileStore) -> None:
    hashes = sorted([(await kept(files, b"%d" % number)).sha256 for number in range(25)])
    pages, after = [], ""
    while page := await files.contents(after, 10):
        pages.append(page)
        after = page[-1]
    assert [len(page) for page in pages] == [10, 10, 5]
    assert [one for page in pages for one in page] == hashes


async def test_many_come_in_at_once(files: FileStore) -> None:
    async def one(number: int) -> str:
        return (await kept(files, b"%d" % (number % 10) * 100_000)).sha256

    hashes = await asyncio.gather(*(one(number) for number in range(40)))
    assert len(set(hashes)) == 10
    assert files.held_bytes == 10 * 100_000
    for sha256 in set(hashes):
        data = await whole(files, sha256, 0, 100_000)
        assert hashlib.sha256(data).hexdigest() == sha256


async def test_what_is_free_goes_down(files: FileStore) -> None:
    assert await files.free_bytes() > 0
