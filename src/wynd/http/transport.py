"""`EngineTransport`: one HTTP connection of the native engine as an asyncio transport.

asyncio's rules hold: no `data_received` while reading is paused, `connection_lost` once and last,
what was written before `close` still leaves. Two things are the engine's: it gives one request at
a time, and wants `response_done` before the next; and the low-water mark is half its outbox's soft
limit, whatever the high one is.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wynd.engines.native import NativeEngine

__all__ = ["EngineTransport"]

EARLY_BYTES_MAX = 64 * 1024  # behind the head of an upgrade that is not answered yet


class EngineTransport(asyncio.Transport):
    """Moves the bytes of one connection between the engine and a protocol.

    Args:
        engine: where the connection lives.
        key: its key there.
        loop: the loop both run on.
        extra: what `get_extra_info` knows.
    """

    __slots__ = (
        "_closing",
        "_engine",
        "_held",
        "_high",
        "_key",
        "_loop",
        "_lost",
        "_protocol",
        "_read_paused",
        "_unanswered",
        "_write_paused",
    )

    def __init__(
        self,
        engine: NativeEngine,
        key: int,
        loop: asyncio.AbstractEventLoop,
        extra: Mapping[str, Any],
    ) -> None:
        super().__init__(extra)
        self._engine = engine
        self._key = key
        self._loop = loop
        self._protocol: asyncio.Protocol | None = None
        self._high = engine.limits.outbox_bytes_soft
        self._held: list[bytes] = []  # what came in the turn in which reading was paused
        self._read_paused = False
        self._unanswered = False
        self._write_paused = False
        self._closing = False
        self._lost = False

    def __repr__(self) -> str:
        state = "closed" if self._lost else "closing" if self._closing else "open"
        return f"<EngineTransport {self.get_extra_info('peername')} {state}>"

    # The protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give everything from now on to `protocol`; its `connection_made` is not called.

        Its `data_received` is called, also where it has buffers of its own: the engine received
        already.
        """
        if not hasattr(protocol, "data_received"):
            name = type(protocol).__name__
            raise TypeError(f"a transport takes a protocol with data_received; {name} has none")
        self._protocol = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol that is told."""
        if self._protocol is None:
            raise RuntimeError("the transport has no protocol yet")
        return self._protocol

    # Reading

    def is_reading(self) -> bool:
        """Return whether data is given to the protocol."""
        return not (self._read_paused or self._unanswered or self._closing)

    def pause_reading(self) -> None:
        """Give the protocol nothing until `resume_reading`; twice is once."""
        if not self._read_paused and not self._closing:
            self._read_paused = True
            self._engine.pause_reading(self._key)

    def resume_reading(self) -> None:
        """Undo `pause_reading`; the protocol is not called from inside this call."""
        if self._read_paused:
            self._read_paused = False
            if not self._lost:
                self._engine.resume_reading(self._key)
            self._read_on()

    def _read_on(self) -> None:
        if self._held and self.is_reading():
            self._loop.call_soon(self._give_held)

    def _give_held(self) -> None:
        while self._held and self.is_reading():
            self._give(self._held.pop(0))

    # Writing

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send bytes; after `close` or the end of the connection they are dropped."""
        if not data or self._closing:
            return
        if type(data) is not bytes:
            data = bytes(data)
        if self._unanswered and data.startswith(b"HTTP/1.1 101"):
            self._unanswered = False
            self._read_on()
        unsent = self._engine.http_write(self._key, data, self._high)
        if unsent >= self._high and not self._write_paused and self._protocol is not None:
            self._write_paused = True
            self._protocol.pause_writing()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        """Send several pieces as one."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Return False: TLS has no half-closed connection, and HTTP needs none."""
        return False

    def write_eof(self) -> None:
        """Not offered, see `can_write_eof`."""
        raise NotImplementedError("this transport cannot end one direction alone")

    def get_write_buffer_size(self) -> int:
        """Return the bytes that have not left."""
        return 0 if self._lost else self._engine.buffered_bytes(self._key)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and the high-water mark in bytes."""
        return self._engine.limits.outbox_bytes_soft // 2, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set from how many unsent bytes on `pause_writing` is called; None is the default.

        The low-water mark is the engine's; see the module's docstring.

        Raises:
            ValueError: negative, or `low` above `high`.
        """
        if high is None:
            high = self._engine.limits.outbox_bytes_soft if low is None else 4 * low
        if high < 0 or (low is not None and not 0 <= low <= high):
            raise ValueError(f"high ({high}) must be at least low ({low}), and low at least 0")
        self._high = max(high, 1)

    def response_done(self) -> None:
        """Say that the present request is answered whole; the next one may come."""
        if not self._closing:
            self._engine.http_done(self._key)

    # The end

    def is_closing(self) -> bool:
        """Return whether `close` or `abort` was called, or the connection has ended."""
        return self._closing

    def close(self) -> None:
        """End the connection when what was written has left; read nothing more."""
        if not self._closing:
            self._closing = True
            self._held.clear()
            self._engine.http_close(self._key)

    def abort(self) -> None:
        """End the connection at once; what has not left is lost."""
        if not self._lost:
            self._closing = True
            self._held.clear()
            self._engine.abort(self._key)

    # What the engine tells

    def receive(self, data: bytes) -> None:
        """Take bytes of the present request."""
        if self._read_paused or self._unanswered or self._held:
            self._held.append(data)
            if self._unanswered and sum(map(len, self._held)) > EARLY_BYTES_MAX:
                self.close()
        elif not self._closing:
            self._give(data)

    def receive_upgrade(self, head: bytes) -> None:
        """Take the head of an upgrade; what comes behind it waits until it is answered 101.

        Not before that is it another protocol's; after a refusal nobody reads it, and too much of
        it ends the connection. Reading goes on, so that the protocol learns of a peer that left.
        """
        self._unanswered = True
        if not self._closing:
            self._give(head)

    def _give(self, data: bytes) -> None:
        protocol = self._protocol
        try:
            if protocol is not None:
                protocol.data_received(data)
        except Exception as error:
            self._fail(error, "data_received")

    def _fail(self, error: Exception, call: str) -> None:
        """Report a protocol that raised, and end its connection, as asyncio's transports do."""
        context = {
            "message": f"Fatal error: protocol.{call}() call failed.",
            "exception": error,
            "transport": self,
            "protocol": self._protocol,
        }
        self._loop.call_exception_handler(context)
        self.abort()

    def receive_end(self) -> None:
        """The peer ended its direction: close, unless the protocol wants to go on writing."""
        if self._protocol is None or self._closing:
            return
        try:
            keeps_open = self._protocol.eof_received()
        except Exception as error:
            self._fail(error, "eof_received")
        else:
            if not keeps_open:
                self.close()

    def drained(self) -> None:
        """What is unsent has fallen below the low-water mark."""
        if self._write_paused and self._protocol is not None:
            self._write_paused = False
            self._protocol.resume_writing()

    def lost(self) -> None:
        """The connection is gone, or another protocol of the engine's took it over."""
        if self._lost:
            return
        self._lost = self._closing = True
        self._held.clear()
        protocol, self._protocol = self._protocol, None
        if protocol is None:
            return
        try:
            protocol.connection_lost(None)
        except Exception as error:
            context = {"message": "Fatal error: protocol.connection_lost() call failed."}
            self._loop.call_exception_handler({**context, "exception": error, "transport": self})
