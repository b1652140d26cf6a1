"""`Answers`: one answer for however many copies of a POST with an `Idempotency-Key`.

Copies that race wait for the first and are answered as it is; later ones get what was kept. A
refusal is not kept: it changed nothing, and may be otherwise next time. What is kept for how long
is `services.idempotency`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import Response

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.ports.store import StoreFailure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wynd_chat.domain.models import User
    from wynd_chat.services.idempotency import Idempotency

__all__ = ["Answers", "digest_of"]

log = logging.getLogger("wynd_chat.gateway")

NOT_KEPT = (
    "this Idempotency-Key was answered already; the answer held a secret and was not kept, send "
    "the request with another key"
)
_HEADERS = ("location", "content-type")  # of an answer; what is kept of its head


def digest_of(method: str, target: str, body: bytes) -> str:
    """Return what tells one request from another: a digest of all that it says."""
    digest = hashlib.sha256(json.dumps([method, target]).encode())
    digest.update(body)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer that can be given again."""

    status: int
    headers: dict[str, str]
    body: str

    @classmethod
    def of(cls, response: Response) -> Kept:
        """Return what is kept of an answer."""
        headers = {name: response.headers[name] for name in _HEADERS if name in response.headers}
        return cls(response.status_code, headers, bytes(response.body).decode())

    @classmethod
    def read(cls, status: int, text: str) -> Kept:
        """Return an answer from its stored form.

        Raises:
            ChatError: `conflict`: only that there was one is stored.
        """
        if not text:
            raise ChatError(ErrorCode.CONFLICT, NOT_KEPT)
        value = json.loads(text)
        return cls(status, value["headers"], value["body"])

    def stored(self) -> str:
        """Return its stored form."""
        return json.dumps({"headers": self.headers, "body": self.body}, ensure_ascii=False)

    def response(self) -> Response:
        """Return the answer, once more."""
        body = self.body.encode() if self.body else None
        return Response(body, self.status, self.headers)


@dataclass(frozen=True, slots=True)
class _Running:
    digest: str
    task: asyncio.Task[Kept]


class Answers:
    """The answers of one node; keys under way are known in memory, all others by the store."""

    def __init__(self, idempotency: Idempotency) -> None:
        self._idempotency = idempotency
        self._running: dict[tuple[str, str], _Running] = {}

    async def once(
        self,
        user: User,
        key: str,
        digest: str,
        work: Callable[[], Awaitable[Response]],
        *,
        is_secret: bool = False,
    ) -> Response:
        """Carry a request out, unless it was; return its answer.

        It is carried out to its end when its client goes away.

        Args:
            user: Who sent it.
            key: The client's key.
            digest: Of the request, see `digest_of`.
            work: Carries it out.
            is_secret: Whether its answer must not be stored; a repetition is then refused.

        Raises:
            ChatError: what `work` raises; `bad_request`, `conflict` as `Idempotency.reserve`.
        """
        slot = (user.id, key)
        running = self._running.get(slot)
        if running is None:
            task = asyncio.create_task(self._first(user, key, digest, work, is_secret))
            running = self._running[slot] = _Running(digest, task)
            task.add_done_callback(lambda _: self._running.pop(slot, None))
            task.add_done_callback(_retrieve)
        elif running.digest != digest:
            raise ChatError(ErrorCode.CONFLICT, "this Idempotency-Key is of another request")
        kept = await asyncio.shield(running.task)
        return kept.response()

    async def _first(
        self,
        user: User,
        key: str,
        digest: str,
        work: Callable[[], Awaitable[Response]],
        is_secret: bool,
    ) -> Kept:
        found = await self._idempotency.reserve(user, key, digest)
        if found is not None:
            return Kept.read(found.status, found.body)
        try:
            response = await work()
            kept = Kept.of(response)
        except BaseException:
            await self._release(user, key)
            raise
        if kept.status >= 300:
            await self._release(user, key)
            return kept
        try:
            text = "" if is_secret else kept.stored()
            await self._idempotency.keep(user, key, digest, kept.status, text)
        except StoreFailure as error:  # it was carried out: to say otherwise would be wrong
            log.error("an answer was given and not kept: %s", error)
        return kept

    async def _release(self, user: User, key: str) -> None:
        try:
            await self._idempotency.release(user, key)
        except StoreFailure as error:
            log.error("an Idempotency-Key of a refused request stays taken: %s", error)


def _retrieve(task: asyncio.Task[Kept]) -> None:
    """Take the exception of a task whose client went away; clients that wait get it anyway."""
    if not task.cancelled():
        task.exception()
