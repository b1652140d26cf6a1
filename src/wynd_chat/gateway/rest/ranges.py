"""Ranges of a file (RFC 9110 §14): which bytes a request wants, in linear time and bounded number.

Knows no file; sizes are arguments.
"""

from __future__ import annotations

import re

__all__ = ["Unsatisfiable", "parse_ranges"]

_ONE = re.compile(r"\s*([0-9]{0,18})-([0-9]{0,18})\s*")


class Unsatisfiable(Exception):
    """No byte of what is asked for exists, or too many ranges: 416."""


def parse_ranges(header: str | None, size: int, most: int) -> list[tuple[int, int]] | None:
    """Return `(start, length)` of what is wanted, in order, joined where they touch; None: all.

    Anything that is no byte range is ignored, as the standard has it. Ranges that together are not
    smaller than the whole are answered with the whole.

    Args:
        header: The field `Range`.
        size: Of the file.
        most: So many ranges at most.

    Raises:
        Unsatisfiable: none of them lies in the file, or there are more than `most`.
    """
    if header is None:
        return None
    unit, separator, rest = header.partition("=")
    if unit.strip().lower() != "bytes" or not separator:
        return None
    if rest.count(",") >= most:
        raise Unsatisfiable
    wanted: list[tuple[int, int]] = []
    for part in rest.split(","):
        found = _ONE.fullmatch(part)
        if found is None or not (found[1] or found[2]):
            return None
        if not found[1]:  # the last so many bytes
            length = min(int(found[2]), size)
            if length:
                wanted.append((size - length, size))
            continue
        start = int(found[1])
        end = int(found[2]) + 1 if found[2] else size
        if found[2] and end <= start:
            return None  # the first byte lies behind the last one: not valid
        if start < size:
            wanted.append((start, min(end, size)))
    if not wanted:
        raise Unsatisfiable
    joined = _joined(sorted(wanted))
    if sum(length for _, length in joined) >= size:
        return None
    return joined


def _joined(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join sorted `(start, end)` that overlap or touch; return `(start, length)`."""
    kept = [ranges[0]]
    for start, end in ranges[1:]:
        last_start, last_end = kept[-1]
        if start <= last_end:
            kept[-1] = (last_start, max(end, last_end))
        else:
            kept.append((start, end))
    return [(start, end - start) for start, end in kept]
