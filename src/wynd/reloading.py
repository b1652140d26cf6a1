"""What SIGHUP does: the certificate files are read again. `app` owns when, this file how."""

from __future__ import annotations

import logging
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from wynd.errors import CertificateError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["ReloadSignal"]

log: logging.Logger = logging.getLogger("wynd")


class ReloadSignal:
    """SIGHUP calls `reload` on the loop; a failure is one line in the log and changes nothing.

    An application's own handler of SIGHUP stays. Nothing happens where there is no SIGHUP, or
    outside the main thread, which alone may set handlers.
    """

    def __init__(self, reload: Callable[[], None]) -> None:
        self._reload = reload
        self._loop: asyncio.AbstractEventLoop | None = None
        self._before: Any = None

    def install(self, loop: asyncio.AbstractEventLoop) -> None:
        """Reload by way of `loop` from now on; a second call changes nothing."""
        number = getattr(signal, "SIGHUP", None)
        if self._loop is not None or number is None:
            return
        if threading.current_thread() is not threading.main_thread():
            return
        # Ignored is how nohup leaves it; reloading is as harmless.
        if signal.getsignal(number) in (signal.SIG_DFL, signal.SIG_IGN):
            self._before = signal.signal(number, self._caught)
            self._loop = loop

    def remove(self) -> None:
        """Put back what was before, unless the application has set a handler since."""
        if self._loop is None:
            return
        self._loop = None
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGHUP) == self._caught
        ):
            signal.signal(signal.SIGHUP, self._before)

    def _caught(self, number: int, frame: object) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: there is nothing to reload
                self._loop.call_soon_threadsafe(self._reload_now)

    def _reload_now(self) -> None:
        try:
            self._reload()
        except CertificateError as error:
            log.error("SIGHUP: the certificates stay as they were: %s", error)
        else:
            log.info("SIGHUP: the certificate files were read again")
