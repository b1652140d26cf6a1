"""A bot that rolls dice: `WYND_CHAT_TOKEN=... python bot.py [ws://localhost:3000/ws]`.

Shows what every client of `chat.v1.json` does: log in by a token, `sync`, follow the rooms, answer,
and come back after any loss without missing or repeating anything. Needs `pip install websockets`.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import sys
from collections import deque
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

COMMAND = re.compile(r"!roll(?: (\d{1,2})d(\d{1,3}))?", re.ASCII)
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
DEAF_S = 10.0  # so much longer than `hello.ping` without a frame: the connection is dead


def answer_to(text: str) -> str | None:
    """Return what the bot says to a message, None for nothing."""
    found = COMMAND.fullmatch(text.strip())
    if found is None:
        return None
    count, sides = int(found[1] or 1), int(found[2] or 6)
    if not count or not sides:
        return "There are no such dice."
    rolls = [random.randint(1, sides) for _ in range(count)]
    return f"{' + '.join(map(str, rolls))} = {sum(rolls)}"


class Stop(Exception):
    """The server does not want this bot back; the text says why."""


class Bot:
    """Follows all rooms that its account is in, over as many connections as it takes."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token
        self._epoch = ""
        self._done: dict[str, int] = {}  # room -> the last seq that was dealt with
        self._pause_s = FIRST_PAUSE_S
        self._asked = 0
        self._patience_s = 30.0
        self._waiting: deque[dict[str, Any]] = deque()  # came while a reply was waited for

    async def run(self) -> None:
        """Stay connected until the server says that it is in vain."""
        while True:
            lost: Exception
            try:
                async with connect(
                    self._url,
                    subprotocols=[Subprotocol("chat.v1.json")],
                    additional_headers={"Authorization": f"Bearer {self._token}"},
                ) as socket:
                    await self._follow(socket)
            except InvalidStatus as refused:
                if refused.response.status_code in (401, 403):
                    raise Stop(refused.response.body.decode().strip()) from None
                lost = refused
            except (OSError, ConnectionClosed) as error:  # a TimeoutError is an OSError
                lost = error
            await self._wait(lost)

    async def _wait(self, lost: Exception) -> None:
        """Wait as long as the close frame says, else at random, ever longer."""
        close = lost.rcvd if isinstance(lost, ConnectionClosed) else None
        if close is not None and 4500 <= close.code <= 4999:
            raise Stop(f"{close.code} {close.reason}")
        told = re.search(r"retry_after=([\d.]+)", close.reason if close is not None else "")
        pause_s = float(told[1]) if told else random.uniform(0, self._pause_s)
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        print(f"Not connected ({lost}); again in {pause_s:.1f} s", file=sys.stderr)
        await asyncio.sleep(pause_s)

    async def _follow(self, socket: ClientConnection) -> None:
        """Catch up on one connection, then deal with what happens."""
        self._waiting.clear()
        hello = await self._receive(socket)
        self._patience_s = hello["ping"] + DEAF_S
        await self._sync(socket)
        print(f"{hello['user']['name']} is connected", file=sys.stderr)
        self._pause_s = FIRST_PAUSE_S
        while True:
            frame = self._waiting.popleft() if self._waiting else await self._receive(socket)
            if "seq" in frame:
                await self._happened(socket, frame)
            elif frame["type"] == "entered":  # the bot is in another room from now on
                self._done[frame["room"]] = frame["head"]

    async def _sync(self, socket: ClientConnection) -> None:
        """Subscribe to everything, and deal with what was missed."""
        reply = await self._ask(socket, "sync", epoch=self._epoch, rooms=self._done, limit=500)
        if reply["epoch"] != self._epoch:  # another database, whose numbers begin anew
            self._epoch, self._done = reply["epoch"], {}
        for room in reply["rooms"]:
            if "error" in room:  # no longer a member
                self._done.pop(room["room"], None)
            elif "gap" in room:  # the first time, or too much was missed: begin at the end
                self._done[room["room"]] = room["head"]
            else:
                for event in room["events"]:
                    await self._happened(socket, event)

    async def _happened(self, socket: ClientConnection, event: dict[str, Any]) -> None:
        """Deal with an event; only then is it done, so that `sync` brings it again otherwise."""
        room, seq = event["room"], event["seq"]
        if event["type"] == "message" and event["from"]["kind"] in ("human", "guest"):
            text = answer_to(event["text"])
            if text is not None:
                # The same cid for the same question: seen twice, it is answered once.
                cid = f"{self._epoch}-{room}-{seq}"
                await self._ask(socket, "send", room=room, cid=cid, text=text)
        self._done[room] = seq

    async def _ask(self, socket: ClientConnection, type_: str, **fields: Any) -> dict[str, Any]:
        """Send a request and return its reply; one that was refused for now is sent again."""
        while True:
            self._asked += 1
            await socket.send(json.dumps({"id": self._asked, "type": type_, **fields}))
            while (frame := await self._receive(socket)).get("re") != self._asked:
                self._waiting.append(frame)
            if frame["ok"]:
                return frame
            print(f"{type_}: {frame['error']['message']}", file=sys.stderr)
            if not frame["error"]["temporary"]:
                return frame
            await asyncio.sleep(frame["error"].get("retry_after", 1.0))

    async def _receive(self, socket: ClientConnection) -> dict[str, Any]:
        async with asyncio.timeout(self._patience_s):
            frame: dict[str, Any] = json.loads(await socket.recv())
        return frame


if __name__ == "__main__":
    token = os.environ.get("WYND_CHAT_TOKEN")
    if not token:
        sys.exit("Set WYND_CHAT_TOKEN to what `wynd-chat user add NAME --bot` printed.")
    bot = Bot(sys.argv[1] if len(sys.argv) > 1 else "ws://localhost:3000/ws", token)
    try:
        asyncio.run(bot.run())
    except Stop as stop:
        sys.exit(f"The server does not want this bot: {stop}")
    except KeyboardInterrupt:
        pass
