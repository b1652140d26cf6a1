"""Ordinary people who talk at a steady pace, and how long their messages take.

Each has a connection and says something now and then, whatever the answers; what is measured is the
time from the moment a message was due to its acknowledgement, so that a stall counts in full.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING

from tests.e2e.chat_client import ChatClient

if TYPE_CHECKING:
    from tests.e2e.delivery.servers import ChatServer

__all__ = ["People", "p99_ms"]


class People:
    """Some people in the lobby.

    Args:
        clients: Their connections.
    """

    def __init__(self, clients: list[ChatClient]) -> None:
        self._clients = clients
        self._said = 0

    @classmethod
    async def come(cls, server: ChatServer, count: int) -> People:
        """Let people come in as guests."""
        clients = []
        for number in range(count):
            client = await ChatClient.connect(server.port)
            await client.name(f"person-{number}")
            await client.sync({"lobby": 0})
            clients.append(client)
        return cls(clients)

    async def talk(self, seconds: float, each_per_second: float) -> list[float]:
        """Talk for some time; return how long each message took to be acknowledged, in seconds.

        Every message must be acknowledged.
        """
        gap = 1 / (each_per_second * len(self._clients))
        count = round(seconds / gap)
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            tasks = []
            for number in range(count):
                due = began + number * gap
                if (wait := due - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                client = self._clients[number % len(self._clients)]
                tasks.append(group.create_task(self._say(client, due)))
        return [task.result() for task in tasks]

    async def _say(self, client: ChatClient, due: float) -> float:
        self._said += 1
        reply = await client.send(f"said-{self._said}", f"message {self._said}")
        assert reply["ok"], reply
        return time.monotonic() - due

    async def leave(self) -> None:
        """Let them go."""
        for client in self._clients:
            await client.close()


def p99_ms(latencies_s: list[float]) -> float:
    """Return the 99th percentile, in milliseconds."""
    return 1000 * statistics.quantiles(latencies_s, n=100)[98]
