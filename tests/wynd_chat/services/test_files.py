"""`Files`: taking in, quotas, one-time links, who may read, and what is tidied up when."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.waiting import eventually
from tests.wynd_chat.kit import Kit, a_kit
from wynd_chat.adapters.files.memory import MemoryFiles
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import UploadState
from wynd_chat.ports.files import FilesFailure
from wynd_chat.services.files import DiskFull, Files

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wynd_chat.domain.models import Upload, User

MIB = 1024 * 1024


class FilesKit:
    """A kit with files."""

    def __init__(self, kit: Kit, contents: MemoryFiles) -> None:
        self.kit = kit
        self.contents = contents
        self.files = Files(
            kit.store,
            contents,
            kit.clock,
            kit.tokens,
            kit.limits,
            kit.rate_limits,
            kit.lobby.id,
        )

    async def take(self, user: User, data: bytes = b"hello", name: str = "a.txt") -> Upload:
        """Take a file in."""

        async def chunks() -> AsyncIterator[bytes]:
            yield data

        return await self.files.receive(user, name, chunks())

    async def row(self, upload: Upload) -> Upload:
        """Return a file's row as it is stored."""
        found: Upload = await self.kit.store.read(lambda s: s.upload(upload.id))
        return found


@pytest.fixture
async def made() -> AsyncIterator[FilesKit]:
    """Return files over memory; two days of time pass at most."""
    async with a_kit(uploads_per_minute=1000) as kit:
        made = FilesKit(kit, MemoryFiles(kit.clock))
        yield made
        await made.files.close()


async def refused(awaitable: Any) -> ErrorCode:
    """Return the code that something is refused with."""
    with pytest.raises(ChatError) as caught:
        await awaitable
    return caught.value.code


async def test_a_file_waits_for_an_hour(made: FilesKit) -> None:
    alice = await made.kit.account("Alice")
    lost, kept = await made.take(alice), await made.take(alice, b"kept")
    await made.kit.messaging.post(alice, made.kit.lobby, "", file_ids=(kept.id,))
    made.files.start()
    await made.kit.clock.advance(3_600)
    assert (await made.row(lost)).state is UploadState.PENDING
    await made.kit.clock.advance(600)
    await eventually(lambda: made.files._tidying is not None and made.files._tidying.done())
    assert (await made.row(lost)).state is UploadState.GONE
    assert (await made.row(kept)).state is UploadState.ATTACHED
    assert await refused(made.files.readable(alice, lost.id)) is ErrorCode.NOT_FOUND


async def test_contents_that_nothing_refers_to_are_swept(made: FilesKit) -> None:
    alice = await made.kit.account("Alice")
    lost, kept = await made.take(alice), await made.take(alice, b"kept")
    same = await made.take(alice, b"hello")
    await made.kit.messaging.post(alice, made.kit.lobby, "", file_ids=(kept.id,))
    await made.kit.clock.advance(3_601)
    assert await made.files.drop_pending() == 2
    assert await made.contents.has(lost.sha256)
    assert lost.sha256 == same.sha256
    assert await made.files.sweep() == 1
    assert not await made.contents.has(lost.sha256)
    assert await made.contents.has(kept.sha256)


async def test_a_content_that_was_just_kept_is_not_swept(made: FilesKit) -> None:
    incoming = await made.contents.receive()
    await incoming.write(b"its row is not stored yet")
    content = await incoming.keep()
    assert await made.files.sweep() == 0
    assert await made.contents.has(content.sha256)


async def test_tidying_goes_on_after_a_failure_of_the_store(made: FilesKit) -> None:
    alice = await made.kit.account("Alice")
    lost = await made.take(alice)
    made.files.start()
    made.kit.store.fail()
    await made.kit.clock.advance(4_200)
    await eventually(lambda: made.files._tidying is not None and made.files._tidying.done())
    made.kit.store.failure = None
    await made.kit.clock.advance(600)
    await eventually(lambda: made.files._tidying is not None and made.files._tidying.done())
    assert (await made.row(lost)).state is UploadState.GONE


