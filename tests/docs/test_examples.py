"""The examples of the reference and the how-to pages do what their pages say."""

from __future__ import annotations

import asyncio
import contextlib
import os
import runpy
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import connect

from tests.docs.pages import EXAMPLES, ROOT
from wynd import HandlerError, TextMessage
from wynd.testing import Refused, serve

if TYPE_CHECKING:
    from pathlib import Path

PROGRAMS = sorted(EXAMPLES.rglob("*.py"))


def load(name: str) -> dict[str, Any]:
    """Run an example without its last lines, which start it; return its names."""
    try:
        return runpy.run_path(str(EXAMPLES / name), run_name="example")
    except ModuleNotFoundError as missing:
        if missing.name != "fastapi":  # everything else is a dependency
            raise
        pytest.skip("fastapi is not installed")


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.relative_to(EXAMPLES).as_posix())
def test_every_example_can_be_loaded(path: Path) -> None:
    load(path.relative_to(EXAMPLES).as_posix())


async def test_step3_forgets_who_left() -> None:
    example = load("tutorial/step3_tracking.py")
    async with serve(example["wynd"]) as server:
        staying = await server.connect()
        assert await staying.receive_text() == "Welcome to the chat!"
        for ending in ("close", "abort"):
            leaver = await server.connect()
            assert (await staying.receive_text()).endswith(" joined the chat")
            assert len(example["clients"]) == 2
            await leaver.close() if ending == "close" else leaver.abort()
            await _until(lambda: len(example["clients"]) == 1)


async def test_step6_reports_everything_that_cannot_be_sent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    example = load("tutorial/step6_errors.py")
    async with serve(example["wynd"]) as server:
        leaver = await server.connect()
        await leaver.receive_text()
        gone = server.wynd.clients()[0]
        await leaver.close()
        await _until(lambda: server.wynd.clients() == [])
        capsys.readouterr()
        await example["connected"](gone)
        for text in ("hi", "/name ", "/name", "/users", "/help", "/quit", "/what", "/name Al"):
            await example["received"](TextMessage(text, gone), gone)
        staying = await server.connect()
        await staying.receive_text()
        await staying.send_text("/name Bo")  # Al, who has gone, is still among the users
        assert await staying.receive_text() == "You are now known as Bo"
        await example["failed"](HandlerError(ValueError("no")))
    reason = "connection is closed (sent 1000, received 1000)"
    what = "welcome message, name request, error message, usage message, user list, help, goodbye"
    sends = [*what.split(", "), "error message", "name confirmation"]
    assert capsys.readouterr().err.splitlines() == [
        *(f"Failed to send {one} to client 1: {reason}" for one in sends),
        f"Failed to broadcast message to client 1: {reason}",
        "Server error: ValueError: no",
        f"Failed to broadcast message to client 1: {reason}",  # Bo leaves at the end of the block
    ]


async def test_guarded_asks_before_the_upgrade_and_again_after_it() -> None:
    example = load("reference/guarded.py")
    async with serve(example["wynd"]) as server:
        for path, headers, status in (
            ("/health", {}, 200),
            ("/", {}, 401),
            ("/", {"Cookie": "token=guess"}, 401),
            ("/?name=Bob", {"Origin": "https://evil.example"}, 403),
        ):
            with pytest.raises(Refused) as refused:
                await server.connect(path, headers=headers)
            assert refused.value.status == status
        alice = await server.connect(headers={"Cookie": "token=secret-of-alice"})
        assert await alice.receive_text() == "Hello, Alice"
        bob = await server.connect("/?name=Bob", subprotocols=["chat.v2", "chat.v1"])
        assert await bob.receive_text() == "Hello, Bob"
        assert bob.subprotocol == "chat.v1"
        mallory = await server.connect("/?name=Mallory")
        assert await mallory.wait_closed() == (4003, "You are banned.")


async def test_rooms_reach_their_members() -> None:
    async with serve(load("reference/rooms.py")["wynd"]) as server:
        first = await server.connect()
        await first.send_text("watch iron")
        second = await server.connect()
        assert await first.receive_text() == "2 came in"
        await second.send_text("price iron 7")
        assert await first.receive_text() == "iron 7"
        await second.send_text("hello")
        assert await first.receive_text() == "2: hello"
        await first.send_text("close")
        for client in (first, second):
            assert await client.receive_text() == "The market is closed."


