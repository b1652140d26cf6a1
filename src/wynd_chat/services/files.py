"""`Files`: taking files in, who may read them, one-time links for uploading, and tidying up.

Decides rights and quotas. A file belongs to its uploader until a message takes it; from then on
whoever may read that message may read the file. Contents are kept by `ports.files`, once each.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.files import clean_file_name
from wynd_chat.domain.models import Upload, UploadState, UploadToken, UserStatus
from wynd_chat.domain.permissions import check_post
from wynd_chat.ports.files import FilesFailure
from wynd_chat.ports.store import StoreFailure
from wynd_chat.services.accounts import hash_of
from wynd_chat.services.bans import check_not_banned
from wynd_chat.services.history import visible_from
from wynd_chat.services.rooms import known_room

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wynd_chat.domain.limits import ChatLimits
    from wynd_chat.domain.models import Room, User
    from wynd_chat.ports.clock import Clock, Timer, Tokens
    from wynd_chat.ports.files import FileStore, Incoming, StoredContent
    from wynd_chat.ports.store import Snapshot, Store, Transaction
    from wynd_chat.services.ratelimits import RateLimits

__all__ = ["DiskFull", "Files"]

log = logging.getLogger("wynd_chat.files")

DAY_MS = 24 * 3600 * 1000
HOUR_MS = 3600 * 1000
TOKEN_MS = 15 * 60 * 1000  # of `/upload` (chat.md 3.2)
TIDY_EVERY_S = 600.0  # pending uploads go at most so much later than they might
SWEEP_EVERY_MS = DAY_MS  # contents that nobody refers to any more (chat.md 10)
BATCH = 500  # rows or contents at once, so that messages are stored in between
SPACE_CHECK_BYTES = 4 * 1024 * 1024  # of one upload, between two looks at the free space
UNWRITABLE = "files can't be stored right now, try again soon"
NO_FILE = "there is no such file"


class DiskFull(ChatError):
    """Too little disk is free for files; messages must still be stored (HTTP 507)."""

    status = 507

    def __init__(self) -> None:
        sentence = "the server's disk is nearly full, files can't be uploaded"
        super().__init__(ErrorCode.UNAVAILABLE, sentence, retry_after=600.0)


class Files:
    """The files of all rooms."""

    def __init__(
        self,
        store: Store,
        contents: FileStore,
        clock: Clock,
        tokens: Tokens,
        limits: ChatLimits,
        rate_limits: RateLimits,
        lobby_id: str,
    ) -> None:
        self._store = store
        self._contents = contents
        self._clock = clock
        self._tokens = tokens
        self._limits = limits
        self._rate_limits = rate_limits
        self._lobby_id = lobby_id
        self._underway: dict[str, int] = {}  # bytes of uploads that are not rows yet, by user
        self._last_steps: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._timer: Timer | None = None
        self._tidying: asyncio.Task[None] | None = None
        self._swept_at: int | None = None

    @property
    def held_bytes(self) -> int:
        """Bytes of all contents."""
        return self._contents.held_bytes

    # Taking in

    async def receive(
        self, user: User, name: str, chunks: AsyncIterator[bytes], *, size: int | None = None
    ) -> Upload:
        """Take a file in; it waits for a message of its owner, and goes after an hour without.

        Args:
            user: Whose it is.
            name: What the user calls it.
            chunks: The content, as it comes.
            size: Its size where that was said; a file that is too large is then refused at once.

        Raises:
            ChatError: `too_large`, `rate_limited` (uploads a minute, bytes a day), `bad_request`
                for an empty file, `unavailable`, `DiskFull`; what `chunks` raises.
        """
        self._rate_limits.upload(user.id)
        if size is not None and size > self._limits.upload_bytes_max:
            raise self._too_large()
        allowed = await self._allowance(user)
        if size is not None:
            self._check_allowance(size, allowed)
        await self._check_space(size or 0)
        incoming: Incoming | None = None
        taken = 0
        try:
            incoming = await self._contents.receive()
            checked_at = 0
            async for chunk in chunks:
                taken += len(chunk)
                self._underway[user.id] = self._underway.get(user.id, 0) + len(chunk)
                if taken > self._limits.upload_bytes_max:
                    raise self._too_large()
                # What others of this user take meanwhile counts too; see `_allowance`.
                self._check_allowance(self._underway[user.id], allowed)
                if taken - checked_at > SPACE_CHECK_BYTES:
                    await self._check_space(0)
                    checked_at = taken
                await incoming.write(chunk)
            if not taken:
                raise ChatError(ErrorCode.BAD_REQUEST, "the file is empty")
            async with self._last_step_of(user):
                # Others of this user may have been noted since the first look.
                self._check_allowance(taken, await self._allowance(user))
                content = await incoming.keep()
                return await self._noted(user, name, content)
        except FilesFailure as error:
            log.error("an upload failed: %s", error)
            raise ChatError(ErrorCode.UNAVAILABLE, UNWRITABLE, retry_after=5.0) from error
        finally:
            self._release(user, taken)
            if incoming is not None:
                await self._discard(incoming)

    def _last_step_of(self, user: User) -> asyncio.Lock:
        """Return what lets one upload of a user at a time become a file and a row."""
        lock = self._last_steps.get(user.id)
        if lock is None:
            lock = self._last_steps[user.id] = asyncio.Lock()
        return lock

    async def _noted(self, user: User, name: str, content: StoredContent) -> Upload:
        now = self._clock.now_ms()
        upload = Upload(
            id=self._tokens.new_id("f_"),
            sha256=content.sha256,
            size=content.size,
            mime=content.mime,
            name=clean_file_name(name, self._limits.file_name_bytes_max),
            w=content.w,
            h=content.h,
            owner_id=user.id,
            room_id=None,
            created_at=now,
        )

        def work(tx: Transaction) -> None:
            used = sum(one.size for one in tx.uploads_of(user.id, now - DAY_MS))
            self._check_allowance(content.size, self._limits.upload_bytes_per_day_max - used)
            tx.put_upload(upload)

        await self._store.write(work)
        return upload

    async def _allowance(self, user: User) -> int:
        """Return how many bytes a user may still upload today, those under way not counted."""
        since = self._clock.now_ms() - DAY_MS
        used = await self._store.read(
            lambda snapshot: sum(one.size for one in snapshot.uploads_of(user.id, since))
        )
        return self._limits.upload_bytes_per_day_max - used

    def _check_allowance(self, size: int, allowed: int) -> None:
        if size > allowed:
            most = self._limits.upload_bytes_per_day_max // (1024 * 1024)
            sentence = f"at most {most} MiB of files a day, try again tomorrow"
            raise ChatError(ErrorCode.RATE_LIMITED, sentence, retry_after=3600.0)

    async def _check_space(self, size: int) -> None:
        try:
            free = await self._contents.free_bytes()
        except FilesFailure as error:
            log.error("free space is not known: %s", error)
            raise ChatError(ErrorCode.UNAVAILABLE, UNWRITABLE, retry_after=5.0) from error
        if free - size < self._limits.disk_free_bytes_min:
            raise DiskFull

    def _too_large(self) -> ChatError:
        most = self._limits.upload_bytes_max // (1024 * 1024)
        return ChatError(ErrorCode.TOO_LARGE, f"a file has at most {most} MiB")

    def _release(self, user: User, taken: int) -> None:
        left = self._underway.get(user.id, 0) - taken
        if left > 0:
            self._underway[user.id] = left
        else:
            self._underway.pop(user.id, None)

    async def _discard(self, incoming: Incoming) -> None:
        try:
            await incoming.discard()
        except FilesFailure as error:
            log.error("what was received of a file stays: %s", error)

    # One-time links

    async def new_link(self, user: User, room: Room) -> str:
        """Return the code of a link with which one file is shared in a room, within 15 minutes.

        Raises:
            ChatError: as for posting there.
        """
        code = self._tokens.secret()
        now = self._clock.now_ms()
        token = UploadToken(
            code_hash=hash_of(code),
            owner_id=user.id,
            target=room.id,
            uses_left=1,
            expires_at=now + TOKEN_MS,
        )

        def work(tx: Transaction) -> None:
            self._check_may_share(tx, user, room.id, now)
            tx.put_upload_token(token)

        await self._store.write(work)
        return code

    async def take_link(self, code: str) -> tuple[User, Room, UploadToken]:
        """Use a link up; return whose it is, and where the file goes.

        Raises:
            ChatError: `expired`: unknown, used, too old; what posting there is refused with.
        """
        now = self._clock.now_ms()

        def work(tx: Transaction) -> tuple[User, Room, UploadToken]:
            token = tx.upload_token(hash_of(code))
            user = None if token is None else tx.user(token.owner_id)
            if (
                token is None
                or user is None
                or token.uses_left < 1
                or token.expires_at <= now
                or user.status is not UserStatus.ACTIVE
            ):
                raise ChatError(ErrorCode.EXPIRED, "this link has ended, type /upload again")
            check_not_banned(tx, user, self._lobby_id, now)
            room = self._check_may_share(tx, user, token.target, now)
            tx.drop_upload_token(token.code_hash)
            return user, room, token

        return await self._store.write(work)

    async def give_back(self, token: UploadToken) -> None:
        """Make a link usable again whose upload failed."""
        try:
            await self._store.write(lambda tx: tx.put_upload_token(token))
        except (StoreFailure, ValueError) as error:  # its room or owner may have gone meanwhile
            log.warning("a link for an upload was used up by one that failed: %s", error)

    def _check_may_share(self, snapshot: Snapshot, user: User, room_id: str, now: int) -> Room:
        room, membership = known_room(snapshot, user, room_id)
        check_post(
            room,
            membership,
            is_privileged=user.is_admin and not room.is_direct,
            now=now,
            last_at=snapshot.last_message_at(room.id, user.id),
        )
        return room

    # Reading

    async def readable(self, user: User, file_id: str) -> Upload:
        """Return a file that a user may read.

        Raises:
            ChatError: `not_found`, `not_member`.
        """

        def work(snapshot: Snapshot) -> Upload | None:
            upload = snapshot.upload(file_id)
            if upload is None or upload.state is UploadState.GONE:
                return None
            if upload.state is UploadState.PENDING or upload.room_id is None:
                return upload if upload.owner_id == user.id else None
            try:
                room, membership = known_room(snapshot, user, upload.room_id)
            except ChatError:
                return None  # a room that the user may not know of
            if membership is None and not user.is_admin:
                sentence = f"you are not in #{room.name}, use /join"
                raise ChatError(ErrorCode.NOT_MEMBER, sentence)
            seq = snapshot.seq_of_message(upload.message_id or "")
            return None if seq is None or seq < visible_from(room, membership) else upload

        upload = await self._store.read(work)
        if upload is None or not await self._contents.has(upload.sha256):
            raise ChatError(ErrorCode.NOT_FOUND, NO_FILE)
        return upload

    def content(self, upload: Upload, start: int, length: int) -> AsyncIterator[bytes]:
        """Yield a stretch of a file.

        Raises:
            FilesFailure: it is not there any more.
        """
        return self._contents.read(upload.sha256, start, length)

    # Tidying up

    def start(self) -> None:
        """Tidy up from time to time, from now on."""
        self._timer = self._clock.call_later(TIDY_EVERY_S, self._due)

    async def close(self) -> None:
        """Stop that."""
        if self._timer is not None:
            self._timer.cancel()
        if self._tidying is not None:
            self._tidying.cancel()
            await asyncio.gather(self._tidying, return_exceptions=True)

    def _due(self) -> None:
        self._timer = self._clock.call_later(TIDY_EVERY_S, self._due)
        if self._tidying is None or self._tidying.done():
            self._tidying = asyncio.get_running_loop().create_task(self._tidied())

    async def _tidied(self) -> None:
        try:
            await self.drop_pending()
            now = self._clock.now_ms()
            if self._swept_at is None or now >= self._swept_at + SWEEP_EVERY_MS:
                self._swept_at = now
                await self.sweep()
        except (StoreFailure, FilesFailure) as error:
            log.error("files are not tidied up: %s", error)

    async def drop_pending(self) -> int:
        """Give up files that no message took within an hour; return how many."""
        before = self._clock.now_ms() - self._limits.upload_pending_s * 1000
        total = 0
        while True:

            def work(tx: Transaction) -> int:
                stale = tx.stale_uploads(before)[:BATCH]
                for upload in stale:
                    tx.put_upload(replace(upload, state=UploadState.GONE))
                return len(stale)

            dropped = await self._store.write(work)
            total += dropped
            if dropped < BATCH:
                return total

    async def sweep(self) -> int:
        """Remove contents that no file refers to, kept longer ago than an hour; return how many.

        The hour is for those who are between keeping a content and storing its row.
        """
        kept_before = self._clock.now_ms() - HOUR_MS
        after, removed = "", 0
        while hashes := await self._contents.contents(after, BATCH):
            after = hashes[-1]

            def unused(snapshot: Snapshot, hashes: list[str] = hashes) -> list[str]:
                return [one for one in hashes if not snapshot.is_content_used(one)]

            for sha256 in await self._store.read(unused):
                removed += await self._contents.remove(sha256, kept_before)
        return removed
