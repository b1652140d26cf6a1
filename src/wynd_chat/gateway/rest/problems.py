"""Refusals over HTTP: `application/problem+json` (RFC 9457), one form for every error.

Decides title, status and header fields of each, and which of them an operation declares. Whatever
is raised below becomes one here; exception text never leaves the server.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.ports.store import StoreFailure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastapi import FastAPI
    from pydantic import ValidationError
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from wynd_chat.gateway.doorman import Doorman

__all__ = [
    "MEDIA_TYPE",
    "TITLES",
    "FieldProblem",
    "Problem",
    "Refused",
    "install",
    "not_found",
    "path_for_log",
    "problem",
    "refusals",
    "validation_error",
]

MEDIA_TYPE = "application/problem+json"
FIELD_PROBLEMS_MAX = 20  # of one answer; a body of 128 KiB can have thousands

TITLES = {
    ErrorCode.BAD_REQUEST: "Malformed request",
    ErrorCode.UNSUPPORTED: "Not supported",
    ErrorCode.TEXT_ONLY: "Text only",
    ErrorCode.UNAUTHORIZED: "Login needed",
    ErrorCode.FORBIDDEN: "Not allowed",
    ErrorCode.NOT_MEMBER: "Not a member",
    ErrorCode.BANNED: "Banned",
    ErrorCode.SILENCED: "Silenced",
    ErrorCode.NOT_FOUND: "Not found",
    ErrorCode.NOT_ONLINE: "Not online",
    ErrorCode.NAME_TAKEN: "Name taken",
    ErrorCode.NAME_REGISTERED: "Name registered",
    ErrorCode.CONFLICT: "Conflict",
    ErrorCode.EXPIRED: "Expired",
    ErrorCode.TOO_LARGE: "Too large",
    ErrorCode.BAD_NAME: "Not a possible name",
    ErrorCode.RATE_LIMITED: "Slow down",
    ErrorCode.INTERNAL: "Something went wrong here",
    ErrorCode.UNAVAILABLE: "Try again soon",
}

# What a field can be wrong in, by pydantic's type of error; never its text, which may quote input.
SENTENCES = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "string_type": "must be a string",
    "string_unicode": "must be a string",
    "int_type": "must be an integer",
    "int_parsing": "must be an integer",
    "int_from_float": "must be an integer",
    "int_parsing_size": "is too large",
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "list_type": "must be a list",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must have at least {min_length} entries",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
}


NOTHING_THERE = ChatError(ErrorCode.NOT_FOUND, "there is nothing at this address")


_SECRET_PATH = re.compile(r"^(/(?:u|join|claim|link|api/v1/link)/)[^/]+")


class FieldProblem(BaseModel):
    """One field that does not fit."""

    field: str = Field(description="Where it stands, such as `body.text`.")
    message: str = Field(description="What is wrong with it.")


class Problem(BaseModel):
    """Why a request was refused (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="`/api/errors/` and the code; tells what the code means.")
    title: str = Field(description="The same for every refusal of this code.")
    status: int = Field(description="The status of the answer.")
    detail: str = Field(description="A sentence for people: what was wrong and what to do.")
    code: ErrorCode = Field(description="The code, as on every face.")
    retry_after: float | None = Field(
        None, description="Seconds until the same request may succeed, where that is known."
    )
    errors: list[FieldProblem] | None = Field(
        None, description="The fields that do not fit, where it is that."
    )


class Refused(HTTPException):
    """A `ChatError` that passes through the framework's own reading of bodies."""

    def __init__(self, error: ChatError) -> None:
        super().__init__(error.code.status, error.sentence)
        self.error = error


def problem(
    error: ChatError,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    fields: Sequence[FieldProblem] = (),
) -> Response:
    """Return the answer of a refusal.

    Args:
        error: What was refused, and why.
        status: Instead of the code's.
        headers: Further header fields.
        fields: Which fields do not fit.
    """
    code = error.code
    status = status or code.status
    detail = error.sentence
    if code is ErrorCode.RATE_LIMITED and detail == TITLES[code] and error.retry_after is not None:
        detail = f"Try again in {error.retry_after:g} s"
    value: dict[str, Any] = {
        "type": f"/api/errors/{code.value}",
        "title": TITLES[code],
        "status": status,
        "detail": detail,
        "code": code.value,
    }
    if error.retry_after is not None:
        value["retry_after"] = error.retry_after
    if fields:
        value["errors"] = [field.model_dump() for field in fields]
    more = dict(headers or {})
    if status in (429, 503):
        more["retry-after"] = str(max(1, math.ceil(error.retry_after or 1.0)))
    if status == 401:
        more["www-authenticate"] = "Bearer"
    return JSONResponse(value, status, more, MEDIA_TYPE)


