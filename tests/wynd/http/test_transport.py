"""`EngineTransport` against asyncio's rules, over an engine that records."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from wynd.http.transport import EngineTransport
from wynd.limits import Limits

if TYPE_CHECKING:
    from wynd.engines.native import NativeEngine


class Engine:
    """Records the commands of a transport; what is unsent is what a test says."""

    def __init__(self) -> None:
        self.limits = Limits()
        self.calls: list[tuple[Any, ...]] = []
        self.unsent = 0

    def http_write(self, key: int, data: bytes, tell_from: int) -> int:
        self.calls.append(("write", data))
        return self.unsent

    def buffered_bytes(self, key: int) -> int:
        return self.unsent

    def __getattr__(self, name: str) -> Any:
        return lambda key: self.calls.append((name,))

    def names(self) -> list[str]:
        """Return the commands, and forget them."""
        names, self.calls = [call[0] for call in self.calls], []
        return names


class Protocol(asyncio.Protocol):
    """Records what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.keeps_open = False
        self.raises: Exception | None = None

    def data_received(self, data: bytes) -> None:
        self.told.append(data)
        if self.raises:
            raise self.raises

    def eof_received(self) -> bool:
        self.told.append("eof")
        if self.raises:
            raise self.raises
        return self.keeps_open

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append(("lost", exc))
        if self.raises:
            raise self.raises


