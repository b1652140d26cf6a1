"""Step 5: commands. /name, /users, /help and /quit."""

from dataclasses import dataclass

from wynd import CloseEvent, ConnectionHandle, TextMessage, Wynd

COMMANDS = """\
- /name <name> - Set your display name
- /users - List all online users
- /help - Show this help message
- /quit - Disconnect from the server
"""
WELCOME = f"\nWelcome to the chat! Available commands:\n{COMMANDS}"
HELP = f"\nAvailable commands:\n{COMMANDS}"


@dataclass
class ChatUser:
    name: str
    handle: ConnectionHandle


wynd = Wynd()
users: dict[int, ChatUser] = {}


@wynd.on_open
async def connected(handle: ConnectionHandle) -> None:
    print(f"Client {handle.id} connected")
    await handle.send_text(WELCOME)


@wynd.on_text
async def received(message: TextMessage, handle: ConnectionHandle) -> None:
    text = message.data.strip()
    if text.startswith("/"):
        await run_command(message, handle)
    elif user := users.get(handle.id):
        print(f"{user.name}: {text}")
        broadcast(f"{user.name}: {text}", sender=handle)
    else:
        await handle.send_text("Please set your name first with: /name <your_name>")


async def run_command(message: TextMessage, handle: ConnectionHandle) -> None:
    command, _, argument = message.data.strip().partition(" ")
    match command:
        case "/name" if name := argument.strip():
            await set_name(handle, name)
        case "/name" if "/name " in message.data:  # an empty name, which strip() took away
            await handle.send_text("Please provide a valid name")
        case "/name":
            await handle.send_text("Usage: /name <your_name>")
        case "/users":
            names = ", ".join(user.name for user in users.values())
            await handle.send_text(f"Online users: {names}")
        case "/help":
            await handle.send_text(HELP)
        case "/quit":
            await handle.send_text("Goodbye!")
            await handle.close()
        case _:
            await handle.send_text("Unknown command. Type /help for available commands.")


async def set_name(handle: ConnectionHandle, name: str) -> None:
    users[handle.id] = ChatUser(name, handle)
    print(f"Client {handle.id} is now known as {name}")
    await handle.send_text(f"You are now known as {name}")
    broadcast(f"{name} joined the chat", sender=handle)


@wynd.on_disconnect
async def left(event: CloseEvent, handle: ConnectionHandle) -> None:
    if user := users.pop(handle.id, None):
        print(f"{user.name} left the chat")
        broadcast(f"{user.name} left the chat", sender=handle)


def broadcast(message: str, sender: ConnectionHandle) -> None:
    """Send to every named user but the sender, without waiting for anybody."""
    for user in users.values():
        if user.handle.id != sender.id:
            user.handle.send_text(message)


def listening() -> None:
    print("Advanced chat server listening on ws://localhost:8080")


if __name__ == "__main__":
    wynd.run(8080, on_listening=listening)
