"""`Compression`: which offers of permessage-deflate (RFC 7692) a server takes.

A frozen value that is passed in. The native engine obeys it; on the portable engine the host server
decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Compression", "compression_of"]

_MODES = ("shared", "dedicated")
_WINDOW_BITS_MIN = 9  # zlib has no window of 256 bytes
_WINDOW_BITS_MAX = 15


@dataclass(frozen=True, kw_only=True, slots=True)
class Compression:
    """How messages of 1 KiB and more are compressed for clients that offer it.

    "shared" keeps nothing between messages: an idle connection costs no memory, and a broadcast is
    compressed once for all members. "dedicated" lets both sides refer to earlier messages: short,
    similar messages become smaller, each connection keeps up to 390 KiB, and a broadcast is
    compressed once per member.

    Raises:
        TypeError: a value of the wrong type.
        ValueError: an unknown mode, or a number outside its range.
    """

    mode: Literal["shared", "dedicated"] = "shared"
    """"shared" or "dedicated"."""
    level: int = 6
    """1 is fast, 9 is small."""
    server_max_window_bits: int = 15
    """With "dedicated", how far the server refers back: 9 is 512 bytes, 15 is 32 KiB. A client may
    ask for less."""
    client_max_window_bits: int = 15
    """The same for the client. One that cannot be told may not refer to earlier messages."""

    def __post_init__(self) -> None:
        if self.mode not in _MODES:
            raise ValueError(f'mode must be "shared" or "dedicated", not {self.mode!r}')
        _check("level", self.level, 1, 9)
        for name in ("server_max_window_bits", "client_max_window_bits"):
            _check(name, getattr(self, name), _WINDOW_BITS_MIN, _WINDOW_BITS_MAX)
            if self.mode == "shared" and getattr(self, name) != _WINDOW_BITS_MAX:
                raise ValueError(f'{name} needs mode="dedicated": "shared" keeps no window')


def compression_of(given: object) -> Compression | None:
    """Return what `Wynd(compression=...)` means; None is off.

    Raises:
        TypeError: neither a str nor a Compression.
        ValueError: an unknown name.
    """
    match given:
        case None | "off":
            return None
        case "shared":
            return Compression(mode="shared")
        case "dedicated":
            return Compression(mode="dedicated")
        case Compression():
            return given
        case str():
            raise ValueError(f'compression must be "off", "shared" or "dedicated", not {given!r}')
    raise TypeError(f"compression must be a str or a Compression, not {type(given).__name__}")


def _check(name: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if not least <= value <= most:
        raise ValueError(f"{name} must be {least} to {most}, not {value}")
