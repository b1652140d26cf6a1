# mypy: ignore-errors
# Its imports live in the environment of the peers, not in this project's.
"""The `websockets` package: PORT echo|fanout; COMPRESS in the environment."""

import os
import sys

import uvloop
import websockets
from websockets.asyncio.server import ServerConnection, serve

port, mode = int(sys.argv[1]), sys.argv[2]
compression = "deflate" if os.environ.get("COMPRESS") == "1" else None
clients: set[ServerConnection] = set()


async def handler(connection: ServerConnection) -> None:
    """Answer one connection."""
    clients.add(connection)
    try:
        async for message in connection:
            if mode == "echo":
                await connection.send(message)
            else:
                websockets.broadcast(clients - {connection}, message)
    finally:
        clients.discard(connection)


async def main() -> None:
    """Serve for ever."""
    async with serve(handler, "127.0.0.1", port, compression=compression) as server:
        await server.serve_forever()


uvloop.run(main())
