"""`App`: a Starlette application with short routes, mounted Wynds, and `run`.

Decides what a handler's result becomes and what starts and ends with the application. Routing,
middleware, sub-mounts and the rest are Starlette's.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, JSONResponse, Response

from wynd.codes import CloseCode
from wynd.http.hosts import Mounted
from wynd.http.routes import UpgradeRequired, WyndRoute
from wynd.http.serving import Server

if TYPE_CHECKING:
    from starlette.requests import Request

    from wynd.engines.base import Address

__all__ = ["App"]

F = TypeVar("F", bound=Callable[..., Any])


class App(Starlette):
    """A web application with HTTP routes and WebSockets on one port.

    Arguments are Starlette's. Handlers take the request and return a dict or list (JSON), a str
    (HTML), bytes, or any Starlette `Response`; plain functions run in a thread, as Starlette's do.
    It runs by itself (`run`, `listen`) and under any ASGI server.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._mounted: list[WyndRoute] = []
        self._mounts: list[Mounted] = []
        self._server = Server(self, self._mounts)
        self.router.default = UpgradeRequired(self._mounted, self.router.default)
        self.router.lifespan_context = self._with_wynds(self.router.lifespan_context)

    # Routes

    def route(
        self, path: str, methods: Sequence[str] = ("GET",), *, name: str | None = None
    ) -> Callable[[F], F]:
        """Register a handler of `path` for these methods; GET answers HEAD too."""

        def register(function: F) -> F:
            self.add_route(path, _endpoint(function), methods=list(methods), name=name)
            return function

        return register

    def get(self, path: str, *, name: str | None = None) -> Callable[[F], F]:
        """Register a handler of GET and HEAD."""
        return self.route(path, ("GET",), name=name)

    def post(self, path: str, *, name: str | None = None) -> Callable[[F], F]:
        """Register a handler of POST."""
        return self.route(path, ("POST",), name=name)

    def put(self, path: str, *, name: str | None = None) -> Callable[[F], F]:
        """Register a handler of PUT."""
        return self.route(path, ("PUT",), name=name)

    def delete(self, path: str, *, name: str | None = None) -> Callable[[F], F]:
        """Register a handler of DELETE."""
        return self.route(path, ("DELETE",), name=name)

    def patch(self, path: str, *, name: str | None = None) -> Callable[[F], F]:
        """Register a handler of PATCH."""
        return self.route(path, ("PATCH",), name=name)

    def use_wynd(self, path: str, handler: Any) -> None:
        """Mount a `Wynd` on exactly this path: `app.use_wynd("/ws", wynd.handler())`.

        The path may hold parameters, `"/rooms/{room}"`, read as `handle.request.path_params`. It
        may have HTTP routes too: an upgrade goes to the `Wynd`, anything else to them.

        Raises:
            TypeError: not what `wynd.handler()` returned.
            ValueError: the path has a `Wynd` already, or does not start with "/".
        """
        if not path.startswith("/"):
            raise ValueError(f'a path starts with "/", and {path!r} does not')
        if any(mounted.path == path for mounted in self._mounts):
            raise ValueError(f"{path} has a Wynd already")
        route = WyndRoute(path, handler)
        self.router.routes.insert(len(self._mounted), route)
        self._mounted.append(route)
        self._mounts.append(Mounted(path, route.wynd))

    # Serving

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where `run` or `listen` listens; empty under another server."""
        return self._server.addresses

    def run(
        self,
        port: int | None = None,
        on_listening: Callable[..., Any] | None = None,
        **options: Any,
    ) -> None:
        """Listen until SIGINT or SIGTERM, then stop in order and return; see `Server.listen`."""
        self._server.run(port, on_listening, **options)

    async def listen(
        self,
        port: int | None = None,
        on_listening: Callable[..., Any] | None = None,
        **options: Any,
    ) -> None:
        """Listen, and serve until `stop`; see `Server.listen`."""
        await self._server.listen(port, on_listening, **options)

    @asynccontextmanager
    async def serving(self, port: int | None = None, **options: Any) -> AsyncIterator[App]:
        """Serve inside an `async with` block; `stop()` is called at its end."""
        async with self._server.serving(port, **options):
            yield self

    async def stop(self, code: int = CloseCode.GOING_AWAY) -> None:
        """Stop in order; see `Server.stop`."""
        await self._server.stop(code)

    def _with_wynds(self, lifespan: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Start the mounted Wynds with the application, and stop those another server ran."""

        @asynccontextmanager
        async def lasting(app: Any) -> AsyncIterator[Any]:
            lives = [_Lifespan(route.handler) for route in self._mounted]
            for life in lives:
                await life.start()
            try:
                async with lifespan(app) as state:
                    yield state
            finally:
                for life in lives:
                    await life.end()

        return lasting


class _Lifespan:
    """The lifespan protocol of one mounted application, driven by the one it is mounted in."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}}
        self._task = asyncio.create_task(
            self._handler(scope, self._events.get, self._answers.put), name="wynd-lifespan"
        )
        await self._say("lifespan.startup")

    async def end(self) -> None:
        await self._say("lifespan.shutdown")

    async def _say(self, kind: str) -> None:
        """Send one event and wait for its answer, or for the task's end and its exception."""
        assert self._task is not None
        await self._events.put({"type": kind})
        answer = asyncio.create_task(self._answers.get())
        await asyncio.wait({answer, self._task}, return_when=asyncio.FIRST_COMPLETED)
        answer.cancel()
        if self._task.done():
            await self._task


def _endpoint(function: Callable[..., Any]) -> Callable[[Request], Any]:
    is_async = inspect.iscoroutinefunction(function)

    @wraps(function)
    async def endpoint(request: Request) -> Response:
        if is_async:
            return response_of(await function(request))
        return response_of(await run_in_threadpool(function, request))

    return endpoint


def response_of(result: Any) -> Response:
    """Return what a handler's result means as a response.

    Raises:
        TypeError: it means none.
    """
    if isinstance(result, Response):
        return result
    if isinstance(result, (dict, list)):
        return JSONResponse(result)
    if isinstance(result, str):
        return HTMLResponse(result)
    if isinstance(result, bytes):
        return Response(result, media_type="application/octet-stream")
    raise TypeError(
        f"a handler returned {type(result).__name__}; return a dict, list, str, bytes or Response"
    )
