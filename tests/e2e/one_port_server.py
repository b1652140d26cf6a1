"""A server for `test_one_port.py`: `one_port_server.py FOLDER HELD`.

WebSockets on /ws answer each text; POST /echo answers with its body; GET /held answers 100 KB once
the stop has begun. Prints its port, and "held" when HELD requests wait for the stop.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wynd import Limits, TextMessage, Tls, Wynd
from wynd.http import App

if TYPE_CHECKING:
    from starlette.requests import Request


def main() -> None:
    """Serve until SIGTERM."""
    folder, held_max = Path(sys.argv[1]), int(sys.argv[2])
    wynd, app = Wynd(limits=Limits(connections_per_address_max=None)), App()
    app.use_wynd("/ws", wynd.handler())
    stops, held = asyncio.Event(), [0]

    @wynd.on_text
    async def text(message: TextMessage) -> None:
        await message.handle.send_text(message.data)

    @wynd.on_shutdown
    def shutdown() -> None:
        stops.set()

    @app.post("/echo")
    async def echo(request: Request) -> bytes:
        return await request.body()

    @app.get("/held")
    async def hold(request: Request) -> bytes:
        held[0] += 1
        if held[0] == held_max:
            say("held")
        await stops.wait()
        return b"h" * 100_000

    def listening(addresses: Any) -> None:
        say(addresses[0][1])

    tls = Tls(folder / "server.pem", folder / "server.key")
    app.run(0, listening, host="127.0.0.1", tls=tls)


def say(line: object) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
