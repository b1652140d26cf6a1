# mypy: ignore-errors
# Its imports live in the environment of the peers, not in this project's.
"""Starlette, for uvicorn and granian: MODE (echo|messages|fanout) in the environment."""

import asyncio
import os

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

fans_out = os.environ.get("MODE") == "fanout"
echoes_all = os.environ.get("MODE") == "messages"
clients: set[WebSocket] = set()


async def echo(socket: WebSocket) -> None:
    """Answer a message, binary ones too."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message["code"])
    if message.get("text") is not None:
        await socket.send_text(message["text"])
    else:
        await socket.send_bytes(message["bytes"])


async def endpoint(socket: WebSocket) -> None:
    """Answer one connection."""
    await socket.accept()
    clients.add(socket)
    try:
        while True:
            if echoes_all:
                await echo(socket)
                continue
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
