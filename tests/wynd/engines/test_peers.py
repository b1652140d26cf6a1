"""Open connections of the portable engine: receiving, sending, ending, in memory."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.wynd.engines.hosts import MemoryHost, settle, started, until
from wynd import LimitExceeded, Limits
from wynd.engines.base import Opcode


class TestReceiving:
    async def test_empty_messages_are_messages(self) -> None:
        engine, sink = started()
        host = await MemoryHost(engine).open()
        host.put({"type": "websocket.receive", "text": ""})
        host.put({"type": "websocket.receive", "text": None, "bytes": b""})
        host.put({"type": "websocket.receive", "bytes": bytearray(b"x")})
        await until(lambda: len(sink.named("received")) == 3)
        assert [call[1] for call in sink.named("received")] == ["", b"", b"x"]
        assert type(sink.named("received")[2][1]) is bytes
        host.disconnect()
        await host.finish()

    async def test_a_paused_connection_is_not_pulled_beyond_the_bound(self) -> None:
        engine, sink = started(Limits(inbound_messages_max=4))
        sink.on_received = lambda key, message: engine.pause_reading(key)
        host = await MemoryHost(engine).open()
        host.put_text(*map(str, range(20)))
        await settle(50)
        assert len(sink.named("received")) == 1
        assert host.pulls <= 1 + 1 + 4 + 1  # connect, the one delivered, four kept, one under way
        sink.on_received = lambda key, message: None
        engine.resume_reading(sink.named("received")[0][0])
        assert len(sink.named("received")) == 1  # never from inside the call
        await until(lambda: len(sink.named("received")) == 20)
        host.disconnect()
        await host.finish()

    async def test_bytes_bound_the_inbox_too(self) -> None:
        engine, sink = started(Limits(message_bytes_max=100))
        sink.on_received = lambda key, message: engine.pause_reading(key)
        host = await MemoryHost(engine).open()
        host.put_text(*["x" * 60] * 10)
        await settle(50)
        assert host.pulls <= 5
        host.disconnect()
        assert host.task is not None
        host.task.cancel()
        await asyncio.gather(host.task, return_exceptions=True)
        await settle()
        assert len(sink.named("closed")) == 1

    async def test_inbound_queues_count_for_the_process(self) -> None:
        engine, sink = started(Limits(process_bytes_max=1010))
        sink.on_received = lambda key, message: engine.pause_reading(key)
        small, large = await MemoryHost(engine).open(), await MemoryHost(engine).open()
        small.put_text("first", "x" * 400)  # the first is told, the other waits
        large.put_text("first", "x" * 600)
        await settle(50)
        assert not sink.named("closing")
        assert engine.statistics().limits_hit == {}
        small.put_text("x" * 20)
        await until(lambda: sink.named("closing"))
        closing = [call[1] for call in sink.named("closing")]
        assert closing == [1013]
        assert large.sent[-1]["code"] == 1013
        assert large.sent[-1]["reason"] == "Server is busy. retry_after=5"
        assert engine.statistics().limits_hit == {"process_bytes_max": 1}
        assert small.sent == []
        for host in (small, large):
            host.disconnect()
            await host.finish()
        assert [call[1] for call in sink.named("received") if len(call[1]) == 600] == []
        await until(lambda: len(sink.named("closed")) == 2)
        assert engine._ledger.held_bytes == 0

    async def test_what_came_before_the_end_is_delivered_before_closed(self) -> None:
        engine, sink = started()
        sink.on_received = lambda key, message: engine.pause_reading(key)
        host = await MemoryHost(engine).open()
        host.put_text("a", "b", "c")
        host.disconnect()
        await host.finish()
        names = [call[0] for call in sink.calls]
        assert names == ["opened", "received", "received", "received", "closed"]

    async def test_calls_come_from_outside_the_hosts_task(self) -> None:
        engine, sink = started()
        tasks: list[Any] = []
        sink.on_received = lambda key, message: tasks.append(asyncio.current_task())
        host = await MemoryHost(engine).open()
        host.put_text("a")
        host.disconnect()
        await host.finish()
        assert tasks == [None]

    async def test_an_interrupt_in_a_handler_loses_no_message(self) -> None:
        engine, sink = started()
        interrupted: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: interrupted.append(context["exception"]))

        def fail_once(key: int, message: str | bytes) -> None:
            if message == "b":
                raise RuntimeError("stands for KeyboardInterrupt")

        sink.on_received = fail_once
        host = await MemoryHost(engine).open()
        host.put_text("a", "b", "c", "d")
        await until(lambda: len(sink.named("received")) == 4)
        host.disconnect()
        await host.finish()
        assert len(interrupted) == 1

    async def test_too_large_is_1009_after_what_came_before(self) -> None:
        engine, sink = started(Limits(message_bytes_max=10))
        sink.on_received = lambda key, message: engine.send(key, Opcode.TEXT, message)
        host = await MemoryHost(engine).open()
        host.put_text("good", "x" * 11, "ignored")
        await until(lambda: host.sent and host.sent[-1]["type"] == "websocket.close")
        assert host.texts() == ["good"]
        assert host.sent[-1] == {
            "type": "websocket.close",
            "code": 1009,
            "reason": "Message too big.",
        }
        host.disconnect(1009)
        await host.finish()
        assert sink.named("closed") == [(1, 1009, 1009, "")]

    async def test_a_violation_behind_a_paused_handler_waits_for_it(self) -> None:
        engine, sink = started(Limits(message_bytes_max=10, close_timeout_s=5))
        sink.on_received = lambda key, message: engine.pause_reading(key)
        host = await MemoryHost(engine).open()
        host.put_text("busy", "x" * 11)
        await settle(30)
        assert host.sent == []
        engine.resume_reading(1)
        await until(lambda: host.sent)
        assert host.sent[0]["code"] == 1009
        host.disconnect(1009)
        await host.finish()

    async def test_a_host_that_cannot_close_while_it_is_asked_for_events(self) -> None:
        engine, sink = started()
        host = MemoryHost(engine)
        host.has_one_lock = True
        await host.open()
        host.put_text("before")
        await until(lambda: sink.named("received"))
        engine.close(1, 4002, "go")
        await until(lambda: host.sent)
        assert host.sent == [{"type": "websocket.close", "code": 4002, "reason": "go"}]
        host.put_text("after our close, ignored")
        host.disconnect(4002)
        await host.finish()
        assert sink.named("closed") == [(1, 4002, 4002, "")]
        assert len(sink.named("received")) == 1

    async def test_a_host_that_never_takes_the_close_frame_is_not_waited_for(self) -> None:
        engine, sink = started(Limits(close_timeout_s=0.05))
        host = await MemoryHost(engine).open()
        host.takes.clear()
        engine.close(1, 4002, "go")
        await host.finish()
        assert (host.sent, len(sink.named("closed"))) == ([], 1)

    async def test_a_cancelled_application_is_not_held_by_its_close(self) -> None:
        engine, sink = started()
        host = await MemoryHost(engine).open()
        host.takes.clear()
        engine.close(1, 4002, "go")
        await settle()
        assert host.task is not None
        host.task.cancel()
        await asyncio.gather(host.task, return_exceptions=True)
        await settle()
        assert len(sink.named("closed")) == 1

    async def test_a_violation_does_not_wait_for_ever(self) -> None:
        engine, sink = started(Limits(message_bytes_max=10, close_timeout_s=0.02))
        sink.on_received = lambda key, message: engine.pause_reading(key)
        host = await MemoryHost(engine).open()
        host.put_text("busy", "x" * 11)
        await until(lambda: host.sent)
        assert host.sent[0]["code"] == 1009
        await host.finish()  # the peer never answers
        assert sink.named("closed") == [(1, 1009, 1006, "")]


class TestSending:
    async def test_messages_leave_in_order_with_the_close_behind(self) -> None:
        engine, sink = started()
        host = await MemoryHost(engine).open()
        assert engine.send(1, Opcode.TEXT, "a") == 3
        assert engine.send(1, Opcode.BINARY, b"b" * 200) == 3 + 204
        engine.close(1, 4000, "done")
        engine.close(1, 1000, "never")
        assert engine.send(1, Opcode.TEXT, "too late") == -1
        await until(lambda: len(host.sent) == 3)
        assert host.sent == [
            {"type": "websocket.send", "text": "a"},
            {"type": "websocket.send", "bytes": b"b" * 200},
            {"type": "websocket.close", "code": 4000, "reason": "done"},
        ]
        host.disconnect(1000)  # some hosts report this whatever was sent
        await host.finish()
        assert sink.named("closing") == [(1, 4000, None)]
        assert sink.named("closed") == [(1, 4000, 4000, "")]
        assert engine.send(1, Opcode.TEXT, "gone") == -1
        assert engine.buffered_bytes(1) == 0

    async def test_a_lone_surrogate_is_refused_and_nothing_is_queued(self) -> None:
        engine, _ = started()
        host = await MemoryHost(engine).open()
        with pytest.raises(ValueError, match="surrogate"):
            engine.send(1, Opcode.TEXT, "\ud800")
        with pytest.raises(ValueError, match="surrogate"):
            engine.publish(None, Opcode.TEXT, "\ud800")
        assert engine.buffered_bytes(1) == 0
        host.disconnect()
        await host.finish()

    async def test_drained_is_told_once_below_half_the_soft_limit(self) -> None:
        engine, sink = started(Limits(outbox_bytes_soft=100, outbox_bytes_hard=1000))
        host = await MemoryHost(engine).open()
        host.takes.clear()
        for _ in range(6):
            engine.send(1, Opcode.TEXT, "x" * 18)
        await settle()
        assert engine.buffered_bytes(1) == 120
        assert sink.named("drained") == []
        host.takes.set()
        await settle()
        assert sink.named("drained") == [(1,)]
        host.disconnect()
        await host.finish()

    async def test_a_stuck_host_gets_no_unbounded_queue(self) -> None:
        engine, sink = started(
            Limits(outbox_bytes_soft=100, outbox_bytes_hard=1000, close_timeout_s=0.02)
        )
        host = await MemoryHost(engine).open()
        engine.join(1, "room")
        host.takes.clear()
        results = [engine.send(1, Opcode.TEXT, "x" * 98) for _ in range(30)]
        assert max(results) == 1000
        assert results[-1] == -1
        assert engine.statistics().rooms == 0  # it left at once
        assert engine.buffered_bytes(1) <= 100  # what is under way
        await host.finish()  # aborted after the close time
        assert sink.named("closing") == [(1, 1013, None)]
        assert sink.named("closed") == [(1, None, 1006, "")]
        assert engine.statistics().outbox_bytes == 0

    async def test_an_outbox_without_progress_is_aborted(self) -> None:
        engine, sink = started(Limits(outbox_stall_s=0.05))
        host = await MemoryHost(engine).open()
        host.takes.clear()
        engine.send(1, Opcode.TEXT, "stuck")
        await host.finish()
        assert sink.named("closed") == [(1, None, 1006, "")]
        assert engine.statistics().limits_hit == {"outbox_stall_s": 1}

    @pytest.mark.parametrize("error", [OSError("gone"), RuntimeError("after close")])
    async def test_a_host_that_refuses_to_send_ends_the_connection(self, error: Exception) -> None:
        engine, sink = started(Limits(close_timeout_s=0.02))
        host = await MemoryHost(engine).open()
        host.refuses = error
        engine.send(1, Opcode.TEXT, "x")
        await host.finish()
        assert sink.named("closed") == [(1, None, 1006, "")]

    async def test_the_peers_own_code_wins_over_a_refused_send(self) -> None:
        engine, sink = started()
        host = await MemoryHost(engine).open()
        host.refuses = OSError("gone")
        engine.send(1, Opcode.TEXT, "x")
        await settle()
        host.disconnect(1001, reason="left")
        await host.finish()
        assert sink.named("closed") == [(1, 1001, 1001, "left")]

    async def test_a_thread_that_floods_a_blocked_loop_is_told(self) -> None:
        engine, _ = started(Limits(process_bytes_max=10_000))
        host = await MemoryHost(engine).open()
        outcome: list[object] = []

        def flood() -> None:
            try:
                for _ in range(100):
                    engine.publish("nobody", Opcode.TEXT, "x" * 1000)
            except LimitExceeded as error:
                outcome.append(error.limit)

        thread = threading.Thread(target=flood)
        thread.start()
        thread.join()  # blocks the loop on purpose
        assert outcome == ["process_bytes_max"]
        await settle()
        engine.publish("nobody", Opcode.TEXT, "x")
        host.disconnect()
        await host.finish()

    async def test_pings_are_the_hosts(self) -> None:
        engine, _ = started()
        assert engine.ping(1, b"x") is False

    async def test_broadcasts_reach_the_admitted_only(self) -> None:
        engine, _ = started()
        first, second = await MemoryHost(engine).open(), await MemoryHost(engine).open()
        engine.admit(2)
        engine.publish(None, Opcode.TEXT, "x")
        engine.admit(1)
        engine.publish(None, Opcode.TEXT, "y", exclude=2)
        await settle()
        assert (first.texts(), second.texts()) == (["y"], ["x"])
        for host in (first, second):
            host.disconnect()
            await host.finish()


class TestEnding:
    @pytest.mark.parametrize(
        ("event", "received", "reason"),
        [
            ({"code": 1000, "reason": "bye"}, 1000, "bye"),
            ({"code": 1005, "reason": ""}, 1005, ""),
            ({"code": 1005, "reason": None}, 1005, ""),
            ({"code": 1005}, 1006, ""),
            ({}, 1006, ""),
            ({"code": 1006}, 1006, ""),
            ({"code": 4001, "reason": None}, 4001, ""),
        ],
    )
    async def test_what_a_disconnect_means(
        self, event: dict[str, Any], received: int, reason: str
    ) -> None:
        engine, sink = started()
        host = await MemoryHost(engine).open()
        host.put({"type": "websocket.disconnect", **event})
        await host.finish()
        sent = None if received == 1006 else received
        assert sink.named("closed") == [(1, sent, received, reason)]

    async def test_abort_ends_at_once_and_once(self) -> None:
        engine, sink = started()
        host = await MemoryHost(engine).open()
        engine.abort(1)
        engine.abort(1)
        host.disconnect()
        await host.finish()
        engine.abort(1)
        assert sink.named("closed") == [(1, None, 1006, "")]

    async def test_a_cancelled_host_task_still_closes(self) -> None:
        engine, sink = started()
        host = await MemoryHost(engine).open()
        engine.send(1, Opcode.TEXT, "x")
        assert host.task is not None
        host.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await host.task
        await settle()
        assert sink.named("closed") == [(1, None, 1006, "")]

    async def test_stop_ends_everything_and_leaves_no_task(self) -> None:
        engine, sink = started()
        sink.answer = lambda request: None
        hosts = [await MemoryHost(engine).open() for _ in range(3)]
        waiting = MemoryHost(engine).start(asks=True)
        await until(lambda: sink.named("requested"))
        engine.send(1, Opcode.TEXT, "x")
        await engine.stop()
        for host in hosts:
            await host.finish()
        await waiting.finish()
        assert waiting.sent[0]["status"] == 503
        assert len(sink.named("closed")) == 3
        late = MemoryHost(engine).start()
        await late.finish()
        assert late.sent[0]["status"] == 503
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def test_nothing_is_left_of_a_closed_connection(self) -> None:
        engine, sink = started()
        for _ in range(20):
            host = await MemoryHost(engine).open()
            key = sink.named("opened")[-1][0]
            engine.join(key, "room")
            engine.admit(key)
            engine.send(key, Opcode.TEXT, "x")
            host.disconnect()
            await host.finish()
        counted = engine.statistics()
        assert (counted.connections_open, counted.rooms, counted.outbox_bytes) == (0, 0, 0)
        assert counted.connections_accepted == 20
        assert engine._peers == engine._admitted == {}
        assert asyncio.all_tasks() == {asyncio.current_task()}
