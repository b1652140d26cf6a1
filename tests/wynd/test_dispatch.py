"""Order, bounds and ending of one connection's handlers, over an engine that only records."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from tests.wynd.recording import RecordingEngine, request
from wynd.connection import check_handler
from wynd.dispatch import Dispatcher, Registrations
from wynd.errors import HandlerError, Reject
from wynd.events import ConnState
from wynd.limits import Limits
from wynd.registry import Registry
from wynd.request import Accept, Response
from wynd.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable


class App:
    """A dispatcher over a recording engine, and a way to run what the loop was asked to."""

    def __init__(self, *, concurrency: int = 1, on_handler_error: Any = "keep") -> None:
        self.engine = RecordingEngine()
        self.clock = FakeClock()
        self.registry = Registry(self.engine, Limits(), asyncio.get_running_loop(), self.clock)
        self.registrations = Registrations()
        self.errors: list[HandlerError] = []
        self.registrations.error = (check_handler("on_error", self.errors.append, ("error",)),)
        self.dispatcher = Dispatcher(
            self.registrations,
            self.registry,
            concurrency=concurrency,
            on_handler_error=on_handler_error,
        )

    def on_connection(self, function: Callable[..., Any]) -> None:
        """Register it."""
        self.registrations.connection += (check_handler("c", function, ("conn",)),)

    def on_text(self, function: Callable[..., Any]) -> None:
        """Register it for all connections."""
        shapes = ("message", "handle"), ("message",)
        self.registrations.handlers.text += (check_handler("t", function, *shapes),)

    def on_disconnect(self, function: Callable[..., Any]) -> None:
        """Register it for all connections."""
        shapes = ("event", "handle"), ("event",)
        self.registrations.handlers.close += (check_handler("d", function, *shapes),)

    async def open(self, key: int = 1) -> None:
        """Open a connection from a callback, as a turn does."""
        await self.call(self.dispatcher.opened, key, request(), None)

    async def call(self, function: Callable[..., Any], *args: Any) -> None:
        """Call from a callback and let everything run that is ready."""
        asyncio.get_running_loop().call_soon(function, *args)
        await settle()


async def settle() -> None:
    """Let every ready callback run, and what they make ready."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_messages_are_handled_one_after_another_in_order() -> None:
    app = App()
    gates = [asyncio.Event() for _ in range(3)]
    seen: list[str] = []

    async def text(message: Any) -> None:
        seen.append(f"start {message.data}")
        await gates[int(message.data)].wait()
        seen.append(f"end {message.data}")

    app.on_text(text)
    await app.open()
    for number in range(3):
        await app.call(app.dispatcher.received, 1, str(number))
    assert seen == ["start 0"]
    gates[2].set()
    gates[1].set()
    await settle()
    assert seen == ["start 0"]
    gates[0].set()
    await settle()
    assert seen == ["start 0", "end 0", "start 1", "end 1", "start 2", "end 2"]


async def test_a_busy_connection_is_paused_and_resumed_when_nothing_waits() -> None:
    app = App()
    gate = asyncio.Event()

    async def text(message: Any) -> None:
        await gate.wait()

    app.on_text(text)
    await app.open()
    await app.call(app.dispatcher.received, 1, "a")
    assert app.engine.named("pause_reading") == []
    await app.call(app.dispatcher.received, 1, "b")
    await app.call(app.dispatcher.received, 1, "c")
    assert app.engine.named("pause_reading") == [(1,)]
    assert app.engine.named("resume_reading") == []
    gate.set()
    await settle()
    assert app.engine.named("resume_reading") == [(1,)]


async def test_a_broken_rule_waits_for_the_handler_that_runs() -> None:
    app = App()
    gate = asyncio.Event()

    async def text(message: Any, handle: Any) -> None:
        await gate.wait()
        handle.send_text("answer")

    app.on_text(text)
    await app.open()
    await app.call(app.dispatcher.received, 1, "good")
    await app.call(app.dispatcher.closing, 1, None, None)
    assert app.engine.named("pause_reading") == [(1,)]
    gate.set()
    await settle()
    calls = [call[0] for call in app.engine.calls]
    assert calls[-2:] == ["send", "resume_reading"]


async def test_connections_do_not_wait_for_each_other() -> None:
    app = App()
    gate = asyncio.Event()
    seen: list[Any] = []

    async def text(message: Any, handle: Any) -> None:
        if handle.id == 1:
            await gate.wait()
        seen.append((handle.id, message.data))

    app.on_text(text)
    await app.open(1)
    await app.open(2)
    await app.call(app.dispatcher.received, 1, "slow")
    await app.call(app.dispatcher.received, 2, "quick")
    assert seen == [(2, "quick")]
    gate.set()
    await settle()
    assert seen == [(2, "quick"), (1, "slow")]


