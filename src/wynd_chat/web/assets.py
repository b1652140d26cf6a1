"""`Assets`: the page's files as they are served: under one hash, compressed once, with their types.

Decides paths, media types, caching and the content policy; who serves them is the gateway's. The
hash of all files is a folder in the address (`assets/<hash>/main.js`), so that imports between
modules stay relative and everything below it can be kept for ever.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable

__all__ = [
    "CONTENT_SECURITY_POLICY",
    "IMMUTABLE",
    "PAGE_HEADERS",
    "Asset",
    "Assets",
    "load_assets",
]

# chat.md 9. No script or style stands in the pages themselves, so nothing needs 'unsafe-inline'.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; "
    "frame-ancestors 'none'; form-action 'self'; object-src 'none'; base-uri 'none'"
)
IMMUTABLE = "public, max-age=31536000, immutable"
PAGE_HEADERS: Mapping[str, str] = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",  # names the hash of the day
}

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_FIRST, _LATER = "main.js", "shell.js"  # the gate needs the first alone
_PAGES = frozenset({"index.html", "basic.html"})
_NOT_SERVED = (".d.ts", ".sha256")
_HASH_CHARS = 16  # 64 bits: names a version, proves nothing
_GZIP_BYTES_MIN = 256  # below it the frame around the data costs more than it saves
_IMPORT = re.compile(r"""^(?:import|export) [^;]*?from "\./([^"]+)";""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served."""

    path: str
    """Below the hash's folder, with slashes: "vendor/preact.js"."""
    body: bytes
    gzipped: bytes | None
    """The body under `Content-Encoding: gzip`; None where that is not smaller."""
    media_type: str
    etag: str
    """A strong entity tag of the body, quotes included."""


@dataclass(frozen=True, slots=True)
class Assets:
    """All files of the page."""

    hash: str
    """Of every file's path and content; hexadecimal."""
    files: Mapping[str, Asset]
    """By path; serve them as `assets/<hash>/<path>` with `Cache-Control: IMMUTABLE`."""
    index: Asset
    """The page for `/`; goes out with `PAGE_HEADERS`."""
    basic: Asset
    """The tutorial's page for `/basic`; goes out with `PAGE_HEADERS`."""

    def find(self, version: str, path: str) -> Asset | None:
        """Return the file of an address `assets/<version>/<path>`, None where there is none.

        A file of another version is not served under this one's name: it would be kept for ever.
        """
        return self.files.get(path) if version == self.hash else None


@lru_cache(maxsize=1)
def load_assets() -> Assets:
    """Read the page out of the package; the same object each time."""
    sources = dict(sorted(_walk(files("wynd_chat.web") / "page", "")))
    digest = hashlib.sha256()
    for path, body in sources.items():
        digest.update(f"{path}\0{len(body)}\0".encode())
        digest.update(body)
    version = digest.hexdigest()[:_HASH_CHARS]
    served = {path: _asset(path, body) for path, body in sources.items() if path not in _PAGES}
    folder = f"assets/{version}"
    first = _imported(sources, _FIRST)
    later = _imported(sources, _LATER) - first

    def preloads(paths: set[str], attributes: str = "") -> str:
        links = (
            f'<link rel="modulepreload" href="{folder}/{path}"{attributes}>'
            for path in sorted(paths)
        )
        return "\n    ".join(links)

    def page(name: str) -> Asset:
        text = sources[name].decode()
        text = text.replace("<!-- {{modules}} -->", preloads(first))
        text = text.replace("<!-- {{later}} -->", preloads(later, ' fetchpriority="low"'))
        return _asset(name, text.replace("{{assets}}", folder).encode())

    return Assets(version, served, page("index.html"), page("basic.html"))


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        path = f"{prefix}{entry.name}"
        if entry.is_dir():
            yield from _walk(entry, f"{path}/")
        elif not path.endswith(_NOT_SERVED) and _suffix(path) in _MEDIA_TYPES:
            yield path, entry.read_bytes()


def _imported(sources: Mapping[str, bytes], start: str) -> set[str]:
    """Return a module and all that it cannot start without: what it imports statically."""
    found: set[str] = set()
    todo = [start]
    while todo:
        path = todo.pop()
        found.add(path)
        todo += set(_IMPORT.findall(sources[path].decode())) - found
    return found


def _asset(path: str, body: bytes) -> Asset:
    packed = gzip.compress(body, compresslevel=9, mtime=0)
    return Asset(
        path=path,
        body=body,
        gzipped=packed if len(body) >= _GZIP_BYTES_MIN and len(packed) < len(body) else None,
        media_type=_MEDIA_TYPES[_suffix(path)],
        etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"',
    )


def _suffix(path: str) -> str:
    return path[path.rfind(".") :]
