"""`Sessions`: logins as rows: made, listed, ended, renewed; and whose connections must go then.

Only the SHA-256 of a token is stored; the token itself is returned once. Whatever ends a login is
carried out to its end even if its caller goes away, so that no connection outlives its login. Who
may log in is `logins`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import Session, SessionKind, User, UserKind, UserStatus
from wynd_chat.domain.sessions import (
    clean_label,
    expiry_of,
    is_over,
    is_token,
    public_id,
    renewed,
)
from wynd_chat.domain.text import clean_line
from wynd_chat.ports.outlet import ConnectionsEnded
from wynd_chat.services.accounts import hash_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Mapping

    from wynd_chat.ports.clock import Clock, Tokens
    from wynd_chat.ports.outlet import Outlet
    from wynd_chat.ports.store import Snapshot, Store, Transaction

__all__ = [
    "BANNED_CODE",
    "BANNED_REASON",
    "ENDED_CODE",
    "ENDED_REASON",
    "Origin",
    "Sessions",
    "drop_logins",
    "ended",
]

T = TypeVar("T")

# Close codes of chat.md 4, which the gateway only passes on; a test holds them to `wire`.
ENDED_CODE, ENDED_REASON = 4501, "this login has ended"
BANNED_CODE, BANNED_REASON = 4503, "kicked or banned"
LOGINS_MAX = 100  # of a user, tokens aside; those unused longest go
TOKENS_MAX = 100  # of a user; more are refused
USER_AGENT_CHARS_MAX = 200
TOKEN_LABEL = "token"
DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a login comes from, for the list in which users look for those they do not know."""

    address: str = ""
    user_agent: str = ""


def ended(user_id: str, hashes: Collection[str], *, besides: int = 0) -> ConnectionsEnded:
    """Return what is told of logins that ended."""
    return ConnectionsEnded(user_id, frozenset(hashes), ENDED_CODE, ENDED_REASON, besides)


def drop_logins(tx: Transaction, user_id: str, keep: str | None = None) -> list[str]:
    """End all logins of a user, tokens included, but the one to keep; return their hashes."""
    hashes = [one.token_hash for one in tx.sessions_of(user_id) if one.token_hash != keep]
    for token_hash in hashes:
        tx.drop_session(token_hash)
    return hashes