async def test_concurrency_lets_that_many_run_at_a_time() -> None:
    app = App(concurrency=2)
    gates = [asyncio.Event() for _ in range(3)]
    seen: list[str] = []

    async def text(message: Any) -> None:
        seen.append(f"start {message.data}")
        await gates[int(message.data)].wait()
        seen.append(f"end {message.data}")

    app.on_text(text)
    await app.open()
    for number in range(3):
        await app.call(app.dispatcher.received, 1, str(number))
    assert seen == ["start 0", "start 1"]
    gates[1].set()
    await settle()
    assert seen == ["start 0", "start 1", "end 1", "start 2"]
    for gate in gates:
        gate.set()
    await settle()
    assert sorted(seen[4:]) == ["end 0", "end 2"]


async def test_empty_messages_are_messages() -> None:
    app = App()
    seen: list[Any] = []
    app.on_text(lambda message: seen.append(message.data))
    app.registrations.handlers.binary = app.registrations.handlers.text
    await app.open()
    await app.call(app.dispatcher.received, 1, "")
    await app.call(app.dispatcher.received, 1, b"")
    assert seen == ["", b""]


async def test_messages_wait_for_on_connection_and_on_open() -> None:
    app = App()
    gate = asyncio.Event()
    seen: list[str] = []

    async def connected(conn: Any) -> None:
        conn.on_open(opened)
        conn.on_text(lambda message: seen.append(message.data))
        await gate.wait()
        assert conn.state is ConnState.CONNECTING

    async def opened(handle: Any) -> None:
        await asyncio.sleep(0)
        seen.append(f"open {handle.state.value}")

    app.on_connection(connected)
    await app.open()
    await app.call(app.dispatcher.received, 1, "first")
    assert seen == []
    gate.set()
    await settle()
    assert seen == ["open open", "first"]
    assert app.engine.named("admit") == [(1,)]


async def test_several_handlers_of_one_kind_run_in_order_and_fail_alone() -> None:
    app = App()
    seen: list[str] = []

    async def first(message: Any) -> None:
        await asyncio.sleep(0)
        seen.append("first")
        raise ValueError("first fails")

    app.on_text(first)
    app.on_text(lambda message, handle: seen.append("second"))
    await app.open()
    await app.call(app.dispatcher.received, 1, "x")
    assert seen == ["first", "second"]
    assert [type(error.exception) for error in app.errors] == [ValueError]
    assert app.errors[0].handle.id == 1
    assert app.errors[0].event.data == "x"


@pytest.mark.parametrize("suspends", [False, True])
async def test_a_raising_handler_keeps_or_closes_its_connection(suspends: bool) -> None:
    for policy, closes in (("keep", []), ("close", [(1, 1011, "Internal error.")])):
        app = App(on_handler_error=policy)

        async def text(message: Any) -> None:
            if suspends:
                await asyncio.sleep(0)
            raise ValueError("private detail")

        app.on_text(text)
        await app.open()
        await app.call(app.dispatcher.received, 1, "x")
        assert len(app.errors) == 1
        assert app.engine.named("close") == closes


async def test_a_failing_on_connection_never_lets_the_connection_in() -> None:
    app = App()

    def connected(conn: Any) -> None:
        raise KeyError("database")

    app.on_connection(connected)
    await app.open()
    assert app.engine.named("close") == [(1, 1011, "Internal error.")]
    assert app.engine.named("admit") == []
    assert len(app.errors) == 1


async def test_reject_closes_with_its_code_and_runs_no_handler() -> None:
    app = App()
    seen: list[str] = []

    async def refuse(conn: Any, handle: Any, next: Any) -> None:
        raise Reject(4001, "not you")

    app.registrations.middleware = (refuse,)
    app.on_connection(lambda conn: seen.append("connection"))
    app.on_text(lambda message: seen.append("text"))
    app.on_disconnect(lambda event: seen.append("disconnect"))
    await app.open()
    await app.call(app.dispatcher.received, 1, "early")
    await app.call(app.dispatcher.closed, 1, 4001, 4001, "")
    assert app.engine.named("close") == [(1, 4001, "not you")]
    assert seen == []
    assert app.errors == []
    assert app.dispatcher.quiet()


async def test_what_came_before_the_close_is_handled_then_on_close_once() -> None:
    app = App()
    gate = asyncio.Event()
    seen: list[str] = []

    async def text(message: Any, handle: Any) -> None:
        await gate.wait()
        seen.append(message.data)

    app.on_text(text)
    app.on_disconnect(lambda event: seen.append(f"close {event.code} {event.reason}"))
    await app.open()
    await app.call(app.dispatcher.received, 1, "a")
    await app.call(app.dispatcher.received, 1, "b")
    await app.call(app.dispatcher.closed, 1, None, 1000, "bye")
    assert seen == []
    assert not app.dispatcher.quiet()
    gate.set()
    await settle()
    assert seen == ["a", "b", "close 1000 bye"]
    assert app.dispatcher.quiet()
    await app.call(app.dispatcher.closed, 1, None, 1000, "again")
    assert len(seen) == 3


async def test_a_handler_that_outlives_the_close_is_cancelled_at_the_deadline() -> None:
    app = App()
    seen: list[str] = []

    async def text(message: Any) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    app.on_text(text)
    app.on_disconnect(lambda event: seen.append("close"))
    await app.open()
    await app.call(app.dispatcher.received, 1, "a")
    await app.call(app.dispatcher.closed, 1, None, None, "")
    app.clock.advance(Limits().close_timeout_s - 0.1)
    await settle()
    assert seen == []
    app.clock.advance(0.2)
    await settle()
    assert seen == ["cancelled", "close"]
    assert app.errors == []


