"""Each program of the tutorial, run as a process and talked to by real clients.

Every frame and every console line is the tutorial's, byte for byte; where two or three clients
take part, each of them checks what it hears and that it hears nothing else.
"""

from __future__ import annotations

import errno
import socket

import pytest
from websockets.frames import Frame, Opcode

from tests.e2e.processes import (
    Client,
    Program,
    client_of,
    running,
    running_as_a_reader_does,
)

pytestmark = pytest.mark.timeout(60)  # two or three processes each, on a machine that may be busy

COMMANDS = (
    "- /name <name> - Set your display name\n"
    "- /users - List all online users\n"
    "- /help - Show this help message\n"
    "- /quit - Disconnect from the server\n"
)
WELCOME = "\nWelcome to the chat! Available commands:\n" + COMMANDS
HELP = "\nAvailable commands:\n" + COMMANDS
NAME_FIRST = "Please set your name first with: /name <your_name>"
STOPPING = (1001, "Server is stopping.")

CHATS = [
    pytest.param("step5_commands.py", False, id="step5"),
    pytest.param("step6_errors.py", True, id="step6"),
]


# Step 2


async def test_step2_greets_echoes_and_prints_the_close(engine: str) -> None:
    async with running("step2_echo.py", engine) as server:
        await server.prints("Echo server listening on ws://localhost:8080")
        async with client_of(server) as first:
            await server.prints("New connection established: 1", "Connection 1 is now open")
            await first.hears("Welcome to the echo server!")
            for text in ("hello", "", "  spaces stay  ", "Grüße, 世界 👋", "x" * 70_000):
                await first.asks(text, f"Echo: {text}")
                await server.prints(f"Echoing: {text}")
            await first.leaves(1000, "bye")
        await server.prints("Connection closed: code=1000, reason=bye")
        await server.interrupt()


async def test_step2_echoes_to_the_sender_only_and_survives_a_cut_line(engine: str) -> None:
    async with running("step2_echo.py", engine) as server:
        await server.line()
        async with client_of(server) as first, client_of(server) as second:
            await first.hears("Welcome to the echo server!")
            await second.hears("Welcome to the echo server!")
            await second.asks("two", "Echo: two")
            await first.asks("one", "Echo: one")
            await server.prints(
                "New connection established: 1",
                "Connection 1 is now open",
                "New connection established: 2",
                "Connection 2 is now open",
                "Echoing: two",
                "Echoing: one",
            )
            first.cuts_the_line()
            await server.prints("Connection closed: code=1006, reason=")
            await second.leaves(4001, "")
        await server.prints("Connection closed: code=4001, reason=")
        await server.interrupt()


async def test_step2_says_goodbye_to_who_is_connected_at_ctrl_c(engine: str) -> None:
    async with running("step2_echo.py", engine) as server, client_of(server) as client:
        await client.hears("Welcome to the echo server!")
        await server.prints(
            "Echo server listening on ws://localhost:8080",
            "New connection established: 1",
            "Connection 1 is now open",
        )
        await server.interrupt("Connection closed: code=1001, reason=Server is stopping.")
        await client.is_closed(*STOPPING)


# Step 3


async def test_step3_tells_the_others_and_nobody_twice(engine: str) -> None:
    async with running("step3_tracking.py", engine) as server:
        await server.prints("Chat server listening on ws://localhost:8080")
        async with client_of(server) as first, client_of(server) as second:
            await server.prints("Client 1 joined", "Client 2 joined")
            await first.hears("Welcome to the chat!", "Client 2 joined the chat")
            await second.hears("Welcome to the chat!")
            async with client_of(server) as third:
                await server.prints("Client 3 joined")
                await third.hears("Welcome to the chat!")
                await first.hears("Client 3 joined the chat")
                await second.hears("Client 3 joined the chat")
                await first.says(" hello ")
                await server.prints("Client 1 says:  hello ")
                await second.hears("Client 1:  hello ")
                await third.hears("Client 1:  hello ")
                await third.leaves(1000, "lunch")
            await server.prints("Client disconnected: lunch")
            await second.says("still here?")
            await server.prints("Client 2 says: still here?")
            await first.hears("Client 2: still here?")
            await first.leaves()
            await server.prints("Client disconnected: ")
            await second.says("alone")
            await server.prints("Client 2 says: alone")
            second.cuts_the_line()
            await server.prints("Client disconnected: ")
        await server.interrupt()


# Step 4


