"""Step 4: user names. A client says who it is with /name before it may talk."""

from dataclasses import dataclass

from wynd import CloseEvent, ConnectionHandle, TextMessage, Wynd


@dataclass
class ChatUser:
    name: str
    handle: ConnectionHandle


wynd = Wynd()
users: dict[int, ChatUser] = {}


@wynd.on_open
async def connected(handle: ConnectionHandle) -> None:
    print(f"Client {handle.id} connected")
    await handle.send_text("Welcome! Please set your name with: /name <your_name>")


@wynd.on_text
async def received(message: TextMessage, handle: ConnectionHandle) -> None:
    text = message.data.strip()
    # Looked for before trimming at the end: "/name " is the command with an empty name.
    if message.data.lstrip().startswith("/name "):
        await set_name(handle, text.removeprefix("/name").strip())
    elif user := users.get(handle.id):
        print(f"{user.name}: {text}")
        broadcast(f"{user.name}: {text}", sender=handle)
    else:
        await handle.send_text("Please set your name first with: /name <your_name>")


async def set_name(handle: ConnectionHandle, name: str) -> None:
    if not name:
        await handle.send_text("Please provide a valid name")
        return
    users[handle.id] = ChatUser(name, handle)
    print(f"Client {handle.id} is now known as {name}")
    await handle.send_text(f"You are now known as {name}")
    broadcast(f"{name} joined the chat", sender=handle)


@wynd.on_disconnect
async def left(event: CloseEvent, handle: ConnectionHandle) -> None:
    # The connection says who left. The close code does not.
    if user := users.pop(handle.id, None):
        print(f"{user.name} left the chat")
        broadcast(f"{user.name} left the chat", sender=handle)


def broadcast(message: str, sender: ConnectionHandle) -> None:
    """Send to every named user but the sender, without waiting for anybody."""
    for user in users.values():
        if user.handle.id != sender.id:
            user.handle.send_text(message)


def listening() -> None:
    print("Named chat server listening on ws://localhost:8080")


if __name__ == "__main__":
    wynd.run(8080, on_listening=listening)
