"""The addresses of this machine in private networks (`--lan`), and links as QR codes.

Asks the system which addresses it has; sends nothing to anybody.
"""

from __future__ import annotations

import io
import socket
import struct
import sys
from typing import TYPE_CHECKING

import segno

from wynd_chat.settings.rules import is_private_address

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["lan_addresses", "qr_code"]

SIOCGIFADDR = {"linux": 0x8915, "darwin": 0xC0206921}  # <linux/sockios.h>, <sys/sockio.h>
NOWHERE = ("192.0.2.1", 9)  # RFC 5737: an address of nobody; connecting a UDP socket sends nothing


def lan_addresses() -> list[str]:
    """Return this machine's private IPv4 addresses, loopback aside, each once; may be empty."""
    found = dict.fromkeys([*_of_interfaces(), *_of_name(), *_of_default_route()])
    return [
        address
        for address in found
        if is_private_address(address) and not address.startswith(("127.", "169.254."))
    ]


def qr_code(text: str) -> str:
    """Return a text as a QR code that a terminal shows, dark on light."""
    shown = io.StringIO()
    segno.make(text, micro=False, error="l").terminal(out=shown, compact=True)
    return shown.getvalue().rstrip("\n")


def _of_interfaces() -> Iterator[str]:
    request = SIOCGIFADDR.get(sys.platform)
    if request is None:
        return
    import fcntl  # not on Windows

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(asking, request, struct.pack("256s", name.encode()[:15]))
            except OSError:  # an interface without an IPv4 address
                continue
            yield socket.inet_ntoa(answer[20:24])


def _of_name() -> Iterator[str]:
    try:
        entries = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
    except OSError:  # the machine's own name is not known to its resolver
        return
    for entry in entries:
        yield str(entry[4][0])


def _of_default_route() -> Iterator[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(NOWHERE)
        except OSError:  # no route anywhere
            return
        yield str(asking.getsockname()[0])
