"""`Reread`: what became of settings that a running server read again.

Decides nothing; who reads them is the command line, who asks for it an administrator or a signal.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Reread"]


@dataclass(frozen=True, slots=True)
class Reread:
    """What became of them."""

    applied: tuple[str, ...] = ()
    """Keys that changed and hold now."""
    waiting: tuple[str, ...] = ()
    """Keys that changed and take a restart."""
    problems: tuple[str, ...] = ()
    """Why they cannot be used; then nothing was changed."""