async def test_pull_style_handles_one_message_after_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with serve(load("reference/pull.py")["wynd"]) as server:
        client = await server.connect()
        for number in ("1", "2", "39"):
            await client.send_text(number)
        for total in (1, 3, 42):
            assert await client.receive_text() == f"So far: {total}"
        await client.close()
        await _until(lambda: server.wynd.statistics().connections_open == 0)
    assert capsys.readouterr().out == "The sum of connection 1 was 42\n"


async def test_errors_reach_on_error_and_close_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serve(load("reference/errors.py")["wynd"]) as server:
        client = await server.connect()
        await client.send_text("21")
        assert await client.receive_text() == "42"
        await client.send_text("many")
        assert await client.wait_closed() == (1011, "Internal error.")
        big = await server.connect()
        await big.send_text("1" * 1025)
        assert await big.wait_closed() == (1009, "Message too big.")
    messages = [record.getMessage() for record in caplog.records if record.name == "sums"]
    assert len(messages) == 1
    assert messages[0].startswith("connection 1 failed: ValueError: ")


async def test_stopping_tells_when_to_come_back() -> None:
    async with serve(load("reference/stopping.py")["wynd"]) as server:
        client = await server.connect()
        await client.send_text("restart")
        code, reason = await client.wait_closed()
    assert code == 1012
    assert reason.startswith("Server is restarting. retry_after=")
    assert 2 <= int(reason.partition("=")[2]) <= 8


@pytest.mark.parametrize(
    "test", ["test_adds_up_what_each_client_sends", "test_closes_on_what_is_no_number"]
)
def test_the_tests_of_sums_pass(test: str) -> None:
    load("howto/test_sums.py")[test]()


async def test_behind_nginx_the_header_tells_the_address() -> None:
    wynd = load("howto/behind_nginx.py")["wynd"]
    async with serve(wynd) as server:
        headers = {"X-Real-IP": "192.0.2.7", "Origin": "https://example.org"}
        await server.connect(headers=headers)
        await _until(lambda: [c.data for c in wynd.clients()] == [{"address": "192.0.2.7"}])


async def test_slow_readers_get_what_their_room_allows() -> None:
    example = load("howto/slow_readers.py")
    wynd = example["wynd"]
    async with serve(wynd) as server:
        first, second = await server.connect(), await server.connect()
        await first.send_text("hello")
        assert await second.receive_text() == "hello"
        assert await second.receive_text() == "1 is typing"
        await example["send_file"](wynd.connection(2), [b"ab", b"", b"c"])
        assert [await second.receive() for _ in range(3)] == [b"ab", b"", b"c"]
        second.pause_reading()
        line = "x" * 60_000
        for _ in range(100):
            await first.send_text(line)
        await _until(lambda: wynd.connection(2) is None or not wynd.connection(2).joined_rooms)
        second.resume_reading()
        code, _ = await second.wait_closed()
        assert code in (4008, 1006)  # the frame is lost if the socket took nothing more


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="SO_REUSEPORT spreads on Linux")
@pytest.mark.timeout(60)
async def test_many_processes_share_the_port() -> None:
    for host in ("127.0.0.1", "::1"):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            socket.create_server((host, 8080), family=family).close()
        except OSError:
            pytest.skip(f"port 8080 of {host} cannot be used on this machine")
    program = EXAMPLES / "howto" / "many_processes.py"
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(program), cwd=ROOT, start_new_session=True
    )
    try:
        answers: set[int] = set()
        async with asyncio.timeout(30):
            while len(answers) < 4:  # all: one that still starts may ignore SIGINT
                answers.add(await _pid_that_answers())
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does: the program and its workers
        async with asyncio.timeout(15):
            assert await process.wait() == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


async def _pid_that_answers() -> int:
    try:
        async with connect("ws://127.0.0.1:8080", proxy=None) as client:
            await client.send("hello")
            pid, _, text = str(await client.recv()).partition(": ")
    except OSError:  # the first processes are still starting
        await asyncio.sleep(0.05)
        return await _pid_that_answers()
    assert text == "hello"
    return int(pid)


async def _until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # state of an example, which tells nobody
            await asyncio.sleep(0.005)


def test_the_tls_server_says_in_one_sentence_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        load("howto/tls.py")["main"](tmp_path, 0)
    missing = tmp_path / "fullchain.pem"
    reason = "cannot be read: No such file or directory"
    assert caught.value.code == f"cannot start: certificate file {missing} {reason}"
