"""What follows from settings: whether guests may come in, who may register, what is unsafe.

Plain functions over `Settings` and the addresses that were bound; nothing is opened or asked here.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from wynd_chat.settings.parsing import split_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wynd_chat.settings.model import Settings

__all__ = ["guests_allowed", "is_private_address", "registration_mode", "unsafe"]

# RFC 1918, RFC 3927, RFC 4193, RFC 4291; `is_private` of the standard library takes in far more,
# 0.0.0.0 among it.
PRIVATE_NETWORKS = tuple(
    ip_network(text)
    for text in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)
PASSWORD_MIN_SAFE = 15  # OWASP, without a second factor


def is_private_address(address: str) -> bool:
    """Tell whether an address is loopback or private; what binds all interfaces is public.

    Args:
        address: An IP address, a zone or brackets allowed, or "localhost". Other names are public:
            what they stand for is not known here.
    """
    text = address.strip("[]").partition("%")[0]
    if text.lower() == "localhost":
        return True
    try:
        parsed: IPv4Address | IPv6Address = ip_address(text)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in PRIVATE_NETWORKS)


def guests_allowed(settings: Settings, addresses: Iterable[str]) -> bool:
    """Tell whether a name is enough to come in.

    Args:
        settings: `auth.guests` decides, unless it is "auto".
        addresses: Every address that is bound, plain port included. "auto" means on where all of
            them are loopback or private; without any it is off.
    """
    if settings.auth.guests != "auto":
        return settings.auth.guests == "on"
    bound = list(addresses)
    return bool(bound) and all(is_private_address(address) for address in bound)


def registration_mode(
    settings: Settings, *, has_guests: bool
) -> Literal["open", "invite", "closed"]:
    """Return who may make an account; "auto" is open where guests are on, else by invitation."""
    if settings.auth.registration == "auto":
        return "open" if has_guests else "invite"
    return settings.auth.registration


def unsafe(settings: Settings, addresses: Iterable[str] = ()) -> list[str]:
    """Return a sentence for each unsafe setting in force, for loud warnings at start.

    Args:
        settings: The settings in force.
        addresses: The addresses that are bound; empty: those that are asked for.
    """
    bound = list(addresses) or list(settings.server.host)
    is_public = not all(is_private_address(address) for address in bound)
    checks = (
        _about_access(settings, bound, is_public=is_public),
        _about_network(settings, is_public=is_public),
        _about_metrics(settings),
    )
    return [sentence for sentences in checks for sentence in sentences]


def _about_access(settings: Settings, bound: list[str], *, is_public: bool) -> list[str]:
    found = []
    has_guests = guests_allowed(settings, bound)
    if has_guests and is_public:
        found.append("auth.guests is on and the address is public: anybody may come in by a name")
    if has_guests and not is_public and _is_public_url(settings.server.public_url):
        found.append(
            "guests are on, and server.public_url leads here: anybody who reaches it may come in "
            "by a name; set auth.guests to on or off to decide it yourself"
            if settings.auth.guests == "auto"
            else "auth.guests is on and server.public_url is public: anybody may come in by a name"
        )
    if registration_mode(settings, has_guests=has_guests) == "open" and is_public:
        found.append("auth.registration is open and the address is public: anybody may register")
    if settings.auth.password_min < PASSWORD_MIN_SAFE:
        found.append(
            f"auth.password_min is {settings.auth.password_min}: "
            f"passwords below {PASSWORD_MIN_SAFE} characters are guessed"
        )
    if settings.auth.query_tokens:
        found.append("auth.query_tokens is on: tokens in addresses end up in logs and histories")
    return found


def _about_network(settings: Settings, *, is_public: bool) -> list[str]:
    found = []
    server = settings.server
    if "*" in server.origins:
        found.append('server.origins is "*": any page may connect as the user who visits it')
    if "*" in server.trusted_proxies:
        found.append('server.trusted_proxies is "*": every client may claim any address')
    is_plain = (server.public_url or "http:").startswith("http:")
    if is_public and is_plain and not server.trusted_proxies:
        found.append(
            "the address is public and without TLS: passwords and messages can be read on the way; "
            "put a proxy with TLS in front and name it in server.trusted_proxies"
        )
    if settings.storage.is_ephemeral:
        found.append("storage.url is memory: nothing is kept when the server ends")
    return found


def _about_metrics(settings: Settings) -> list[str]:
    listen = settings.metrics.listen
    if listen is None or settings.metrics.token is not None:
        return []
    host, _ = split_endpoint(listen)
    if is_private_address(host):
        return []
    return [f"metrics.listen is {listen}, a public address, and metrics.token is not set"]


def _is_public_url(url: str | None) -> bool:
    host = urlsplit(url or "").hostname
    return host is not None and not is_private_address(host)
