"""A small application to test: it adds up the numbers each client sends."""

from wynd import CloseEvent, ConnectionHandle, TextMessage, Wynd

wynd = Wynd()
left_with: dict[int, int] = {}


@wynd.on_text
async def add(message: TextMessage, handle: ConnectionHandle) -> None:
    if not message.data.lstrip("-").isdigit():
        await handle.close(4000, "Numbers only.")
        return
    handle.data["sum"] = handle.data.get("sum", 0) + int(message.data)
    await handle.send_text(f"Sum: {handle.data['sum']}")


@wynd.on_disconnect
async def gone(event: CloseEvent, handle: ConnectionHandle) -> None:
    left_with[handle.id] = handle.data.get("sum", 0)
