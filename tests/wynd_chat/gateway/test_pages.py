"""The chat's plain answers: 426 and the discovery document. Its files are tested with them."""

from __future__ import annotations

import httpx
from starlette.applications import Starlette
from starlette.routing import Route

from wynd_chat.gateway.addresses import base_url_of
from wynd_chat.gateway.pages import upgrade_required, well_known


async def get(path: str, public_url: str | None = None) -> httpx.Response:
    """Send GET to an application with these answers only."""
    routes = [Route("/ws", upgrade_required), well_known(base_url_of(public_url))]
    transport = httpx.ASGITransport(app=Starlette(routes=routes))
    async with httpx.AsyncClient(transport=transport, base_url="http://chat.example") as client:
        return await client.get(path)


async def test_a_websockets_path_wants_an_upgrade() -> None:
    answer = await get("/ws")
    assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")
    assert "Upgrade" in answer.headers["connection"]


async def test_endpoints_are_where_the_request_came_to() -> None:
    assert (await get("/.well-known/chat")).json() == {
        "websocket": "ws://chat.example/ws",
        "subprotocols": ["chat.v1.json", "chat.v1.text"],
        "api": "http://chat.example/api/v1",
        "openapi": "http://chat.example/api/openapi.json",
        "asyncapi": "http://chat.example/api/asyncapi.json",
    }


async def test_endpoints_are_where_they_are_set_to_be() -> None:
    found = (await get("/.well-known/chat", "https://talk.example/chat")).json()
    assert found["websocket"] == "wss://talk.example/chat/ws"
    assert found["api"] == "https://talk.example/chat/api/v1"
