"""Where the chat is reached, for links: as set, else as the request itself says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wynd import Request as Upgrade

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

__all__ = ["base_url_of"]


def base_url_of(public_url: str | None) -> Callable[[Request | Upgrade], str]:
    """Return a function from a request to the chat's own address, without a slash at the end.

    Args:
        public_url: The address as set; None: from the request, whose scheme and host are the
            proxy's only where proxies are trusted.
    """
    fixed = None if public_url is None else public_url.rstrip("/")

    def base_url(request: Request | Upgrade) -> str:
        if fixed is not None:
            return fixed
        if isinstance(request, Upgrade):
            scheme = "https" if request.secure else "http"
            return f"{scheme}://{request.host}"
        return str(request.base_url).rstrip("/")

    return base_url
