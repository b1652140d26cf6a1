"""`Messaging`: somebody says something, in a room or to somebody.

The order: judge, number and commit (by the store), show (by the feed, which the store tells), then
acknowledge (by the caller). Knows no face; how often somebody may speak is decided elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.events import Author, MessageKind
from wynd_chat.domain.models import RoomKind
from wynd_chat.domain.text import accept_text, mentioned_names
from wynd_chat.ports.store import NewMessage

if TYPE_CHECKING:
    from wynd_chat.domain.limits import ChatLimits
    from wynd_chat.domain.models import Room, User
    from wynd_chat.ports.clock import Clock, Tokens
    from wynd_chat.ports.faults import Faults
    from wynd_chat.ports.store import Posted, Snapshot, Store

__all__ = ["Messaging", "author_of"]

CID_BYTES_MAX = 64


def author_of(user: User) -> Author:
    """Return a user as events show one."""
    return Author(user.id, user.name, user.kind)


class Messaging:
    """Posts messages."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        tokens: Tokens,
        limits: ChatLimits,
        faults: Faults,
    ) -> None:
        self._store = store
        self._clock = clock
        self._tokens = tokens
        self._limits = limits
        self._faults = faults

    async def post(
        self,
        user: User,
        room: Room,
        text: str,
        *,
        message_id: str | None = None,
        kind: MessageKind = MessageKind.TEXT,
        cid: str | None = None,
        file_ids: tuple[str, ...] = (),
        reply_to: int | None = None,
    ) -> Posted:
        """Store and show a message; when this returns, it may be acknowledged.

        `room` is only where to post; its state is judged in the transaction. A repeated `cid`
        returns the first message and shows nothing.

        Raises:
            ChatError: `bad_request`, `too_large`, or as `Store.post` says.
            StoreFailure: nothing was stored.
        """
        text = accept_text(text, self._limits.message_chars_max, "message")
        if not text and not file_ids:
            raise ChatError(ErrorCode.BAD_REQUEST, "a message needs a text or a file")
        if len(file_ids) > self._limits.files_per_message_max:
            raise ChatError(
                ErrorCode.TOO_LARGE,
                f"at most {self._limits.files_per_message_max} files in one message",
            )
        if cid is not None and not 1 <= len(cid.encode()) <= CID_BYTES_MAX:
            raise ChatError(ErrorCode.BAD_REQUEST, f"a cid has 1 to {CID_BYTES_MAX} bytes")
        return await self._store_message(
            NewMessage(
                id=message_id or self._tokens.new_id("m_"),
                room_id=room.id,
                author=author_of(user),
                kind=kind,
                text=text,
                mentions=await self._mentions(text),
                file_ids=file_ids,
                reply_to=reply_to,
                cid=cid,
                at=self._clock.now_ms(),
                is_privileged=user.is_admin and room.kind is not RoomKind.DM,
            )
        )

    async def has_written(self, user: User, room: Room) -> bool:
        """Tell whether a user has ever written into a room."""

        last = await self._store.read(lambda snapshot: snapshot.last_message_at(room.id, user.id))
        return last is not None

    async def announce(self, author: Author, room: Room, text: str) -> Posted:
        """Post a message of the server into a room, as `author`, who need not be a member."""
        text = accept_text(text, self._limits.message_chars_max, "message")
        if not text:
            raise ChatError(ErrorCode.BAD_REQUEST, "a message needs a text or a file")
        return await self._store_message(
            NewMessage(
                id=self._tokens.new_id("m_"),
                room_id=room.id,
                author=author,
                kind=MessageKind.SYSTEM,
                text=text,
                at=self._clock.now_ms(),
                is_privileged=True,
                is_announcement=True,
            )
        )

    async def _store_message(self, message: NewMessage) -> Posted:
        posted = await self._store.post(message)  # shown by the feed before this returns
        await self._faults.reached("before_acknowledgement")
        return posted

    async def _mentions(self, text: str) -> tuple[str, ...]:
        """Return the ids of those whom a text mentions."""
        if "@" not in text:
            return ()
        keys = mentioned_names(text)
        if not keys:
            return ()

        def work(snapshot: Snapshot) -> tuple[str, ...]:
            users = (snapshot.user_by_key(key) for key in keys)
            return tuple(dict.fromkeys(user.id for user in users if user is not None))

        return await self._store.read(work)
