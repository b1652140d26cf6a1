"""`Operations`: `/healthz`, `/readyz` and `/metrics`, on the public port and on one of their own.

`/metrics` is never on the public port without a token. What is counted is `observability`.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from wynd_chat.observability.metrics import METRICS_CONTENT_TYPE, Levels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.requests import Request

    from wynd import Wynd
    from wynd_chat.observability.health import Health
    from wynd_chat.observability.metrics import Metrics
    from wynd_chat.services.bundle import Services

__all__ = ["Operations"]


class Operations:
    """What those who run a server ask it.

    Args:
        health: What is well.
        metrics: What was counted.
        services: For levels of now.
        wynds: The server objects, whose own counters are taken over.
        token: Returns the bearer token of `/metrics` on the public port; None: it is not there.
        sizes: Returns bytes of the database and of all files.
    """

    def __init__(
        self,
        health: Health,
        metrics: Metrics,
        services: Services,
        wynds: Sequence[Wynd],
        token: Callable[[], str | None],
        sizes: Callable[[], tuple[int, int]],
    ) -> None:
        self._health = health
        self._metrics = metrics
        self._services = services
        self._wynds = wynds
        self._token = token
        self._sizes = sizes
        self._told: dict[tuple[object, ...], int] = {}

    def public_routes(self) -> list[Route]:
        """Return the routes of the public port."""
        return [
            Route("/healthz", self._alive),
            Route("/readyz", self._ready),
            Route("/metrics", self._guarded_metrics),
        ]

    def private_routes(self) -> list[Route]:
        """Return the routes of a listener of their own."""
        return [
            Route("/healthz", self._alive),
            Route("/readyz", self._ready),
            Route("/metrics", self._open_metrics),
        ]

    async def _alive(self, request: Request) -> Response:
        """Answer: the event loop turns."""
        return PlainTextResponse("ok\n", headers={"cache-control": "no-store"})

    async def _ready(self, request: Request) -> Response:
        """Answer whether the server should be sent requests, and what is not well."""
        report = self._health.report()
        return JSONResponse(
            {"ready": report.is_ready, "checks": dict(report.checks)},
            status_code=200 if report.is_ready else 503,
            headers={"cache-control": "no-store"},
        )

    async def _guarded_metrics(self, request: Request) -> Response:
        token = self._token()
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if token is None:
            return PlainTextResponse("There is nothing here.\n", status_code=404)
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), token.encode()):
            return PlainTextResponse(
                "A token is needed.\n", status_code=401, headers={"www-authenticate": "Bearer"}
            )
        return await self._open_metrics(request)

    async def _open_metrics(self, request: Request) -> Response:
        rooms = await self._services.rooms.count()
        db_bytes, upload_bytes = self._sizes()
        statistics = [wynd.statistics() for wynd in self._wynds]
        self._metrics.set_levels(
            Levels(
                rooms=rooms,
                users_online=self._services.presences.count(),
                queue_bytes=sum(one.outbox_bytes for one in statistics),
                db_bytes=db_bytes,
                upload_bytes=upload_bytes,
            )
        )
        self._metrics.rate_limited(self._services.rate_limits.refused)
        tries = self._services.logins.results
        for result, count in self._news(("logins", self), tries).items():
            self._metrics.authenticated(result, count)
        for one, wynd in zip(statistics, self._wynds, strict=True):
            for status, count in self._news(("refused", wynd), one.handshakes_refused).items():
                self._metrics.refused(status, count)
            for count in self._news(("dropped", wynd), one.messages_dropped).values():
                self._metrics.dropped("slow", count)
        self._metrics.set_ready(self._health.is_ready)
        return Response(
            self._metrics.render(),
            headers={"content-type": METRICS_CONTENT_TYPE, "cache-control": "no-store"},
        )

    def _news(self, about: tuple[str, object], counts: Mapping[Any, int]) -> dict[Any, int]:
        """Return by how much counters rose since they were last looked at."""
        news: dict[Any, int] = {}
        for key, total in counts.items():
            told = self._told.get((*about, key), 0)
            news[key] = max(0, total - told)
            self._told[(*about, key)] = total
        return news
