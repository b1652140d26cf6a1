"""Listening sockets: which addresses a `ListenerOptions` means, and how they are opened.

Opens all of them or none. Accepting connections, and everything after that, is the engines' part.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wynd.engines.base import Address, ListenerOptions

__all__ = ["UnixPath", "address_of", "close_sockets", "open_sockets", "path_of"]

BACKLOG = 4096  # the kernel caps it at somaxconn; a storm of reconnects needs the most it gives
PORT_TRIES_MAX = 32  # port 0 on two addresses: the second may find the first's port taken

_NOT_HERE = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT})


class UnixPath(NamedTuple):
    """A Unix socket's file, remembered by inode so that only our own is ever removed."""

    path: str
    device: int
    inode: int

    def unlink(self) -> None:
        """Remove the file if it is still the one that was made; no error if it is gone."""
        with suppress(OSError):
            found = os.stat(self.path)
            if (found.st_dev, found.st_ino) == (self.device, self.inode):
                os.unlink(self.path)


async def open_sockets(options: ListenerOptions) -> list[socket.socket]:
    """Return listening, non-blocking sockets for one listener.

    "localhost" is 127.0.0.1 and, where it exists, ::1; "" is every interface. With port 0 all
    sockets share the port the system chose for the first.

    Raises:
        OSError: address in use, unknown host and the like, naming the address.
        ValueError: `reuse_port`, or a Unix socket, on a system without it.
    """
    if options.sock is not None:
        return [_adopted(options.sock)]
    if options.uds is not None:
        return [_unix_socket(options.uds)]
    if options.reuse_port and not hasattr(socket, "SO_REUSEPORT"):
        raise ValueError("reuse_port needs SO_REUSEPORT, which this system lacks; leave it out")
    wanted = await _resolve(options.host, options.port or 0)
    for remaining in reversed(range(PORT_TRIES_MAX)):
        try:
            return _tcp_sockets(wanted, options.reuse_port)
        except OSError as error:
            if options.port or error.errno != errno.EADDRINUSE or not remaining:
                raise
    raise AssertionError("unreachable: the last try raises")


def address_of(sock: socket.socket) -> Address:
    """Return `(host, port)`, IPv6 without its flow fields, or the path of a Unix socket."""
    name = sock.getsockname()
    return (name[0], name[1]) if isinstance(name, tuple) else os.fsdecode(name)


def path_of(sock: socket.socket) -> UnixPath | None:
    """Return the file of a Unix socket; None for TCP and for abstract names."""
    name = sock.getsockname()
    if not isinstance(name, str) or not name:
        return None
    with suppress(OSError):
        found = os.stat(name)
        return UnixPath(name, found.st_dev, found.st_ino)
    return None


def close_sockets(sockets: Iterable[socket.socket]) -> None:
    """Close sockets and remove the files of the Unix ones among them."""
    for sock in sockets:
        path = path_of(sock) if sock.fileno() >= 0 else None
        sock.close()
        if path is not None:
            path.unlink()


class _Wanted(NamedTuple):
    family: int
    address: tuple[str, int]
    optional: bool
    """Left out without an error where the machine does not have it."""


async def _resolve(hosts: str | Sequence[str], port: int) -> list[_Wanted]:
    names = [hosts] if isinstance(hosts, str) else list(hosts)
    if not names:
        raise ValueError("host is an empty list; name at least one address")
    found: dict[tuple[int, str], _Wanted] = {}
    for name in names:
        for wanted in await _resolve_one(name, port):
            found.setdefault((wanted.family, wanted.address[0]), wanted)
    return list(found.values())


async def _resolve_one(name: str, port: int) -> list[_Wanted]:
    if name == "localhost":  # not looked up: /etc/hosts may say anything
        return [
            _Wanted(socket.AF_INET, ("127.0.0.1", port), optional=False),
            _Wanted(socket.AF_INET6, ("::1", port), optional=True),
        ]
    if name == "":
        return [
            _Wanted(socket.AF_INET, ("0.0.0.0", port), optional=False),
            _Wanted(socket.AF_INET6, ("::", port), optional=True),
        ]
    try:
        infos = await asyncio.get_running_loop().getaddrinfo(
            name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {name!r}: {error.strerror}") from None
    # A scoped link-local address keeps its zone in the name ("fe80::1%eth0").
    return [_Wanted(info[0], (str(info[4][0]), port), optional=False) for info in infos]


def _tcp_sockets(wanted: Sequence[_Wanted], reuse_port: bool) -> list[socket.socket]:
    bound: list[socket.socket] = []
    try:
        for family, (host, port), optional in wanted:
            if port == 0 and bound:
                port = bound[0].getsockname()[1]
            try:
                bound.append(_bind(family, host, port, reuse_port))
            except OSError as error:
                if not (optional and error.errno in _NOT_HERE):
                    raise
        for sock in bound:
            _listen(sock)
    except BaseException:
        close_sockets(bound)
        raise
    return bound


def _bind(family: int, host: str, port: int, reuse_port: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix" and sys.platform != "cygwin":
            # Windows would let a second process take the port; POSIX only skips TIME_WAIT.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise _named(error, f"{host}:{port}") from None
    return sock


def _listen(sock: socket.socket) -> None:
    sock.setblocking(False)
    try:
        sock.listen(BACKLOG)
    except OSError as error:  # with SO_REUSEADDR, Linux may find the conflict only here
        address = address_of(sock)
        where = address if isinstance(address, str) else f"{address[0]}:{address[1]}"
        raise _named(error, where) from None


def _named(error: OSError, where: str) -> OSError:
    return OSError(error.errno, f"cannot listen on {where}: {error.strerror}")


def _adopted(sock: socket.socket) -> socket.socket:
    if sock.type != socket.SOCK_STREAM:
        raise ValueError(f"sock must be a stream socket, not {sock!r}")
    _listen(sock)
    return sock


def _unix_socket(path: str) -> socket.socket:
    if not hasattr(socket, "AF_UNIX"):
        raise ValueError("uds needs Unix sockets, which this system lacks; use a port")
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
    except OSError as error:
        sock.close()
        raise _named(error, path) from None
    try:
        _listen(sock)
    except BaseException:
        close_sockets([sock])
        raise
    return sock


def _remove_stale(path: str) -> None:
    """Remove the socket file of a server that died; leave anything else alone."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return  # bind will say that it is in use
    except OSError:
        return
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.setblocking(False)
        probe.connect(path)
    except ConnectionRefusedError:  # nobody accepts there
        with suppress(OSError):
            os.unlink(path)
    except OSError:
        pass
    finally:
        probe.close()
