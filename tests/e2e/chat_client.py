"""A client of the chat's face `chat.v1.json`, on bare TCP: it can cut its line in any way.

`ChatClient` is one connection; `Follower` is somebody who follows a room over many of them, as
chat.md 5.5 asks clients to, and notes every gap, repeat and disorder. Knows no server and no test.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
from base64 import b64encode
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CUTS", "KEY", "TEXT", "ChatClient", "Follower", "LineLost", "Refused"]

ANSWERS_S = 15.0  # a busy machine; no test waits for this on purpose
CUTS = ("reset", "fin", "freeze")
PAGE = 200  # messages of one `/history`
KEY = b"\0\0\0\0"  # masks nothing; the server must still look
TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA

Frame = dict[str, Any]


class LineLost(ConnectionError):
    """The connection ended; `code` is the server's close code, None without a close frame."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"the line was lost, close code {code}")
        self.code = code


class Refused(Exception):
    """A request was refused; `error` is the reply's `error` object."""

    def __init__(self, error: Frame) -> None:
        super().__init__(f"{error['code']}: {error['message']}")
        self.error = error
        self.code: str = error["code"]


class ChatClient(asyncio.Protocol):
    """One connection.

    Args:
        on_frame: Called with every frame, replies included, in the order of their arrival.
    """

    def __init__(self, on_frame: Callable[[Frame], None] | None = None) -> None:
        self.hello: Frame = {}
        self.close_code: int | None = None
        self._on_frame = on_frame
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._is_open = False
        self._is_deaf = False
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._lost: asyncio.Future[None] = self._loop.create_future()
        self._replies: dict[int | None, asyncio.Future[Frame]] = {}
        self._requests = 0

    @classmethod
    async def connect(
        cls,
        port: int,
        on_frame: Callable[[Frame], None] | None = None,
        *,
        source: str | None = None,
    ) -> ChatClient:
        """Connect and wait for the server's hello.

        Raises:
            LineLost: the connection ended before it.
            OSError: there is no server, or it refused the upgrade.
        """
        local = None if source is None else (source, 0)
        _, client = await asyncio.get_running_loop().create_connection(
            lambda: cls(on_frame), "127.0.0.1", port, local_addr=local
        )
        key = b64encode(os.urandom(16)).decode()
        head = (
            f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: chat.v1.json\r\n\r\n"
        )
        assert client._transport is not None
        client._transport.write(head.encode())
        try:
            async with asyncio.timeout(ANSWERS_S):
                await client._ready
        except BaseException:
            client._transport.abort()
            raise
        return client

    # Requests

    def begin(self, kind: str, **fields: Any) -> asyncio.Future[Frame]:
        """Send a request and return what will be its reply, `{"ok": false, …}` included.

        The future fails with `LineLost` when the connection ends first.
        """
        self._requests += 1
        number = self._requests
        reply: asyncio.Future[Frame] = self._loop.create_future()
        if self._lost.done():
            reply.set_exception(LineLost(self.close_code))
            return reply
        self._replies[number] = reply
        self.write({"id": number, "type": kind, **fields})
        return reply

    async def ask(self, kind: str, **fields: Any) -> Frame:
        """Send a request and return its reply.

        Raises:
            Refused: the reply is an error.
            LineLost: the connection ended first.
        """
        async with asyncio.timeout(ANSWERS_S):
            reply = await self.begin(kind, **fields)
        if not reply["ok"]:
            raise Refused(reply["error"])
        return reply

    async def name(self, name: str) -> str:
        """Become a guest; return the token to resume with."""
        reply = await self.ask("name", name=name)
        token: str = reply["token"]
        return token

    async def auth(self, token: str) -> Frame:
        """Resume; return the user."""
        reply = await self.ask("auth", token=token)
        user: Frame = reply["user"]
        return user

    async def sync(self, positions: dict[str, int], **more: Any) -> dict[str, Frame]:
        """Listen from these positions on; return the rooms of the reply by name."""
        fields = {"epoch": self.hello["epoch"], "rooms": positions, "limit": 500}
        reply = await self.ask("sync", **(fields | more))
        return {room["room"]: room for room in reply["rooms"]}

    async def send(self, cid: str, text: str, room: str = "lobby") -> Frame:
        """Post a message; return the acknowledgement."""
        return await self.ask("send", room=room, cid=cid, text=text)

    async def command(self, text: str, room: str = "lobby") -> Frame:
        """Run a command; return its result."""
        reply = await self.ask("command", room=room, text=text)
        result: Frame = reply["result"]
        return result

    def write(self, value: Frame) -> None:
        """Send one frame."""
        self._send(TEXT, json.dumps(value, separators=(",", ":")).encode())

    def write_bytes(self, data: bytes) -> int:
        """Send bytes as they are, unless the line is lost; return how many wait to be sent."""
        assert self._transport is not None
        if self._transport.is_closing():
            return 0
        self._transport.write(data)
        return self._transport.get_write_buffer_size()

    # The end

    def cut(self, how: str) -> None:
        """End the line: `reset` (RST), `fin` (FIN without a close frame), `freeze` (go deaf)."""
        assert self._transport is not None
        self._is_deaf = True
        if how == "freeze":
            self._transport.pause_reading()
        elif how == "fin":
            self._transport.write_eof()
        else:
            raw = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()

    async def close(self) -> None:
        """Close politely, as far as the line is still there."""
        if not self._lost.done():
            self._send(CLOSE, struct.pack("!H", 1000))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ANSWERS_S):
                    await asyncio.shield(self._lost)
        self.abort()

    def abort(self) -> None:
        """Drop the connection, whatever state it is in."""
        if self._transport is not None:
            self._transport.abort()

    async def wait_lost(self) -> None:
        """Wait until the connection has ended."""
        await asyncio.shield(self._lost)

    # As a protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        if not self._lost.done():
            self._lost.set_result(None)
        self._give_up(self._ready)
        for reply in self._replies.values():
            self._give_up(reply)
        self._replies.clear()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._is_deaf:
            return
        data = self._rest + data if self._rest else data
        if not self._is_open:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self._ready.set_exception(OSError(f"refused: {head.decode('latin-1')}"))
                self.abort()
                return
            self._is_open = True
        at = 0
        while not self._is_deaf and (size := len(data) - at) >= 2:
            length, start = data[at + 1], 2
            if length == 126 and size >= 4:
                length, start = int.from_bytes(data[at + 2 : at + 4], "big"), 4
            elif length == 127 and size >= 10:
                length, start = int.from_bytes(data[at + 2 : at + 10], "big"), 10
            if (start == 2 and length >= 126) or size < start + length:
                break
            payload = data[at + start : at + start + length]
            self._take(data[at] & 15, payload)
            at += start + length
        self._rest = data[at:]

    def _give_up(self, waiting: asyncio.Future[Any]) -> None:
        if not waiting.done():
            waiting.set_exception(LineLost(self.close_code))
            waiting.exception()  # nobody has to ask

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            self._frame(json.loads(payload))
        elif opcode == PING:
            self._send(PONG, payload)
        elif opcode == CLOSE:
            self.close_code = int.from_bytes(payload[:2], "big") if payload else 1005
            self._send(CLOSE, payload[:2])

    def _frame(self, frame: Frame) -> None:
        if not self.hello:
            assert frame["type"] == "hello", frame
            self.hello = frame
            self._ready.set_result(None)
            return
        if self._on_frame is not None:
            self._on_frame(frame)
        if "re" in frame:
            number = frame["re"]
            if number is None:  # it could not be read; requests are handled in order
                number = next(iter(self._replies), None)
            reply = self._replies.pop(number, None)
            if reply is not None and not reply.done():
                reply.set_result(frame)

    def _send(self, opcode: int, payload: bytes) -> None:
        assert self._transport is not None
        size = len(payload)
        head = bytes((0x80 | opcode,))
        if size < 126:
            head += bytes((0x80 | size,))
        elif size < 65_536:
            head += struct.pack("!BH", 0x80 | 126, size)
        else:
            head += struct.pack("!BQ", 0x80 | 127, size)
        if not self._transport.is_closing():
            self._transport.write(head + KEY + payload)


