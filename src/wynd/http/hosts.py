"""The interface between `Server` and what carries its connections, and the options of one.

A host runs an ASGI application on its sockets: lifespan, HTTP requests, WebSockets. It knows no
signals and prints nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from wynd.engines.base import ListenerOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from wynd.app import Wynd
    from wynd.engines.base import Address

__all__ = ["Host", "HostConfig", "Mounted", "StartFailed"]


class StartFailed(RuntimeError):
    """The application's lifespan start-up failed; the log has its traceback."""


class Mounted(NamedTuple):
    """A `Wynd` on a path."""

    path: str
    """As given to `use_wynd`; may hold parameters such as `{room}`."""
    wynd: Wynd


@dataclass(frozen=True, slots=True)
class HostConfig:
    """How one host listens and what it bounds."""

    listener: ListenerOptions = field(default_factory=ListenerOptions)
    trusted_proxies: str = ""
    """Addresses, comma-separated, whose X-Forwarded-For and X-Forwarded-Proto count."""
    proxy_protocol: bool = False
    """Whether those proxies send the PROXY protocol's header (version 1 or 2) before anything."""
    root_path: str = ""
    """The part of the path that a proxy in front takes away."""
    drain_s: float = 30.0
    """Seconds after which a stop aborts what is left."""
    log_level: str = "warning"
    """Of uvicorn's loggers; at "info" they name paths, with their query."""
    compression: Literal["off", "shared"] = "off"
    """Whether the application's own WebSockets take offers of permessage-deflate, without context
    takeover; a mounted Wynd has its own `compression`."""

    @property
    def proxies(self) -> tuple[str, ...]:
        """`trusted_proxies`, one by one."""
        named = self.trusted_proxies.split(",")
        return tuple(one.strip() for one in named if one.strip())


class Host(Protocol):
    """Carries the connections of one listener."""

    on_lost: Callable[[Exception], object] | None
    """Called when nothing can be served any more; see `Engine.on_lost`."""

    async def start(self) -> None:
        """Start the application.

        Raises:
            StartFailed: its lifespan start-up failed; `stop` need not be called.
        """

    async def listen(self) -> tuple[Address, ...]:
        """Open the sockets and accept; return where.

        Raises:
            OSError, ValueError: the sockets could not be opened; the application was stopped.
        """

    async def stop(self, code: int) -> None:
        """End in order: no new connections, `code` to WebSockets, drain, lifespan shutdown."""

    def force(self) -> None:
        """Cut a stop short: end every connection at once."""

    def reload_certificates(self) -> None:
        """Read the listener's certificate files again, for new connections.

        Raises:
            CertificateError: they cannot be used; those of before stay.
        """
