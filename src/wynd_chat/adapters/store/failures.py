"""What a database's error means: to one operation, or to everything in the same transaction.

Knows the error codes of SQLite and PostgreSQL and nothing of who asked. Texts of drivers go to the
log by way of `StoreFailure`, never to a peer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import DataError, IntegrityError

from wynd_chat.ports.store import StoreFailure

if TYPE_CHECKING:
    from sqlalchemy.exc import DBAPIError

__all__ = ["Failed", "translate"]

# Primary result codes of SQLite after which the transaction may be gone:
# BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOTADB.
SQLITE_FATAL = frozenset({5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 26})
# Classes of SQLSTATE after which the whole transaction is lost: connection, rollback,
# resources, operator, system, internal.
POSTGRES_FATAL = frozenset({"08", "40", "53", "57", "58", "XX"})
POSTGRES_RETRY = frozenset({"40001", "40P01"})  # serialization failure, deadlock


@dataclass(frozen=True, slots=True)
class Failed:
    """A database's error, understood."""

    error: StoreFailure | ValueError
    """What the caller gets."""
    is_fatal: bool
    """Nothing else can be done in the transaction; otherwise only the operation is lost."""
    may_repeat: bool
    """The same transaction may succeed at once."""
    is_unique: bool
    """The row's key is taken."""


def translate(error: DBAPIError) -> Failed:
    """Return what an error means.

    Values that a table refuses are the caller's mistake (ValueError); all else is StoreFailure.
    """
    original = error.orig
    sqlite_code = getattr(original, "sqlite_errorcode", None)
    state = str(getattr(original, "sqlstate", None) or "")
    text = f"{type(original).__name__}: {original}"
    if isinstance(error, IntegrityError):
        # SQLite: CONSTRAINT_PRIMARYKEY, CONSTRAINT_UNIQUE; PostgreSQL: unique_violation
        is_unique = sqlite_code in {1555, 2067} or state == "23505"
        reason = "the key is taken" if is_unique else "a row refers to one that is not there"
        return Failed(ValueError(f"{reason} ({text})"), False, False, is_unique)
    if isinstance(error, DataError):
        return Failed(ValueError(f"the database refuses a value ({text})"), False, False, False)
    is_fatal = (
        error.connection_invalidated
        or (sqlite_code is not None and sqlite_code & 0xFF in SQLITE_FATAL)
        or (sqlite_code is None and (not state or state[:2] in POSTGRES_FATAL))
    )
    return Failed(StoreFailure(text), is_fatal, state in POSTGRES_RETRY, False)
