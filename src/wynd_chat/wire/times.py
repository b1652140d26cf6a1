"""How moments are written: RFC 3339 for programs, hours and minutes for people.

Takes milliseconds UTC and never fails: what lies outside the years 1970 to 9999 becomes the nearest
moment inside.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

__all__ = ["clock_text", "minute_text", "time_text"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME_MAX = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z, the last that RFC 3339 can write
_REMEMBERED = 1024  # moments; an event's is written for its frame, its acknowledgement and pages
_DAY = 86_400_000  # a zone shifts a moment by less, so that no shift leaves the calendar


@lru_cache(_REMEMBERED)
def time_text(ms: int) -> str:
    """Return RFC 3339 UTC with milliseconds: "2026-11-23T19:24:05.123Z"."""
    moment = _EPOCH + timedelta(milliseconds=min(max(ms, 0), _TIME_MAX))
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock_text(ms: int, zone: tzinfo = UTC) -> str:
    """Return hours and minutes: "19:24"."""
    return f"{_in_zone(ms, zone):%H:%M}"


def minute_text(ms: int, zone: tzinfo = UTC) -> str:
    """Return a day and time with the zone's name: "2026-11-23 19:24 UTC"."""
    return f"{_in_zone(ms, zone):%Y-%m-%d %H:%M %Z}"


def _in_zone(ms: int, zone: tzinfo) -> datetime:
    inside = min(max(ms, _DAY), _TIME_MAX - _DAY)
    return (_EPOCH + timedelta(milliseconds=inside)).astimezone(zone)
