"""Durations as people type and read them: `30s 10m 2h 7d 1w`, and `off`.

Decides the spelling and the longest one. Knows no clock: adding it to "now" is the caller's.
"""

from __future__ import annotations

import re

from wynd_chat.domain.errors import ChatError, ErrorCode

__all__ = ["DURATION_MAX_S", "is_duration", "parse_duration", "short_duration"]

DURATION_MAX_S = 10 * 365 * 86_400  # ten years; more is meant as "for ever", which is no duration

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_FORM = re.compile(r"([0-9]{1,12})([smhdw])")
_OFF = frozenset({"0", "off"})


def is_duration(text: str) -> bool:
    """Tell whether a word is spelled as a duration, so that it is not the reason that follows it.

    Also true of one that `parse_duration` refuses as too long.
    """
    word = text.strip().lower()
    return word in _OFF or _FORM.fullmatch(word) is not None


def parse_duration(text: str) -> int | None:
    """Return seconds, above 0; None for `0`, `off` and `0` of any unit, which clear.

    Case and white space around do not matter.

    Raises:
        ChatError: `bad_request`: another spelling, or more than ten years.
    """
    word = text.strip().lower()
    if word in _OFF:
        return None
    form = _FORM.fullmatch(word)
    if form is None:
        raise ChatError(
            ErrorCode.BAD_REQUEST, "a duration looks like 30s, 10m, 2h, 7d or 1w; off clears"
        )
    seconds = int(form[1]) * _SECONDS[form[2]]
    if seconds > DURATION_MAX_S:
        raise ChatError(ErrorCode.BAD_REQUEST, "a duration is at most 10 years (520w)")
    return seconds or None


def short_duration(seconds: float) -> str:
    """Return one whole unit, rounded up: "8m", "30s", "2h", "3d"; at least "1s"."""
    whole = max(1, int(-(-seconds // 1)))
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if whole >= size:
            return f"{-(-whole // size)}{unit}"
    return f"{whole}s"
