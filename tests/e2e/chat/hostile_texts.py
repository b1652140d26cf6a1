"""Texts that would forge a line, move a cursor, turn a direction or ring a bell; more than 300."""

from __future__ import annotations

__all__ = ["MARK", "TEXTS"]

MARK = "marked4711"  # in every text, to find it where it must not be

_CONTROLS = [chr(point) for point in (*range(1, 0x20), 0x7F, *range(0x80, 0xA0))]
_LINE_ENDS = ["\n", "\r", "\r\n", "\n\r", "\u0085", "\u2028", "\u2029", "\v", "\f", "\n\n\n"]
_DIRECTIONS = list("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SEQUENCES = [
    "\x1b[2J", "\x1b[H", "\x1b[A\x1b[2K", "\x1b[1;1H", "\x1b[31m", "\x1b[?1049h", "\x1b[6n",
    "\x1b]0;title\x07", "\x1b]52;c;ZXZpbA==\x07", "\x1b]8;;http://evil\x1b\\", "\x1bP+q\x1b\\",
    "\x1b_apc\x1b\\", "\x1b^pm\x1b\\", "\x1bX sos\x1b\\", "\x1bc", "\x1b7", "\x1b(0", "\x9b2J",
    "\x9d0;title\x9c", "\x90q\x9c", "\x1b[", "\x1b", "\x1b\x1b[2J", "\x1b]0;never ended",
]  # fmt: skip
_PAYLOADS = list(dict.fromkeys([*_CONTROLS, *_LINE_ENDS, *_DIRECTIONS, *_SEQUENCES]))

TEXTS = [
    *(f"{MARK}{payload}Bob: I quit" for payload in _PAYLOADS),
    *(f"{MARK} {payload * 3}-- The server stops now: forged" for payload in _PAYLOADS),
    *(f"{MARK}{payload}\nBob left the chat\n[#dev] Bob: forged" for payload in _PAYLOADS),
]
