"""`Accounts`: who somebody is: guests, names, what users set for themselves, whom they ignore.

How an account is made and logged into is `logins`. Knows no face and no connection.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import (
    Membership,
    Session,
    SessionKind,
    User,
    UserKind,
    UserStatus,
)
from wynd_chat.domain.names import UserName, parse_user_name, suggestions, user_key
from wynd_chat.domain.sessions import GUEST_MS, is_over, renewed
from wynd_chat.domain.text import accept_text, clean_line
from wynd_chat.ports.outlet import AwayChanged, IgnoresChanged, UserChanged, UserRenamed
from wynd_chat.ports.store import StoreFailure
from wynd_chat.services.bans import check_newcomer, check_not_banned

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wynd_chat.domain.limits import ChatLimits
    from wynd_chat.ports.clock import Clock, Tokens
    from wynd_chat.ports.outlet import Outlet
    from wynd_chat.ports.store import Snapshot, Store, Transaction
    from wynd_chat.services.presence import Presences

__all__ = ["UNKNOWN_TOKEN", "Accounts", "enter_lobby", "free_name", "hash_of", "new_user"]

log = logging.getLogger("wynd_chat.accounts")

PREFERENCES = ("timestamps", "ids", "joins", "color", "bell")
SUGGESTIONS_TRIED = 100
UNKNOWN_TOKEN = "this token is not valid, log in again"


def hash_of(secret: str) -> str:
    """Return what is stored of a token or code: its SHA-256, as hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_user(user_id: str, name: UserName, kind: UserKind, now: int) -> User:
    """Return the row of a user who was not there before."""
    return User(
        id=user_id,
        name=name.shown,
        name_key=name.key,
        name_skeleton=name.skeleton,
        kind=kind,
        created_at=now,
        last_seen_at=now,
    )


def free_name(
    tx: Transaction, name: UserName, own_id: str | None, is_held: Callable[[str], bool]
) -> None:
    """Make sure that a name may be taken; take it from guests who have gone.

    Args:
        tx: In which it is then taken.
        name: The wanted name.
        own_id: Who wants it, where that is a user already.
        is_held: `Presences.is_held`. It is asked here, in the transaction, and whoever comes back
            is expected before looking at the own name in another one, so that no two get it.

    Raises:
        ChatError: `name_registered`, `name_taken` with a name that is free.
    """
    holder = tx.user_by_key(name.key)
    alike = [user for user in tx.users_by_skeleton(name.skeleton) if user.name_key is not None]
    others = {
        user.id: user for user in (*alike, *([holder] if holder else ())) if user.id != own_id
    }
    for user in others.values():
        if user.is_guest and not is_held(user.id):
            tx.put_user(replace(user, name_key=None, name_skeleton=None))
        elif user.name_key == name.key and not user.is_guest:
            sentence = f"{user.name} is registered, use /login {user.name}"
            raise ChatError(ErrorCode.NAME_REGISTERED, sentence)
        else:
            raise ChatError(ErrorCode.NAME_TAKEN, _taken(tx, name))


def _taken(tx: Snapshot, name: UserName) -> str:
    for text in islice(suggestions(name.shown), SUGGESTIONS_TRIED):
        other = parse_user_name(text)
        if tx.user_by_key(other.key) is None and not tx.users_by_skeleton(other.skeleton):
            return f"{name.shown} is taken, try /name {other.shown}"
    return f"{name.shown} is taken, try another name"