async def test_a_day_passes_and_more_may_be_uploaded() -> None:
    async with a_kit(upload_bytes_max=MIB, upload_bytes_per_day_max=MIB) as kit:
        made = FilesKit(kit, MemoryFiles(kit.clock))
        alice = await kit.account("Alice")
        await made.take(alice, b"x" * MIB)
        assert await refused(made.take(alice)) is ErrorCode.RATE_LIMITED
        await kit.clock.advance(86_401)
        await made.take(alice)


async def test_a_refused_upload_is_not_counted_for_ever(made: FilesKit) -> None:
    alice = await made.kit.account("Alice")

    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        raise ChatError(ErrorCode.BAD_REQUEST, "cut")

    for _ in range(3):
        assert await refused(made.files.receive(alice, "a", broken())) is ErrorCode.BAD_REQUEST
    assert made.files._underway == {}
    assert made.contents.held_bytes == 0


async def test_a_cancelled_upload_leaves_nothing(made: FilesKit) -> None:
    alice = await made.kit.account("Alice")
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x"
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(made.files.receive(alice, "a", endless()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert made.files._underway == {}
    assert made.contents.held_bytes == 0


async def test_a_disk_that_fails_is_no_secret_and_no_detail(
    made: FilesKit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> Any:
        raise FilesFailure("/var/lib/wynd: I/O error")

    monkeypatch.setattr(made.contents, "receive", fail)
    alice = await made.kit.account("Alice")
    with pytest.raises(ChatError) as caught:
        await made.take(alice)
    assert caught.value.code is ErrorCode.UNAVAILABLE
    assert "/var" not in caught.value.sentence
    assert "/var/lib/wynd: I/O error" in caplog.text


async def test_a_disk_that_fills_up_meanwhile_ends_the_upload(made: FilesKit) -> None:
    alice = await made.kit.account("Alice")
    free = made.kit.limits.disk_free_bytes_min + 6 * MIB
    contents = MemoryFiles(made.kit.clock, capacity=free)
    files = FilesKit(made.kit, contents).files

    async def chunks() -> AsyncIterator[bytes]:
        for number in range(20):
            if number == 3:
                other = await contents.receive()
                await other.write(b"y" * 7 * MIB)
                await other.keep()
            yield b"x" * MIB

    with pytest.raises(DiskFull):
        await files.receive(alice, "a", chunks())
    assert contents.held_bytes == 7 * MIB


async def test_a_link_works_once_and_for_a_quarter_of_an_hour(made: FilesKit) -> None:
    kit = made.kit
    alice = await kit.account("Alice")
    dev = await kit.room(alice)
    code = await made.files.new_link(alice, dev)
    user, room, token = await made.files.take_link(code)
    assert (user.id, room.id) == (alice.id, dev.id)
    assert await refused(made.files.take_link(code)) is ErrorCode.EXPIRED
    await made.files.give_back(token)
    await made.files.take_link(code)
    late = await made.files.new_link(alice, dev)
    await kit.clock.advance(900)
    assert await refused(made.files.take_link(late)) is ErrorCode.EXPIRED


async def test_a_link_is_not_given_where_one_may_not_write(made: FilesKit) -> None:
    kit = made.kit
    alice, bob = await kit.account("Alice"), await kit.account("Bob")
    dev = await kit.room(alice)
    assert await refused(made.files.new_link(bob, dev)) is ErrorCode.NOT_MEMBER
    locked = await kit.change(await kit.room(alice, "locked", bob), locked=True)
    assert await refused(made.files.new_link(bob, locked)) is ErrorCode.FORBIDDEN


async def test_a_row_without_its_content_is_no_file(made: FilesKit) -> None:
    alice = await made.kit.account("Alice")
    upload = await made.take(alice)
    await made.contents.remove(upload.sha256, made.kit.clock.now_ms() + 1)
    assert await refused(made.files.readable(alice, upload.id)) is ErrorCode.NOT_FOUND
