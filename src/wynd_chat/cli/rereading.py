"""SIGHUP: reads the settings again while the server runs, and says what became of them.

What can change live is taken over at once; what cannot is named; what cannot be used changes
nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from typing import TYPE_CHECKING, Protocol

from wynd_chat.observability.logs import configure
from wynd_chat.ports.rereading import Reread
from wynd_chat.settings import Settings, SettingsError, reloaded, unsafe

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["reread", "reread_on_hangup"]

log = logging.getLogger("wynd_chat")


class Running(Protocol):
    """A server that looks at its settings whenever it needs them."""

    settings: Settings


class Rereading(Running, Protocol):
    """A server that can be asked to read its settings again."""

    reread: Callable[[], Reread]


def reread_on_hangup(chat: Rereading, load: Callable[[], Settings]) -> None:
    """Read the settings again at `/reload` and every SIGHUP, where the system has it."""
    chat.reread = lambda: reread(chat, load)
    number = getattr(signal, "SIGHUP", None)
    if number is None:
        return
    with contextlib.suppress(NotImplementedError):  # a loop without signals
        asyncio.get_running_loop().add_signal_handler(number, reread, chat, load)


def reread(chat: Running, load: Callable[[], Settings]) -> Reread:
    """Load the settings again, take over what can change live, and say what became of them."""
    try:
        fresh = load()
    except SettingsError as error:
        for sentence in error.sentences:
            log.error("settings: %s", sentence)
        log.error("settings: nothing was changed")
        return Reread(problems=tuple(error.sentences))
    result = reloaded(chat.settings, fresh)
    chat.settings = result.settings
    configure(result.settings.log.format, result.settings.log.level)
    if result.applied:
        log.info("settings: changed %s", ", ".join(result.applied))
    if result.waiting:
        log.warning("settings: a restart is needed for %s", ", ".join(result.waiting))
    if not result.applied and not result.waiting:
        log.info("settings: read again, nothing has changed")
    for sentence in unsafe(result.settings):
        log.warning("UNSAFE: %s", sentence)
    return Reread(result.applied, result.waiting)
