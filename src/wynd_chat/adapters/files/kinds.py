"""What a content is, judged by its first bytes and by whether all of it is text.

Decides the MIME type and, for images, width and height as the header says them; nothing is decoded.
What may be shown inside a page has a strict test of its own here, since `served_type` trusts it;
the rest is named by `puremagic` and is only ever served as octets.
"""

from __future__ import annotations

import codecs
import re
import struct
from typing import TYPE_CHECKING, NamedTuple

import puremagic

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HEAD_BYTES_MAX", "Kind", "TextCheck", "kind_of"]

HEAD_BYTES_MAX = 256 * 1024  # a JPEG's size stands behind its EXIF and colour profile
OCTETS = "application/octet-stream"
SIDE_MAX = 1_000_000  # pixels; more is a lie
_MARKUP_BYTES = 1445  # as far as browsers look (WHATWG MIME Sniffing §7.1), a little further
_MARKUP = re.compile(
    rb"<(?:!doctype|html|head|body|script|style|iframe|svg|title|table|img|a|h1|div|font|br|p|b|!--"
    rb"|\?xml|link|meta|object|embed|math|base|form)[\s>/-]",
    re.IGNORECASE,
)
_MIME = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,60}")
_TEXT_CONTROLS = bytes(range(0x20)).translate(None, b"\t\n\r\f\x1b") + b"\x7f"
# ISO base media (ISO/IEC 14496-12 §4.3): brands of what browsers play.
_VIDEO_BRANDS = frozenset(
    (b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V ", b"dash")
)
_AUDIO_BRANDS = frozenset((b"M4A ", b"M4B "))
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_SIZE_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOFn (ITU T.81 table B.1)


class Kind(NamedTuple):
    """What a content is."""

    mime: str
    w: int | None = None
    h: int | None = None


class TextCheck:
    """Tells whether a content is text, piece by piece: UTF-8 without control characters."""

    __slots__ = ("_decoder", "is_text")

    def __init__(self) -> None:
        self.is_text = True
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def feed(self, chunk: bytes, *, is_last: bool = False) -> None:
        """Take the next piece."""
        if not self.is_text:
            return
        try:
            self._decoder.decode(chunk, is_last)
        except UnicodeDecodeError:
            self.is_text = False
            return
        self.is_text = len(chunk.translate(None, _TEXT_CONTROLS)) == len(chunk)


def kind_of(head: bytes, *, is_text: bool) -> Kind:
    """Return what a content is.

    Args:
        head: Its first bytes, up to `HEAD_BYTES_MAX`.
        is_text: What `TextCheck` said of all of it.
    """
    for looks_like, mime, size_of in _TESTS:
        if looks_like(head):
            size = None if size_of is None else size_of(head)
            return Kind(mime) if size is None else Kind(mime, *size)
    if is_text:
        return Kind(_text_mime(head))
    return Kind(_named(head))


def _text_mime(head: bytes) -> str:
    """Return what a text is; markup that a browser might run is not plain."""
    start = head[:_MARKUP_BYTES]
    lower = start.lower()
    if b"<svg" in lower:
        return "image/svg+xml"
    found = _MARKUP.search(start)
    if found is not None and (b"<?xml" in lower and b"<html" not in lower):
        return "application/xml"
    if found is not None:
        return "text/html"
    return "application/pdf" if b"%PDF-" in start else "text/plain"


def _named(head: bytes) -> str:
    """Return what `puremagic` takes it for, unless that is something shown inside pages."""
    if b"%PDF-" in head[:1024]:
        return "application/pdf"
    try:
        mime = puremagic.from_string(head, mime=True)
    except (puremagic.PureError, ValueError):
        return OCTETS
    mime = mime.strip().lower()
    is_shown = any(mime == shown for _, shown, _ in _TESTS) or mime.startswith("text/")
    return mime if _MIME.fullmatch(mime) and not is_shown else OCTETS


# Sizes of images


def _sides(w: int, h: int) -> tuple[int, int] | None:
    return (w, h) if 0 < w <= SIDE_MAX and 0 < h <= SIDE_MAX else None


def _png_size(head: bytes) -> tuple[int, int] | None:
    if head[12:16] != b"IHDR" or len(head) < 24:
        return None
    return _sides(*struct.unpack(">II", head[16:24]))


def _gif_size(head: bytes) -> tuple[int, int] | None:
    return _sides(*struct.unpack("<HH", head[6:10])) if len(head) >= 10 else None


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(head):
        if head[at] != 0xFF:
            return None
        marker = head[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker in _SIZE_MARKERS:
            h, w = struct.unpack(">HH", head[at + 5 : at + 9])
            return _sides(w, h)
        if marker in (0x01, *range(0xD0, 0xD9)):  # without a length
            at += 2
            continue
        length = int.from_bytes(head[at + 2 : at + 4], "big")
        if length < 2:
            return None
        at += 2 + length
    return None


def _webp_size(head: bytes) -> tuple[int, int] | None:
    form = head[12:16]
    if form == b"VP8X" and len(head) >= 30:
        w, h = (int.from_bytes(head[at : at + 3], "little") + 1 for at in (24, 27))
        return _sides(w, h)
    if form == b"VP8 " and head[23:26] == b"\x9d\x01\x2a" and len(head) >= 30:
        w, h = struct.unpack("<HH", head[26:30])
        return _sides(w & 0x3FFF, h & 0x3FFF)
    if form == b"VP8L" and head[20:21] == b"\x2f" and len(head) >= 25:
        bits = int.from_bytes(head[21:25], "little")
        return _sides((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    return None


def _avif_size(head: bytes) -> tuple[int, int] | None:
    """Return the largest extent of an image's items (`ispe`, ISO/IEC 23008-12 §6.5.3)."""
    largest: tuple[int, int] | None = None
    for found in re.finditer(b"\x00\x00\x00\x14ispe\x00\x00\x00\x00", head):
        sides = head[found.end() : found.end() + 8]
        if len(sides) == 8:
            size = _sides(*struct.unpack(">II", sides))
            if size and (largest is None or size[0] * size[1] > largest[0] * largest[1]):
                largest = size
    return largest


# What looks like what


def _begins(*magic: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(magic)


def _riff(form: bytes) -> Callable[[bytes], bool]:
    return lambda head: head[:4] == b"RIFF" and head[8:12] == form


def _brand(brands: frozenset[bytes], *, is_major: bool = False) -> Callable[[bytes], bool]:
    def looks_like(head: bytes) -> bool:
        if head[4:8] != b"ftyp":
            return False
        end = min(int.from_bytes(head[:4], "big"), 256, len(head))
        if head[8:12] in brands:
            return True
        compatible = {head[at : at + 4] for at in range(16, end - 3, 4)}
        return not is_major and bool(brands & compatible)

    return looks_like


def _is_mp3(head: bytes) -> bool:
    if head[:3] == b"ID3":
        return len(head) >= 10 and head[3] < 0xFF and head[4] < 0xFF and max(head[6:10]) < 0x80
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bitrate, rate = head[2] >> 4, head[2] >> 2 & 3
    return version != 1 and layer == 1 and bitrate not in (0, 15) and rate != 3


def _is_webm(head: bytes) -> bool:
    return head.startswith(b"\x1a\x45\xdf\xa3") and b"\x42\x82\x84webm" in head[:64]


_Size = tuple[int, int] | None
_TESTS: tuple[tuple[Callable[[bytes], bool], str, Callable[[bytes], _Size] | None], ...] = (
    (_begins(b"\x89PNG\r\n\x1a\n"), "image/png", _png_size),
    (_begins(b"\xff\xd8\xff"), "image/jpeg", _jpeg_size),
    (_begins(b"GIF87a", b"GIF89a"), "image/gif", _gif_size),
    (_riff(b"WEBP"), "image/webp", _webp_size),
    (_brand(_AVIF_BRANDS), "image/avif", _avif_size),
    (_brand(_AUDIO_BRANDS, is_major=True), "audio/mp4", None),
    (_brand(_VIDEO_BRANDS), "video/mp4", None),
    (_is_webm, "video/webm", None),
    (_begins(b"OggS\x00"), "audio/ogg", None),
    (_begins(b"fLaC"), "audio/flac", None),
    (_riff(b"WAVE"), "audio/wav", None),
    (_is_mp3, "audio/mpeg", None),
)
