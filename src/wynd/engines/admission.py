"""Who may connect: caps on connections in all, per address and per second.

Pure counting; the clock's reading is an argument. The portable engine asks before it accepts.
"""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wynd.limits import Limits
    from wynd.request import ClientInfo

__all__ = ["Admission", "TokenBucket", "counted_address"]


class TokenBucket:
    """Allows `rate` events a second on average, with a burst of one second (at least one)."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._burst = max(1.0, rate)
        self._tokens = self._burst
        self._at = now

    def take(self, now: float) -> bool:
        """Return whether one more event may happen, and count it if so."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


def counted_address(client: ClientInfo) -> str | None:
    """Return what counts as one address: an IPv4 address or an IPv6 /64.

    None for loopback, Unix sockets and names that are no address: those are not counted.
    """
    if client.port is None:
        return None
    try:
        address = ip_address(client.host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif not address.is_loopback:
            return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return None if address.is_loopback else str(address)


class Admission:
    """Counts connections and says which refusal, if any, a new one gets."""

    __slots__ = ("_limits", "_open", "_per_address", "_rate", "hits")

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._open = 0
        self._per_address: Counter[str] = Counter()
        rate = limits.connections_per_second_max
        self._rate = TokenBucket(rate, now) if rate is not None else None
        self.hits: Counter[str] = Counter()
        """Field of `Limits` → how often it was reached."""

    def judge(self, client: ClientInfo, held_bytes: int, now: float) -> int | None:
        """Return the HTTP status a new connection is refused with, None if it may pass."""
        limits = self._limits
        if held_bytes >= limits.process_bytes_max:
            return self._hit("process_bytes_max", 503)
        if limits.connections_max is not None and self._open >= limits.connections_max:
            return self._hit("connections_max", 503)
        address = counted_address(client)
        per_address = limits.connections_per_address_max
        if address and per_address is not None and self._per_address[address] >= per_address:
            return self._hit("connections_per_address_max", 429)
        if self._rate is not None and not self._rate.take(now):
            return self._hit("connections_per_second_max", 503)
        return None

    def _hit(self, limit: str, status: int) -> int:
        self.hits[limit] += 1
        return status

    def enter(self, client: ClientInfo) -> None:
        """Count a connection from its handshake on."""
        self._open += 1
        address = counted_address(client)
        if address is not None:
            self._per_address[address] += 1

    def leave(self, client: ClientInfo) -> None:
        """Count it no more."""
        self._open -= 1
        address = counted_address(client)
        if address is not None:
            self._per_address[address] -= 1
            if not self._per_address[address]:
                del self._per_address[address]
