"""Step 7: HTTP. The chat of step 6 with its page, its API and its WebSocket on one port."""

import sys
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from wynd import (
    CloseEvent,
    ConnectionClosed,
    ConnectionHandle,
    HandlerError,
    TextMessage,
    Wynd,
)
from wynd.http import App

COMMANDS = """\
- /name <name> - Set your display name
- /users - List all online users
- /help - Show this help message
- /quit - Disconnect from the server
"""
WELCOME = f"\nWelcome to the chat! Available commands:\n{COMMANDS}"
HELP = f"\nAvailable commands:\n{COMMANDS}"
PAGE = """\
<!DOCTYPE html>
<html>
<head>
    <title>Chat Server</title>
    <style>
        body { font-family: Arial, sans-serif; max-width: 800px; margin: 0 auto; padding: 20px; }
        #messages { height: 400px; overflow-y: auto; border: 1px solid #ccc; padding: 10px; }
        #messages div { white-space: pre-wrap; }
        #message { width: 70%; padding: 5px; margin: 10px 0; }
        button { padding: 5px 15px; }
        .status { margin: 10px 0; }
    </style>
</head>
<body>
    <h1>Welcome to the Chat Server</h1>
    <div class="status">Status: <span id="status-text">Disconnected</span></div>
    <div id="messages"></div>
    <input type="text" id="message" placeholder="Type your message...">
    <button onclick="sendMessage()">Send</button>

    <script>
        const ws = new WebSocket(`ws://${location.host}/ws`);
        const statusText = document.getElementById('status-text');
        const messages = document.getElementById('messages');
        const messageInput = document.getElementById('message');

        ws.onopen = function() {
            statusText.textContent = 'Connected';
            statusText.style.color = 'green';
        };

        ws.onmessage = function(event) {
            const div = document.createElement('div');
            div.textContent = event.data;
            messages.appendChild(div);
            messages.scrollTop = messages.scrollHeight;
        };

        ws.onclose = function() {
            statusText.textContent = 'Disconnected';
            statusText.style.color = 'red';
        };

        function sendMessage() {
            const message = messageInput.value;
            if (message && ws.readyState === WebSocket.OPEN) {
                ws.send(message);
                messageInput.value = '';
            }
        }

        messageInput.addEventListener('keypress', function(e) {
            if (e.key === 'Enter') {
                sendMessage();
            }
        });
    </script>
</body>
</html>
"""


@dataclass
class ChatUser:
    name: str
    handle: ConnectionHandle


wynd = Wynd()
app = App()
users: dict[int, ChatUser] = {}


@wynd.on_open
async def connected(handle: ConnectionHandle) -> None:
    print(f"Client {handle.id} connected")
    if await send(handle, WELCOME, "welcome message"):
        print(f"Welcome message sent to client {handle.id}")


@wynd.on_text
async def received(message: TextMessage, handle: ConnectionHandle) -> None:
    text = message.data.strip()
    if text.startswith("/"):
        await run_command(message, handle)
    elif user := users.get(handle.id):
        print(f"{user.name}: {text}")
        await broadcast(f"{user.name}: {text}", sender=handle)
    else:
        request = "Please set your name first with: /name <your_name>"
        await send(handle, request, "name request")


async def run_command(message: TextMessage, handle: ConnectionHandle) -> None:
    command, _, argument = message.data.strip().partition(" ")
    match command:
        case "/name" if name := argument.strip():
            await set_name(handle, name)
        case "/name" if "/name " in message.data:  # an empty name, which strip() took away
            await send(handle, "Please provide a valid name", "error message")
        case "/name":
            await send(handle, "Usage: /name <your_name>", "usage message")
        case "/users":
            names = ", ".join(user.name for user in users.values())
            await send(handle, f"Online users: {names}", "user list")
        case "/help":
            await send(handle, HELP, "help")
        case "/quit":
            await send(handle, "Goodbye!", "goodbye")
            await handle.close()
        case _:
            unknown = "Unknown command. Type /help for available commands."
            await send(handle, unknown, "error message")


async def set_name(handle: ConnectionHandle, name: str) -> None:
    users[handle.id] = ChatUser(name, handle)
    print(f"Client {handle.id} is now known as {name}")
    await send(handle, f"You are now known as {name}", "name confirmation")
    await broadcast(f"{name} joined the chat", sender=handle)


@wynd.on_disconnect
async def left(event: CloseEvent, handle: ConnectionHandle) -> None:
    if user := users.pop(handle.id, None):
        print(f"{user.name} left the chat")
        await broadcast(f"{user.name} left the chat", sender=handle)


async def send(handle: ConnectionHandle, text: str, what: str) -> bool:
    """Send to one client and return True, or report that it has gone."""
    try:
        await handle.send_text(text)
    except ConnectionClosed as error:
        print(f"Failed to send {what} to client {handle.id}: {error}", file=sys.stderr)
        return False
    return True


async def broadcast(message: str, sender: ConnectionHandle) -> None:
    """Send to every named user but the sender, and report who has gone."""
    for user in list(users.values()):
        if user.handle.id != sender.id:
            sending = user.handle.send_text(message)
            if not sending.done():
                continue  # a slow reader: the text is queued, and nobody waits for it
            try:
                await sending
            except ConnectionClosed as error:
                print(
                    f"Failed to broadcast message to client {user.handle.id}: {error}",
                    file=sys.stderr,
                )


@wynd.on_error
async def failed(error: HandlerError) -> None:
    print(f"Server error: {error}", file=sys.stderr)


@wynd.on_close
def stopped() -> None:
    print("Chat server shutting down")


@app.get("/")
async def page(request: Request) -> str:
    return PAGE


@app.get("/api/status")
async def status(request: Request) -> dict[str, Any]:
    return {"users": len(users), "status": "online"}


@app.get("/api/users")
async def user_list(request: Request) -> dict[str, Any]:
    names = [user.name for user in users.values()]
    return {"users": names, "count": len(names)}


app.use_wynd("/ws", wynd.handler())


def listening() -> None:
    print("Server running on http://localhost:3000")
    print("WebSocket available at ws://localhost:3000/ws")
    print("API status at http://localhost:3000/api/status")
    print("API users at http://localhost:3000/api/users")


if __name__ == "__main__":
    try:
        app.run(3000, on_listening=listening)
    except OSError as error:
        print(f"Server failed: {error}", file=sys.stderr)
    else:
        print("Server ran successfully")
