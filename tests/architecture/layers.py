"""The architecture as tables: who may import whom, and what each layer must not touch.

A layer is a prefix of a module's name; the longest matching prefix wins. A package's own file is
`package.__init__`. A layer may import itself and what its row names, nothing else of ours.
"""

from __future__ import annotations

_LEAVES = (
    "wynd.codes",
    "wynd.errors",
    "wynd.limits",
    "wynd.compression",
    "wynd.events",
    "wynd.request",
    "wynd.tls",
)
_PORTABLE_PARTS = (
    "wynd.engines.admission",
    "wynd.engines.backlog",
    "wynd.engines.certificates",
    "wynd.engines.membership",
    "wynd.engines.outbox",
)
_ENGINES = ("wynd.engines.base", "wynd.engines.native", "wynd.engines.asgi")
_TO_ROOMS = (*_LEAVES, "wynd.sent", "wynd.registry", "wynd.engines.base", "wynd.brokers.base")
_TO_HANDLE = (*_TO_ROOMS, "wynd.rooms", "wynd.sending")
_TO_CONNECTION = (*_TO_HANDLE, "wynd.handle")
_TO_LANE = (*_TO_CONNECTION, "wynd.connection", "wynd.stepping")
_TO_DISPATCH = (*_TO_LANE, "wynd.lane")
_TO_APP = (
    *_TO_DISPATCH,
    "wynd.middleware",
    "wynd.dispatch",
    "wynd.listening",
    "wynd.stopping",
    "wynd.watching",
    "wynd.reloading",
    "wynd.metrics",
    "wynd.brokers.memory",
    "wynd.brokers.redis",
    *_ENGINES,
)
_ON_TOP = ("wynd.__init__", "wynd.app", *_LEAVES, *_ENGINES)

LAYERS: dict[str, tuple[str, ...]] = {
    # leaves: values and their rules
    "wynd.codes": (),
    "wynd.errors": ("wynd.codes",),
    "wynd.limits": ("wynd.codes", "wynd.errors"),
    "wynd.compression": (),
    "wynd.events": ("wynd.codes", "wynd.errors", "wynd._engine"),
    "wynd.request": ("wynd.codes", "wynd.errors"),
    "wynd.tls": (),
    # coroutines and awaitables: they know the loop, nothing of ours
    "wynd.sent": ("wynd._engine",),
    "wynd.stepping": (),
    # interfaces
    "wynd.engines.base": _LEAVES,
    "wynd.brokers.base": _LEAVES,
    "wynd.metrics": _LEAVES,
    # engines and brokers
    "wynd._engine": (*_LEAVES, "wynd.engines.base"),
    "wynd.engines.sockets": (*_LEAVES, "wynd.engines.base"),
    "wynd.engines.native": (
        *_LEAVES,
        "wynd.engines.base",
        "wynd.engines.sockets",
        "wynd._engine",
    ),
    # the portable engine, from left to right: parts, one peer, all peers, the host server, ASGI
    "wynd.engines.admission": (*_LEAVES, "wynd.engines.base"),
    "wynd.engines.backlog": (*_LEAVES, "wynd.engines.base"),
    "wynd.engines.certificates": (*_LEAVES, "wynd.engines.base"),
    "wynd.engines.membership": (*_LEAVES, "wynd.engines.base"),
    "wynd.engines.outbox": (*_LEAVES, "wynd.engines.base"),
    "wynd.engines.peer": (*_LEAVES, "wynd.engines.base", *_PORTABLE_PARTS),
    "wynd.engines.peers": (
        *_LEAVES,
        "wynd.engines.base",
        *_PORTABLE_PARTS,
        "wynd.engines.peer",
    ),
    "wynd.engines.hosting": (*_LEAVES, "wynd.engines.base", "wynd.engines.sockets"),
    "wynd.engines.asgi": (
        *_LEAVES,
        "wynd.engines.base",
        "wynd.engines.sockets",
        *_PORTABLE_PARTS,
        "wynd.engines.peer",
        "wynd.engines.peers",
        "wynd.engines.hosting",
    ),
    "wynd.engines.__init__": (),
    "wynd.brokers.memory": (*_LEAVES, "wynd.brokers.base"),
    "wynd.brokers.redis": (*_LEAVES, "wynd.brokers.base"),
    "wynd.brokers.__init__": (),
    # what handlers see, from left to right
    "wynd.registry": (*_LEAVES, "wynd.engines.base"),
    "wynd.rooms": _TO_ROOMS,
    "wynd.sending": (*_TO_ROOMS, "wynd._engine"),
    "wynd.handle": _TO_HANDLE,
    "wynd.connection": _TO_CONNECTION,
    "wynd.middleware": (*_TO_CONNECTION, "wynd.connection"),
    "wynd.lane": (*_TO_LANE, "wynd._engine"),
    "wynd.dispatch": (*_TO_DISPATCH, "wynd.middleware"),
    # parts of `app`: arguments and sequences, without the object itself
    "wynd.listening": (*_LEAVES, "wynd.engines.base"),
    "wynd.watching": (),
    "wynd.stopping": (*_LEAVES, "wynd.engines.base"),
    "wynd.reloading": _LEAVES,
    "wynd.app": _TO_APP,
    "wynd.__init__": (*_TO_APP, "wynd.app"),
    # programs and kits on top; they do not know each other, except that the CLI serves HTTP
    "wynd.http": (
        *_ON_TOP,
        "wynd._engine",  # the sans-I/O server role
        "wynd.engines.sockets",
        "wynd.engines.certificates",
        "wynd.connection",
        "wynd.listening",
        "wynd.stopping",
        "wynd.reloading",
    ),
    "wynd.http.__init__": ("wynd.http",),
    "wynd.testing": (*_ON_TOP, "wynd._engine"),  # its peer speaks the client role of the crate
    "wynd.cli": (
        *(*_ON_TOP, "wynd.http", "wynd.http.__init__"),
        *("wynd.engines.sockets", "wynd.engines.certificates"),
    ),
    # the chat server: hexagonal, `gateway` alone imports wynd
    "wynd_chat.domain": (),
    "wynd_chat.wire": ("wynd_chat.domain",),
    "wynd_chat.ports": ("wynd_chat.domain",),
    "wynd_chat.services": ("wynd_chat.ports", "wynd_chat.domain"),
    "wynd_chat.adapters.store": (
        "wynd_chat.ports",
        "wynd_chat.domain",
        "wynd_chat.observability",
    ),
    "wynd_chat.adapters.broker": (
        "wynd_chat.ports",
        "wynd_chat.domain",
        "wynd_chat.observability",
    ),
    "wynd_chat.adapters.files": (
        "wynd_chat.ports",
        "wynd_chat.domain",
        "wynd_chat.observability",
    ),
    "wynd_chat.adapters.clock": ("wynd_chat.ports", "wynd_chat.domain"),
    "wynd_chat.adapters.passwords": ("wynd_chat.ports", "wynd_chat.domain"),
    "wynd_chat.adapters.datalock": (),
    "wynd_chat.adapters.backup": ("wynd_chat.ports", "wynd_chat.domain"),
    "wynd_chat.adapters.__init__": (),
    "wynd_chat.settings": ("wynd_chat.domain",),
    "wynd_chat.web": ("wynd_chat.domain",),
    "wynd_chat.observability": ("wynd_chat.domain",),
    "wynd_chat.gateway": (
        "wynd_chat.services",
        "wynd_chat.ports",
        "wynd_chat.wire",
        "wynd_chat.domain",
        "wynd_chat.observability",
        "wynd_chat.web",
        "wynd.__init__",
        "wynd.http.__init__",
    ),
    "wynd_chat.app": ("wynd_chat",),
    "wynd_chat.assembly": ("wynd_chat",),
    "wynd_chat.cli": ("wynd_chat",),
    "wynd_chat.__init__": (),
    "wynd_chat.__main__": ("wynd_chat",),
}

