"""Brings a database to the schema of this program, with Alembic and without its command line.

Decides when to migrate and when to refuse; each migration is a file in `migrations/versions`. Knows
nothing of connections: the store gives one, in a transaction that holds everybody else off.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from wynd_chat.ports.store import StoreUnusable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

__all__ = ["SCRIPTS", "migrate"]

SCRIPTS = Path(__file__).parent / "migrations"
NEWEST = "head"


def migrate(
    connection: Connection,
    *,
    scripts: Path = SCRIPTS,
    before_change: Callable[[str], None] = lambda revision: None,
) -> bool:
    """Bring the schema up to date within the connection's transaction.

    Args:
        connection: In a transaction; the caller commits.
        scripts: The folder whose `versions` are the migrations.
        before_change: Called with the present revision before a database that has tables is
            changed, for a snapshot.

    Returns:
        Whether anything was changed.

    Raises:
        StoreUnusable: The schema is newer than this program, or the tables are of another one.
    """
    directory = ScriptDirectory(str(scripts))

    def steps(revision: Any, _context: MigrationContext) -> Any:
        return directory._upgrade_revs(NEWEST, revision)  # Alembic's documented recipe uses it

    context = MigrationContext.configure(connection, opts={"fn": steps, "transactional_ddl": True})
    present = context.get_current_revision()
    known = {script.revision for script in directory.walk_revisions()}
    if present == directory.get_current_head():
        return False
    if present is None:
        if inspect(connection).get_table_names():
            raise StoreUnusable(
                "The database has tables of another program. Give wynd-chat one of its own."
            )
    elif present not in known:
        raise StoreUnusable(
            f"The database's schema {present} is newer than this program. "
            "Install the newer wynd-chat again, or restore a backup made with this one."
        )
    else:
        before_change(present)
    with Operations.context(context):
        context.run_migrations()
    return True
