"""Our server for the benchmark: `ours.py PORT echo|fanout SHAPE ENGINE [uvloop] [COMPRESSION]`;
TLS_CERT and TLS_KEY in the environment.

SHAPE is "def", "async" (one handler for all connections) or "closures" (an `async def` handler
per connection, registered in `on_connection`). COMPRESSION is "shared" or "dedicated". Limits and
keepalive are at their defaults.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from wynd import Connection, ConnectionHandle, Limits, TextMessage, Tls, Wynd


def application(mode: str, shape: str, engine: Any, compression: Any = "off") -> Wynd:
    """Return the application to measure."""
    limits = Limits(connections_per_address_max=None)
    wynd = Wynd(engine=engine, limits=limits, compression=compression)

    def echo(message: TextMessage, handle: ConnectionHandle) -> None:
        handle.send_text(message.data)

    def fanout(message: TextMessage, handle: ConnectionHandle) -> None:
        handle.broadcast.text(message.data)

    async def async_echo(message: TextMessage, handle: ConnectionHandle) -> None:
        await handle.send_text(message.data)

    async def async_fanout(message: TextMessage, handle: ConnectionHandle) -> None:
        await handle.broadcast.text(message.data)

    is_echo = mode == "echo"
    if shape == "def":
        wynd.on_text(echo if is_echo else fanout)
    elif shape == "async":
        wynd.on_text(async_echo if is_echo else async_fanout)
    else:

        @wynd.on_connection
        def connected(conn: Connection) -> None:
            async def text(message: TextMessage, handle: ConnectionHandle) -> None:
                if is_echo:
                    await handle.send_text(message.data)
                else:
                    await handle.broadcast.text(message.data)

            conn.on_text(text)

    return wynd


def main() -> None:
    """Serve until a signal."""
    port, mode, shape, engine, *options = sys.argv[1:]
    compression = next((name for name in options if name in ("shared", "dedicated")), "off")
    wynd = application(mode, shape, engine, compression)
    certificate = os.environ.get("TLS_CERT")
    tls = Tls(certificate, os.environ["TLS_KEY"]) if certificate else None
    if "uvloop" in options:
        import uvloop

        uvloop.run(wynd.listen(int(port), host="127.0.0.1", tls=tls))
    else:
        asyncio.run(wynd.listen(int(port), host="127.0.0.1", tls=tls))


if __name__ == "__main__":
    main()