async def test_a_handler_that_ignores_its_cancellation_does_not_hold_up_on_close() -> None:
    app = App()
    gate = asyncio.Event()
    seen: list[str] = []

    async def text(message: Any) -> None:
        while not gate.is_set():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                seen.append("ignored")

    app.on_text(text)
    app.on_disconnect(lambda event: seen.append("close"))
    await app.open()
    await app.call(app.dispatcher.received, 1, "a")
    await app.call(app.dispatcher.closed, 1, None, None, "")
    app.clock.advance(Limits().close_timeout_s)
    await settle()
    app.clock.advance(Limits().close_timeout_s)
    await settle()
    assert seen == ["ignored", "close"]
    gate.set()
    await settle()
    assert app.dispatcher.quiet()


async def test_async_for_takes_messages_and_ends_with_the_connection() -> None:
    app = App()
    seen: list[Any] = []

    async def connected(conn: Any) -> None:
        async for message in conn:
            await asyncio.sleep(0)
            seen.append(message.data)
        seen.append("end")

    app.on_connection(connected)
    app.on_disconnect(lambda event: seen.append("close"))
    await app.open()
    assert app.engine.named("admit") == [(1,)]
    await app.call(app.dispatcher.received, 1, "a")
    await app.call(app.dispatcher.received, 1, b"b")
    await app.call(app.dispatcher.closed, 1, 1000, 1000, "")
    assert seen == ["a", b"b", "end", "close"]


async def test_iterating_outside_on_connection_says_what_to_do() -> None:
    app = App()
    kept: list[Any] = []
    app.on_connection(kept.append)
    await app.open()
    with pytest.raises(RuntimeError, match="inside its on_connection"):
        await anext(kept[0])


async def test_late_on_open_runs_at_once() -> None:
    app = App()
    kept: list[Any] = []
    seen: list[int] = []
    app.on_connection(kept.append)
    await app.open()
    kept[0].on_open(lambda handle: seen.append(handle.id))
    await settle()
    assert seen == [1]


async def test_on_request_answers_and_failures() -> None:
    app = App()
    answers: list[Any] = [None, Accept(subprotocol="chat"), Response("no", status=401), "wrong"]

    async def decide(request: Any) -> Any:
        await asyncio.sleep(0)
        return answers.pop(0)

    app.registrations.request[1] = check_handler("r", decide, ("request",))
    for key in range(1, 5):
        asked = request(**{"Sec-WebSocket-Protocol": "chat, other"})
        await app.call(app.dispatcher.requested, key, 1, asked)
    assert [key for key, _ in app.engine.named("accept")] == [1, 2]
    responses = {key: response.status for key, response in app.engine.named("respond")}
    assert responses == {3: 401, 4: 500}
    assert isinstance(app.errors[0].exception, TypeError)


async def test_context_variables_do_not_leak_from_a_plain_handler() -> None:
    from contextvars import ContextVar

    user: ContextVar[str] = ContextVar("user", default="nobody")
    app = App()
    seen: list[tuple[int, str]] = []

    def text(message: Any, handle: Any) -> None:
        seen.append((handle.id, user.get()))
        user.set(message.data)

    app.on_text(text)
    await app.open(1)
    await app.open(2)
    await app.call(app.dispatcher.received, 1, "alice")
    await app.call(app.dispatcher.received, 2, "bob")
    await app.call(app.dispatcher.received, 1, "again")
    assert seen == [(1, "nobody"), (2, "nobody"), (1, "alice")]


async def test_the_resident_task_is_given_back_at_a_pong_and_the_closed_lane_is_freed() -> None:
    app = App()
    tasks: list[asyncio.Task[Any] | None] = []

    async def text(message: Any) -> None:
        tasks.append(asyncio.current_task())

    app.on_text(text)
    await app.open()
    await app.call(app.dispatcher.received, 1, "a")
    await app.call(app.dispatcher.received, 1, "b")
    assert tasks[0] is tasks[1]
    await app.call(app.dispatcher.ponged, 1, b"")
    assert tasks[0] is not None
    assert tasks[0].done()
    await app.call(app.dispatcher.received, 1, "c")
    assert tasks[2] is not tasks[0]
    await app.call(app.dispatcher.closed, 1, 1000, 1000, "")
    assert tasks[2] is not None
    assert tasks[2].done()


async def test_nothing_of_a_closed_connection_waits_for_the_collector() -> None:
    app = App()
    handles: list[weakref.ref[Any]] = []

    def connected(conn: Any) -> None:
        handles.append(weakref.ref(conn.handle))
        conn.on_text(lambda message, handle: conn.handle.send_text(message.data))

    app.on_connection(connected)
    gc.disable()
    try:
        await app.open()
        await app.call(app.dispatcher.received, 1, "a")
        await app.call(app.dispatcher.closed, 1, 1000, 1000, "")
        assert handles[0]() is None
    finally:
        gc.enable()
