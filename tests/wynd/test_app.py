"""Registering, listening and stopping, through the public API and real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
from typing import Any

import pytest
import websockets

from tests.e2e.peers import RawPeer, port_of
from tests.waiting import PATIENCE_S, eventually
from wynd import EngineUnavailable, Policy, Request, Response, Wynd, WyndError


def address_of(app: Wynd) -> str:
    """Return where to connect."""
    return f"ws://127.0.0.1:{port_of(app)}"


@pytest.mark.parametrize(
    ("option", "error"),
    [
        ({"engine": "fast"}, ValueError),
        ({"on_handler_error": "ignore"}, ValueError),
        ({"concurrency": 0}, ValueError),
        ({"concurrency": True}, ValueError),
        ({"limits": {"message_bytes_max": 1}}, TypeError),
        ({"origins": "http//wrong"}, ValueError),
        ({"subprotocols": "chat"}, TypeError),
        ({"subprotocols": ["a b"]}, ValueError),
        ({"unknown": 1}, TypeError),
    ],
)
def test_wrong_options_are_refused(option: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        Wynd(**option)


def test_handlers_of_the_wrong_shape_are_refused_at_registration() -> None:
    app = Wynd()
    for register in (app.on_connection, app.on_open, app.on_request, app.on_error):
        with pytest.raises(TypeError, match="must take"):
            register(lambda: None)
    with pytest.raises(TypeError, match="must take"):
        app.on_shutdown(lambda x: None)
    with pytest.raises(TypeError, match=r"\(conn, handle, next\)"):
        app.use_middleware(lambda conn, handle: None)
    with pytest.raises(TypeError, match="Policy"):
        app.room_policy("x", "latest")  # type: ignore[arg-type]
    app.on_request(lambda request: None)
    with pytest.raises(ValueError, match="already"):
        app.on_request(lambda request: None)


def test_sending_before_listening_says_so() -> None:
    app = Wynd()
    assert app.clients() == []
    assert app.connection(1) is None
    assert app.engine is None
    assert app.statistics().connections_open == 0
    with pytest.raises(RuntimeError, match="not listening"):
        app.broadcast.text("x")
    with pytest.raises(RuntimeError, match="not listening"):
        app.to("room")


async def test_run_inside_a_loop_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match=r"await listen\("):
        Wynd().run(0)


async def test_port_in_use_is_an_os_error_and_leaves_nothing(engine: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        app = Wynd(engine=engine)
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(OSError, match=r"(?i)in use"):
            await app.listen(port)
        assert len(os.listdir("/proc/self/fd")) <= before
        assert app.addresses == ()
    async with app.serving(port):  # the same application may try again
        assert port_of(app) == port
        with pytest.raises(OSError, match=r"(?i)in use"):
            await app.listen(port)
        assert port_of(app) == port


async def test_on_listening_is_told_the_addresses(engine: Any) -> None:
    app = Wynd(engine=engine)
    told: list[Any] = []

    async def listening(addresses: Any) -> None:
        told.append(addresses)
        asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(app.stop()))

    await asyncio.wait_for(app.listen(0, listening), PATIENCE_S)
    assert told[0][0][0] == "127.0.0.1"
    assert told[0][0][1] > 0
    with pytest.raises(TypeError, match="on_listening"):
        await app.listen(0, lambda a, b: None)


async def test_several_listeners_share_rooms_and_ask_their_own_on_request(
    engine: Any, tmp_path: Any
) -> None:
    app = Wynd(engine=engine)
    app.on_open(lambda handle: handle.join("all"))
    path = str(tmp_path / "wynd.sock")
    ready = asyncio.Event()
    async with app.serving(0):
        port = port_of(app)
        guarded = asyncio.create_task(
            app.listen(uds=path, on_listening=ready.set, on_request=refuse_strangers)
        )
        await asyncio.wait_for(ready.wait(), PATIENCE_S)
        assert path in app.addresses
        with pytest.raises(websockets.InvalidStatus):
            await websockets.unix_connect(path, "ws://localhost/")
        async with (
            websockets.connect(f"ws://127.0.0.1:{port}") as first,
            websockets.unix_connect(path, "ws://localhost/friend") as second,
        ):
            await eventually(lambda: len(app.clients()) == 2)
            app.to("all").text("both")
            assert await asyncio.wait_for(first.recv(), PATIENCE_S) == "both"
            assert await asyncio.wait_for(second.recv(), PATIENCE_S) == "both"
        guarded.cancel()
        await asyncio.wait([guarded], timeout=PATIENCE_S)
        assert port_of(app) == port  # the other listener goes on
        assert path not in app.addresses


def refuse_strangers(request: Request) -> Response | None:
    """Let friends in."""
    return None if request.path == "/friend" else Response("no", 401)


async def test_cancelling_listen_stops_the_server(engine: Any) -> None:
    app = Wynd(engine=engine)
    listening = asyncio.Event()
    task = asyncio.create_task(app.listen(0, listening.set))
    await asyncio.wait_for(listening.wait(), PATIENCE_S)
    async with websockets.connect(f"ws://127.0.0.1:{port_of(app)}") as client:
        task.cancel()
        await asyncio.wait_for(client.wait_closed(), PATIENCE_S)
        assert client.close_code == 1001
    await asyncio.wait([task], timeout=PATIENCE_S)
    assert task.cancelled()
    assert app.addresses == ()


async def test_stop_waits_for_handlers_and_runs_on_shutdown_first(engine: Any) -> None:
    app = Wynd(engine=engine)
    seen: list[str] = []

    @app.on_shutdown
    async def stopping() -> None:
        seen.append("shutdown")

    @app.on_disconnect
    async def gone(event: Any) -> None:
        await asyncio.sleep(0)
        seen.append(f"gone {event.sent}")

    async with app.serving(0), websockets.connect(f"ws://127.0.0.1:{port_of(app)}") as client:
        await app.stop(1012, retry_after=3)
        assert client.close_code == 1012
        assert client.close_reason == "Server is restarting. retry_after=3"
    assert seen == ["shutdown", "gone 1012"]
    with pytest.raises(ValueError, match="1006"):
        await app.stop(1006)
    with pytest.raises(ValueError, match="spread"):
        await app.stop(spread=-1)


async def test_stop_aborts_what_the_drain_does_not_end(engine: Any) -> None:
    app = Wynd(engine=engine)
    codes: list[int] = []
    app.on_disconnect(lambda event: codes.append(event.code))
    async with app.serving(0):
        silent = await RawPeer.open(port_of(app))
        async with asyncio.timeout(PATIENCE_S):
            await app.stop(drain=0.05)
        silent.close()
    assert codes == [1006]


async def test_a_stopped_application_listens_again(engine: Any) -> None:
    app = Wynd(engine=engine)
    app.on_text(lambda message, handle: handle.send_text(message.data))
    for _ in range(2):
        async with app.serving(0), websockets.connect(address_of(app)) as client:
            await client.send("x")
            assert await client.recv() == "x"


PROGRAM = """
    import sys
    from wynd import Wynd

    app = Wynd(engine=sys.argv[1])
    app.room_policy("x", __import__("wynd").Policy.latest)

    @app.on_text
    def text(message, handle):
        if message.data == "block":
            while True:
                pass

    app.on_close(lambda: print("stopping", flush=True))
    app.run(0, lambda addresses: print(addresses[0][1], flush=True))
    print("done", flush=True)