class Follower:
    """Somebody who follows a room over many connections and resumes after each cut.

    Every event passes `note` once, in order; whatever else the server does is in `faults`.

    Args:
        port: Of the server.
        name: As a guest.
        note: Called with each event of the room.
        room: Which room to follow.
        reads_history: Whether what `gap` refused is read page by page; else it begins at the head.
    """

    def __init__(
        self,
        port: int,
        name: str,
        note: Callable[[Frame], None],
        room: str = "lobby",
        *,
        reads_history: bool = True,
    ) -> None:
        self.port = port
        self.name = name
        self.last = 0
        """The seq up to which everything was seen."""
        self.faults: list[str] = []
        """Gaps, repeats and disorder, in words."""
        self.gaps_told = 0
        """How often the server said `gap`, and the history was read instead."""
        self.resumed = 0
        self.client: ChatClient | None = None
        self._note = note
        self._room = room
        self._reads_history = reads_history
        self._token: str | None = None
        self._held: list[Frame] | None = None
        self._is_synced = False
        self._old: list[ChatClient] = []

    @property
    def token(self) -> str:
        """What it resumes with."""
        assert self._token is not None
        return self._token

    async def come(self, *, join: bool = False) -> None:
        """Connect for the first time, or again, and catch up.

        Args:
            join: Whether the room must be joined by a command first.
        """
        self._begin()
        client = self.client = await ChatClient.connect(self.port, self._frame)
        if self._token is None:
            self._token = await client.name(self.name)
        else:
            await client.auth(self._token)
        if join:
            await client.command(f"/join #{self._room}")
        await client.sync({self._room: self.last})
        if self._held is not None:
            await self._read_history(client)
        self.resumed += 1

    def _begin(self) -> None:
        self._is_synced = False
        self._held = None

    async def come_until_there(self) -> None:
        """Come again as often as the line is lost on the way; the server must be there at last."""
        async with asyncio.timeout(ANSWERS_S):
            while True:
                try:
                    await self.come()
                except (LineLost, ConnectionError):
                    await asyncio.sleep(0.01)  # the back-off of a client on the same machine
                else:
                    return

    def cut(self, how: str) -> None:
        """Lose the line; see `ChatClient.cut`."""
        assert self.client is not None
        self.client.cut(how)
        self._old.append(self.client)

    def leave(self) -> None:
        """Drop every connection, the frozen ones too."""
        for client in (*self._old, *([self.client] if self.client else [])):
            client.abort()

    def _frame(self, frame: Frame) -> None:
        if "rooms" in frame:
            self._synced(next(one for one in frame["rooms"] if one["room"] == self._room))
        elif frame.get("room") == self._room and "seq" in frame and "type" in frame:
            if not self._is_synced:
                self.faults.append(f"{self.name}: seq {frame['seq']} came before sync's reply")
            if self._held is None:
                self._take(frame)
            else:
                self._held.append(frame)

    def _synced(self, room: Frame) -> None:
        self._is_synced = True
        if room.get("gap"):
            self.gaps_told += 1
            if self._reads_history:
                self._held = [room]
            else:
                self.last = room["head"]
            return
        for event in room["events"]:
            self._take(event)
        if self.last != room["head"]:
            self.faults.append(f"{self.name}: the replay ends at {self.last}, not {room['head']}")

    def _take(self, event: Frame) -> None:
        seq = event["seq"]
        if seq != self.last + 1:
            word = "a repeat" if seq <= self.last else "a gap"
            self.faults.append(f"{self.name}: {word}: {seq} after {self.last}")
        self.last = max(self.last, seq)
        self._note(event)

    async def _read_history(self, client: ChatClient) -> None:
        """Read what `gap` refused page by page, up to the head, then take what was held back."""
        assert self._held is not None
        head = self._held[0]["head"]
        pages: list[Frame] = []
        before = head + 1
        while before > self.last + 1:
            page = await client.command(f"/history before {before} {PAGE}", self._room)
            pages[:0] = page["messages"]
            if not page["messages"]:
                break
            before = page["messages"][0]["seq"]
        held, self._held = self._held[1:], None
        for event in [one for one in pages if one["seq"] > self.last] + held:
            self._take(event)
