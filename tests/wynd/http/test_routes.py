"""Where a mounted Wynd stands; `test_app.py` shows it in a running application."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount

from tests.conftest import NATIVE_IS_BUILT
from wynd import Wynd
from wynd.http import App
from wynd.http.hosts import HostConfig
from wynd.http.routes import WyndRoute, middleware_for_upgrades, mounts_of, wynd_of
from wynd.http.serving import make_host


def test_the_wynd_behind_its_handler_is_found() -> None:
    wynd = Wynd()
    assert wynd_of(wynd.handler()) is wynd
    with pytest.raises(TypeError, match="use_wynd takes"):
        wynd_of(print)


@pytest.mark.parametrize(
    ("path", "is_there"),
    [("/rooms/7", True), ("/rooms/x", False), ("/rooms/7/", False), ("/rooms", False)],
)
def test_a_route_takes_exactly_its_path(path: str, is_there: bool) -> None:
    route = WyndRoute("/rooms/{number:int}", Wynd().handler())
    scope = {"type": "http", "path": path, "headers": [], "method": "GET"}
    assert route.is_path_of(scope) is is_there


class Passing:
    """Middleware that a `websocket` scope passes too."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class ForRequests(BaseHTTPMiddleware):
    """Middleware that sees requests only."""


@pytest.mark.parametrize(
    ("middleware", "paths"),
    [
        ([], ["/chat/{path:path}"]),
        ([GZipMiddleware, CORSMiddleware, ForRequests], ["/chat/{path:path}"]),
        ([GZipMiddleware, Passing], []),
    ],
)
def test_the_engine_takes_mounts_that_no_middleware_guards(
    middleware: list[Any], paths: list[str]
) -> None:
    app = Starlette(
        routes=[Mount("/chat", Wynd().handler()), Mount("/static", Passing(None))],
        middleware=[Middleware(one) for one in middleware],
    )
    assert [mounted.path for mounted in mounts_of(app)] == paths


def test_middleware_that_sees_no_upgrades_is_told(caplog: pytest.LogCaptureFixture) -> None:
    app = App(middleware=[Middleware(GZipMiddleware), Middleware(Passing)])
    app.use_wynd("/ws", Wynd(engine="portable").handler())
    assert middleware_for_upgrades(app) == ["Passing"]
    if NATIVE_IS_BUILT:
        app = App(middleware=[Middleware(GZipMiddleware), Middleware(Passing)])
        app.use_wynd("/ws", Wynd().handler())
        make_host(app, app._mounts, HostConfig())
        assert [record.getMessage() for record in caplog.records] == [
            "Passing will not see upgrades to /ws: decide who may connect in on_request"
        ]
