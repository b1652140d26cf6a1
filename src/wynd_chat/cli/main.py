"""The way in: says in one sentence what to install where that is missing, then runs `program`.

Imports nothing from the index, so that it can say so.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NEEDED", "main"]

# The packages of the extra, by the name they are imported by. Those that come with another of
# them are not listed.
NEEDED = (
    "alembic",
    "argon2",
    "asyncpg",
    "fastapi",
    "multipart",
    "platformdirs",
    "precis_i18n",
    "prometheus_client",
    "puremagic",
    "pydantic",
    "rich",
    "segno",
    "sqlalchemy",
    "typer",
    "ulid",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: 0 done, 1 it could not be done, 2 wrong usage."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        sys.stderr.write(
            "wynd-chat: the chat's own packages are missing; install them with: "
            "pip install 'pywynd[chat]'\n"
        )
        return 1
    from wynd_chat.cli.program import run

    return run(sys.argv[1:] if arguments is None else list(arguments))
