"""An ASGI application for `test_mounting.py`: closes with the code and reason that a text names."""

from __future__ import annotations

from wynd import ConnectionHandle, Limits, Request, Response, TextMessage, Wynd

wynd = Wynd(limits=Limits(message_bytes_max=1000), subprotocols=["chat"])
app = wynd.handler()


@wynd.on_request
def ask(request: Request) -> Response | None:
    return Response("no", 401) if request.path == "/no" else None


@wynd.on_text
async def text(message: TextMessage, handle: ConnectionHandle) -> None:
    code, _, reason = message.data.partition(" ")
    await handle.send_text("closing")
    handle.close(int(code), reason)
