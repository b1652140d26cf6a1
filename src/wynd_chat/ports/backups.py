"""`BackupMade`: a backup that the running server made when it was asked to."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BackupMade"]


@dataclass(frozen=True, slots=True)
class BackupMade:
    """What was made."""

    name: str
    """Of the file, in the server's folder of backups."""
    size: int
    """Bytes."""
    missing: int
    """Files of the chat that were missing or damaged, and are not in it."""
