"""Contents of every kind, small and whole enough to be told apart, and what they are."""

from __future__ import annotations

import struct

__all__ = ["HOSTILE", "JPEG_SIZE", "PLAIN", "PNG"]

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 640, 480) + b"\x08\x06\0\0\0"
GIF = b"GIF89a" + struct.pack("<HH", 10, 20) + b"\0\0\0;"
JPEG_HEAD = b"\xff\xd8\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
JPEG_SIZE = b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 480, 640) + b"\x03" + b"\0" * 9
JPEG = JPEG_HEAD + JPEG_SIZE + b"\xff\xd9"
EXIF = b"\xff\xd8\xff\xe1\xff\xff" + b"x" * 65_533 + JPEG_SIZE
WEBP_X = b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + (639).to_bytes(3, "little") + b"\xdf\x01\x00"
WEBP_LOSSY = b"RIFF\x1e\0\0\0WEBPVP8 \x12\0\0\0\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 640, 480)
WEBP_LOSSLESS = b"RIFF\x1e\0\0\0WEBPVP8L\x12\0\0\0\x2f" + ((479 << 14) | 639).to_bytes(4, "little")
AVIF = (
    b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf"
    b"\0\0\0\x14ispe\0\0\0\0" + struct.pack(">II", 64, 48) + b"\0\0\0\x14ispe\0\0\0\0"
) + struct.pack(">II", 640, 480)

