"""The server that the pack runs against: `echo_server.py native|portable|asgi [FOLDER|- [PORT]]`.

Writes its port. With a folder it speaks TLS with the certificate there. "asgi" is an application
whose WebSockets `WyndProtocol` carries. It and the native engine compress if asked to.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from wynd import BinaryMessage, ConnectionHandle, Limits, TextMessage, Tls, Wynd
from wynd.http import serve


def main() -> None:
    """Serve until SIGTERM."""
    engine: Any = sys.argv[1]
    tls = None
    if sys.argv[2:] and sys.argv[2] != "-":
        folder = Path(sys.argv[2])
        tls = Tls(folder / "server.pem", folder / "server.key")
    port = int(sys.argv[3]) if sys.argv[3:] else 0
    options: dict[str, Any] = {"host": "127.0.0.1", "tls": tls}
    if engine == "asgi":
        serve(asgi_echo, port, listening, compression="shared", **options)
        return
    limits = Limits(ping_interval_s=None)  # the first ping comes at random, also amid a case
    compression: Any = "shared" if engine == "native" else "off"
    wynd = Wynd(engine=engine, compression=compression, limits=limits)

    @wynd.on_text
    async def text(message: TextMessage, handle: ConnectionHandle) -> None:
        await handle.send_text(message.data)

    @wynd.on_binary
    async def binary(message: BinaryMessage, handle: ConnectionHandle) -> None:
        await handle.send_binary(message.data)

    wynd.run(port, listening, **options)


async def asgi_echo(scope: Any, receive: Any, send: Any) -> None:
    """Accept, and send back what comes."""
    if scope["type"] != "websocket":
        raise NotImplementedError
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


def listening(addresses: Any) -> None:
    """Write the port."""
    sys.stdout.write(f"{addresses[0][1]}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
