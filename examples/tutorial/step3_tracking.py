"""Step 3: connection tracking. What one client says, all the others hear."""

from wynd import CloseEvent, ConnectionHandle, TextMessage, Wynd

wynd = Wynd()
clients: dict[int, ConnectionHandle] = {}


@wynd.on_open
async def joined(handle: ConnectionHandle) -> None:
    clients[handle.id] = handle
    print(f"Client {handle.id} joined")
    await handle.send_text("Welcome to the chat!")
    broadcast(f"Client {handle.id} joined the chat", sender=handle)


@wynd.on_text
async def said(message: TextMessage, handle: ConnectionHandle) -> None:
    print(f"Client {handle.id} says: {message.data}")
    broadcast(f"Client {handle.id}: {message.data}", sender=handle)


@wynd.on_disconnect
async def left(event: CloseEvent, handle: ConnectionHandle) -> None:
    clients.pop(handle.id, None)
    print(f"Client disconnected: {event.reason}")


def broadcast(message: str, sender: ConnectionHandle) -> None:
    """Send to everybody but the sender, without waiting for anybody."""
    for client in clients.values():
        if client.id != sender.id:
            client.send_text(message)


def listening() -> None:
    print("Chat server listening on ws://localhost:8080")


if __name__ == "__main__":
    wynd.run(8080, on_listening=listening)
