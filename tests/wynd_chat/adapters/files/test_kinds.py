"""What a content is, judged by the content alone; hostile headers cost nothing."""

from __future__ import annotations

import random
import struct
import time

import pytest

from tests.wynd_chat.adapters.files.contents import HOSTILE, JPEG_SIZE, PLAIN, PNG
from wynd_chat.adapters.files.kinds import HEAD_BYTES_MAX, Kind, TextCheck, kind_of
from wynd_chat.domain.files import INLINE_TYPES, served_type


def judged(content: bytes, *, piece: int = 1 << 20) -> Kind:
    """Return what a content is, fed in pieces."""
    check = TextCheck()
    for at in range(0, len(content), piece):
        check.feed(content[at : at + piece])
    check.feed(b"", is_last=True)
    return kind_of(content[:HEAD_BYTES_MAX], is_text=check.is_text)


@pytest.mark.parametrize(
    ("content", "mime", "size"), [one[1:] for one in PLAIN], ids=[one[0] for one in PLAIN]
)
def test_what_pages_show_is_known(content: bytes, mime: str, size: tuple[int, int] | None) -> None:
    w, h = size or (None, None)
    assert judged(content) == Kind(mime, w, h)
    assert judged(content, piece=1) == Kind(mime, w, h)
    assert mime in INLINE_TYPES


def test_every_kind_that_is_shown_is_among_them() -> None:
    assert {mime for _, _, mime, _ in PLAIN} == INLINE_TYPES


@pytest.mark.parametrize("content", [one[1] for one in HOSTILE], ids=[one[0] for one in HOSTILE])
def test_what_could_run_is_only_octets(content: bytes) -> None:
    mime = judged(content).mime
    assert mime not in INLINE_TYPES
    assert served_type(mime) == ("application/octet-stream", False)


def test_a_type_never_breaks_a_header_field() -> None:
    rng = random.Random(3)
    for _ in range(2_000):
        mime = judged(rng.randbytes(rng.randrange(1, 64))).mime
        assert mime.isascii()
        assert mime.isprintable()
        assert mime.count("/") == 1


@pytest.mark.parametrize("cut", range(1, len(PNG)))
def test_a_cut_header_has_no_size_and_raises_nothing(cut: int) -> None:
    kind = judged(PNG[:cut])
    assert kind.w is None or cut >= 24


def test_cut_headers_of_all_kinds_raise_nothing() -> None:
    for _, content, _, _ in PLAIN:
        for cut in range(min(len(content), 200)):
            judged(content[:cut])


def test_sizes_that_are_lies_are_left_out() -> None:
    for w, h in ((0, 5), (5, 0), (2**32 - 1, 5), (5, 2**31)):
        lie = PNG[:16] + struct.pack(">II", w, h)
        assert judged(lie) == Kind("image/png")


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8\xff\xe0\x00\x00" * 50_000,  # segments of length 0
        b"\xff\xd8" + b"\xff\xe0\x00\x02" * 60_000,  # 60,000 segments
        b"\xff\xd8" + b"\xff" * 250_000,  # only fill bytes
        b"\xff\xd8" + b"\xff\xd0" * 120_000 + JPEG_SIZE,
        b"\0\0\0\x20ftypavif" + b"\0\0\0\x14ispe\0\0\0\0" * 20_000,
        b"\xff\xff\xff\xffftypisom" + b"isom" * 60_000,
        b"<" * 250_000,
        b"\x1a\x45\xdf\xa3" + b"\x42\x82" * 100_000,
    ],
)
def test_headers_that_never_end_take_linear_time(content: bytes) -> None:
    began = time.perf_counter()
    kind_of(content[:HEAD_BYTES_MAX], is_text=False)
    kind_of(content[:HEAD_BYTES_MAX], is_text=True)
    assert time.perf_counter() - began < 1.0


def test_text_may_be_cut_inside_a_character_only_at_the_end_of_a_piece() -> None:
    check = TextCheck()
    check.feed("ü".encode()[:1])
    assert check.is_text
    check.feed(b"", is_last=True)
    assert not check.is_text
