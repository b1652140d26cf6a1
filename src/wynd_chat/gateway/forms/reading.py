"""What a browser sent with a form: fields, bounded; who is signed in; from which page it came.

A cookie counts only for a form that one of the chat's own pages sent: other pages can make a
browser send it, but cannot forge their Origin.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.gateway.cookies import token_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from wynd_chat.domain.models import Session, User
    from wynd_chat.gateway.rest.origins import Origins
    from wynd_chat.services.bundle import Services

__all__ = ["address_of", "check_origin", "is_secure", "read_fields", "safe_next", "visitor"]

BODY_BYTES_MAX = 16 * 1024
FIELDS_MAX = 20
FORM_TYPE = "application/x-www-form-urlencoded"
_NEXT = re.compile(r"link|password|(?:join|claim)/[A-Za-z0-9_-]{1,200}")


def address_of(request: Request) -> str:
    """Return the peer's address, as far as proxies are trusted; "" on Unix sockets."""
    return "" if request.client is None else request.client.host


def is_secure(request: Request) -> bool:
    """Tell whether a request came over TLS, ours or a trusted proxy's."""
    return request.url.scheme == "https"


def check_origin(request: Request, origins: Origins) -> None:
    """Refuse a form that a page of another site sent.

    Raises:
        ChatError: `forbidden`.
    """
    origin = request.headers.get("origin")
    host = request.headers.get("host", "")
    if origin is not None and not origins.allows(origin, host, is_secure=is_secure(request)):
        raise ChatError(ErrorCode.FORBIDDEN, "this form was sent by another site's page")


async def read_fields(request: Request) -> dict[str, str]:
    """Return the fields of a form, the first of each name.

    Raises:
        ChatError: `too_large`, `unsupported`, `bad_request`.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != FORM_TYPE:
        raise ChatError(ErrorCode.UNSUPPORTED, "send the fields of the form")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise ChatError(ErrorCode.TOO_LARGE, "that is too long")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=FIELDS_MAX,
        )
    except ValueError:
        raise ChatError(ErrorCode.BAD_REQUEST, "the form could not be read") from None
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields.setdefault(name, value.replace("\0", ""))
    return fields


async def visitor(request: Request, services: Services) -> tuple[User, Session] | None:
    """Return who is signed in, None for nobody.

    A form without an Origin comes from no browser of today; its cookie does not count.

    Raises:
        ChatError: `banned`.
    """
    token = token_of(request.cookies, is_secure=is_secure(request))
    if token is None or (request.method == "POST" and "origin" not in request.headers):
        return None
    try:
        return await services.accounts.resume(token)
    except ChatError as error:
        if error.code is not ErrorCode.UNAUTHORIZED:
            raise
        return None


def safe_next(text: str | None) -> str:
    """Return where signing in leads on to: one of the forms, or "" for the chat."""
    return text if text is not None and _NEXT.fullmatch(text) else ""
