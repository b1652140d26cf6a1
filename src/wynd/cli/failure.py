"""What ends a command with one sentence and exit code 1."""

from __future__ import annotations

__all__ = ["Failure"]


class Failure(Exception):
    """The sentence that the user reads."""
