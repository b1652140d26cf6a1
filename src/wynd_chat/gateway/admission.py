"""`Admission`: what is decided before an upgrade: face, credential, bans, how many may come.

A refusal is an HTTP status with a fixed body. The Origin is judged by the library, before this.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
from collections import deque
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from wynd import Accept, Response
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.presence import Face
from wynd_chat.gateway.cookies import token_of
from wynd_chat.ports.store import StoreFailure

if TYPE_CHECKING:
    from wynd import Request
    from wynd_chat.gateway.doorman import Doorman
    from wynd_chat.services.bundle import Services

__all__ = [
    "FACES",
    "IN_ADDRESS",
    "QUERY_NAMES",
    "Admission",
    "Credential",
    "credential_of",
    "face_of",
    "limit_key",
]

log = logging.getLogger("wynd_chat.gateway")

FACES = {"chat.v1.json": Face.JSON, "chat.v1.text": Face.TEXT}
BEARER = "bearer."
QUERY_NAMES = ("token", "access_token")
# Such a token is in logs by now; who sent it is not taken for somebody who sent none either.
IN_ADDRESS = ChatError(
    ErrorCode.UNAUTHORIZED, "tokens in an address are refused, send Authorization: Bearer TOKEN"
)
WINDOW_S = 10.0
ADDRESSES_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Credential:
    """A token, and how it came."""

    token: str
    source: str
    """"header", "cookie", "subprotocol", or "query" where that is allowed."""


def face_of(request: Request) -> Face | None:
    """Return the face an upgrade asks for: the first of the client's list that we know.

    Text without any subprotocol; None where only others were offered.
    """
    offered = [name for name in request.subprotocols if not name.startswith(BEARER)]
    if not request.subprotocols:
        return Face.TEXT
    return next((FACES[name] for name in offered if name in FACES), None)


def credential_of(request: Request, *, takes_query: bool = False) -> Credential | None:
    """Return the first credential: `Authorization`, cookie, `bearer.` subprotocol, address.

    Without an Origin, cookies are ignored: browsers send one, and only browsers have cookies.
    """
    header = request.headers.get("authorization", "")
    scheme, _, token = header.partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return Credential(token.strip(), "header")
    if request.origin is not None:
        cookie = token_of(request.cookies, is_secure=request.secure)
        if cookie is not None:
            return Credential(cookie, "cookie")
    for name in request.subprotocols:
        if name.startswith(BEARER):
            return Credential(_decoded(name.removeprefix(BEARER)), "subprotocol")
    in_query = _in_query(request) if takes_query else None
    if in_query is not None:
        return Credential(in_query, "query")
    return None


def _in_query(request: Request) -> str | None:
    query = request.query_params
    return next((query[name][-1] for name in QUERY_NAMES if any(query.get(name, ()))), None)


def limit_key(address: str) -> str | None:
    """Return what limits per address count by: IPv6 per /64; None for loopback, which is exempt."""
    try:
        ip = ip_address(address)
    except ValueError:
        return None  # a Unix socket
    if ip.version == 6 and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if ip.is_loopback:
        return None
    if ip.version == 6:
        return str(ip_address(int(ip) >> 64 << 64))
    return str(ip)


def _decoded(value: str) -> str:
    """Return the token of a `bearer.` subprotocol, whose characters a token may lack."""
    try:
        raw = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
        return raw.decode("ascii")
    except (binascii.Error, ValueError):
        return value


class Admission:
    """Decides about upgrades."""

    def __init__(self, services: Services, doorman: Doorman) -> None:
        self._services = services
        self._doorman = doorman
        self._arrivals: dict[str, deque[float]] = {}

    async def judge(self, request: Request) -> Accept | Response | None:
        """Judge an upgrade of the main listener: face, credential, flood, arrivals."""
        refusal = await self._refusal(request)
        if refusal is not None:
            return refusal
        face = face_of(request)
        if face is None:
            body = json.dumps({"supported": sorted(FACES)}, separators=(",", ":"))
            return Response(body, status=400, headers=[("content-type", "application/json")])
        name = next((name for name in request.subprotocols if name in FACES), None)
        return Accept(subprotocol=name)

    async def judge_plain(self, request: Request) -> Accept | Response | None:
        """Judge an upgrade of the plain listener, which has the text face only."""
        refusal = await self._refusal(request)
        if refusal is not None:
            return refusal
        if request.subprotocols and "chat.v1.text" not in request.subprotocols:
            body = json.dumps({"supported": ["chat.v1.text"]}, separators=(",", ":"))
            return Response(body, status=400, headers=[("content-type", "application/json")])
        return Accept(subprotocol="chat.v1.text" if request.subprotocols else None)

    async def _refusal(self, request: Request) -> Response | None:
        """Return why an upgrade is refused, None where it is not."""
        try:
            return await self._judged(request)
        except StoreFailure as error:
            sentence = self._doorman.failure_of(error, "an upgrade").sentence
            return Response(f"{sentence}\n", status=503, headers=[("retry-after", "1")])

    async def _judged(self, request: Request) -> Response | None:
        address = request.client.host
        key = limit_key(address)
        if key is not None:
            wait = self._doorman.flood_wait(address) or self._arrival_wait(key)
            if wait is not None:
                return _try_later(
                    wait, "too many new connections (limits.new_connections_per_10_seconds)"
                )
        try:
            await self._services.server_bans.check_address(address)
        except ChatError as error:
            return _banned(error)
        takes_query = self._doorman.takes_query_tokens()
        if not takes_query and _in_query(request) is not None:
            return _unknown(IN_ADDRESS)
        credential = credential_of(request, takes_query=takes_query)
        if credential is not None and credential.source in ("header", "query"):
            try:
                user, _ = await self._doorman.resume(credential.token)
            except ChatError as error:
                if error.code is ErrorCode.BANNED:
                    return _banned(error)
                return _unknown(error)
            wait = self._doorman.flood_wait(user.id)
            if wait is not None:
                return _try_later(wait, "flooding")
        return None

    def _arrival_wait(self, key: str) -> float | None:
        """Take a new connection of an address; return seconds to wait where there are too many."""
        most = self._services.limits.new_connections_per_10_seconds
        if most is None:
            return None
        now = self._services.clock.monotonic()
        times = self._arrivals.pop(key, None) or deque(maxlen=most)
        self._arrivals[key] = times  # the last one again: the oldest are forgotten first
        if len(self._arrivals) > ADDRESSES_MAX:
            self._arrivals.pop(next(iter(self._arrivals)))
        if len(times) == most and times[0] > now - WINDOW_S:
            return times[0] + WINDOW_S - now
        times.append(now)
        return None


def _unknown(error: ChatError) -> Response:
    headers = [("www-authenticate", "Bearer")]
    return Response(f"{error.sentence}\n", status=401, headers=headers)


def _banned(error: ChatError) -> Response:
    return Response(f"{error.sentence}\n", status=403)


def _try_later(seconds: float, why: str) -> Response:
    wait = max(1, round(seconds + 0.5))
    return Response(
        f"Too many requests: {why}. Try again in {wait} s.\n",
        status=429,
        headers=[("retry-after", str(wait))],
    )