async def test_step4_names_who_joins_speaks_and_leaves(engine: str) -> None:
    async with running("step4_names.py", engine) as server:
        await server.prints("Named chat server listening on ws://localhost:8080")
        async with client_of(server) as alice, client_of(server) as bob:
            await server.prints("Client 1 connected", "Client 2 connected")
            welcome = "Welcome! Please set your name with: /name <your_name>"
            await alice.hears(welcome)
            await bob.hears(welcome)
            await alice.asks("hello", NAME_FIRST)
            await alice.asks("/name   Alice  ", "You are now known as Alice")
            await server.prints("Client 1 is now known as Alice")
            await bob.asks("/name Bob", "You are now known as Bob")
            await server.prints("Client 2 is now known as Bob")
            await alice.hears("Bob joined the chat")
            await alice.says("  hello  ")
            await server.prints("Alice: hello")
            await bob.hears("Alice: hello")
            await bob.asks("/name Rob", "You are now known as Rob")
            await server.prints("Client 2 is now known as Rob")
            await alice.hears("Rob joined the chat")
            await bob.leaves()
            await server.prints("Rob left the chat")
            await alice.hears("Rob left the chat")
            await alice.leaves()
        await server.prints("Alice left the chat")
        await server.interrupt()


async def test_step4_a_blank_name_is_no_name_and_no_message(engine: str) -> None:
    async with running("step4_names.py", engine) as server:
        await server.line()
        async with client_of(server) as nobody:
            await server.prints("Client 1 connected")
            await nobody.hears("Welcome! Please set your name with: /name <your_name>")
            await nobody.asks("/name ", "Please provide a valid name")
            await nobody.asks("  /name \t ", "Please provide a valid name")
            await nobody.asks("/name", NAME_FIRST)  # no blank: a text, as in the tutorial
            await nobody.asks("/named", NAME_FIRST)
            await nobody.asks("say /name ", NAME_FIRST)
            await nobody.leaves()
        await server.interrupt()  # who had no name leaves without a word


# Steps 5 and 6


@pytest.mark.parametrize(("example", "reports"), CHATS)
async def test_chat_holds_the_conversation(engine: str, example: str, reports: bool) -> None:
    async with running(example, engine) as server:
        await server.prints("Advanced chat server listening on ws://localhost:8080")
        async with client_of(server) as alice, client_of(server) as bob:
            await _welcomed(server, alice, 1, reports)
            await _welcomed(server, bob, 2, reports)
            await alice.asks("/users", "Online users: ")
            await alice.asks("anybody?", NAME_FIRST)
            await alice.asks("/name Alice", "You are now known as Alice")
            await server.prints("Client 1 is now known as Alice")
            await bob.asks("/name Bob", "You are now known as Bob")
            await server.prints("Client 2 is now known as Bob")
            await alice.hears("Bob joined the chat")
            await alice.says("hello, Bob")
            await server.prints("Alice: hello, Bob")
            await bob.hears("Alice: hello, Bob")
            await bob.says("")
            await server.prints("Bob: ")
            await alice.hears("Bob: ")
            await bob.asks("/users", "Online users: Alice, Bob")
            await alice.asks("/help", HELP)
            async with client_of(server) as carol:
                await _welcomed(server, carol, 3, reports)
                await alice.says("who has no name hears nothing")
                await server.prints("Alice: who has no name hears nothing")
                await bob.hears("Alice: who has no name hears nothing")
                await carol.asks("/users", "Online users: Alice, Bob")
                carol.cuts_the_line()
            await alice.asks("/quit", "Goodbye!")
            await alice.is_closed(1000, "")
            await server.prints("Alice left the chat")
            await bob.hears("Alice left the chat")
            await bob.asks("/users", "Online users: Bob")
            bob.cuts_the_line()
            await server.prints("Bob left the chat")
        await server.interrupt(*_last_lines(reports))


@pytest.mark.parametrize(("example", "reports"), CHATS)
async def test_chat_answers_every_command(engine: str, example: str, reports: bool) -> None:
    async with running(example, engine) as server:
        await server.line()
        async with client_of(server) as client:
            await _welcomed(server, client, 1, reports)
            unknown = "Unknown command. Type /help for available commands."
            for text in ("/", "/nick Al", "/NAME Al", "/name\tAl", "/users\tx", "/helpme", "//"):
                await client.asks(text, unknown)
            for text in ("/name", "\n/name\n", "/name\t"):
                await client.asks(text, "Usage: /name <your_name>")
            for text in ("/name ", "/name    ", " /name \n"):
                await client.asks(text, "Please provide a valid name")
            for text in ("/help", " /help ", "/help me", "/help\n"):
                await client.asks(text, HELP)
            await client.asks("/users of what", "Online users: ")
            await client.asks("/name Al  the 2nd ", "You are now known as Al  the 2nd")
            await server.prints("Client 1 is now known as Al  the 2nd")
            await client.asks("/users", "Online users: Al  the 2nd")
            await client.asks("/quit now", "Goodbye!")
            await client.is_closed(1000, "")
        await server.prints("Al  the 2nd left the chat")
        await server.interrupt(*_last_lines(reports))


