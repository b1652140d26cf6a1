"""Named events over plain WebSocket: what a Socket.IO server with rooms becomes."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from wynd import ConnectionHandle, TextMessage, Wynd

wynd = Wynd()
Handler = Callable[[ConnectionHandle, Any], Awaitable[None]]
handlers: dict[str, Handler] = {}


def on(event: str) -> Callable[[Handler], Handler]:
    def register(function: Handler) -> Handler:
        handlers[event] = function
        return function

    return register


def packed(event: str, data: Any) -> str:
    return json.dumps({"event": event, "data": data})


@on("join")
async def join(handle: ConnectionHandle, data: Any) -> None:
    await handle.join(data["room"])  # sio.enter_room(sid, room)


@on("say")
async def say(handle: ConnectionHandle, data: Any) -> None:
    text = packed("said", {"from": handle.id, "text": data["text"]})
    handle.to(data["room"]).text(text)  # sio.emit("said", …, room=room, skip_sid=sid)


@wynd.on_text
async def received(message: TextMessage, handle: ConnectionHandle) -> None:
    call = json.loads(message.data)
    await handlers[call["event"]](handle, call["data"])


if __name__ == "__main__":
    wynd.run(8080)
