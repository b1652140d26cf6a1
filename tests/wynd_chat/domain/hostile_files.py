"""Names of files that people with bad intentions would choose, and texts that forge lines."""

from __future__ import annotations

__all__ = ["FILE_NAMES"]

_PATHS = [
    "../evil", "../../etc/passwd", "/etc/passwd", "..\\..\\windows\\win.ini", "C:\\boot.ini",
    "\\\\server\\share\\x", "a/../../b", "./x", "x/", "/", "//", "..", ".", "...", "../", "..\\",
    "%2e%2e%2fx", "..%2f..%2fx", "%00", "x%00.png", "....//....//x", "..;/x", "file:///etc/passwd",
    "~/.ssh/authorized_keys", "$HOME/x", "`id`", "$(id)", "${IFS}x", "; rm -rf /", "| cat", "&& id",
    "-rf", "--help", "-", "@/etc/passwd", "<x", ">x", "*", "?", "a*b?c", "x;y", "x|y", "x&y",
]  # fmt: skip
_CONTROLS = [
    "a\nb", "a\rb", "a\r\nSet-Cookie: x=y", "a\tb", "a\x00b", "a\x07b", "a\x08\x08b", "a\x1b[2Jb",
    "a\x1b]0;title\x07b", "a\x1bP+q544e\x1b\\b", "\x9b31mred", "a\x7fb", "a\x85b", "a\u2028b",
    "a\u2029b", "\n", "\r\n\r\n<html>", "x\n| forged", "\x1b[A\x1b[2K", "a\x0cb", "a\x0bb",
    "\x1b[6n", "\x1b]8;;http://evil\x1b\\x\x1b]8;;\x1b\\", "\x1b[?1049h", "\x1bc",
]  # fmt: skip
_DIRECTIONS = [
    "\u202egpj.exe", "cat\u202egnp.exe", "\u2066x\u2069", "\u200ex", "\u200fx", "\u061cx",
    "a\u202ab", "a\u202db", "a\u2067b", "a\u2068b", "x\u200b.png", "\ufeffx", "x\u00ad.png",
    "x\u2060y", "x\u2063y", "\u180ex", "x\u034f", "x\ufe0f", "\u200d", "\u200b\u200b",
]  # fmt: skip
_QUOTES = [
    'a"b', "a'b", 'a"; filename="b', "a\\", 'a\\"b', "a%22b", "a;b", "a,b", "a=b", "filename*=x",
    "a\u201cb\u201d", "UTF-8''x", "=?utf-8?q?x?=", "<script>alert(1)</script>", "<img src=x>",
    "a&lt;b", "javascript:alert(1)", "data:text/html,x", "x.html", "x.svg", "x.pdf", "x.htm.png",
    "x.php", "x.png.exe", "x.jpg\u00a0.exe", "x.png ", "x.png.", "x. . .", ".htaccess", ".env",
    "desktop.ini", "CON", "NUL.txt", "COM1", "aux.h", "Thumbs.db", "robots.txt", "index.html",
]  # fmt: skip
_LENGTHS = [
    "x" * 200, "x" * 201, "x" * 4000, "ü" * 100, "ü" * 101, "🎉" * 60, "x" * 300 + ".png",
    "🎉" * 100 + ".jpeg", "." * 300, "x." + "y" * 300, " " * 300, "a" * 196 + "é.txt",
    "\U0010ffff" * 51, "e\u0301" * 100, "x" * 199 + "é", ".png", "a" * 250 + "." + "b" * 19,
]  # fmt: skip
_OTHER = [
    "\ud7ff", "\ue000", "\uffff", "\U000e0001tag", "\U000f0000", "ﷺ", "Z\u0351\u036b\u0343\u036a",
    "конь.txt", "\uff46\uff55\uff4c\uff4c.txt",
    "ﬁle.txt", "名前.txt", "שלום.txt", "مرحبا.txt", "\u1160x", "\u3164",
    "constructor", "__proto__", "null", "undefined", "0", "true", "NaN", "file", "Server",
]  # fmt: skip

FILE_NAMES: list[str] = [*_PATHS, *_CONTROLS, *_DIRECTIONS, *_QUOTES, *_LENGTHS, *_OTHER]