@pytest.mark.parametrize(("example", "reports"), CHATS)
async def test_chat_tells_once_how_ever_somebody_leaves(
    engine: str, example: str, reports: bool
) -> None:
    async with running(example, engine) as server, client_of(server) as watcher:
        await server.line()
        await _welcomed(server, watcher, 1, reports)
        await watcher.asks("/name Watcher", "You are now known as Watcher")
        await server.line()
        for number, ending in enumerate(("close", "reset", "quit", "own code"), start=2):
            async with client_of(server) as leaver:
                await _welcomed(server, leaver, number, reports)
                await leaver.asks(f"/name {ending}", f"You are now known as {ending}")
                await server.prints(f"Client {number} is now known as {ending}")
                await watcher.hears(f"{ending} joined the chat")
                match ending:
                    case "close":
                        await leaver.leaves(1001, "going")
                    case "reset":
                        _reset(leaver)
                    case "quit":
                        await leaver.says("/quit")
                    case "own code":
                        await leaver.leaves(4321, "")
                await server.prints(f"{ending} left the chat")
                await watcher.hears(f"{ending} left the chat")
        await watcher.asks("/users", "Online users: Watcher")
        await server.interrupt(*_last_lines(reports, "Watcher left the chat"))
        await watcher.is_closed(*STOPPING)


async def test_step6_reports_a_client_that_cannot_be_told_any_more(engine: str) -> None:
    """The peer has quit, and what it asked for in the same breath cannot be answered."""
    if engine == "portable":
        pytest.skip("the host server takes no more messages once the application has closed")
    async with running("step6_errors.py", engine) as server:
        await server.line()
        async with client_of(server) as client:
            await _welcomed(server, client, 1, reports=True)
            frames = [
                Frame(Opcode.TEXT, text).serialize(mask=True, extensions=[])
                for text in (b"/quit", b"/users")
            ]
            client.socket.transport.write(b"".join(frames))
            await client.hears("Goodbye!")
            await client.is_closed(1000, "")
        assert await server.error_line() == (
            "Failed to send user list to client 1: connection is closed (sent 1000, received 1000)"
        )
        await server.interrupt(*_last_lines(reports=True))


# As a reader starts it


async def test_step6_runs_on_port_8080_with_the_engine_found() -> None:
    _need_port_8080()
    async with running_as_a_reader_does("step6_errors.py") as server:
        await server.prints("Advanced chat server listening on ws://localhost:8080")
        async with client_of(server) as client:
            await _welcomed(server, client, 1, reports=True)
            await client.leaves()
        server.press_ctrl_c()
        output, errors, status = await server.ends()
    assert output.splitlines() == _last_lines(reports=True)
    assert _without_the_engine(errors) == []
    assert status == 0


async def test_step6_says_so_when_its_port_is_taken() -> None:
    _need_port_8080()
    with socket.create_server(("127.0.0.1", 8080)):
        async with running_as_a_reader_does("step6_errors.py") as server:
            output, errors, status = await server.ends()
    assert "listening" not in output
    assert "Server ran successfully" not in output
    failed = _without_the_engine(errors)
    assert len(failed) == 1
    assert failed[0].startswith("Server failed: ")
    assert "8080" in failed[0]
    assert status == 0


def _without_the_engine(errors: str) -> list[str]:
    """Leave out the line of the log that names the engine where the native one is not built."""
    lines = errors.splitlines()
    return [line for line in lines if not line.startswith("running on the portable engine")]


def _need_port_8080() -> None:
    for host in ("127.0.0.1", "::1"):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            socket.create_server((host, 8080), family=family).close()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                pytest.skip(f"port 8080 of {host} is in use on this machine")


async def _welcomed(server: Program, client: Client, number: int, reports: bool) -> None:
    await client.hears(WELCOME)
    await server.prints(f"Client {number} connected")
    if reports:
        await server.prints(f"Welcome message sent to client {number}")


def _last_lines(reports: bool, *while_closing: str) -> list[str]:
    if not reports:
        return list(while_closing)
    return ["Chat server shutting down", *while_closing, "Server ran successfully"]


def _reset(client: Client) -> None:
    """Cut the line with a reset instead of an end of stream."""
    linger = b"\1\0\0\0\0\0\0\0"  # struct linger: on, 0 s
    sock = client.socket.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    client.cuts_the_line()
