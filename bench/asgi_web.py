"""HTTP on Starlette, for `bench/web.py`: a short answer, and a body that comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request


async def hello(request: Request) -> Response:
    """Answer shortly."""
    return PlainTextResponse("Hello!")


async def echo(request: Request) -> Response:
    """Answer with the body."""
    return Response(await request.body())


app = Starlette(routes=[Route("/", hello), Route("/echo", echo, methods=["POST"])])
