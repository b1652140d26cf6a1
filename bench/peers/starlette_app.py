# mypy: ignore-errors
# Its imports live in the environment of the peers, not in this project's.
"""Starlette, for uvicorn and granian: MODE in the environment."""

import asyncio
import os

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

fans_out = os.environ.get("MODE") == "fanout"
clients: set[WebSocket] = set()


async def endpoint(socket: WebSocket) -> None:
    """Answer one connection."""
    await socket.accept()
    clients.add(socket)
    try:
        while True:
            text = await socket.receive_text()
            if fans_out:
                await asyncio.gather(*(c.send_text(text) for c in clients if c is not socket))
            else:
                await socket.send_text(text)
    except WebSocketDisconnect:
        pass
    finally:
        clients.discard(socket)


app = Starlette(routes=[WebSocketRoute("/", endpoint)])