"""


def start(engine: str) -> tuple[subprocess.Popen[str], int]:
    """Start the program; return it and its port."""
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), engine]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_drains_and_exits_with_0(engine: Any, number: int) -> None:
    process, port = start(engine)
    async with websockets.connect(f"ws://127.0.0.1:{port}") as client:
        process.send_signal(number)
        await asyncio.wait_for(client.wait_closed(), PATIENCE_S)
        assert (client.close_code, client.close_reason) == (1001, "Server is stopping.")
    output, errors = process.communicate(timeout=PATIENCE_S)
    assert output == "stopping\ndone\n"
    assert "Traceback" not in errors
    assert process.returncode == 0


async def test_a_second_signal_ends_silent_connections_at_once(engine: Any) -> None:
    process, port = start(engine)
    silent = await RawPeer.open(port)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == "stopping\n"
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=4)  # the close timeout alone would be 5 s
    silent.close()
    assert output == "done\n"
    assert process.returncode == 0


async def test_two_signals_at_once_print_no_traceback(engine: Any) -> None:
    process, _ = start(engine)
    process.send_signal(signal.SIGSTOP)  # so that both are there when it goes on
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    output, errors = process.communicate(timeout=PATIENCE_S)
    assert "Traceback" not in errors
    assert output.endswith("done\n")
    assert process.returncode == 0


async def test_a_third_ctrl_c_breaks_a_handler_that_blocks_the_loop(engine: Any) -> None:
    process, port = start(engine)
    async with websockets.connect(f"ws://127.0.0.1:{port}") as client:
        await client.send("block")
        await client.send("x")
        for _ in range(200):
            if process.poll() is not None:
                break
            process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.05)
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode != 0


def test_policies_may_be_set_before_and_after_listening() -> None:
    app = Wynd()
    app.room_policy("ticker.*", Policy.latest)


async def test_a_mounted_application_stops_with_its_host() -> None:
    app = Wynd(engine="portable")
    seen: list[str] = []
    app.on_shutdown(lambda: seen.append("shutdown"))
    events = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    answers: list[str] = []

    async def receive() -> Any:
        return events.pop(0)

    async def send(event: Any) -> None:
        answers.append(event["type"])

    await app.handler()({"type": "lifespan", "asgi": {}}, receive, send)
    assert answers == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert seen == ["shutdown"]
    assert app.engine is None


async def test_the_native_engine_cannot_be_had_under_another_server() -> None:
    scope = {"type": "websocket", "path": "/", "headers": []}
    with pytest.raises(EngineUnavailable, match='use engine="auto"'):
        await Wynd(engine="native").handler()(scope, None, None)


async def test_an_engine_that_is_lost_ends_listen_with_its_error(engine: Any) -> None:
    app = Wynd(engine=engine)
    listening = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        app.listen(0, lambda: listening.set_result(None), host="127.0.0.1")
    )
    await listening
    assert app._engine is not None
    assert app._engine.on_lost is not None
    app._engine.on_lost(WyndError("gone"))
    with pytest.raises(WyndError, match="gone"):
        await serving
    assert app.addresses == ()
