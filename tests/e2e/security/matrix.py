"""A running chat and its doors, for the tables of who is let in: raw upgrades, REST, forms.

Every door is tried on a real socket; an upgrade is written by hand, since clients refuse to send
what is wrong with some of them.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

if TYPE_CHECKING:
    from wynd_chat.app import Chat

__all__ = ["Entrance", "socket_entrance", "upgrade_status"]

PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Entrance:
    """What came of trying to enter.

    Attributes:
        status: Of the upgrade; 101 for one that succeeded.
        name: As whom; None as nobody.
        code: With which the server closed at once, None: it stayed open.
    """

    status: int
    name: str | None = None
    code: int | None = None


async def upgrade_status(chat: Chat, path: str, *fields: str, host: str | None = None) -> int:
    """Send an upgrade with these header fields as they are; return the status of the answer."""
    address = chat.listeners.addresses[0]
    reader, writer = await asyncio.open_connection(*address)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host or f'127.0.0.1:{address[1]}'}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        *fields,
    ]
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        async with asyncio.timeout(PATIENCE_S):
            line = await reader.readline()
        return int(line.split()[1])
    finally:
        writer.close()


async def socket_entrance(
    chat: Chat,
    *,
    path: str = "/ws",
    origin: str | None = None,
    headers: dict[str, str] | None = None,
    offers: tuple[str, ...] = ("chat.v1.json",),
    auth: str | None = None,
) -> Entrance:
    """Connect on the JSON face and see as whom one is greeted.

    Args:
        chat: Where.
        path: With its query.
        origin: The page it comes from.
        headers: Further header fields.
        offers: Subprotocols.
        auth: The token of an `auth` request, sent three times: the third failure closes.
    """
    port = chat.listeners.addresses[0][1]
    options: dict[str, Any] = {"origin": origin, "subprotocols": list(offers)}
    try:
        socket = await connect(
            f"ws://127.0.0.1:{port}{path}",
            additional_headers=headers or {},
            compression=None,
            proxy=None,
            ping_interval=None,
            **options,
        )
    except InvalidStatus as refused:
        return Entrance(refused.response.status_code)
    async with socket:
        try:
            async with asyncio.timeout(PATIENCE_S):
                user = json.loads(await socket.recv())["user"]
                for number in range(3 if auth is not None else 0):
                    request = {"type": "auth", "id": number, "token": auth}
                    await socket.send(json.dumps(request))
                    user = json.loads(await socket.recv()).get("user")
                if auth is not None and user is None:
                    await socket.recv()
        except ConnectionClosed:
            return Entrance(101, None, socket.close_code)
    return Entrance(101, None if user is None else user["name"])
