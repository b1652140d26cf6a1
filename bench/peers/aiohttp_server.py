# mypy: ignore-errors
# Its imports live in the environment of the peers, not in this project's.
"""aiohttp on uvloop: PORT echo|fanout; COMPRESS in the environment."""

import asyncio
import os
import sys

import uvloop
from aiohttp import WSMsgType, web

port, mode = int(sys.argv[1]), sys.argv[2]
clients: set[web.WebSocketResponse] = set()


async def handler(request: web.Request) -> web.WebSocketResponse:
    """Answer one connection."""
    socket = web.WebSocketResponse(compress=os.environ.get("COMPRESS") == "1")
    await socket.prepare(request)
    clients.add(socket)
    try:
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
            elif message.type is not WSMsgType.TEXT:
                continue
            elif mode == "echo":
                await socket.send_str(message.data)
            else:
                await asyncio.gather(
                    *(c.send_str(message.data) for c in clients if c is not socket)
                )
    finally:
        clients.discard(socket)
    return socket


async def main() -> None:
    """Serve for ever."""
    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


uvloop.run(main())
