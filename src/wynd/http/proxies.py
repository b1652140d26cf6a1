"""Which client a request comes from when a proxy stands between: trusted ones only.

`X-Forwarded-For` is read from its end: what the trusted proxies wrote stands last, and the first
address that is not one of them is the client. What a client writes itself stands before and never
counts. uvicorn does the same for HTTP requests; this is for WebSockets.
"""

from __future__ import annotations

import logging
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Network, IPv6Network

    from wynd.request import Request

__all__ = ["TrustedProxies"]

log: logging.Logger = logging.getLogger("wynd.http")

Client = tuple[str, int] | str


class TrustedProxies:
    """Tells clients behind proxies.

    Args:
        trusted: addresses and networks such as "10.0.0.0/8"; "*" trusts every peer.

    Raises:
        ValueError: neither an address nor a network.
    """

    def __init__(self, trusted: Sequence[str] = ()) -> None:
        self._all = "*" in trusted
        self._networks: list[IPv4Network | IPv6Network] = [
            ip_network(one) for one in trusted if one != "*"
        ]
        self._warned = False

    def __bool__(self) -> bool:
        return self._all or bool(self._networks)

    def trusts(self, host: str) -> bool:
        """Return whether what a peer at this address says of others counts."""
        if self._all:
            return True
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def client_of(self, request: Request) -> tuple[Client, bool]:
        """Return the client of a request, and whether it came over TLS."""
        host, port = request.client
        client: Client = host if port is None else (host, port)
        forwarded = request.headers.getlist("x-forwarded-for")
        scheme = request.headers.get("x-forwarded-proto", "").strip()
        if not forwarded and not scheme:
            return client, request.secure
        if not self.trusts(host):
            self._warn(host)
            return client, request.secure
        named = [one.strip() for one in ",".join(forwarded).split(",") if one.strip()]
        for one in reversed(named):
            client = (one, 0)
            if not self.trusts(one):
                break
        secure = scheme in ("https", "wss") if scheme else request.secure
        return client, secure

    def _warn(self, host: str) -> None:
        """Say once that somebody forwards whom nobody named."""
        if not self._warned:
            self._warned = True
            log.warning("%s sends X-Forwarded-*, but is not in trusted_proxies: ignored", host)
