"""`Passwords`: makes and checks password hashes, off the loop and with bounded memory.

Decides nothing about who may log in or how often; it answers whether a password fits a hash.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["Passwords"]


class Passwords(Protocol):
    """Hashes passwords.

    An unknown user is asked about with None instead of a hash: the answer is then no, and takes as
    long as for a wrong password. Both methods are carried out to their end when their caller is
    cancelled, so that cancelling frees no place for more of them.
    """

    async def hash(self, password: str) -> str:
        """Return a new hash, with its salt and cost in it, for the store.

        Raises:
            ChatError: `bad_request`: too short, too long, or no text; `unavailable`: too many
                at once, with `retry_after`.
        """

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Tell whether a password fits; never for None, and in the same time.

        Raises:
            ChatError: `unavailable`: too many at once, with `retry_after`.
        """

    def needs_rehash(self, password_hash: str) -> bool:
        """Tell whether a hash was made at another cost; make a new one when its password fits."""