class Sessions:
    """The logins of all users."""

    def __init__(self, store: Store, outlet: Outlet, clock: Clock, tokens: Tokens) -> None:
        self._store = store
        self._outlet = outlet
        self._clock = clock
        self._tokens = tokens
        self._running: set[asyncio.Task[Any]] = set()

    def made(
        self, user_id: str, kind: SessionKind, label: str = "", origin: Origin | None = None
    ) -> tuple[str, Session]:
        """Return a new token and the login it stands for, which is not stored yet."""
        token, now = self._tokens.secret(), self._clock.now_ms()
        whence = origin or Origin()
        session = Session(
            token_hash=hash_of(token),
            user_id=user_id,
            kind=kind,
            label=clean_label(label),
            ip=whence.address,
            user_agent=clean_line(whence.user_agent)[:USER_AGENT_CHARS_MAX],
            created_at=now,
            last_seen_at=now,
            expires_at=expiry_of(kind, now),
        )
        return token, session

    async def begin(
        self, user: User, kind: SessionKind, *, label: str = "", origin: Origin | None = None
    ) -> tuple[str, Session]:
        """Store a new login of a user who was recognised; return its token, which nobody keeps.

        Raises:
            ChatError: `unauthorized`: the user may not log in any more.
        """
        token, session = self.made(user.id, kind, label, origin)

        def work(tx: Transaction) -> list[str]:
            _check_active(tx, user.id)
            logins = [one for one in tx.sessions_of(user.id) if not is_token(one)]
            logins.sort(key=lambda one: one.last_seen_at)
            gone = [one.token_hash for one in logins[: max(0, len(logins) + 1 - LOGINS_MAX)]]
            for token_hash in gone:
                tx.drop_session(token_hash)
            tx.put_session(session)
            return gone

        await self.end_by(user.id, work)
        return token, session

    async def new_token(
        self, user: User, label: str, *, days: int | None = None, origin: Origin | None = None
    ) -> tuple[str, Session]:
        """Store a new token for a program; return it. It lasts until it is revoked, or `days`.

        Raises:
            ChatError: `too_large` (label), `conflict` where a user has too many, `unauthorized`.
        """
        kind = SessionKind.BOT if user.kind is UserKind.BOT else SessionKind.API
        token, made = self.made(user.id, kind, clean_label(label, TOKEN_LABEL), origin)
        expires_at = None if days is None else made.created_at + days * DAY_MS
        session = replace(made, expires_at=expires_at)

        def work(tx: Transaction) -> None:
            _check_active(tx, user.id)
            if sum(map(is_token, tx.sessions_of(user.id))) >= TOKENS_MAX:
                sentence = f"at most {TOKENS_MAX} tokens, revoke one first"
                raise ChatError(ErrorCode.CONFLICT, sentence)
            tx.put_session(session)

        await self._store.write(work)
        return token, session

    async def list_of(self, user: User) -> list[Session]:
        """Return a user's logins and tokens that have not ended, oldest first."""
        now = self._clock.now_ms()
        found = await self._store.read(lambda snapshot: snapshot.sessions_of(user.id))
        return [session for session in found if not is_over(session, now)]

    async def end(self, user: User, ref: str, *, besides: int = 0) -> Session:
        """End one login or token of a user; its connections go, but for one.

        Args:
            user: Whose it is.
            ref: What lists call it, or its hash.
            besides: The connection that goes by itself, 0 for none.

        Raises:
            ChatError: `not_found`.
        """
        found: list[Session] = []

        def work(tx: Transaction) -> list[str]:
            found[:] = [one for one in tx.sessions_of(user.id) if _is_called(one, ref)]
            for session in found:
                tx.drop_session(session.token_hash)
            return [session.token_hash for session in found]

        await self.end_by(user.id, work, besides=besides)
        if not found:
            raise ChatError(ErrorCode.NOT_FOUND, "there is no such login")
        return found[0]

    async def revoke(self, user: User, label: str, *, besides: int = 0) -> int:
        """End a user's tokens of this label, or the one that lists call so; return how many.

        Raises:
            ChatError: `not_found`.
        """
        wanted = clean_label(label)

        def work(tx: Transaction) -> list[str]:
            tokens = [one for one in tx.sessions_of(user.id) if is_token(one)]
            hashes = [
                one.token_hash for one in tokens if wanted and wanted in (one.label, public_id(one))
            ]
            for token_hash in hashes:
                tx.drop_session(token_hash)
            return hashes

        gone = await self.end_by(user.id, work, besides=besides)
        if not gone:
            raise ChatError(ErrorCode.NOT_FOUND, "there is no such token, see /token list")
        return len(gone)

    async def end_by(
        self, user_id: str, work: Callable[[Transaction], list[str]], *, besides: int = 0
    ) -> list[str]:
        """Carry out `work`, which returns hashes of logins it ended; their connections go.

        Both happen or neither, also when the caller is cancelled meanwhile.
        """

        async def carry_out() -> list[str]:
            hashes = await self._store.write(work)
            if hashes:
                self._outlet.notice(ended(user_id, hashes, besides=besides))
            return hashes

        return await self._to_its_end(carry_out())

    async def forget(self, token_hash: str) -> None:
        """Remove a login that nobody can use any more; tells nobody."""
        await self._store.write(lambda tx: tx.drop_session(token_hash))

    async def standings(
        self, hashes: Collection[str], user_ids: Collection[str]
    ) -> tuple[Mapping[str, Session], Mapping[str, User]]:
        """Return which of these logins hold now, by hash, and which users there are, by id."""
        now = self._clock.now_ms()

        def work(snapshot: Snapshot) -> tuple[dict[str, Session], dict[str, User]]:
            return snapshot.sessions(hashes), snapshot.users(user_ids)

        sessions, users = await self._store.read(work)
        return {key: one for key, one in sessions.items() if not is_over(one, now)}, users

    async def renew(self, sessions: Collection[Session]) -> list[Session]:
        """Store that logins were used now, those for which it is time; return all as they are."""
        now = self._clock.now_ms()
        due = {one.token_hash: one for one in sessions if renewed(one, now) is not None}
        if not due:
            return list(sessions)

        def work(tx: Transaction) -> dict[str, Session]:
            stored = {}
            for token_hash, session in tx.sessions(due).items():  # one that ended stays ended
                stored[token_hash] = renewed(session, now) or session
                tx.put_session(stored[token_hash])
            return stored

        stored = await self._store.write(work)
        return [stored.get(one.token_hash, one) for one in sessions]

    async def _to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` to its end, also when the caller is cancelled."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)


def _is_called(session: Session, ref: str) -> bool:
    return ref in (public_id(session), session.token_hash)


def _check_active(tx: Snapshot, user_id: str) -> None:
    user = tx.user(user_id)
    if user is None or user.status is not UserStatus.ACTIVE:
        raise ChatError(ErrorCode.UNAUTHORIZED, "you may not log in any more")
