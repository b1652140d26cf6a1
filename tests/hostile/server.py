"""The server under attack: `server.py OPTIONS`. Prints its port; echoes texts and bytes.

OPTIONS is a JSON object: "limits" (fields of `Limits`), "compression", "descriptors" (the process's
limit), "engine", "asks" (`on_request` sleeps for "/slow"), "metrics" (also a port for them, told
behind the first). There is no keepalive unless "limits" has one: its first ping comes at random.
Texts that are commands: "/joins N" joins N rooms and answers with the number it is in; "/enter"
joins the room "busy"; "/tell X" sends X to its other members; "/hang" never ends, and says so on
the standard output when it is cancelled; "/restart" stops with 1012; "/gone" answers with the codes
of the latest connections that ended; "/hits" with how often an outbox was full;
"/lag N" fills the sender's own outbox with N bytes.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections import deque
from typing import Any

from wynd import (
    BinaryMessage,
    ConnectionHandle,
    LimitExceeded,
    Limits,
    Request,
    TextMessage,
    Wynd,
)
from wynd.http import App


def main() -> None:
    """Serve until SIGTERM."""
    options: dict[str, Any] = json.loads(sys.argv[1])
    if "descriptors" in options:
        resource.setrlimit(resource.RLIMIT_NOFILE, (options["descriptors"],) * 2)
    wynd = Wynd(
        engine=options.get("engine", "native"),
        limits=Limits(**{"ping_interval_s": None, **options.get("limits", {})}),
        compression=options.get("compression", "off"),
    )

    if options.get("asks"):
        wynd.on_request(asked)
    stopping: list[asyncio.Future[None]] = []
    ended: deque[int] = deque(maxlen=100)  # codes
    wynd.on_disconnect(lambda event: ended.append(event.sent or event.code))

    @wynd.on_text
    async def text(message: TextMessage, handle: ConnectionHandle) -> None:
        command, _, rest = message.data.partition(" ")
        if command == "/joins":
            for room in range(int(rest)):
                try:
                    handle.join(f"room-{room}")
                except LimitExceeded:
                    break
            await handle.send_text(str(len(handle.joined_rooms)))
        elif command == "/enter":
            await handle.join("busy")
            await handle.send_text("entered")
        elif command == "/tell":
            handle.to("busy").text(rest)
        elif command == "/hang":
            await hang()
        elif command == "/restart":
            stopping.append(asyncio.ensure_future(wynd.stop(1012)))
        elif command == "/gone":
            await handle.send_text(json.dumps(list(ended)))
        elif command == "/lag":
            while handle.buffered_bytes < int(rest):
                handle.send_binary(bytes(16_384))
                await asyncio.sleep(0)
        elif command == "/hits":
            hits = wynd.statistics().limits_hit
            await handle.send_text(json.dumps([hits.get("outbox_bytes_hard", 0)]))
        else:
            await handle.send_text(message.data)

    @wynd.on_binary
    async def binary(message: BinaryMessage, handle: ConnectionHandle) -> None:
        await handle.send_binary(message.data)

    async def serve_metrics(ports: list[object]) -> None:
        app = App()
        app.get("/metrics")(lambda request: {"open": wynd.statistics().connections_open})
        await app.listen(0, lambda addresses: ports.append(addresses[0][1]), host="127.0.0.1")

    def listening(addresses: Any) -> None:
        if not options.get("metrics"):
            say(addresses[0][1])
            return
        ports: list[object] = [addresses[0][1]]
        stopping.append(asyncio.ensure_future(serve_metrics(ports)))

        def tell() -> None:
            if len(ports) == 2:
                say(f"{ports[0]} {ports[1]}")
            else:
                asyncio.get_running_loop().call_later(0.01, tell)

        tell()

    wynd.run(0, listening, host="127.0.0.1")


async def asked(request: Request) -> None:
    """Take longer than any handshake may."""
    if request.path == "/slow":
        await asyncio.sleep(10)


async def hang() -> None:
    """Wait for ever; say when that ends."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        say("cancelled")
        raise


def say(line: object) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
