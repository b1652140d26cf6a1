"""Step 7 of the tutorial as a reader runs it: on port 3000, with a real browser and over HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
import urllib.request
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.processes import Program, client_of, running_as_a_reader_does
from tests.programs import chromium_browser

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.timeout(90)

LINES = (
    "Server running on http://localhost:3000",
    "WebSocket available at ws://localhost:3000/ws",
    "API status at http://localhost:3000/api/status",
    "API users at http://localhost:3000/api/users",
)
PATIENCE_MS = 15_000


@asynccontextmanager
async def step7() -> AsyncIterator[Program]:
    """Run the program until it said its four lines."""
    for host, family in (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)):
        try:
            socket.create_server((host, 3000), family=family).close()
        except OSError:
            pytest.skip(f"port 3000 of {host} cannot be used on this machine")
    async with running_as_a_reader_does("step7_http.py") as program:
        program.port = 3000
        await program.prints(*LINES)
        yield program


async def get(path: str) -> Any:
    """Return the JSON of the answer."""

    def ask() -> Any:
        with urllib.request.urlopen(f"http://localhost:3000{path}", timeout=10) as answer:
            return json.loads(answer.read())

    return await asyncio.to_thread(ask)


async def says(page: Any, text: str) -> None:
    """Type a message and press Enter."""
    await page.fill("#message", text)
    await page.press("#message", "Enter")


async def shows(page: Any, text: str) -> None:
    """Wait until the page shows a message of exactly this text."""
    await page.wait_for_function(
        "text => [...document.querySelectorAll('#messages div')].some(d => d.textContent === text)",
        arg=text,
        timeout=PATIENCE_MS,
    )


async def test_two_people_talk_on_the_page_and_the_api_counts_them() -> None:
    async with step7() as program, chromium_browser() as chromium:
        assert await get("/api/status") == {"users": 0, "status": "online"}
        assert await get("/api/users") == {"users": [], "count": 0}
        alice, bob = await chromium.new_page(), await chromium.new_page()
        for page, name in ((alice, "Alice"), (bob, "Bob")):
            await page.goto("http://localhost:3000/")
            assert await page.title() == "Chat Server"
            await page.wait_for_selector("#status-text:text('Connected')", timeout=PATIENCE_MS)
            await says(page, f"/name {name}")
            await shows(page, f"You are now known as {name}")
        await shows(alice, "Bob joined the chat")
        assert await get("/api/status") == {"users": 2, "status": "online"}
        assert await get("/api/users") == {"users": ["Alice", "Bob"], "count": 2}
        await bob.fill("#message", "<b>hi</b> 👋")
        await bob.click("button")
        await shows(alice, "Bob: <b>hi</b> 👋")
        assert await bob.input_value("#message") == ""
        await bob.close()
        await shows(alice, "Bob left the chat")
        assert await get("/api/users") == {"users": ["Alice"], "count": 1}
        program.press_ctrl_c()
        await alice.wait_for_selector("#status-text:text('Disconnected')", timeout=PATIENCE_MS)
        output, errors, status = await program.ends()
    assert output.splitlines()[-2:] == ["Chat server shutting down", "Server ran successfully"] or (
        output.splitlines()[-3:-1] == ["Chat server shutting down", "Alice left the chat"]
    )
    assert [line for line in errors.splitlines() if "engine" not in line] == []
    assert status == 0


async def test_without_a_browser_page_api_and_socket_answer() -> None:
    async with step7() as program:

        def read() -> tuple[str, str]:
            with urllib.request.urlopen("http://localhost:3000/", timeout=10) as answer:
                return answer.headers["content-type"], answer.read().decode()

        kind, page = await asyncio.to_thread(read)
        assert kind == "text/html; charset=utf-8"
        assert "<title>Chat Server</title>" in page
        async with client_of(program, "/ws") as client:
            await client.hears(
                "\nWelcome to the chat! Available commands:\n"
                "- /name <name> - Set your display name\n"
                "- /users - List all online users\n"
                "- /help - Show this help message\n"
                "- /quit - Disconnect from the server\n"
            )
            await client.asks("/name Al", "You are now known as Al")
            assert await get("/api/status") == {"users": 1, "status": "online"}
            await client.asks("/quit", "Goodbye!")
            await client.is_closed(1000, "")


async def test_a_taken_port_is_told() -> None:
    try:
        taken = socket.create_server(("127.0.0.1", 3000))
    except OSError:
        pytest.skip("port 3000 cannot be used on this machine")
    with taken:
        async with running_as_a_reader_does("step7_http.py") as program:
            output, errors, status = await program.ends()
    assert "running" not in output
    assert "successfully" not in output
    assert status == 0
    assert errors.startswith("Server failed: ")
    assert "3000" in errors
