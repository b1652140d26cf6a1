"""Where to listen: the arguments of `run`, `listen` and `serving`, checked in one place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from wynd.engines.base import ListenerOptions
from wynd.tls import Tls

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from wynd.engines.base import Address

__all__ = ["asking", "listener_options", "refuse_second_listen"]


def listener_options(
    port: int | None,
    host: str | Sequence[str],
    sock: socket.socket | None,
    uds: str | None,
    reuse_port: bool,
    tls: Tls | None = None,
) -> ListenerOptions:
    """Check the arguments and return them as a value.

    Raises:
        TypeError, ValueError: none or several of port, sock and uds; a wrong port or tls.
    """
    if (port is not None) + (sock is not None) + (uds is not None) != 1:
        raise TypeError("give exactly one of port, sock and uds")
    if port is not None:
        if not isinstance(port, int) or isinstance(port, bool):
            raise TypeError(f"port must be an int, not {port!r}")
        if not 0 <= port <= 65535:
            raise ValueError(f"port must be 0 to 65535, not {port}")
    if tls is not None and not isinstance(tls, Tls):
        raise TypeError(f"tls must be a Tls(certificate, key), not {tls!r}")
    return ListenerOptions(port=port, host=host, sock=sock, uds=uds, reuse_port=reuse_port, tls=tls)


def asking(options: ListenerOptions) -> ListenerOptions:
    """Return `options` of a listener whose requests are put to `on_request`."""
    return replace(options, asks=True)


def refuse_second_listen(options: ListenerOptions, addresses: tuple[Address, ...]) -> None:
    """Refuse a port this process listens on already; SO_REUSEPORT would take it silently.

    Raises:
        OSError: the same host and port is among `addresses`.
    """
    if not options.reuse_port or not options.port:
        return
    hosts = [options.host] if isinstance(options.host, str) else list(options.host)
    if "localhost" in hosts:
        hosts += ["127.0.0.1", "::1"]
    for address in addresses:
        if isinstance(address, tuple) and address[1] == options.port and address[0] in hosts:
            raise OSError(f"this Wynd listens on {address[0]}:{address[1]} already")
