"""`make_api`: the FastAPI application of the chat's port, put together from its areas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

if TYPE_CHECKING:
    from wynd_chat.gateway.calls import Router
    from wynd_chat.gateway.doorman import Doorman

__all__ = ["make_api"]


def make_api(router: Router, doorman: Doorman, *, version: str) -> FastAPI:
    """Return the application; it is mounted beside the WebSocket."""
    services = router.services
    api = FastAPI(title="wynd-chat", version=version, openapi_url=None, docs_url=None)
    api.state.doorman = doorman

    async def status() -> dict[str, Any]:
        return {"users": services.presences.count(), "status": "online"}

    async def users() -> dict[str, Any]:
        names = [user.name for user in services.presences.online()]
        return {"users": names, "count": len(names)}

    api.add_api_route("/api/status", status, methods=["GET"])
    api.add_api_route("/api/users", users, methods=["GET"])
    return api
