"""The stage of a transcript: a running chat and the clients of one script.

Performs steps (see `script`) against a server; which server is the affair of `hosts`. Every wait
has a deadline, and nothing sleeps: silence is proved by a question that every connection answers
after all that was sent before it.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.e2e.chat.script import Step, Values, read_frame
from wynd_chat.wire import text_face

if TYPE_CHECKING:
    from tests.e2e.chat.hosts import Host
    from tests.e2e.chat.script import Script

__all__ = ["Stage", "TranscriptError"]

PATIENCE_S = 5.0
PROBE_TEXT = "/~"  # a command that never is one, and looks like none
TOO_FAST = "Error: Slow down [rate_limited]"  # an answer too, where a transcript is about limits
PROBE_JSON = '{"type":"~","id":"~"}'
_WAY = re.compile(r"\s*(by|offering|bearing|from) ([^\s,]+(?:, [^\s,]+)*)")


class TranscriptError(AssertionError):
    """What happened is not what the transcript says."""


class Peer:
    """A client; what it receives waits in order."""

    def __init__(self, name: str, socket: ClientConnection, *, is_json: bool) -> None:
        self.name = name
        self.is_json = is_json
        self.socket = socket
        self.is_open = True
        self._frames: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for frame in self.socket:
                self._frames.put_nowait(frame)
        except ConnectionClosed:
            pass
        finally:
            self._frames.put_nowait(None)

    async def next(self, *, with_ticks: bool = False) -> Any:
        """Return the next frame, read as JSON on that face.

        Raises:
            TranscriptError: none came in time, or the connection ended.
        """
        frame = await self._next()
        while self.is_json and not with_ticks and _is_tick(frame):
            frame = await self._next()
        return frame

    async def _next(self) -> Any:
        try:
            async with asyncio.timeout(PATIENCE_S):
                frame = await self._frames.get()
        except TimeoutError:
            raise TranscriptError(f"{self.name} got nothing") from None
        if frame is None:
            code, reason = self.socket.close_code, self.socket.close_reason
            raise TranscriptError(f"{self.name} was closed with {code} {reason!r}")
        return json.loads(frame) if self.is_json else frame

    def unread(self) -> list[str | bytes]:
        """Return what nobody has read."""
        frames = []
        while not self._frames.empty():
            frame = self._frames.get_nowait()
            if frame is not None and not (self.is_json and _is_tick(json.loads(frame))):
                frames.append(frame)
        return frames

    async def send(self, frame: str | bytes) -> None:
        """Send one frame."""
        await self.socket.send(frame)

    async def ended(self) -> tuple[int | None, str | None]:
        """Wait for the end; return code and reason."""
        self.is_open = False
        async with asyncio.timeout(PATIENCE_S):
            await self.socket.wait_closed()
        await self._reading
        return self.socket.close_code, self.socket.close_reason

    async def close(self) -> None:
        """Close; no error if closed."""
        self.is_open = False
        await self.socket.close()
        await self._reading

    async def vanish(self) -> None:
        """Cut the line."""
        self.is_open = False
        self.socket.transport.abort()
        await self.socket.wait_closed()
        await self._reading


class Stage:
    """One run of one script."""

    def __init__(self, host: Host, door: str) -> None:
        self._host = host
        self._door = door
        self._peers: dict[str, Peer] = {}
        self._gone: list[Peer] = []
        self._waiting: dict[str, list[Any]] = {}  # frames that `<~` has passed over
        self.values = Values()

    async def play(self, script: Script) -> None:
        """Perform all steps, and silence at the end.

        Raises:
            TranscriptError: with the step where it went another way.
        """
        last: Step | None = None
        try:
            for step in script.steps:
                last = step
                for n in range(1, step.times + 1):
                    if step.times > 1:
                        self.values.know("n", str(n))
                    await self._perform(step)
            last = None
            await self._silence()
        except (TranscriptError, KeyError, ConnectionClosed, TimeoutError) as error:
            where = "at the end" if last is None else f"line {last.number}: {last.source}"
            raise TranscriptError(f"{where}\n{type(error).__name__}: {error}") from error
        finally:
            for peer in [*self._peers.values(), *self._gone]:
                await peer.close()

    async def _perform(self, step: Step) -> None:
        who, rest = step.who, step.rest
        match step.verb:
            case "connects":
                await self._connect(who, rest)
            case "enters":
                await self._enter(who, rest)
            case "logs in":
                await self._log_in(who, rest)
            case "is refused":
                await self._is_refused(who, rest)
            case "is closed":
                await self._is_closed(who, rest)
            case ">" | ">>":
                await self._send(who, step.verb, rest)
            case "<":
                expected = self._expected(who, rest)
                frame = await self._peer(who).next(with_ticks=_is_tick(expected))
                self._check(frame, expected)
            case "<~":
                await self._among(step)
            case "closes":
                await self._leave(who, self._peer(who).close)
            case "vanishes":
                await self._leave(who, self._peer(who).vanish)
            case "silence":
                await self._silence()
            case "pass":
                await self._silence(is_answered_only=True)
                await self._host.advance(float(rest))
            case "the server restarts":
                await self._host.restart()
            case _:
                await self._host.given(str(self.values.fill(rest)), self.values)

    # Clients

    def _peer(self, who: str) -> Peer:
        if who not in self._peers:
            raise TranscriptError(f"{who} is not connected")
        return self._peers[who]

    def _address(self, way: str) -> tuple[str, dict[str, Any]]:
        """Return the URL and options of `connect`."""
        parts = dict(_WAY.findall(way))
        door = parts.get("by", self._door)
        options: dict[str, Any] = {}
        if "offering" in parts:
            offers = [str(self.values.fill(one.strip())) for one in parts["offering"].split(",")]
            options["subprotocols"] = offers
        elif door == "json":
            options["subprotocols"] = ["chat.v1.json"]
        if "bearing" in parts:
            token = self.values.fill(parts["bearing"])
            options["additional_headers"] = {"Authorization": f"Bearer {token}"}
        if "from" in parts:
            options["origin"] = parts["from"]
        if door.startswith("plain"):
            port, path = self._host.plain_port, door.removeprefix("plain") or "/"
        else:
            port, path = self._host.port, "/ws" if door == "json" else door
        return f"ws://127.0.0.1:{port}{path}", options

    async def _connect(self, who: str, way: str) -> Peer:
        url, options = self._address(way)
        socket = await connect(
            url, compression=None, proxy=None, ping_interval=None, max_size=None, **options
        )
        if who in self._peers:
            self._gone.append(self._peers[who])
        is_json = socket.subprotocol == "chat.v1.json"
        peer = self._peers[who] = Peer(who, socket, is_json=is_json)
        return peer

    async def _enter(self, who: str, way: str) -> None:
        peer = await self._connect(who, way)
        if peer.is_json:
            hello = await self._hello(peer)
            await peer.send(json.dumps({"type": "name", "id": "enter", "name": who}))
            reply = await peer.next()
            if reply.get("ok") is not True:
                raise TranscriptError(f"{who} may not enter: {reply}")
            self.values.know(f"{who}_id", reply["user"]["id"])
            self.values.know(f"{who}_token", reply["token"])
            await self._sync(peer, hello)
        else:
            self._check(await peer.next(), text_face.WELCOME)
            await peer.send(f"/name {who}")
            self._check(await peer.next(), f"You are now known as {who}")

    async def _log_in(self, who: str, way: str) -> None:
        peer = await self._connect(who, f"{way} bearing ${who}_token")
        if peer.is_json:
            hello = await self._hello(peer)
            if hello["user"] is None:
                raise TranscriptError(f"{who} is not known: {hello}")
            await self._sync(peer, hello)
        else:
            self._check(await peer.next(), text_face.WELCOME)
            self._check(await peer.next(), f"You are now known as {who}")

    async def _hello(self, peer: Peer) -> dict[str, Any]:
        hello: dict[str, Any] = await peer.next()
        if hello.get("type") != "hello":
            raise TranscriptError(f"{peer.name} is greeted with {hello}")
        self.values.know("epoch", hello["epoch"])
        return hello

    async def _sync(self, peer: Peer, hello: dict[str, Any]) -> None:
        request = {"type": "sync", "id": "enter", "epoch": hello["epoch"], "rooms": {}}
        await peer.send(json.dumps(request))
        reply = await peer.next()
        if reply.get("ok") is not True:
            raise TranscriptError(f"{peer.name} may not sync: {reply}")

    async def _leave(self, who: str, leave: Any) -> None:
        await leave()
        await self._host.noticed(sum(peer.is_open for peer in self._peers.values()))

    async def _is_refused(self, who: str, rest: str) -> None:
        found = re.fullmatch(r"(\d{3}) (by .*?)(?:: (.+))?", rest, re.DOTALL)
        if found is None:
            raise TranscriptError(f"is refused STATUS by …: BODY, not {rest!r}")
        url, options = self._address(found[2])
        try:
            socket = await connect(url, compression=None, proxy=None, **options)
        except InvalidStatus as refused:
            self._check(refused.response.status_code, int(found[1]))
            if found[3]:
                body = bytes(refused.response.body or b"").decode()
                self._check(body, read_frame(found[3], is_json=False))
        else:
            await socket.close()
            raise TranscriptError(f"{who} was let in")

    async def _is_closed(self, who: str, rest: str) -> None:
        wanted, _, reason = rest.partition(" ")
        peer = self._peer(who)
        code, said = await peer.ended()
        strays = peer.unread()
        if strays:
            raise TranscriptError(f"{who} got {strays} before the end")
        self._check(code, int(wanted))
        if reason:
            self._check(said, reason)
        await self._host.noticed(sum(peer.is_open for peer in self._peers.values()))

    # Frames

    async def _send(self, who: str, verb: str, rest: str) -> None:
        peer = self._peer(who)
        frame = self.values.fill(read_frame(rest, is_json=peer.is_json))
        if verb == ">>":
            await peer.send(str(frame).encode())
        elif isinstance(frame, str):
            await peer.send(frame)
        else:
            await peer.send(json.dumps(frame, ensure_ascii=False))

    def _expected(self, who: str, rest: str) -> Any:
        return read_frame(rest, is_json=self._peer(who).is_json)

    def _check(self, value: Any, pattern: Any) -> None:
        if not self.values.fits(pattern, value):
            raise TranscriptError(f"expected {_shown(pattern)}, but got {_shown(value)}")

    async def _among(self, step: Step) -> None:
        """Take a frame that may come in any order with its neighbours; see `pending`."""
        peer = self._peer(step.who)
        pattern = self._expected(step.who, step.rest)
        waiting = self._waiting.setdefault(step.who, [])
        for index, frame in enumerate(waiting):
            if self.values.fits(pattern, frame):
                del waiting[index]
                return
        while True:
            frame = await peer.next()
            if self.values.fits(pattern, frame):
                return
            waiting.append(frame)

    async def _silence(self, *, is_answered_only: bool = False) -> None:
        """Make sure that all that was sent is handled, and that nobody got anything from it.

        Two rounds: after the first, everything that was sent is handled, and what it showed to
        others is on its way; the answers of the second come behind that.
        """
        peers = list(self._peers.values())
        for _ in range(1 if is_answered_only else 2):
            for peer in peers:
                if peer.is_open:
                    await peer.send(PROBE_JSON if peer.is_json else PROBE_TEXT)
            for peer in peers:
                if peer.is_open:
                    self._check_probe(peer, await peer.next(), may_be_refused=is_answered_only)
        for peer in peers:
            strays = [*self._waiting.pop(peer.name, []), *peer.unread()]
            if strays:
                raise TranscriptError(f"{peer.name} got more: {strays}")

    def _check_probe(self, peer: Peer, frame: Any, *, may_be_refused: bool) -> None:
        is_answer = frame.get("re") == "~" if peer.is_json else frame == text_face.UNKNOWN_COMMAND
        if not is_answer and not (may_be_refused and frame == TOO_FAST):
            raise TranscriptError(f"{peer.name} got more: {_shown(frame)}")


def _is_tick(frame: Any) -> bool:
    return isinstance(frame, dict) and frame.get("type") == "tick"


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
