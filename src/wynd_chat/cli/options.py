"""Options that several commands share, and how they become settings and an open store."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from wynd_chat.cli.output import Failure
from wynd_chat.settings import Loaded, Settings, load_traced

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from wynd_chat.ports.store import Store

__all__ = ["ConfigOption", "DataOption", "load_with", "on_store", "settings_of"]

T = TypeVar("T")

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="The data directory.", show_default=False),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="The settings file, instead of wynd-chat.toml in the data directory.",
        show_default=False,
    ),
]


def load_with(
    data: Path | None, config: Path | None, flags: Mapping[str, Any] | None = None
) -> Loaded:
    """Load settings with the options that were given; None and () were not.

    Raises:
        SettingsError: they cannot be used.
    """
    given = {"storage.data": data, **(flags or {})}
    kept = {name: value for name, value in given.items() if value is not None and value != ()}
    return load_traced(kept, os.environ, config)


def settings_of(data: Path | None, config: Path | None) -> Settings:
    """Return the settings of a command that works on the data of a chat.

    Raises:
        SettingsError: they cannot be used.
        Failure: they keep nothing, so there is nothing to work on.
    """
    settings = load_with(data, config).settings
    if settings.storage.is_ephemeral:
        raise Failure("storage.url is memory: nothing is kept that a command could work on")
    return settings


def on_store(settings: Settings, work: Callable[[Store], Awaitable[T]]) -> T:
    """Open the store, do the work, close it; a running server may use the same database.

    Raises:
        Failure: there is no data directory yet.
    """
    if settings.storage.url is None and not settings.storage.directory.is_dir():
        raise Failure(
            f"there is no folder {settings.storage.directory}; start the server once, make it with "
            "wynd-chat migrate, or name another one with --data"
        )
    return asyncio.run(_worked(settings, work))


async def _worked(settings: Settings, work: Callable[[Store], Awaitable[T]]) -> T:
    from wynd_chat.app import open_store  # takes a while; not every command needs it

    store = await open_store(settings)
    try:
        return await work(store)
    finally:
        await store.close()