def refusals(*codes: ErrorCode) -> dict[int | str, dict[str, Any]]:
    """Return the declaration of the refusals of an operation, those of every one included.

    Who is asked for a login can be banned, also by address.
    """
    by_status: dict[int, list[ErrorCode]] = {}
    found = {*codes, ErrorCode.BAD_REQUEST, ErrorCode.INTERNAL, ErrorCode.UNAVAILABLE}
    if ErrorCode.UNAUTHORIZED in codes:
        found.add(ErrorCode.BANNED)
    for code in sorted(found):
        by_status.setdefault(code.status, []).append(code)
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {
            "description": ", ".join(f"{TITLES[code]} (`{code.value}`)" for code in of_status),
            "content": {MEDIA_TYPE: schema},
        }
        for status, of_status in sorted(by_status.items())
    }


def path_for_log(path: str) -> str:
    """Return a path as the log may have it: without the codes that are secrets."""
    return _SECRET_PATH.sub(r"\1…", path)


def validation_error(error: ValidationError) -> RequestValidationError:
    """Return the error of a body that was validated by hand."""
    return RequestValidationError(
        [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_input=False)]
    )


def install(api: FastAPI, doorman: Doorman, routes: Sequence[BaseRoute]) -> None:
    """Make an application answer whatever is raised in it with a problem.

    Args:
        api: The application.
        doorman: Logs failures.
        routes: All of its endpoints: what a refusal of a method names.
    """

    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, ChatError)
        return problem(error)

    async def failed(request: Request, error: Exception) -> Response:
        what = f"{request.method} {path_for_log(request.url.path)}"
        return problem(doorman.failure_of(error, what))

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _http_error(request, error, routes)

    api.add_exception_handler(ChatError, refused)
    api.add_exception_handler(StoreFailure, failed)
    api.add_exception_handler(HTTPException, http_error)
    api.add_exception_handler(RequestValidationError, _unfit)


async def not_found(_: Request, __: Exception) -> Response:
    """Answer an address that not even the API has: one with a line break, which no route takes."""
    return problem(NOTHING_THERE)


def _http_error(request: Request, error: HTTPException, routes: Sequence[BaseRoute]) -> Response:
    """Answer what the framework refuses: no such address, no such method, an unreadable body."""
    if isinstance(error, Refused):
        return problem(error.error)
    if error.status_code == 404:
        return problem(NOTHING_THERE)
    if error.status_code == 405:
        allowed = ", ".join(sorted(_methods(request, routes)))
        refusal = ChatError(ErrorCode.UNSUPPORTED, f"this address takes {allowed}")
        return problem(refusal, status=405, headers={"allow": allowed})
    return problem(ChatError(ErrorCode.BAD_REQUEST, "the request could not be read"))


def _methods(request: Request, routes: Sequence[BaseRoute]) -> set[str]:
    """Return the methods that the address of a request takes, whichever endpoints they are of."""
    methods: set[str] = set()
    for route in routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return methods | {"HEAD"} if "GET" in methods else methods


async def _unfit(_: Request, error: Exception) -> Response:
    """Answer fields that do not fit what an operation takes."""
    assert isinstance(error, RequestValidationError)
    found = [_field_problem(one) for one in error.errors()[:FIELD_PROBLEMS_MAX]]
    first = found[0]
    return problem(ChatError(ErrorCode.BAD_REQUEST, f"{first.field} {first.message}"), fields=found)


def _field_problem(error: Mapping[str, Any]) -> FieldProblem:
    # A key of the caller's own stands in `loc` too; it is cut, and JSON escapes it.
    field = ".".join(str(part)[:64] for part in error["loc"])
    sentence = SENTENCES.get(error["type"], "does not fit")
    return FieldProblem(field=field, message=sentence.format_map(error.get("ctx") or {}))
