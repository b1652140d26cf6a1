"""The tutorial's conversations, held with the client its readers use."""

from __future__ import annotations

import pytest

from tests.e2e.processes import running
from tests.e2e.wscat import find_wscat, wscat

pytestmark = pytest.mark.timeout(180)  # the first run installs wscat

COMMANDS = (
    "- /name <name> - Set your display name\n"
    "- /users - List all online users\n"
    "- /help - Show this help message\n"
    "- /quit - Disconnect from the server\n"
)
WELCOME = "\nWelcome to the chat! Available commands:\n" + COMMANDS
HELP = "\nAvailable commands:\n" + COMMANDS


@pytest.fixture(autouse=True)
def _wscat_is_here() -> None:
    find_wscat()


async def test_step2_echoes_what_is_typed(engine: str) -> None:
    async with running("step2_echo.py", engine) as server:
        async with wscat(server.port) as client:
            await client.shows("Welcome to the echo server!")
            await client.asks("hello", "Echo: hello")
            await client.asks("", "Echo: ")
        await server.prints(
            "Echo server listening on ws://localhost:8080",
            "New connection established: 1",
            "Connection 1 is now open",
            "Echoing: hello",
            "Echoing: ",
            "Connection closed: code=1006, reason=",  # the block's end kills wscat
        )
        await server.interrupt()


async def test_step3_carries_lines_to_the_others(engine: str) -> None:
    async with running("step3_tracking.py", engine) as server:
        async with wscat(server.port) as first:
            await first.shows("Welcome to the chat!")
            async with wscat(server.port) as second:
                await second.shows("Welcome to the chat!")
                await first.shows("Client 2 joined the chat")
                await second.types("hi")
                await first.shows("Client 2: hi")
        await server.prints(
            "Chat server listening on ws://localhost:8080",
            "Client 1 joined",
            "Client 2 joined",
            "Client 2 says: hi",
            "Client disconnected: ",
            "Client disconnected: ",
        )
        await server.interrupt()


async def test_step4_names_people(engine: str) -> None:
    async with running("step4_names.py", engine) as server, wscat(server.port) as alice:
        welcome = "Welcome! Please set your name with: /name <your_name>"
        await alice.shows(welcome)
        await alice.asks("/name ", "Please provide a valid name")
        await alice.asks("/name Alice", "You are now known as Alice")
        async with wscat(server.port) as bob:
            await bob.shows(welcome)
            await bob.asks("/name Bob", "You are now known as Bob")
            await alice.shows("Bob joined the chat")
            await alice.types("hello")
            await bob.shows("Alice: hello")
        await alice.shows("Bob left the chat")


@pytest.mark.parametrize("example", ["step5_commands.py", "step6_errors.py"])
async def test_chat_of_two_terminals(engine: str, example: str) -> None:
    async with running(example, engine) as server, wscat(server.port) as bob:
        await bob.shows(WELCOME)
        await bob.asks("/name Bob", "You are now known as Bob")
        async with wscat(server.port) as alice:
            await alice.shows(WELCOME)
            await alice.asks("/name ", "Please provide a valid name")
            await alice.asks("/name", "Usage: /name <your_name>")
            await alice.asks("/name Alice", "You are now known as Alice")
            await bob.shows("Alice joined the chat")
            await alice.types("hello")
            await bob.shows("Alice: hello")
            await bob.asks("/users", "Online users: Bob, Alice")
            await alice.asks("/help", HELP)
            await alice.asks("/what", "Unknown command. Type /help for available commands.")
            await alice.asks("/quit", "Goodbye!")
            assert await alice.ends() == ""  # wscat ends when the server closes
        await bob.shows("Alice left the chat")
