"""Sockets that a service manager opened and hands over (sd_listen_fds(3)), checked.

Decides which of the descriptors this process inherited are listeners of the chat. Knows nothing of
what is served on them.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from wynd_chat.cli.output import Failure

if TYPE_CHECKING:
    from collections.abc import MutableMapping

__all__ = ["inherited_sockets"]

FIRST = 3  # SD_LISTEN_FDS_START
SOCKETS_MAX = 2  # page, WebSocket and API; plain text
NAMES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def inherited_sockets(
    environ: MutableMapping[str, str], pid: int, first: int = FIRST
) -> tuple[socket.socket, ...]:
    """Return the listening sockets that are meant for this process; mostly there are none.

    The variables that name them are removed, so that no child takes them for its own.

    Args:
        environ: The environment.
        pid: This process; sockets for another one are left alone.
        first: Descriptor of the first.

    Raises:
        Failure: they cannot be served: too many, not open, not TCP, not listening.
    """
    given = {name: environ[name] for name in NAMES if name in environ}
    if given.get("LISTEN_PID") != str(pid):
        return ()
    for name in given:
        del environ[name]
    text = given.get("LISTEN_FDS", "0")
    count = int(text) if text.isascii() and text.isdecimal() else -1
    if not 0 <= count <= SOCKETS_MAX:
        raise Failure(
            f"LISTEN_FDS is {text!r}; there may be one socket, and a second one for plain text"
        )
    return tuple(_listener(descriptor) for descriptor in range(first, first + count))


def _listener(descriptor: int) -> socket.socket:
    """Return the socket behind a descriptor, which children no longer inherit."""
    try:
        os.set_inheritable(descriptor, False)
        found = socket.socket(fileno=descriptor)
    except OSError as error:
        raise Failure(f"descriptor {descriptor} is no socket: {error.strerror}") from error
    is_tcp = found.family in {socket.AF_INET, socket.AF_INET6} and found.type == socket.SOCK_STREAM
    if not is_tcp or not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        found.detach()  # whoever opened it keeps it
        raise Failure(f"descriptor {descriptor} is no TCP socket that listens (ListenStream=)")
    return found
