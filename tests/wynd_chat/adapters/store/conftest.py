"""The PostgreSQL server of the session, for the tests of its store's parts."""

from __future__ import annotations

from tests.contracts.postgres import database, postgres

__all__ = ["database", "postgres"]