class Wired:
    """A transport between the two."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.protocol = Protocol()
        loop = asyncio.get_running_loop()
        self.reported: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda loop, context: self.reported.append(context))
        extra = {"peername": ("192.0.2.1", 7), "sslcontext": None}
        self.transport = EngineTransport(cast("NativeEngine", self.engine), 5, loop, extra)
        self.transport.set_protocol(self.protocol)


@pytest.fixture
async def wired() -> Wired:
    return Wired()


async def turn() -> None:
    """Let the loop run what was scheduled."""
    await asyncio.sleep(0)


class TestReading:
    async def test_data_goes_to_the_protocol(self, wired: Wired) -> None:
        wired.transport.receive(b"a")
        other = Protocol()
        wired.transport.set_protocol(other)
        wired.transport.receive(b"b")
        assert (wired.protocol.told, other.told) == ([b"a"], [b"b"])
        assert wired.transport.get_protocol() is other

    async def test_nothing_comes_while_reading_is_paused(self, wired: Wired) -> None:
        wired.transport.pause_reading()
        wired.transport.pause_reading()
        assert not wired.transport.is_reading()
        wired.transport.receive(b"a")
        wired.transport.resume_reading()
        wired.transport.receive(b"b")
        assert wired.protocol.told == []  # never from inside resume_reading
        await turn()
        assert wired.protocol.told == [b"a", b"b"]
        assert wired.engine.names() == ["pause_reading", "resume_reading"]

    async def test_a_protocol_that_pauses_again_gets_no_more(self, wired: Wired) -> None:
        wired.transport.pause_reading()
        for data in (b"a", b"b"):
            wired.transport.receive(data)
        wired.transport.resume_reading()
        wired.transport.pause_reading()
        await turn()
        assert wired.protocol.told == []

    async def test_what_follows_an_upgrade_waits_for_101(self, wired: Wired) -> None:
        wired.transport.receive_upgrade(b"head")
        wired.transport.receive(b"early")
        wired.transport.pause_reading()
        wired.transport.resume_reading()
        await turn()
        assert wired.protocol.told == [b"head"]
        wired.transport.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        await turn()
        assert wired.protocol.told == [b"head", b"early"]
        assert wired.engine.names() == ["pause_reading", "resume_reading", "write"]

    async def test_too_much_behind_an_unanswered_upgrade_ends_it(self, wired: Wired) -> None:
        wired.transport.receive_upgrade(b"head")
        for _ in range(4):
            wired.transport.receive(b"x" * 16 * 1024)
        assert not wired.transport.is_closing()
        wired.transport.receive(b"x")
        assert wired.transport.is_closing()
        assert wired.protocol.told == [b"head"]
        assert wired.engine.names() == ["http_close"]

    async def test_a_peer_that_leaves_an_unanswered_upgrade_is_noticed(self, wired: Wired) -> None:
        wired.transport.receive_upgrade(b"head")
        assert wired.engine.names() == []  # reading goes on
        wired.transport.receive_end()
        assert wired.protocol.told == [b"head", "eof"]
        assert wired.engine.names() == ["http_close"]

    async def test_what_follows_a_refused_upgrade_is_dropped(self, wired: Wired) -> None:
        wired.transport.receive_upgrade(b"head")
        wired.transport.receive(b"early")
        wired.transport.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
        wired.transport.close()
        await turn()
        assert wired.protocol.told == [b"head"]

    @pytest.mark.parametrize("keeps_open", [False, True])
    async def test_the_end_of_input_closes_unless_the_protocol_goes_on(
        self, wired: Wired, keeps_open: bool
    ) -> None:
        wired.protocol.keeps_open = keeps_open
        wired.transport.receive_end()
        assert wired.protocol.told == ["eof"]
        assert wired.transport.is_closing() is not keeps_open

    @pytest.mark.parametrize("call", ["receive", "receive_end"])
    async def test_a_protocol_that_raises_is_reported_and_aborted(
        self, wired: Wired, call: str
    ) -> None:
        wired.protocol.raises = RuntimeError("on purpose")
        getattr(wired.transport, call)(*([b"a"] if call == "receive" else []))
        assert wired.engine.names() == ["abort"]
        assert wired.reported[0]["exception"] is wired.protocol.raises


class TestWriting:
    async def test_bytes_of_any_kind_are_written(self, wired: Wired) -> None:
        for data in (b"a", bytearray(b"b"), memoryview(b"c"), b""):
            wired.transport.write(data)
        wired.transport.writelines([b"d", bytearray(b"e")])
        assert [call[1] for call in wired.engine.calls] == [b"a", b"b", b"c", b"de"]
        assert {type(call[1]) for call in wired.engine.calls} == {bytes}

    async def test_a_full_outbox_pauses_writing_until_it_drained(self, wired: Wired) -> None:
        wired.engine.unsent = 300 * 1024
        wired.transport.write(b"a")
        wired.transport.write(b"b")
        assert wired.protocol.told == ["pause"]
        assert wired.transport.get_write_buffer_size() == 300 * 1024
        wired.transport.drained()
        wired.transport.drained()
        assert wired.protocol.told == ["pause", "resume"]

    async def test_the_high_water_mark_can_be_set(self, wired: Wired) -> None:
        assert wired.transport.get_write_buffer_limits() == (128 * 1024, 256 * 1024)
        wired.transport.set_write_buffer_limits(high=10)
        wired.engine.unsent = 10
        wired.transport.write(b"a")
        assert wired.protocol.told == ["pause"]
        wired.transport.set_write_buffer_limits(low=100)
        assert wired.transport.get_write_buffer_limits()[1] == 400
        wired.transport.set_write_buffer_limits()
        assert wired.transport.get_write_buffer_limits()[1] == 256 * 1024
        with pytest.raises(ValueError, match="at least low"):
            wired.transport.set_write_buffer_limits(high=1, low=2)

    async def test_one_direction_alone_cannot_be_ended(self, wired: Wired) -> None:
        assert not wired.transport.can_write_eof()
        with pytest.raises(NotImplementedError):
            wired.transport.write_eof()

    async def test_an_answers_end_is_passed_on(self, wired: Wired) -> None:
        wired.transport.response_done()
        wired.transport.close()
        wired.transport.response_done()
        assert wired.engine.names() == ["http_done", "http_close"]


class TestEnding:
    async def test_after_close_nothing_goes_in_or_out(self, wired: Wired) -> None:
        wired.transport.close()
        wired.transport.close()
        wired.transport.write(b"a")
        wired.transport.receive(b"b")
        wired.transport.receive_end()
        wired.transport.pause_reading()
        assert wired.engine.names() == ["http_close"]
        assert wired.protocol.told == []

    async def test_the_loss_is_told_once(self, wired: Wired) -> None:
        wired.transport.lost()
        wired.transport.lost()
        wired.transport.abort()
        wired.transport.receive(b"a")
        assert wired.protocol.told == [("lost", None)]
        assert wired.transport.is_closing()
        assert wired.transport.get_write_buffer_size() == 0
        with pytest.raises(RuntimeError, match="no protocol"):
            wired.transport.get_protocol()

    async def test_an_error_of_connection_lost_is_reported(self, wired: Wired) -> None:
        wired.protocol.raises = RuntimeError("on purpose")
        wired.transport.lost()
        assert wired.reported[0]["exception"] is wired.protocol.raises

    async def test_extra_info_and_repr(self, wired: Wired) -> None:
        assert wired.transport.get_extra_info("peername") == ("192.0.2.1", 7)
        assert wired.transport.get_extra_info("socket", "none") == "none"
        assert repr(wired.transport) == "<EngineTransport ('192.0.2.1', 7) open>"
        wired.transport.abort()
        assert repr(wired.transport) == "<EngineTransport ('192.0.2.1', 7) closing>"

    async def test_a_protocol_is_wanted(self, wired: Wired) -> None:
        with pytest.raises(TypeError, match="BaseProtocol has none"):
            wired.transport.set_protocol(asyncio.BaseProtocol())
