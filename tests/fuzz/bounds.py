"""What one input may cost: a second of processor time, 64 MiB of memory (scorecard row 9)."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CPU_S_MAX", "MEMORY_BYTES_MAX", "Costly", "run_bounded"]

CPU_S_MAX = 1.0
MEMORY_BYTES_MAX = 64 * 1024 * 1024
FORGOTTEN_BYTES = 4 * 1024 * 1024  # that much below the peak, the peak is begun anew


class Costly(AssertionError):
    """An input took too long, or too much."""


def run_bounded(check: Callable[[bytes], None], data: bytes) -> None:
    """Run a check. Memory is bounded on Linux only.

    Raises:
        Costly: it took more than what one input may.
    """
    before = _PEAK.forget()
    began = time.process_time()
    check(data)
    took = time.process_time() - began
    if took > CPU_S_MAX:
        raise Costly(f"it took {took:.2f} s of processor time")
    grown = _PEAK.bytes() - before
    if grown > MEMORY_BYTES_MAX:
        raise Costly(f"it took {grown / 1024 / 1024:.0f} MiB")


class _Peak:
    """The peak of the resident memory, by proc(5); a few microseconds a reading."""

    def __init__(self) -> None:
        self._status: int | None = None
        with suppress(OSError):
            self._status = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)

    def bytes(self) -> int:
        """Return the highest so far; 0 where the system does not tell."""
        return self._read()[0]

    def forget(self) -> int:
        """Return what counts as the beginning: the highest so far, or what is held now."""
        peak, held = self._read()
        if peak - held > FORGOTTEN_BYTES:
            with suppress(OSError):
                Path("/proc/self/clear_refs").write_bytes(b"5")
        return self._read()[0]

    def _read(self) -> tuple[int, int]:
        if self._status is None:
            return 0, 0
        status = os.pread(self._status, 4096, 0)
        peak, held = (
            int(status.partition(name)[2].split(None, 1)[0]) * 1024
            for name in (b"VmHWM:", b"VmRSS:")
        )
        return peak, held


_PEAK = _Peak()
