"""Where the chat is reached, for links: as set, else as the request itself says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wynd import Request as Upgrade

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

__all__ = ["base_url_of"]


def base_url_of(
    public_url: str | None, port: Callable[[], int] | None = None
) -> Callable[[Request | Upgrade], str]:
    """Return a function from a request to the chat's own address, without a slash at the end.

    Args:
        public_url: The address as set; None: from the request, whose scheme and host are the
            proxy's only where proxies are trusted.
        port: Returns the port of page and API, for requests that came by another one.
    """
    fixed = None if public_url is None else public_url.rstrip("/")

    def base_url(request: Request | Upgrade) -> str:
        if fixed is not None:
            return fixed
        if isinstance(request, Upgrade):
            scheme = "https" if request.secure else "http"
            host = request.host
            if port is not None:
                host = f"{host[: host.rfind(':')] if _has_port(host) else host}:{port()}"
            return f"{scheme}://{host}"
        return str(request.base_url).rstrip("/")

    return base_url


def _has_port(host: str) -> bool:
    """Tell whether a `Host` ends with a port; IPv6 addresses stand in brackets."""
    return host.rfind(":") > host.rfind("]")
