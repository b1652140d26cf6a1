"""The API described: `/api/openapi.json`, `/api/asyncapi.json`, and the viewer at `/api/docs`.

The OpenAPI document comes from the endpoints and their models; what the framework adds and the
server does not do is taken out. The viewer is Swagger UI from this package, under a policy without
inline script; nothing is loaded from elsewhere.
"""

from __future__ import annotations

import hashlib
import html
import mimetypes
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from wynd_chat.domain.errors import ErrorCode
from wynd_chat.gateway.rest.answers import answer, matches
from wynd_chat.gateway.rest.context import context_of
from wynd_chat.gateway.rest.models import NewMessage
from wynd_chat.gateway.rest.problems import FieldProblem, Problem, refusals
from wynd_chat.web.assets import PAGE_HEADERS
from wynd_chat.wire.schemas import asyncapi_document

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["VIEWER_FILES", "document_routes", "openapi_document"]

VIEWER_FILES = ("init.js", "swagger-ui.css", "swagger-ui-bundle.js")
VIEWER = "web/api"  # in the package
TITLE = "wynd-chat"
DESCRIPTION = (
    "The same rooms as over the WebSocket, for `curl`, bots and pages. Errors are "
    "`application/problem+json`. Every POST takes an `Idempotency-Key` of 1 to 64 bytes: repeats "
    "within a day are answered as the first one, and nothing is done twice. The WebSocket is "
    "described by [asyncapi.json](asyncapi.json)."
)
_KEY_DESCRIPTION = "1 to 64 bytes: a repeat within a day is answered as the first one was."
_FRAMEWORK_422 = {"HTTPValidationError", "ValidationError"}


def openapi_document(api: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document, without `servers`."""
    document = get_openapi(
        title=TITLE,
        version=api.version,
        openapi_version="3.1.0",
        description=DESCRIPTION,
        routes=api.routes,
    )
    schemas: dict[str, Any] = document["components"]["schemas"]
    for model in (Problem, FieldProblem, NewMessage):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    for name in _FRAMEWORK_422:
        schemas.pop(name, None)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _correct(path, method, operation)
    return document


def _correct(path: str, method: str, operation: dict[str, Any]) -> None:
    """Make an operation say what the server does, where the framework assumes otherwise."""
    responses = operation["responses"]
    unfit = responses.get("422", {}).get("content", {}).get("application/json", {})
    if unfit.get("schema", {}).get("$ref", "").endswith("/HTTPValidationError"):
        del responses["422"]  # what does not fit is 400 here
    takes_key = method == "post" and path.startswith("/api/v1/")
    if takes_key and not path.endswith("/messages"):
        _add_conflict(responses)  # the key of another request
    parameters = operation.setdefault("parameters", []) if takes_key else []
    if takes_key and all(one["name"] != "Idempotency-Key" for one in parameters):
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": _KEY_DESCRIPTION,
                "schema": {"type": "string", "minLength": 1, "maxLength": 64},
            }
        )


def _add_conflict(responses: dict[str, Any]) -> None:
    """Declare that a request can be refused for its `Idempotency-Key`."""
    (conflict,) = (one for one in refusals(ErrorCode.CONFLICT).items() if one[0] == 409)
    declared = responses.setdefault("409", conflict[1])
    said = conflict[1]["description"]
    if said not in declared["description"]:
        declared["description"] += f", {said}"


def document_routes(api: FastAPI) -> list[Route]:
    """Return the routes of the documents and their viewer."""

    @cache
    def described() -> dict[str, Any]:
        return openapi_document(api)

    async def openapi(request: Request) -> Response:
        base = context_of(request).base_url(request)
        return answer({**described(), "servers": [{"url": base}]})

    async def asyncapi(request: Request) -> Response:
        context = context_of(request)
        return answer(asyncapi_document(context.base_url(request), context.version))

    return [
        Route("/api/openapi.json", openapi),
        Route("/api/asyncapi.json", asyncapi),
        Route("/api/docs", _viewer),
        Route("/api/docs/{name}", _viewer_file),
    ]


async def _viewer(_: Request) -> Response:
    """Answer with the viewer's page; its addresses are relative, so that sub-paths work."""
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(TITLE)}: the API</title>\n"
        '<link rel="icon" href="data:,">\n'
        '<link rel="stylesheet" href="docs/swagger-ui.css">\n'
        '<script src="docs/swagger-ui-bundle.js" defer></script>\n'
        '<script src="docs/init.js" defer></script>\n'
        "</head>\n<body>\n"
        '<main id="viewer"></main>\n'
        '<noscript>The document itself: <a href="openapi.json">openapi.json</a></noscript>\n'
        "</body>\n</html>\n"
    )
    return HTMLResponse(page, headers=dict(PAGE_HEADERS))


async def _viewer_file(request: Request) -> Response:
    """Answer with one of the viewer's files; asked about again each time, by its digest."""
    name = request.path_params["name"]
    if name not in VIEWER_FILES:
        return Response(status_code=404)
    content = _read(name)
    headers = {
        "etag": f'"{hashlib.sha256(content).hexdigest()[:32]}"',
        "cache-control": "public, no-cache",
    }
    if matches(request, headers["etag"]):
        return Response(status_code=304, headers=headers)
    media = mimetypes.guess_type(name)[0]
    return Response(content, 200, headers, media)


@cache
def _read(name: str) -> bytes:
    return resources.files("wynd_chat").joinpath(VIEWER, name).read_bytes()
