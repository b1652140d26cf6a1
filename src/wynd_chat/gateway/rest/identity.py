"""Who a request comes from: `Authorization: Bearer`, else the session cookie (chat.md 4).

A cookie counts for reading, and for writing from an allowed Origin only: other pages can make a
browser send it, but not forge where they are. A bad token is refused; a cookie that has ended
counts as none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPBearer

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import Room, User
from wynd_chat.gateway.admission import IN_ADDRESS, QUERY_NAMES
from wynd_chat.gateway.calls import Mode
from wynd_chat.gateway.cookies import token_of
from wynd_chat.gateway.rest.context import context_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Anyone", "Known", "RestCaller", "SameOrigin", "check_origin", "identify"]

FOREIGN = "this page may not write here; its origin is not in server.origins"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_KEY = "wynd_chat.caller"
_ROOMS: Mapping[str, Room] = {}

_bearer = HTTPBearer(auto_error=False, scheme_name="bearer", description="A login's token.")
_cookie = APIKeyCookie(
    name="wynd_chat",
    auto_error=False,
    scheme_name="cookie",
    description=(
        "The page's session; over TLS it is called `__Host-wynd_chat`. Writes need an `Origin` "
        "that is allowed."
    ),
)


class RestCaller:
    """A request's sender, as commands see it (`Caller`).

    Attributes:
        number: 0: a request is no connection.
        user: Who it is, None without a login.
        token_hash: Its login.
        address: The peer's address, as far as proxies are trusted; "" on Unix sockets.
        farewell: What the user said last; nobody is told, since nobody leaves.
        is_renaming: Whether a rename is under way.
        base_url: Where it reached the server.
        current: The room the request is about.
    """

    number = 0
    mode = Mode.REST
    rooms = _ROOMS

    def __init__(
        self, user: User | None, token_hash: str | None, address: str, base_url: str
    ) -> None:
        self.user = user
        self.token_hash = token_hash
        self.address = address
        self.base_url = base_url
        self.farewell: str | None = None
        self.is_renaming = False
        self.current: Room | None = None

    @property
    def me(self) -> User:
        """The user; endpoints that take `Known` have one."""
        assert self.user is not None
        return self.user

    @property
    def known_rooms(self) -> Mapping[str, Room]:
        """None: each request asks anew."""
        return {}

    async def become(self, user: User, token_hash: str | None = None) -> None:
        """Be somebody for the rest of this request."""
        self.user, self.token_hash = user, token_hash

    def move_to(self, room: Room) -> None:
        """Make a room the current one of this request."""
        self.current = room


async def identify(request: Request) -> RestCaller:
    """Return who sent a request; looked up once.

    Raises:
        ChatError: `unauthorized` for a token that is not valid; `forbidden` for a write with a
            cookie from a page that may not; `banned` from a banned address or for a banned user.
    """
    known = request.scope.get(_KEY)
    if known is not None:
        return cast("RestCaller", known)
    context = context_of(request)
    address = "" if request.client is None else request.client.host
    caller = RestCaller(None, None, address, context.base_url(request))
    await context.services.server_bans.check_address(address)
    header = request.headers.get("authorization")
    in_query = next(
        (request.query_params[one] for one in QUERY_NAMES if one in request.query_params), None
    )
    if in_query is not None and not context.doorman.takes_query_tokens():
        raise ChatError(IN_ADDRESS.code, IN_ADDRESS.sentence)
    if header is not None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise ChatError(ErrorCode.UNAUTHORIZED, "send Authorization: Bearer TOKEN")
        user, session = await context.services.accounts.resume(token.strip())
        await caller.become(user, session.token_hash)
    elif (cookie := _cookie_of(request)) is not None and _counts(request):
        try:
            user, session = await context.services.accounts.resume(cookie)
        except ChatError as error:
            if error.code is not ErrorCode.UNAUTHORIZED:
                raise
        else:
            await caller.become(user, session.token_hash)
    if header is None and caller.user is None and in_query is not None:
        user, session = await context.services.accounts.resume(in_query)
        await caller.become(user, session.token_hash)
    request.scope[_KEY] = caller
    return caller


def _cookie_of(request: Request) -> str | None:
    return token_of(request.cookies, is_secure=request.url.scheme == "https")


def _counts(request: Request) -> bool:
    """Tell whether the cookie of a request counts."""
    is_read = request.method in SAFE_METHODS
    if request.headers.get("origin") is None:
        return is_read
    if _is_allowed(request):
        return True
    if is_read:
        return False  # that page cannot read the answer anyway: there are no CORS fields
    raise ChatError(ErrorCode.FORBIDDEN, FOREIGN)


def _is_allowed(request: Request) -> bool:
    """Tell whether the page that a request comes from may write here, or it comes from none."""
    origin = request.headers.get("origin")
    if origin is None:
        return True
    host = request.headers.get("host", "")
    rules = context_of(request).origins
    return rules.allows(origin, host, is_secure=request.url.scheme == "https")


async def check_origin(request: Request) -> None:
    """Refuse what another site's page sends, also without a cookie: it must log nobody in.

    Raises:
        ChatError: `forbidden`; `banned` from a banned address.
    """
    address = "" if request.client is None else request.client.host
    await context_of(request).services.server_bans.check_address(address)
    if not _is_allowed(request):
        raise ChatError(ErrorCode.FORBIDDEN, FOREIGN)


async def anyone(request: Request) -> RestCaller:
    """Return who sent a request, with or without a login."""
    return await identify(request)


async def known(
    request: Request,
    bearer: Annotated[object, Security(_bearer)] = None,
    cookie: Annotated[object, Security(_cookie)] = None,
) -> RestCaller:
    """Return who sent a request, somebody who is logged in.

    The two schemes are for the OpenAPI document; `identify` reads them itself.

    Raises:
        ChatError: `unauthorized`.
    """
    del bearer, cookie
    caller = await identify(request)
    if caller.user is None:
        raise ChatError(ErrorCode.UNAUTHORIZED, "log in first: Authorization: Bearer TOKEN")
    return caller


SameOrigin = Depends(check_origin)
Anyone = Annotated[RestCaller, Depends(anyone)]
Known = Annotated[RestCaller, Depends(known)]
