"""`make_store`: which database an address means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wynd_chat.ports.store import StoreUnusable

if TYPE_CHECKING:
    from wynd_chat.ports.store import Store

__all__ = ["SQLITE", "make_store"]

MEMORY, SQLITE, POSTGRES = "memory:", "sqlite:///", "postgresql://"


def make_store(url: str) -> Store:
    """Return the store of an address, not yet open.

    Args:
        url: `memory:`, `sqlite:///PATH` or `postgresql://...`.

    Raises:
        StoreUnusable: another kind of address, or a folder that cannot be made.
    """
    if url == MEMORY:
        from wynd_chat.adapters.store.memory import MemoryStore

        return MemoryStore()
    if url.startswith(SQLITE):
        from wynd_chat.adapters.store.sqlite import SqliteStore

        path = Path(url.removeprefix(SQLITE))
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnusable(f"the folder {path.parent} cannot be made: {error}") from error
        return SqliteStore(path)
    if url.startswith(POSTGRES):
        from wynd_chat.adapters.store.postgres import PostgresStore

        return PostgresStore(url)
    raise StoreUnusable(f"storage.url must begin with {MEMORY}, {SQLITE} or {POSTGRES}")
