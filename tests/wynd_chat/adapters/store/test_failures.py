"""What errors of the databases mean, by their codes."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from sqlalchemy.exc import DataError, IntegrityError, OperationalError

from wynd_chat.adapters.store.failures import translate
from wynd_chat.ports.store import StoreFailure


class DriverError(Exception):
    """What a driver raises, with a code of one of the databases."""

    def __init__(self, *, sqlite_errorcode: int | None = None, sqlstate: str | None = None) -> None:
        super().__init__("text")
        if sqlite_errorcode is not None:
            self.sqlite_errorcode = sqlite_errorcode
        self.sqlstate = sqlstate


def wrapped(kind: Any, **code: Any) -> Any:
    """Return the error as SQLAlchemy passes it on."""
    return kind("SELECT", {}, DriverError(**code))


@pytest.mark.parametrize(
    ("code", "is_fatal"),
    [
        (sqlite3.SQLITE_FULL, True),
        (sqlite3.SQLITE_BUSY, True),
        (sqlite3.SQLITE_IOERR | (3 << 8), True),  # SQLITE_IOERR_WRITE
        (sqlite3.SQLITE_CORRUPT, True),
        (sqlite3.SQLITE_READONLY, True),
        (sqlite3.SQLITE_NOMEM, True),
        (sqlite3.SQLITE_ERROR, False),
        (sqlite3.SQLITE_TOOBIG, False),
    ],
)
def test_faults_of_sqlite_lose_the_group_or_one_operation(code: int, is_fatal: bool) -> None:
    failed = translate(wrapped(OperationalError, sqlite_errorcode=code))
    assert isinstance(failed.error, StoreFailure)
    assert failed.is_fatal is is_fatal
    assert not failed.may_repeat


@pytest.mark.parametrize(
    ("state", "is_fatal", "may_repeat"),
    [
        ("40001", True, True),
        ("40P01", True, True),
        ("57P01", True, False),
        ("53100", True, False),
        ("08006", True, False),
        ("55P03", False, False),
        ("42601", False, False),
        (None, True, False),
    ],
)
def test_faults_of_postgres_lose_the_group_or_one_operation(
    state: str | None, is_fatal: bool, may_repeat: bool
) -> None:
    failed = translate(wrapped(OperationalError, sqlstate=state))
    assert isinstance(failed.error, StoreFailure)
    assert (failed.is_fatal, failed.may_repeat) == (is_fatal, may_repeat)


@pytest.mark.parametrize(
    ("code", "is_unique"),
    [
        ({"sqlite_errorcode": 2067}, True),
        ({"sqlite_errorcode": 1555}, True),
        ({"sqlite_errorcode": 787}, False),
        ({"sqlstate": "23505"}, True),
        ({"sqlstate": "23503"}, False),
    ],
)
def test_refused_rows_are_the_callers_mistake(code: dict[str, Any], is_unique: bool) -> None:
    failed = translate(wrapped(IntegrityError, **code))
    assert isinstance(failed.error, ValueError)
    assert failed.is_unique is is_unique
    assert not failed.is_fatal


def test_refused_values_are_the_callers_mistake() -> None:
    failed = translate(wrapped(DataError, sqlstate="22003"))
    assert isinstance(failed.error, ValueError)
    assert not failed.is_fatal


def test_a_lost_connection_is_fatal() -> None:
    error = wrapped(OperationalError, sqlstate="42601")
    error.connection_invalidated = True
    assert translate(error).is_fatal
