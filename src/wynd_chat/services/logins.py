"""`Logins`: passwords and accounts: registering, logging in, changing a password.

Decides who may make an account and whose password is right, and answers alike, in the same time,
for names that nobody has. How often somebody may try is `ratelimits`, what a login is afterwards
`sessions`, what an invitation is good for `invitations`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import RoomRole, ServerRole, User, UserKind, UserStatus
from wynd_chat.domain.names import parse_user_name, user_key
from wynd_chat.ports.outlet import MembershipStarted, UserChanged
from wynd_chat.services.accounts import enter_lobby, free_name, new_user
from wynd_chat.services.bans import check_newcomer, check_not_banned
from wynd_chat.services.invitations import claimable, spend, spend_claim, usable
from wynd_chat.services.rooms import enter_room
from wynd_chat.services.sessions import drop_logins

if TYPE_CHECKING:
    from collections.abc import Callable

    from wynd_chat.domain.models import Room, Session
    from wynd_chat.domain.names import UserName
    from wynd_chat.ports.clock import Clock, Tokens
    from wynd_chat.ports.outlet import Outlet
    from wynd_chat.ports.passwords import Passwords
    from wynd_chat.ports.store import Snapshot, Store, Transaction
    from wynd_chat.services.presence import Presences
    from wynd_chat.services.ratelimits import RateLimits
    from wynd_chat.services.sessions import Sessions

__all__ = ["WRONG", "Logins", "Registered"]

WRONG = "wrong name or password"
CLOSED = "nobody can register here; ask an admin for an account"
INVITE_ONLY = "you need an invitation to register here"


@dataclass(frozen=True, slots=True)
class Registered:
    """A new account."""

    user: User
    room: Room | None
    """Where its invitation led, None: to the lobby."""


class Logins:
    """Accounts with passwords.

    Args:
        registration: Returns who may make an account now: "open", "invite" or "closed".
    """

    def __init__(
        self,
        store: Store,
        outlet: Outlet,
        presences: Presences,
        passwords: Passwords,
        sessions: Sessions,
        rate_limits: RateLimits,
        clock: Clock,
        tokens: Tokens,
        lobby_id: str,
        registration: Callable[[], str],
    ) -> None:
        self._store = store
        self._outlet = outlet
        self._presences = presences
        self._passwords = passwords
        self._sessions = sessions
        self._rate_limits = rate_limits
        self._clock = clock
        self._tokens = tokens
        self._lobby_id = lobby_id
        self._registration = registration
        self.results: Counter[str] = Counter()
        """How tries to log in ended: "ok", "failed", "limited"; for `/metrics`."""

    @property
    def registration(self) -> str:
        """Who may make an account now: "open", "invite" or "closed"."""
        return self._registration()

    # Logging in

    async def check(self, name: str, password: str, address: str | None) -> User:
        """Return whose name and password these are.

        Args:
            name: As typed; `@` is optional.
            password: As typed.
            address: What limits count by, None: exempt.

        Raises:
            ChatError: `unauthorized`, the same for everything that is wrong; `banned`, told only to
                who knows the password; `rate_limited`; `unavailable` with many at once.
        """
        key = user_key(name)
        user = await self._store.read(lambda snapshot: _account(snapshot, key))
        return await self._verified(user, password, address, key or "")

    async def _verified(
        self, user: User | None, password: str, address: str | None, name_key: str
    ) -> User:
        account = name_key if user is None else user.id
        try:
            self._rate_limits.login(address, account, is_known=user is not None)
        except ChatError:
            self.results["limited"] += 1
            raise
        password_hash = None if user is None else user.password_hash
        fits = await self._passwords.verify(password_hash, password)
        if user is None or not fits or user.status is UserStatus.DEACTIVATED:
            self.results["failed"] += 1
            raise ChatError(ErrorCode.UNAUTHORIZED, WRONG)
        self._rate_limits.logged_in(account)
        await self._check_not_banned(user)
        self.results["ok"] += 1
        if password_hash is not None and self._passwords.needs_rehash(password_hash):
            await self._rehash(user, password_hash, password)
        return user

    async def _check_not_banned(self, user: User) -> None:
        def work(snapshot: Snapshot) -> None:
            if user.status is UserStatus.BANNED:
                raise ChatError(ErrorCode.BANNED, "you are banned here")
            check_not_banned(snapshot, user, self._lobby_id, self._clock.now_ms())

        try:
            await self._store.read(work)
        except ChatError:
            self.results["failed"] += 1
            raise

    async def _rehash(self, user: User, old_hash: str, password: str) -> None:
        """Store the hash at today's cost; a password shorter than new ones must be stays as is."""
        try:
            new_hash = await self._passwords.hash(password)
        except ChatError:
            return

        def work(tx: Transaction) -> None:
            current = tx.user(user.id)
            if current is not None and current.password_hash == old_hash:
                tx.put_user(replace(current, password_hash=new_hash))

        await self._store.write(work)

    async def change_password(
        self, user: User, old: str, new: str, keep: str | None, *, besides: int = 0
    ) -> int:
        """Set a new password; all other logins of the user end, tokens too; return how many.

        Args:
            user: Who is logged in.
            old: The password now.
            new: The next one.
            keep: The hash of the login that asks, which stays.
            besides: Its connection, 0 for none.

        Raises:
            ChatError: `unauthorized` for a wrong old one, `bad_request` for an unfit new one,
                `forbidden` for who has none, `rate_limited`.
        """
        current = await self._store.read(lambda snapshot: snapshot.user(user.id))
        if current is None or current.password_hash is None:
            raise ChatError(ErrorCode.FORBIDDEN, "you have no password to change")
        # Counted apart from logins, so that nobody else's guesses keep the owner from this.
        self._rate_limits.login(None, f"change of {user.id}", is_known=True)
        old_hash = current.password_hash
        if not await self._passwords.verify(old_hash, old):
            raise ChatError(ErrorCode.UNAUTHORIZED, "that is not your password")
        self._rate_limits.logged_in(f"change of {user.id}")
        new_hash = await self._passwords.hash(new)

        def work(tx: Transaction) -> list[str]:
            current = tx.user(user.id)
            if current is None or current.password_hash != old_hash:
                raise ChatError(ErrorCode.CONFLICT, "the password was changed meanwhile")
            tx.put_user(replace(current, password_hash=new_hash))
            return drop_logins(tx, user.id, keep)

        return len(await self._sessions.end_by(user.id, work, besides=besides))

    # Registering

    async def register(
        self, name: str, password: str, address: str | None, invite: str | None = None
    ) -> Registered:
        """Make an account.

        Args:
            name: As typed.
            password: The new one.
            address: What limits count by, None: exempt.
            invite: The code of an invitation, which then takes the place of the limit.

        Raises:
            ChatError: `forbidden` where registration is closed or by invitation, `expired`
                (invitation), `bad_name`, `name_taken`, `name_registered`, `bad_request` (password),
                `banned` while all newcomers are, `rate_limited`.
        """
        parsed = parse_user_name(name)
        await self._check_may_register(address, invite)
        await self._store.read(lambda snapshot: self._check_free(snapshot, parsed, None))
        password_hash = await self._passwords.hash(password)
        if invite is None:
            self._rate_limits.registration(address)
        made = self._made(parsed, password_hash, ServerRole.USER)

        def work(tx: Transaction) -> Room | None:
            if invite is None:
                check_newcomer(tx, self._lobby_id, self._clock.now_ms())
            room = None if invite is None else spend(tx, invite, self._clock.now_ms())
            return self._stored(tx, parsed, made, room)

        room = await self._store.write(work)
        if room is not None:
            self._outlet.notice(MembershipStarted(room, made))
        return Registered(made, room)

    async def register_guest(
        self,
        guest: User,
        password: str,
        address: str | None,
        invite: str | None = None,
        *,
        session: Session | None = None,
        besides: int = 0,
    ) -> User:
        """Make a guest's name an account, which keeps its id; the guest's other logins end.

        Args:
            guest: Who is here.
            password: The new one.
            address: What limits count by, None: exempt.
            invite: The code of an invitation.
            session: The login that takes the place of the guest's token.
            besides: The connection that goes on under it, 0 for none.

        Raises:
            ChatError: as `register`; `bad_request` for who has an account.
        """
        if not guest.is_guest:
            raise ChatError(ErrorCode.BAD_REQUEST, "you have an account already")
        await self._check_may_register(address, invite)
        password_hash = await self._passwords.hash(password)
        if invite is None:
            self._rate_limits.registration(address)
        name = parse_user_name(guest.name)
        now = self._clock.now_ms()
        registered: list[User] = []
        entered: list[Room] = []

        def work(tx: Transaction) -> list[str]:
            current = tx.user(guest.id)
            if current is None or not current.is_guest:
                raise ChatError(ErrorCode.CONFLICT, "this name was registered meanwhile")
            free_name(tx, name, guest.id, self._presences.is_held)
            target = None if invite is None else spend(tx, invite, now)
            user = replace(
                current,
                name_key=name.key,
                name_skeleton=name.skeleton,
                kind=UserKind.HUMAN,
                password_hash=password_hash,
            )
            tx.put_user(user)
            registered[:] = [user]
            entered[:] = self._led_to(tx, user, target)
            hashes = drop_logins(tx, guest.id)
            if session is not None:
                tx.put_session(session)
            return hashes

        await self._sessions.end_by(guest.id, work, besides=besides)
        self._outlet.notice(UserChanged(registered[0]))
        for room in entered:
            self._outlet.notice(MembershipStarted(room, registered[0]))
        return registered[0]

    # The first administrator

    async def claim(self, user: User, code: str) -> User:
        """Make an account the administrator of a server that has none.

        Raises:
            ChatError: `expired`: the link is wrong, used, too old, or there is an admin already;
                `forbidden` for guests.
        """
        if user.kind is not UserKind.HUMAN:
            raise ChatError(ErrorCode.FORBIDDEN, "only accounts can do that, use /register")

        def work(tx: Transaction) -> User:
            current = tx.user(user.id)
            if current is None:
                raise ChatError(ErrorCode.UNAUTHORIZED, "you are not known any more, log in again")
            spend_claim(tx, code, self._clock.now_ms())
            admin = replace(current, role=ServerRole.ADMIN)
            tx.put_user(admin)
            return admin

        admin = await self._store.write(work)
        self._outlet.notice(UserChanged(admin))
        return admin

    async def claim_new(self, name: str, password: str, code: str) -> User:
        """Make the account of the first administrator, whoever else may register.

        Raises:
            ChatError: as `claim` and `register`.
        """
        parsed = parse_user_name(name)
        await self._store.read(lambda snapshot: claimable(snapshot, code, self._clock.now_ms()))
        await self._store.read(lambda snapshot: self._check_free(snapshot, parsed, None))
        made = self._made(parsed, await self._passwords.hash(password), ServerRole.ADMIN)

        def work(tx: Transaction) -> None:
            spend_claim(tx, code, self._clock.now_ms())
            self._stored(tx, parsed, made, None)

        await self._store.write(work)
        return made

    # Parts

    def _made(self, name: UserName, password_hash: str, role: ServerRole) -> User:
        user_id, now = self._tokens.new_id("u_"), self._clock.now_ms()
        user = new_user(user_id, name, UserKind.HUMAN, now)
        return replace(user, password_hash=password_hash, role=role)

    def _stored(
        self, tx: Transaction, name: UserName, user: User, room: Room | None
    ) -> Room | None:
        free_name(tx, name, None, self._presences.is_held)
        tx.put_user(user)
        enter_lobby(tx, self._lobby_id, user.id)
        return next(iter(self._led_to(tx, user, room)), None)

    def _led_to(self, tx: Transaction, user: User, room: Room | None) -> list[Room]:
        """Enter the room an invitation leads to; return it, or none where there is nothing to do.

        The account counts even where the room does not exist any more.
        """
        if room is None or room.archived_at is not None or tx.membership(room.id, user.id):
            return []
        enter_room(tx, user, room, RoomRole.MEMBER, self._clock.now_ms())
        current = tx.room(room.id)
        return [] if current is None else [current]

    async def _check_may_register(self, address: str | None, invite: str | None) -> None:
        if self.registration == "closed":
            raise ChatError(ErrorCode.FORBIDDEN, CLOSED)
        if invite is not None:
            now = self._clock.now_ms()
            await self._store.read(lambda snapshot: usable(snapshot, invite, now, registers=True))
        elif self.registration == "invite":
            raise ChatError(ErrorCode.FORBIDDEN, INVITE_ONLY)
        else:
            self._rate_limits.check_registration(address)

    def _check_free(self, snapshot: Snapshot, name: UserName, own_id: str | None) -> None:
        """Refuse a name that is taken before a password is hashed for it."""
        holder = snapshot.user_by_key(name.key)
        if holder is not None and not holder.is_guest and holder.id != own_id:
            sentence = f"{holder.name} is registered, use /login {holder.name}"
            raise ChatError(ErrorCode.NAME_REGISTERED, sentence)


def _account(snapshot: Snapshot, key: str | None) -> User | None:
    """Return who can log in by a password under this name."""
    user = None if key is None else snapshot.user_by_key(key)
    return None if user is None or user.password_hash is None else user