PLAIN: list[tuple[str, bytes, str, tuple[int, int] | None]] = [
    ("png", PNG, "image/png", (640, 480)),
    ("gif", GIF, "image/gif", (10, 20)),
    ("old gif", b"GIF87a" + GIF[6:], "image/gif", (10, 20)),
    ("jpeg", JPEG, "image/jpeg", (640, 480)),
    ("jpeg behind 64 KiB of EXIF", EXIF, "image/jpeg", (640, 480)),
    ("jpeg with fill bytes", b"\xff\xd8\xff\xff\xff" + JPEG_SIZE, "image/jpeg", (640, 480)),
    ("webp extended", WEBP_X, "image/webp", (640, 480)),
    ("webp lossy", WEBP_LOSSY, "image/webp", (640, 480)),
    ("webp lossless", WEBP_LOSSLESS, "image/webp", (640, 480)),
    ("avif", AVIF, "image/avif", (640, 480)),
    ("avif as compatible brand", AVIF.replace(b"avif", b"mif1", 1), "image/avif", (640, 480)),
    ("mp3 with tags", b"ID3\x04\0\0\0\0\x02\x01" + b"\0" * 20, "audio/mpeg", None),
    ("mp3 without tags", b"\xff\xfb\x90\x64" + b"\0" * 20, "audio/mpeg", None),
    ("ogg", b"OggS\0\x02" + b"\0" * 20, "audio/ogg", None),
    ("flac", b"fLaC\0\0\0\x22" + b"\0" * 20, "audio/flac", None),
    ("wav", b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 20, "audio/wav", None),
    ("m4a", b"\0\0\0\x20ftypM4A \0\0\x02\0isomiso2" + b"\0" * 20, "audio/mp4", None),
    ("mp4", b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41", "video/mp4", None),
    (
        "webm",
        b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08"
        b"\x42\x82\x84webm",
        "video/webm",
        None,
    ),
    ("text", "Grüße, 世界 🎉\n\tand more\r\n".encode(), "text/plain", None),
    ("text with colours", b"\x1b[31mred\x1b[0m\n", "text/plain", None),
    ("text with a byte order mark", b"\xef\xbb\xbfhello", "text/plain", None),
    ("a program in C", b"#include <stdio.h>\nint main(void) { return 0; }\n", "text/plain", None),
    ("a comparison", b"if a < b and c > d:\n    pass\n", "text/plain", None),
    ("json", b'{"a": 1}', "text/plain", None),
    ("markdown", b"# Title\n\n- one\n", "text/plain", None),
]
"""Name, content, kind, width and height."""

HOSTILE: list[tuple[str, bytes]] = [
    ("svg", b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'),
    ("svg behind a declaration", b'<?xml version="1.0"?>\n<!DOCTYPE svg>\n<svg onload="x()"/>'),
    ("svg behind a comment", b"<!-- " + b"x" * 500 + b" -->\n<svg onload=alert(1)>"),
    ("svg in capitals", b"<SVG ONLOAD=alert(1)>"),
    ("svg with a prefix", b'<x:svg xmlns:x="http://www.w3.org/2000/svg"/>\n<svg/>'),
    ("html", b"<!DOCTYPE html><script>alert(1)</script>"),
    ("html without doctype", b"<html><body onload=alert(1)>"),
    ("html behind spaces", b" \t\r\n" * 50 + b"<script>alert(1)</script>"),
    ("html behind a byte order mark", b"\xef\xbb\xbf<script>alert(1)</script>"),
    ("html behind words", b"hello <img src=x onerror=alert(1)>"),
    ("html in mixed case", b"<ScRiPt >alert(1)</sCrIpT>"),
    ("an iframe", b'<iframe src="javascript:alert(1)">'),
    ("a link", b'<a href="javascript:alert(1)">x</a>'),
    ("an object", b'<object data="data:text/html,<script>alert(1)</script>">'),
    ("a base", b'<base href="http://evil.example/">'),
    ("a refresh", b'<meta http-equiv="refresh" content="0;url=javascript:alert(1)">'),
    ("mathml", b'<math><maction xlink:href="javascript:alert(1)">x</maction></math>'),
    ("xml with a stylesheet", b'<?xml version="1.0"?><?xml-stylesheet href="x.xsl"?><a/>'),
    ("xhtml", b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><script/></html>'),
    ("pdf", b"%PDF-1.7\n1 0 obj\n<< /OpenAction << /JS (app.alert(1)) >> >>"),
    ("pdf behind junk", b"junk\n%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"),
    ("pdf that is text", b"%PDF-1.4\nall of it is text"),
    ("zip", b"PK\x03\x04" + b"\0" * 40),
    ("elf", b"\x7fELF\x02\x01\x01" + b"\0" * 40),
    ("exe", b"MZ\x90\0\x03\0\0\0" + b"\0" * 60),
    ("a jar", b"PK\x03\x04\x14\0\x08\0META-INF/MANIFEST.MF"),
    ("flash", b"FWS\x06" + b"\0" * 40),
    ("utf-16 html", "<script>alert(1)</script>".encode("utf-16")),
    ("utf-7 html", b"+ADw-script+AD4-alert(1)+ADw-/script+AD4-\0"),
    ("latin-1 text", b"caf\xe9"),
    ("text with a null", b"hello\0world"),
    ("text with a bell", b"hello\x07world"),
    ("matroska that is no webm", b"\x1a\x45\xdf\xa3\x93\x42\x82\x88matroska"),
    ("a quicktime film", b"\0\0\0\x14ftypqt  \0\0\0\0qt  "),
    ("heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
    ("half a png", b"\x89PNG\r\n\x1a"),
    ("riff of something else", b"RIFF\x24\0\0\0AVI LIST"),
    ("an ogg that is none", b"OggX\0\0\0\0"),
    ("mpeg layer one", b"\xff\xfe\x90\x64" + b"\0" * 20),
    ("an mp3 frame of no bitrate", b"\xff\xfb\xf0\x64" + b"\0" * 20),
    ("tags of no mp3", b"ID3\xff\xff\xff\xff\xff\xff\xff"),
    ("ico", b"\0\0\x01\0\x01\0\x10\x10"),
    ("bmp", b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0"),
    ("tiff", b"II*\0\x08\0\0\0"),
    ("one byte", b"\xff"),
    ("zeros", b"\0" * 1000),
]
"""Name and content of what must never be shown inside a page."""
