"""`Listeners`: what stands at which port and path, and the order of the end."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.wynd_chat.gateway.desk import a_desk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.wynd_chat.gateway.desk import Desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with a_desk(tmp_path, {"server.plain_port": 0}) as made:
        yield made


async def get(url: str) -> httpx.Response:
    """Send GET."""
    async with httpx.AsyncClient(timeout=10) as client:
        return await client.get(url)


async def test_plain_http_where_a_websocket_is_gets_426(desk: Desk) -> None:
    plain_port = desk.chat.listeners.plain_addresses[0][1]
    for url in (f"http://{desk.address}/ws", f"http://127.0.0.1:{plain_port}/"):
        answer = await get(url)
        assert answer.status_code == 426
        assert answer.headers["upgrade"] == "websocket"


async def test_page_api_and_websocket_share_a_port(desk: Desk) -> None:
    assert (await get(f"http://{desk.address}/")).headers["content-type"].startswith("text/html")
    status = (await get(f"http://{desk.address}/api/status")).json()
    assert status["status"] == "online"
    assert (await desk.text("Alice")).socket.subprotocol is None
    assert (await get(f"http://{desk.address}/nowhere")).status_code == 404


async def test_loopback_is_both_addresses_where_both_exist(desk: Desk) -> None:
    hosts = {host for host, _ in desk.chat.listeners.addresses}
    assert "127.0.0.1" in hosts
    assert hosts <= {"127.0.0.1", "::1"}


async def test_a_port_in_use_is_told_and_leaves_no_other_open(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        socket.create_server(("127.0.0.1", 0)) as free,
    ):
        used, port = taken.getsockname()[1], free.getsockname()[1]
        free.close()
        settings = {"server.port": port, "server.plain_port": used, "server.host": "127.0.0.1"}
        with pytest.raises(OSError):  # noqa: PT011 - its text is the system's
            async with a_desk(tmp_path, settings):
                pass
        socket.create_server(("127.0.0.1", port)).close()


async def test_at_the_end_everybody_is_told_to_come_back(desk: Desk) -> None:
    text, page, address = await desk.text("Alice"), await desk.json("Bob"), desk.address
    await text.all()
    await desk.chat.listeners.close(1012)
    assert (await text.ended())[0] == 1012
    assert (await page.ended())[0] == 1012
    with pytest.raises(httpx.ConnectError):
        await get(f"http://{address}/")
