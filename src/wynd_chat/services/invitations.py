"""`Invitations`: links that let people in: what one is good for, and the first admin's claim link.

Decides when an invitation holds and what using it takes. Entering a room by one is `rooms`, making
an account by one `logins`. Codes are stored as hashes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import Invite, InviteKind
from wynd_chat.services.accounts import hash_of

if TYPE_CHECKING:
    from wynd_chat.domain.models import Room
    from wynd_chat.ports.clock import Clock, Tokens
    from wynd_chat.ports.store import Snapshot, Store, Transaction

__all__ = [
    "CLAIM_MS",
    "Invitation",
    "Invitations",
    "claimable",
    "spend",
    "spend_claim",
    "usable",
]

CLAIM_MS = 24 * 3600 * 1000  # chat.md 11.2
CLAIM_KEY = "claim"  # in `meta`: the hash of the claim link that holds; those before end
ENDED = "this invitation has ended, ask for a new one"
CLAIM_ENDED = "this claim link has ended; the server prints a new one at its next start"


@dataclass(frozen=True, slots=True)
class Invitation:
    """What an invitation that holds is good for, as people are shown it."""

    room: Room | None
    """Where it leads; None: the lobby."""
    registers: bool
    """Whether an account can be made with it."""


def usable(snapshot: Snapshot, code: str, now: int, *, registers: bool = False) -> Invite:
    """Return an invitation that holds.

    Args:
        snapshot: Where to look.
        code: As in the link.
        now: Milliseconds UTC.
        registers: Whether it has to let people register.

    Raises:
        ChatError: `expired`: unknown, used up, too old, or good for something else.
    """
    invite = snapshot.invite(hash_of(code))
    if invite is None or invite.expires_at <= now or invite.uses_left < 1:
        raise ChatError(ErrorCode.EXPIRED, ENDED)
    if registers and invite.kind is not InviteKind.REGISTER:
        raise ChatError(ErrorCode.FORBIDDEN, "this invitation is for people with an account")
    return invite


def spend(tx: Transaction, code: str, now: int) -> Room | None:
    """Use an invitation to register once; return the room it leads to, None: the lobby.

    Raises:
        ChatError: as `usable`.
    """
    invite = usable(tx, code, now, registers=True)
    tx.put_invite(replace(invite, uses_left=invite.uses_left - 1))
    return None if invite.target is None else tx.room(invite.target)


def claimable(snapshot: Snapshot, code: str, now: int) -> Invite:
    """Return the claim link of a server without an administrator.

    Raises:
        ChatError: `expired`: wrong, used, too old, or there is an administrator.
    """
    invite = snapshot.invite(hash_of(code))
    holds = invite is not None and invite.expires_at > now and invite.uses_left > 0
    if invite is None or not holds or invite.kind is not InviteKind.CLAIM or snapshot.has_admin():
        raise ChatError(ErrorCode.EXPIRED, CLAIM_ENDED)
    return invite


def spend_claim(tx: Transaction, code: str, now: int) -> None:
    """Use the claim link; it works once.

    Raises:
        ChatError: as `claimable`.
    """
    tx.drop_invite(claimable(tx, code, now).code_hash)


class Invitations:
    """The links of one server."""

    def __init__(self, store: Store, clock: Clock, tokens: Tokens) -> None:
        self._store = store
        self._clock = clock
        self._tokens = tokens

    async def look(self, code: str) -> Invitation:
        """Return what an invitation is good for, without using it.

        Raises:
            ChatError: `expired`.
        """
        now = self._clock.now_ms()

        def work(snapshot: Snapshot) -> Invitation:
            invite = usable(snapshot, code, now)
            if invite.kind is InviteKind.CLAIM:
                raise ChatError(ErrorCode.EXPIRED, ENDED)
            room = None if invite.target is None else snapshot.room(invite.target)
            if room is not None and room.archived_at is not None:
                raise ChatError(ErrorCode.EXPIRED, ENDED)
            return Invitation(room, invite.kind is InviteKind.REGISTER)

        return await self._store.read(work)

    async def look_at_claim(self, code: str) -> None:
        """Make sure that a claim link holds, without using it.

        Raises:
            ChatError: `expired`.
        """
        now = self._clock.now_ms()
        await self._store.read(lambda snapshot: claimable(snapshot, code, now))

    async def claim_code(self) -> str | None:
        """Return the code of a new claim link, None where there is an administrator.

        The one before does not hold any more: only what was printed last does.
        """
        code, now = self._tokens.secret(), self._clock.now_ms()
        invite = Invite(
            code_hash=hash_of(code),
            kind=InviteKind.CLAIM,
            owner_id=None,
            target=None,
            uses_left=1,
            expires_at=now + CLAIM_MS,
        )

        def work(tx: Transaction) -> bool:
            before = tx.meta(CLAIM_KEY)
            if before:
                tx.drop_invite(before)
            has_admin = tx.has_admin()
            tx.put_meta(CLAIM_KEY, "" if has_admin else invite.code_hash)
            if not has_admin:
                tx.put_invite(invite)
            return not has_admin

        return code if await self._store.write(work) else None
