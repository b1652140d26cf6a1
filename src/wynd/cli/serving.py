"""`wynd serve` in one process: finds the application, serves it, says what went wrong."""

from __future__ import annotations

import importlib
import logging
import os
import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from wynd.cli.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from wynd.engines.base import Address
    from wynd.tls import Tls

__all__ = ["LEVELS", "ServeOptions", "load_application", "serve_application"]

LEVELS = ("critical", "error", "warning", "info", "debug")


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The arguments of `wynd serve`."""

    application: str
    host: str = "localhost"
    port: int | None = None
    uds: str | None = None
    tls: Tls | None = None
    trusted_proxies: str = ""
    proxy_protocol: bool = False
    root_path: str = ""
    log_level: str = "info"
    compression: Literal["off", "shared"] = "off"
    drain_s: float = 30.0
    fd: int | None = None
    """A listening socket that the supervisor opened."""
    reuse_port: bool = False
    app_dir: str = "."


def load_application(name: str, folder: str = ".") -> Any:
    """Import `module:attribute`, the module sought in `folder` first.

    Raises:
        Failure: no such module, no such attribute, or nothing that can be called.
    """
    module_name, _, path = name.partition(":")
    if not module_name or not path:
        raise Failure(f"an application is named module:attribute, as in main:app, not {name!r}")
    sys.path.insert(0, os.path.abspath(folder))
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name + ".").startswith(error.name + "."):
            raise  # the module is there, and misses one of its own
        raise Failure(f"there is no module {module_name!r}") from None
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise Failure(f"module {module_name!r} has no attribute {path!r}") from None
    if not callable(found):
        raise Failure(f"{name} is no ASGI application: it cannot be called")
    return found


def serve_application(
    options: ServeOptions, say: Callable[[str], None], tell: Callable[[], None] | None = None
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        say: takes the lines that tell where it serves.
        tell: called instead when it listens: somebody else says where.

    Raises:
        Failure: the application, the port or the certificate cannot be used.
    """
    from wynd.errors import CertificateError
    from wynd.http import App, Server
    from wynd.http.hosts import StartFailed
    from wynd.http.routes import mounts_of

    logging.basicConfig(
        level=options.log_level.upper(), format="%(levelname)s %(name)s: %(message)s"
    )
    _check_proxies(options.trusted_proxies)
    app = load_application(options.application, options.app_dir)
    serves = app if isinstance(app, App) else Server(app, mounts_of(app))
    listener: dict[str, Any] = {"uds": options.uds}
    if options.fd is not None:
        listener = {"sock": socket.socket(fileno=options.fd)}
    elif options.uds is None:
        listener = {"host": options.host, "reuse_port": options.reuse_port, "port": options.port}

    def told(addresses: tuple[Address, ...]) -> None:
        if tell is not None:
            tell()
            return
        for line in where(addresses, is_secure=options.tls is not None):
            say(line)

    try:
        serves.run(
            on_listening=told,
            tls=options.tls,
            trusted_proxies=options.trusted_proxies,
            proxy_protocol=options.proxy_protocol,
            root_path=options.root_path,
            log_level=options.log_level,
            compression=options.compression,
            drain_s=options.drain_s,
            **listener,
        )
    except StartFailed as error:
        raise Failure(f"{error}; the log above says why") from error
    except CertificateError as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(error.strerror or str(error)) from error


def _check_proxies(trusted: str) -> None:
    from wynd.http.hosts import HostConfig
    from wynd.http.proxies import TrustedProxies

    try:
        TrustedProxies(HostConfig(trusted_proxies=trusted).proxies)
    except ValueError as error:
        raise Failure(f"--trusted-proxies: {error}") from error


def where(addresses: tuple[Address, ...], *, is_secure: bool) -> list[str]:
    """Return a line for each address that is listened on."""
    scheme = "https" if is_secure else "http"
    lines = []
    for address in addresses:
        if isinstance(address, str):
            lines.append(f"Serving on unix:{address}")
        else:
            host = f"[{address[0]}]" if ":" in address[0] else address[0]
            lines.append(f"Serving on {scheme}://{host}:{address[1]}")
    return lines
