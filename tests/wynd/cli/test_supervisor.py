"""Workers that share a port: spread, restart, reload, and their common end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tests.certificates import Authority
from tests.waiting import eventually
from tests.wynd.cli.programs import APPLICATION, WAIT_S, wynd_command

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="workers need a POSIX system"),
    pytest.mark.timeout(60),
]


async def ask(port: int, text: str = "who") -> str | None:
    """Connect, say `text`; return the answer, None if there is none (yet)."""
    try:
        async with connect(f"ws://127.0.0.1:{port}", proxy=None, open_timeout=2) as socket:
            await socket.send(text)
            return str(await socket.recv())
    except (OSError, TimeoutError, WebSocketException):
        return None


async def workers_of(port: int, count: int) -> set[str]:
    """Ask until `count` different workers have answered."""
    seen: set[str] = set()
    async with asyncio.timeout(WAIT_S):
        while len(seen) < count:
            answer = await ask(port)
            if answer is None:
                await asyncio.sleep(0.05)  # they are still starting
            else:
                seen.add(answer)
    return seen


def is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    return True


def children_of(pid: int) -> list[str]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    if not children.exists():
        pytest.skip("this system does not tell a process's children")
    return children.read_text().split()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="SO_REUSEPORT spreads on Linux")
async def test_workers_share_the_port_and_a_dead_one_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "site_app.py").write_text(APPLICATION)
    async with wynd_command(
        tmp_path, "serve", "site_app:app", "--port", "0", "--workers", "2", "--log-level", "error"
    ) as program:
        warning = "warning: without a broker, rooms and broadcasts stay within a worker"
        assert await program.line() == warning
        port = await program.port()
        first = await workers_of(port, 2)
        assert await ask(port, "die") is None
        while not (line := await program.line()).startswith("worker "):
            pass
        assert line.endswith(" ended with 7: starting another")
        second = await workers_of(port, 2)
        assert len(first & second) == 1
        assert (await program.ends(signal.SIGINT))[0] == 0
    for pid in first | second:
        assert not is_alive(pid)


async def test_sighup_renews_the_certificates_of_all_workers(tmp_path: Path) -> None:
    (tmp_path / "site_app.py").write_text(APPLICATION)
    authority = Authority(tmp_path)
    authority.issue()

    async def shown(port: int) -> bytes:
        context = authority.client()
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        assert isinstance(certificate, bytes)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b"200 OK" in await reader.read()
        writer.close()
        return certificate

    arguments = ("serve", "site_app:app", "--port", "0", "--workers", "2")
    files = ("--tls-cert", "server.pem", "--tls-key", "server.key")
    async with wynd_command(tmp_path, *arguments, *files) as program:
        port = await program.port()
        async with asyncio.timeout(WAIT_S):
            before = await shown(port)  # at once: "Serving on" is said when one listens
        authority.issue()
        pids = children_of(program.process.pid)
        program.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(WAIT_S):
            told = [await program.error_line("SIGHUP") for _ in pids]
        assert all("the certificate files were read again" in line for line in told)
        for _ in range(10):  # whichever worker answers
            assert await shown(port) != before
        assert children_of(program.process.pid) == pids
        assert (await program.ends())[0] == 0


async def test_workers_end_with_their_supervisor(tmp_path: Path) -> None:
    (tmp_path / "site_app.py").write_text(APPLICATION)
    arguments = ("serve", "site_app:app", "--uds", str(tmp_path / "s"), "--workers", "2")
    async with wynd_command(tmp_path, *arguments) as program:
        await program.line()
        assert (await program.line()).startswith("Serving on unix:")
        async with asyncio.timeout(WAIT_S):
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert b"200 OK" in await reader.read()
            writer.close()
        pids = children_of(program.process.pid)
        assert len(pids) == 2
        program.process.kill()
        await eventually(lambda: not any(map(is_alive, pids)), 20.0)


async def test_workers_whose_start_fails_late_are_given_up(tmp_path: Path) -> None:
    (tmp_path / "site_app.py").write_text(
        "import asyncio\n"
        "async def app(scope, receive, send):\n"
        "    await receive()\n"
        "    await asyncio.sleep(1.2)  # longer than a healthy worker has to live\n"
        "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})\n"
    )
    async with wynd_command(
        tmp_path, "serve", "site_app:app", "--port", "0", "--workers", "2"
    ) as program:
        code, output, errors = await program.ends(None)
    assert code == 1
    assert "Serving on" not in output
    assert "ended with 1: starting another" in output
    assert "no database" in errors
    assert "Fatal Python error" not in errors
    assert errors.endswith("wynd: workers end as soon as they start; the log above says why\n")


async def test_workers_that_cannot_start_are_given_up(tmp_path: Path) -> None:
    (tmp_path / "site_app.py").write_text(
        "async def app(scope, receive, send):\n    ...\nimport os, sys\n"
        "if '--worker' in sys.argv:\n    os._exit(9)\n"
    )
    async with wynd_command(
        tmp_path, "serve", "site_app:app", "--port", "0", "--workers", "2"
    ) as program:
        code, _, errors = await program.ends(None)
    assert code == 1
    assert errors == "wynd: workers end as soon as they start; the log above says why\n"


async def test_a_changed_file_restarts_the_application(tmp_path: Path) -> None:
    source = tmp_path / "site_app.py"
    source.write_text(APPLICATION)
    async with wynd_command(
        tmp_path, "serve", "site_app:app", "--port", "0", "--reload", "--log-level", "error"
    ) as program:
        port = await program.port()
        first = await workers_of(port, 1)
        source.write_text(APPLICATION.replace("VERSION", "SECOND"))
        while (line := await program.line()).startswith("Serving on "):
            pass
        assert line == "a file changed: restarting"
        await eventually(lambda: not any(map(is_alive, first)))
        assert await workers_of(port, 1) != first
        assert (await program.ends())[0] == 0


async def test_a_broken_file_is_told_once_and_its_repair_serves(tmp_path: Path) -> None:
    source = tmp_path / "site_app.py"
    source.write_text("def app(:\n")
    async with wynd_command(
        tmp_path, "serve", "site_app:app", "--port", "0", "--reload", "--log-level", "error"
    ) as program:
        assert (await program.line()).endswith(" ended with 1: waiting for a file to change")
        source.write_text(APPLICATION)
        assert await program.line() == "a file changed: restarting"
        assert len(await workers_of(await program.port(), 1)) == 1
        code, _, errors = await program.ends()
    assert code == 0
    assert errors.count("SyntaxError") == 1