class Accounts:
    """Users as they are known by name."""

    def __init__(
        self,
        store: Store,
        outlet: Outlet,
        presences: Presences,
        clock: Clock,
        tokens: Tokens,
        limits: ChatLimits,
        lobby_id: str,
    ) -> None:
        self._store = store
        self._outlet = outlet
        self._presences = presences
        self._clock = clock
        self._tokens = tokens
        self._limits = limits
        self._lobby_id = lobby_id

    async def name_guest(self, text: str) -> User:
        """Make a guest of this name, a member of the lobby.

        Raises:
            ChatError: `bad_name`, `name_taken`, `name_registered`; `banned` where nobody new may
                come in.
        """
        name = parse_user_name(text)
        user = new_user(self._tokens.new_id("u_"), name, UserKind.GUEST, self._clock.now_ms())
        self._presences.expect(user.id)

        def work(tx: Transaction) -> User:
            check_newcomer(tx, self._lobby_id, user.created_at)
            free_name(tx, name, None, self._presences.is_held)
            tx.put_user(user)
            enter_lobby(tx, self._lobby_id, user.id)
            return user

        return await self._store.write(work)

    async def guest_token(self, user: User) -> str:
        """Return a new token with which a guest resumes within a day."""
        token = self._tokens.secret()
        now = self._clock.now_ms()
        session = Session(
            token_hash=hash_of(token),
            user_id=user.id,
            kind=SessionKind.GUEST,
            created_at=now,
            last_seen_at=now,
            expires_at=now + GUEST_MS,
        )
        await self._store.write(lambda tx: tx.put_session(session))
        return token

    async def resume(self, token: str) -> tuple[User, Session]:
        """Return whose token it is. A guest gets the name back, or a free one like it.

        Raises:
            ChatError: `unauthorized`: unknown, expired, or the user may not log in; `banned`.
        """
        token_hash = hash_of(token)
        now = self._clock.now_ms()

        def look(snapshot: Snapshot) -> tuple[User, Session] | None:
            session = snapshot.session(token_hash)
            if session is None or is_over(session, now):
                return None
            user = snapshot.user(session.user_id)
            if user is None or user.status is not UserStatus.ACTIVE:
                return None
            check_not_banned(snapshot, user, self._lobby_id, now)
            return user, session

        found = await self._store.read(look)
        if found is None:
            raise ChatError(ErrorCode.UNAUTHORIZED, UNKNOWN_TOKEN)
        user, session = found
        session = await self._used(session, now)
        if user.is_guest:
            user = await self._take_name_again(user)
        return user, session

    async def _used(self, session: Session, now: int) -> Session:
        """Note once an hour that a login is used, which renews it."""
        used = renewed(session, now)
        if used is None:
            return session

        def work(tx: Transaction) -> None:
            if tx.session(used.token_hash) is not None:  # one that ended meanwhile stays ended
                tx.put_session(used)

        try:
            await self._store.write(work)
        except StoreFailure as error:  # reading goes on while nothing can be written
            log.warning("a login was used and not renewed: %s", error)
            return session
        return used

    async def rename(self, user: User, text: str) -> User:
        """Give a user another name; an unchanged one changes nothing.

        Raises:
            ChatError: `bad_name`, `name_taken`, `name_registered`.
        """
        if parse_user_name(text).shown == user.name:
            return user
        return await self.change(user, name=text)

    async def change(
        self,
        user: User,
        *,
        name: str | None = None,
        sets_away: bool = False,
        away: str | None = None,
        prefs: Mapping[str, bool] | None = None,
    ) -> User:
        """Change several things that users set for themselves, all of them or none.

        Args:
            user: Whose.
            name: The new name, None: as it is.
            sets_away: Whether `away` counts.
            away: As `set_away`.
            prefs: As `set_preferences`, None: as they are.

        Raises:
            ChatError: as `rename`, `set_away` and `set_preferences`.
        """
        parsed = None if name is None else parse_user_name(name)
        if away is not None:
            away = clean_line(accept_text(away, self._limits.reason_chars_max, "away text"))
        if prefs is not None and not prefs.keys() <= set(PREFERENCES):
            known = ", ".join(PREFERENCES)
            raise ChatError(ErrorCode.BAD_REQUEST, f"there is no such preference, use {known}")

        def work(tx: Transaction) -> tuple[User, User]:
            before = changed = _known(tx, user)
            if parsed is not None and parsed.shown != before.name:
                free_name(tx, parsed, user.id, self._presences.is_held)
                changed = _named(changed, parsed)
            if sets_away:
                changed = replace(changed, away=away)
            if prefs is not None:
                changed = replace(changed, prefs={**before.prefs, **prefs})
            if changed != before:
                tx.put_user(changed)
            return before, changed

        before, changed = await self._store.write(work)
        self._presences.update(changed)
        if changed.name != before.name:
            self._outlet.notice(UserRenamed(changed, before.name))
        if sets_away:
            self._outlet.notice(AwayChanged(changed))
        if prefs is not None:
            self._outlet.notice(UserChanged(changed))
        return changed

    async def find(self, ref: str) -> User:
        """Return the user of this name (`@` optional).

        Raises:
            ChatError: `not_found`.
        """
        key = user_key(ref)

        def work(snapshot: Snapshot) -> User | None:
            return None if key is None else snapshot.user_by_key(key)

        user = await self._store.read(work)
        if user is None:
            name = clean_line(ref.removeprefix("@"))[:32]
            raise ChatError(ErrorCode.NOT_FOUND, f"nobody here is called {name}")
        return user

    async def user(self, user_id: str) -> User | None:
        """Return a user by id."""
        return await self._store.read(lambda snapshot: snapshot.user(user_id))

    async def set_away(self, user: User, text: str | None) -> User:
        """Set what others read while the user is away ("" without words), or None: back."""
        return await self.change(user, sets_away=True, away=text)

    async def set_preference(self, user: User, name: str, is_on: bool) -> User:
        """Switch one of the text face's preferences.

        Raises:
            ChatError: `bad_request`: there is none of this name.
        """
        return await self.set_preferences(user, {name: is_on})

    async def set_preferences(self, user: User, prefs: Mapping[str, bool]) -> User:
        """Switch several of them; the others stay.

        Raises:
            ChatError: `bad_request`: there is none of one of these names.
        """
        return await self.change(user, prefs=prefs)

    async def ignored(self, user: User) -> list[User]:
        """Return whom a user ignores, by name."""

        def work(snapshot: Snapshot) -> list[User]:
            return list(snapshot.users(snapshot.ignored_by(user.id)).values())

        users = await self._store.read(work)
        return sorted(users, key=lambda one: one.name.casefold())

    async def ignored_ids(self, user: User) -> frozenset[str]:
        """Return the ids of those whom a user ignores."""
        return await self._store.read(lambda snapshot: snapshot.ignored_by(user.id))

    async def ignore(self, user: User, ref: str) -> User:
        """Hide somebody's messages from a user; return whom.

        Raises:
            ChatError: `not_found`, `bad_request` for oneself.
        """
        target = await self.find(ref)
        if target.id == user.id:
            raise ChatError(ErrorCode.BAD_REQUEST, "you can't ignore yourself")

        def work(tx: Transaction) -> frozenset[str]:
            tx.put_ignore(user.id, target.id)
            return tx.ignored_by(user.id)

        self._outlet.notice(IgnoresChanged(user.id, await self._store.write(work)))
        return target

    async def unignore(self, user: User, ref: str) -> User:
        """End that; return whom."""
        target = await self.find(ref)

        def work(tx: Transaction) -> frozenset[str]:
            tx.drop_ignore(user.id, target.id)
            return tx.ignored_by(user.id)

        self._outlet.notice(IgnoresChanged(user.id, await self._store.write(work)))
        return target

    def farewell(self, text: str) -> str:
        """Return what a user says on leaving, cleaned.

        Raises:
            ChatError: `too_large`.
        """
        return clean_line(accept_text(text, self._limits.reason_chars_max, "message"))

    async def list_users(self, query: str, after: str, limit: int) -> list[User]:
        """Return accounts whose name begins with `query`, above the cursor `after`."""
        prefix = user_key(query) or "" if query else ""
        return await self._store.read(
            lambda snapshot: snapshot.list_users(prefix_key=prefix, after_key=after, limit=limit)
        )

    async def note_seen(self, user: User) -> None:
        """Remember that a user was here now."""
        now = self._clock.now_ms()

        def work(tx: Transaction) -> User:
            seen = replace(_known(tx, user), last_seen_at=now)
            tx.put_user(seen)
            return seen

        self._presences.update(await self._store.write(work))

    async def _take_name_again(self, user: User) -> User:
        """Give a guest who resumes the old name, or the first free one like it."""
        if self._presences.is_online(user.id) and self._presences.is_held(user.id):
            return user
        self._presences.expect(user.id)

        def work(tx: Transaction) -> User:
            current = tx.user(user.id)
            if current is None:
                raise ChatError(ErrorCode.UNAUTHORIZED, UNKNOWN_TOKEN)
            if current.name_key is not None:
                return current
            for text in (current.name, *islice(suggestions(current.name), SUGGESTIONS_TRIED)):
                name = parse_user_name(text)
                try:
                    free_name(tx, name, user.id, self._presences.is_held)
                except ChatError:
                    continue
                named = _named(current, name)
                tx.put_user(named)
                return named
            raise ChatError(ErrorCode.UNAUTHORIZED, UNKNOWN_TOKEN)

        try:
            return await self._store.write(work)
        except StoreFailure:  # then nobody else can take the name either; reading goes on
            current = await self._store.read(lambda snapshot: snapshot.user(user.id))
            if current is None or current.name_key is None:
                raise
            return current


def _known(tx: Snapshot, user: User) -> User:
    """Return a user as stored now."""
    current = tx.user(user.id)
    if current is None:
        raise ChatError(ErrorCode.UNAUTHORIZED, "you are not known any more, log in again")
    return current


def _named(user: User, name: UserName) -> User:
    return replace(user, name=name.shown, name_key=name.key, name_skeleton=name.skeleton)


def enter_lobby(tx: Transaction, lobby_id: str, user_id: str) -> None:
    """Make a new user a member of the lobby."""
    lobby = tx.room(lobby_id)
    seq = 0 if lobby is None else lobby.last_seq
    tx.put_membership(Membership(room_id=lobby_id, user_id=user_id, joined_seq=seq, read_seq=seq))
