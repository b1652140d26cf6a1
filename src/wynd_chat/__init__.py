"""wynd-chat: a small self-hosted chat server on wynd's public API.

The layers, from the inside: `domain` (rules and rows, pure), `wire` (what is said on a face),
`ports` (contracts), `adapters` (databases, brokers, clock), `services` (use cases), `gateway`
(sockets and REST, the only importer of wynd), `observability`, `settings`; `app` puts them together
and `cli` starts it. Importing this package imports none of them.
"""

from __future__ import annotations

from importlib import metadata

__all__ = ["__version__"]


def _version() -> str:
    try:
        return metadata.version("pywynd")
    except metadata.PackageNotFoundError:  # run from the sources, not installed
        return "0+unknown"


__version__: str = _version()
