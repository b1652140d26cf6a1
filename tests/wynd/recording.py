"""An engine that records what the library tells it, for tests of the layers above engines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wynd.engines.base import Engine, EngineStatistics
from wynd.limits import Limits
from wynd.request import Origins, Request

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from wynd.engines.base import Address, ListenerOptions, Opcode, Payload, Policy, Sink
    from wynd.request import Accept, Response


def request(path: str = "/", **headers: str) -> Request:
    """Return an upgrade request for `path`."""
    fields = {"Host": "localhost", "Connection": "Upgrade", "Upgrade": "websocket", **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    head = f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")
    return Request.from_head(head, ("127.0.0.1", 50000), False)


class RecordingEngine(Engine):
    """Every call becomes an entry of `calls`; `unsent` is what `send` answers."""

    name = "recording"

    def __init__(
        self,
        limits: Limits | None = None,
        origins: Origins | None = None,
        subprotocols: Sequence[str] = (),
    ) -> None:
        super().__init__(limits or Limits(), origins or Origins.parse("*"), subprotocols)
        self.calls: list[tuple[Any, ...]] = []
        self.unsent = 0

    def named(self, name: str) -> list[tuple[Any, ...]]:
        """Return the arguments of every call of one method."""
        return [call[1:] for call in self.calls if call[0] == name]

    def start(self, loop: asyncio.AbstractEventLoop, sink: Sink) -> None:
        self.calls.append(("start",))

    async def listen(self, listener: int, options: ListenerOptions) -> tuple[Address, ...]:
        self.calls.append(("listen", listener, options))
        return (("127.0.0.1", 1),)

    async def stop_listening(self, listener: int) -> None:
        self.calls.append(("stop_listening", listener))

    def reload_certificates(self) -> None:
        self.calls.append(("reload_certificates",))

    def accept(self, key: int, accept: Accept) -> None:
        self.calls.append(("accept", key, accept))

    def respond(self, key: int, response: Response) -> None:
        self.calls.append(("respond", key, response))

    def send(self, key: int, opcode: Opcode, payload: Payload) -> int:
        self.calls.append(("send", key, opcode, payload))
        return self.unsent

    def publish(
        self,
        room: str | None,
        opcode: Opcode,
        payload: Payload,
        *,
        exclude: int | None = None,
        key: str | None = None,
        droppable: bool = False,
    ) -> None:
        self.calls.append(("publish", room, opcode, payload, exclude, key, droppable))

    def join(self, key: int, room: str) -> None:
        self.calls.append(("join", key, room))

    def leave(self, key: int, room: str) -> None:
        self.calls.append(("leave", key, room))

    def admit(self, key: int) -> None:
        self.calls.append(("admit", key))

    def room_policy(self, pattern: str, policy: Policy) -> None:
        self.calls.append(("room_policy", pattern, policy))

    def ping(self, key: int, payload: bytes) -> bool:
        self.calls.append(("ping", key, payload))
        return True

    def close(self, key: int, code: int, reason: str) -> None:
        self.calls.append(("close", key, code, reason))

    def abort(self, key: int) -> None:
        self.calls.append(("abort", key))

    def pause_reading(self, key: int) -> None:
        self.calls.append(("pause_reading", key))

    def resume_reading(self, key: int) -> None:
        self.calls.append(("resume_reading", key))

    def buffered_bytes(self, key: int) -> int:
        return max(self.unsent, 0)

    def statistics(self) -> EngineStatistics:
        return EngineStatistics()

    async def stop(self) -> None:
        self.calls.append(("stop",))