# Upward, but under TYPE_CHECKING only: nothing is imported when the program runs.
TYPE_ONLY: dict[tuple[str, str], str] = {
    ("wynd.events", "wynd.handle"): "an event carries the handle of its connection",
    ("wynd.lane", "wynd.dispatch"): "a lane tells its dispatcher what happened to it",
    ("wynd.registry", "wynd.handle"): "the registry is a mapping from key to handle",
}

# Modules a layer must not import when the program runs; annotations may name their types.
_NO_IO = ("asyncio", "socket", "ssl", "time", "threading", "selectors", "select")
BANNED: dict[str, tuple[str, ...]] = {
    "wynd.codes": _NO_IO,
    "wynd.errors": _NO_IO,
    "wynd.limits": _NO_IO,
    "wynd.compression": _NO_IO,
    "wynd.events": _NO_IO,
    "wynd.request": _NO_IO,
    "wynd.tls": _NO_IO,
    "wynd.rooms": ("socket", "ssl", "time"),
    "wynd.handle": ("socket", "ssl", "time"),
    "wynd.connection": ("socket", "ssl", "time"),
    "wynd_chat.domain": (*_NO_IO, "random", "json", "sqlite3", "sqlalchemy", "asyncpg"),
}

# Packages of the index a layer may import; layers without a row may import none.
THIRD_PARTY: dict[str, tuple[str, ...]] = {
    "wynd._engine": ("typing_extensions",),  # of the stub: type checkers bring it along
    "wynd.engines.asgi": ("uvicorn", "wsproto", "starlette"),
    "wynd.engines.hosting": ("uvicorn",),
    "wynd.brokers.redis": ("redis",),
    "wynd.http": ("uvicorn", "starlette"),
    "wynd.cli": ("uvicorn",),
    "wynd_chat.domain": ("precis_i18n",),  # names as RFC 8266 has them; tables, no I/O
    "wynd_chat.wire": ("pydantic",),
    "wynd_chat.adapters.store": ("sqlalchemy", "alembic", "asyncpg"),
    "wynd_chat.adapters.files": ("puremagic",),
    "wynd_chat.adapters.clock": ("ulid",),
    "wynd_chat.adapters.passwords": ("argon2",),
    "wynd_chat.settings": ("pydantic", "platformdirs"),
    "wynd_chat.observability": ("prometheus_client",),
    "wynd_chat.gateway": ("fastapi", "starlette", "pydantic", "python_multipart"),
    "wynd_chat.cli": ("typer", "rich", "segno", "alembic"),
}

# Who may name only what stands in `__all__` of the packages it imports from.
PUBLIC_NAMES_ONLY: dict[str, tuple[str, ...]] = {
    "wynd_chat.gateway": ("wynd.__init__", "wynd.http.__init__"),
}

# Crate → crates of ours it may depend on.
CRATES: dict[str, tuple[str, ...]] = {
    "wynd-protocol": (),
    "wynd-engine": ("wynd-protocol",),
    "wynd-python": ("wynd-protocol", "wynd-engine"),
}
# Crate → dependencies it must not have, and paths its sources must not name.
CRATES_BANNED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "wynd-protocol": (
        ("mio", "socket2", "rustls", "rustix", "pyo3", "libc", "tokio"),
        ("std::net", "std::thread", "std::time", "std::os", "std::fs"),
    ),
    "wynd-engine": (("pyo3", "tokio"), ("pyo3",)),
    "wynd-python": (("mio", "socket2", "rustix", "tokio"), ("std::net", "mio::")),
}
