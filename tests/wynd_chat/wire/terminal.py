"""What a terminal may be sent: visible text, one frame, nobody else's line."""

from __future__ import annotations

import re

# C0 but tab, DEL, C1, bidirectional controls, and what some readers take for the end of a line.
UNSAFE = re.compile("[\0-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
CONTINUATION = "  | "


def assert_one_line(line: str) -> None:
    """Fail where a line is two, or does something to a terminal."""
    found = UNSAFE.search(line)
    assert found is None, f"{found[0]!r} in {line!r}"


def assert_one_frame(frame: str) -> None:
    """Fail where a further line of a frame could be taken for a frame of its own."""
    first, *others = frame.split("\n")
    assert_one_line(first)
    for line in others:
        assert line.startswith(CONTINUATION), frame
        assert_one_line(line)
