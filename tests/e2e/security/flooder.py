"""An attacker in a process of its own: `flooder.py PORT RATE`; says what happened when stdin ends.

It comes in as a guest, sends `RATE` messages a second whatever is answered, and comes again at once
when it is put out; what the server does not take waits. The last line it writes is JSON: how many
messages it offered and wrote, and the close codes.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time
from collections import Counter

from tests.e2e.chat_client import KEY, TEXT, ChatClient, LineLost, Refused

TICK_S = 0.01
WAITING_MAX = 64 * 1024  # bytes that the server did not take yet; it need not take them
AGAIN_S = 0.02  # between connections, or it would be a flood of these


def framed(number: int) -> bytes:
    """Return a message as bytes, masked with zeros."""
    fields = {"id": number, "type": "send", "room": "lobby", "cid": f"x{number}", "text": "flood"}
    payload = json.dumps(fields).encode()
    assert len(payload) < 126
    return struct.pack("BB", 0x80 | TEXT, 0x80 | len(payload)) + KEY + payload


class Flooder:
    """The attacker."""

    def __init__(self, port: int, rate: float) -> None:
        self._port = port
        self._burst = b"".join(framed(number) for number in range(round(rate * TICK_S)))
        self._count = round(rate * TICK_S)
        self.offered = 0
        self.written = 0
        self.codes: Counter[str] = Counter()

    async def run(self) -> None:
        """Flood until cancelled."""
        while True:
            try:
                client = await ChatClient.connect(self._port)
                await client.name(f"flooder-{self.codes.total()}-{time.monotonic_ns() % 10**6}")
            except (OSError, LineLost, Refused):
                self.codes["refused"] += 1
            else:
                code = await self._flood(client)
                self.codes[str(code)] += 1
                client.abort()
            await asyncio.sleep(AGAIN_S)

    async def _flood(self, client: ChatClient) -> int | None:
        """Send until the server has had enough; return its close code."""
        due = time.monotonic()
        lost = asyncio.ensure_future(client.wait_lost())
        waiting = 0
        while not lost.done() and client.close_code is None:
            self.offered += self._count
            if waiting < WAITING_MAX:
                waiting = client.write_bytes(self._burst)
                self.written += self._count
            else:
                waiting = client.write_bytes(b"")
            due = max(due + TICK_S, time.monotonic() - TICK_S)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        lost.cancel()
        return client.close_code


async def main(port: int, rate: float) -> None:
    """Flood until standard input ends."""
    flooder = Flooder(port, rate)
    flooding = asyncio.create_task(flooder.run())
    sys.stdout.write("flooding\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    flooding.cancel()
    sys.stdout.write(
        json.dumps({"offered": flooder.offered, "written": flooder.written, "codes": flooder.codes})
        + "\n"
    )


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
