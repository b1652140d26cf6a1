"""The server under attack: `server.py OPTIONS`. Prints its port; echoes texts and bytes.

OPTIONS is a JSON object: "limits" (fields of `Limits`), "compression", "descriptors" (the process's
limit), "engine". There is no keepalive unless "limits" has one: its first ping comes at random.
Texts that are commands: "/joins N" joins N rooms and answers with the number it is in; "/enter"
joins the room "busy"; "/tell X" sends X to its other members; "/hang" never ends.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from typing import Any

from wynd import BinaryMessage, ConnectionHandle, LimitExceeded, Limits, TextMessage, Wynd


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
            await asyncio.Event().wait()
        else:
            await handle.send_text(message.data)

    @wynd.on_binary
    async def binary(message: BinaryMessage, handle: ConnectionHandle) -> None:
        await handle.send_binary(message.data)

    def listening(addresses: Any) -> None:
        sys.stdout.write(f"{addresses[0][1]}\n")
        sys.stdout.flush()

    wynd.run(0, listening, host="127.0.0.1")


if __name__ == "__main__":
    main()
