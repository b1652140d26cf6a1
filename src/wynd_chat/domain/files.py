"""Files as people share them: what a name may be, and what a browser may show inside a page.

Decides names and how a content is served. What kind a content is, is found out by the adapter that
holds it.
"""

from __future__ import annotations

import re

from wynd_chat.domain.text import clean_line

__all__ = ["INLINE_TYPES", "OCTETS", "clean_file_name", "served_type"]

OCTETS = "application/octet-stream"
INLINE_TYPES = frozenset(
    {
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/webp",
        "image/avif",
        "audio/mpeg",
        "audio/ogg",
        "audio/flac",
        "audio/wav",
        "audio/mp4",
        "video/mp4",
        "video/webm",
        "text/plain",
    }
)
"""What is shown inside a page (chat.md 10). Never SVG, HTML or PDF, which can hold programs."""

FALLBACK = "file"
EXTENSION_BYTES_MAX = 20
# What Windows refuses in names, and what shells and header fields read as their own.
_UNWELCOME = re.compile(r'[<>:"|?*\x00-\x1f\x7f]')
# Default_Ignorable_Code_Point (UCD), and what only annotates: nothing of it is seen.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)

# Windows drops them, and `clean_line` white space: U+3000 is the last of it.
_NOT_LAST = "." + "".join(filter(str.isspace, map(chr, range(0x3001))))


def clean_file_name(name: str, bytes_max: int) -> str:
    """Return a file's name as it is shown and offered for saving; never a path.

    The last part of a path; without controls, invisible and bidirectional characters, so that
    `exe.gpj` cannot look like `jpg.exe`; at most `bytes_max` bytes of UTF-8, the extension kept;
    "file" where nothing is left.
    """
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    cleaned = _UNWELCOME.sub("_", _INVISIBLE.sub("", clean_line(last)))
    cleaned = cleaned.rstrip(_NOT_LAST)
    if len(cleaned.encode()) > bytes_max:
        stem, dot, extension = cleaned.rpartition(".")
        tail = f"{dot}{extension}"
        if not stem or len(tail.encode()) > EXTENSION_BYTES_MAX:
            stem, tail = cleaned, ""
        kept = stem.encode()[: bytes_max - len(tail.encode())].decode(errors="ignore")
        cleaned = kept.rstrip(_NOT_LAST) + tail
    return cleaned or FALLBACK


def served_type(mime: str) -> tuple[str, bool]:
    """Return the `Content-Type` a file is served with, and whether it is shown inside a page.

    Everything outside the list is only octets to a browser, whatever it is.
    """
    if mime not in INLINE_TYPES:
        return OCTETS, False
    return (f"{mime}; charset=utf-8" if mime == "text/plain" else mime), True
