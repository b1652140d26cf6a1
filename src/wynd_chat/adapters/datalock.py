"""`DataLock`: one server per data directory.

Two servers over one SQLite file would each number events and neither would hear of the other's.
The lock belongs to the open file, so it ends with the process, however that ends. Commands that
write a row beside a server do not take it; a restore does.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

__all__ = ["DataInUse", "DataLock"]

NAME = "wynd-chat.lock"


class DataInUse(OSError):
    """Another server uses the data directory; the text says what to do."""


class DataLock:
    """Holds a data directory, from `acquire` or the begin of a `with` block on.

    Args:
        data: The directory; it must exist.
    """

    def __init__(self, data: Path) -> None:
        self._path = data / NAME
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock at once, or fail.

        Raises:
            DataInUse: another process has it.
            OSError: the lock's file cannot be made.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(descriptor)
        except OSError:
            os.close(descriptor)
            raise DataInUse(
                f"another wynd-chat uses {self._path.parent}; stop it, or name another folder "
                "with --data"
            ) from None
        self._descriptor = descriptor

    def release(self) -> None:
        """Give it back; twice is once. The file stays: removing it would let two hold it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
