"""How requests are read: bounded, strict JSON, and each POST with a key once.

`api_router()` makes the router that every file of endpoints begins with. Its bodies are held in
memory, so they are bounded before they are read. Endpoints that stream (uploads) take a plain
`APIRouter`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.gateway.rest.context import context_of
from wynd_chat.gateway.rest.idempotency import digest_of
from wynd_chat.gateway.rest.identity import identify
from wynd_chat.gateway.rest.problems import Refused
from wynd_chat.wire.strict_json import StrictJsonError, parse_object

__all__ = ["BODY_BYTES_MAX", "ApiRoute", "BoundedRequest", "api_router", "media_type"]

# 8,000 characters outside the Basic Multilingual Plane, written as escapes, are 96,000 bytes.
BODY_BYTES_MAX = 128 * 1024
IDEMPOTENCY_KEY = "idempotency-key"

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class BoundedRequest(Request):
    """A request whose body is read up to a limit, and as strict JSON."""

    async def body(self) -> bytes:
        """Return the whole body.

        Raises:
            Refused: `too_large`, before anything is read where the length says so.
        """
        if not hasattr(self, "_body"):
            length = self.headers.get("content-length", "")
            if length.isdecimal() and int(length[:18]) > BODY_BYTES_MAX:
                raise _too_large()
            chunks, size = [], 0
            async for chunk in self.stream():
                size += len(chunk)
                if size > BODY_BYTES_MAX:
                    raise _too_large()
                chunks.append(chunk)
            self._body = b"".join(chunks)
        return self._body

    async def json(self) -> Any:
        """Return the object that the body is.

        Raises:
            Refused: `bad_request`: it is none, or not strict.
        """
        try:
            text = (await self.body()).decode()
            return parse_object(text, bytes_max=BODY_BYTES_MAX, what="a body")
        except UnicodeDecodeError:
            raise Refused(ChatError(ErrorCode.BAD_REQUEST, "the body is not UTF-8")) from None
        except StrictJsonError as error:
            raise Refused(ChatError(ErrorCode.BAD_REQUEST, error.sentence)) from None


class ApiRoute(APIRoute):
    """An endpoint of the API.

    Attributes:
        takes_key_itself: Whether the endpoint reads `Idempotency-Key` itself.
        has_secrets: Whether its answers must not be stored.
    """

    takes_key_itself = False
    has_secrets = False

    def get_route_handler(self) -> _Handler:
        """Return what answers requests."""
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            bounded = BoundedRequest(request.scope, request.receive)
            if request.method == "GET":
                return await inner(bounded)
            body = await bounded.body()
            if body and self.body_field is not None:
                _check_json(bounded)
            key = request.headers.get(IDEMPOTENCY_KEY)
            if key is None or request.method != "POST" or self.takes_key_itself:
                return await inner(bounded)
            caller = await identify(bounded)
            if caller.user is None:
                return await inner(bounded)  # keys are kept per user
            return await context_of(request).answers.once(
                caller.user,
                key,
                digest_of(request.method, _target(request), body),
                lambda: inner(bounded),
                is_secret=self.has_secrets,
            )

        return handler


def api_router(tag: str, *, takes_key_itself: bool = False, has_secrets: bool = False) -> APIRouter:
    """Return a router of `/api/v1`.

    Args:
        tag: The area, in the documents.
        takes_key_itself: Whether its POSTs read `Idempotency-Key` themselves.
        has_secrets: Whether the answers of its POSTs hold secrets; they are then not kept, and a
            repetition is `conflict`.
    """
    flags = {"takes_key_itself": takes_key_itself, "has_secrets": has_secrets}
    route_class = type("_Route", (ApiRoute,), flags)
    return APIRouter(prefix="/api/v1", tags=[tag], route_class=route_class)


def media_type(request: Request) -> str:
    """Return the media type of a request's body, without parameters; "" where none is named."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _check_json(request: Request) -> None:
    if media_type(request) != "application/json":
        raise ChatError(ErrorCode.UNSUPPORTED, "send the body with content-type: application/json")


def _target(request: Request) -> str:
    path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    query: bytes = request.scope.get("query_string", b"")
    return f"{path.decode('latin-1')}?{query.decode('latin-1')}"


def _too_large() -> Refused:
    sentence = f"a body has at most {BODY_BYTES_MAX} bytes"
    return Refused(ChatError(ErrorCode.TOO_LARGE, sentence))
