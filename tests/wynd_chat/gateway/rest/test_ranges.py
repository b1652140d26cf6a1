"""Ranges of a file (RFC 9110 §14.1.2): what is wanted, what is ignored, what is refused."""

from __future__ import annotations

import time

import pytest

from wynd_chat.gateway.rest.ranges import Unsatisfiable, parse_ranges

WHOLE = None


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (None, WHOLE),
        ("bytes=0-9", [(0, 10)]),
        ("bytes=0-0", [(0, 1)]),
        ("bytes=90-", [(90, 10)]),
        ("bytes=-10", [(90, 10)]),
        ("bytes=95-200", [(95, 5)]),
        ("BYTES=0-9", [(0, 10)]),
        ("bytes = 0-9", [(0, 10)]),
        ("bytes=0-9, 20-29", [(0, 10), (20, 10)]),
        ("bytes=20-29,0-9", [(0, 10), (20, 10)]),
        ("bytes=0-9,5-19", [(0, 20)]),
        ("bytes=0-9,10-19", [(0, 20)]),
        ("bytes=0-9,200-300", [(0, 10)]),
        ("bytes=0-99", WHOLE),
        ("bytes=-200", WHOLE),
        ("bytes=0-49,50-99", WHOLE),
        ("bytes=9-0", WHOLE),
        ("bytes=a-b", WHOLE),
        ("bytes=-", WHOLE),
        ("bytes=", WHOLE),
        ("bytes", WHOLE),
        ("bytes=0-9,x", WHOLE),
        ("bytes=0x0-0x9", WHOLE),
        ("bytes=+0-9", WHOLE),
        ("bytes=0-9999999999999999999", WHOLE),
        ("items=0-9", WHOLE),
        ("bytes=\u0660-\u0669", WHOLE),
    ],
)
def test_ranges_are_those_of_the_standard(
    header: str | None, wanted: list[tuple[int, int]] | None
) -> None:
    assert parse_ranges(header, 100, 100) == wanted


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=200-,300-"])
def test_what_lies_outside_is_refused(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        parse_ranges(header, 100, 100)


def test_a_hundred_ranges_are_allowed_and_no_more() -> None:
    hundred = ",".join(f"{at}-{at}" for at in range(0, 200, 2))
    assert len(parse_ranges(f"bytes={hundred}", 1000, 100) or ()) == 100
    with pytest.raises(Unsatisfiable):
        parse_ranges(f"bytes={hundred},500-501", 1000, 100)


def test_hostile_fields_take_no_time() -> None:
    fields = ["bytes=" + "0-," * 5_000, "bytes=" + "0" * 16_000, "bytes=" + "," * 16_000]
    fields += ["bytes=" + " " * 16_000 + "0-1", "bytes=" + ",".join(["0-"] * 100)]
    began = time.perf_counter()
    for header in fields:
        try:
            ranges = parse_ranges(header, 10**9, 100)
        except Unsatisfiable:
            continue
        assert ranges is None or sum(length for _, length in ranges) <= 10**9
    assert time.perf_counter() - began < 1.0
