"""Sockets from a service manager: which are taken, which are refused, and served for real."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from websockets.sync.client import connect

from wynd_chat.cli.activation import inherited_sockets
from wynd_chat.cli.output import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no systemd")

PID = 4711
# Does what systemd does between fork and exec: the sockets become 3, 4 ..., for this process.
HAND_OVER = """
import os, sys
given = [int(one) for one in sys.argv[1].split(",")]
safe = [os.dup2(one, 100 + at, inheritable=False) for at, one in enumerate(given)]
for at, one in enumerate(safe):
    os.dup2(one, 3 + at)
os.closerange(3 + len(given), 100)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = str(len(given))
os.execv(sys.executable, [sys.executable, "-u", "-m", "wynd_chat", *sys.argv[2:]])
"""


def named(count: int | str, pid: int = PID) -> dict[str, str]:
    """Return an environment in which sockets are named."""
    return {"LISTEN_PID": str(pid), "LISTEN_FDS": str(count), "LISTEN_FDNAMES": "a:b", "HOME": "/"}


@contextmanager
def consecutive(*sockets: socket.socket) -> Iterator[int]:
    """Give sockets descriptors that follow each other, the first of which is returned."""
    base = 200
    for at, one in enumerate(sockets):
        os.dup2(one.fileno(), base + at)
    try:
        yield base
    finally:
        for at in range(len(sockets)):
            try:
                os.close(base + at)
            except OSError:
                continue  # who took it closed it


def test_without_a_manager_there_are_none() -> None:
    assert inherited_sockets({}, PID) == ()


def test_sockets_for_another_process_are_left_alone() -> None:
    environ = named(1, pid=PID + 1)
    assert inherited_sockets(environ, PID) == ()
    assert environ == named(1, pid=PID + 1)


def test_sockets_are_taken_in_their_order_and_not_handed_on() -> None:
    environ = named(2)
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
        consecutive(one, two) as first,
    ):
        taken = inherited_sockets(environ, PID, first)
        assert [sock.getsockname() for sock in taken] == [one.getsockname(), two.getsockname()]
        assert not any(os.get_inheritable(sock.fileno()) for sock in taken)
        assert environ == {"HOME": "/"}
        for sock in taken:
            sock.close()


@pytest.mark.parametrize("count", [3, "-1", "two", ""])
def test_a_count_that_cannot_be_served_is_refused(count: int | str) -> None:
    with pytest.raises(Failure, match="a second one for plain text"):
        inherited_sockets(named(count), PID)


def test_what_is_no_socket_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file, pytest.raises(Failure, match="is no socket"):
        inherited_sockets(named(1), PID, file.fileno())


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        (socket.AF_INET, socket.SOCK_DGRAM),
        (socket.AF_UNIX, socket.SOCK_STREAM),
        (socket.AF_INET, socket.SOCK_STREAM),  # does not listen
    ],
)
def test_other_sockets_are_refused_and_stay_open(
    family: socket.AddressFamily, kind: socket.SocketKind
) -> None:
    with socket.socket(family, kind) as other:
        with pytest.raises(Failure, match="no TCP socket that listens"):
            inherited_sockets(named(1), PID, other.fileno())
        other.getsockname()


# The program itself


@contextmanager
def served(data: Path, *sockets: socket.socket) -> Iterator[list[str]]:
    """Run the chat on sockets; give the lines that it prints, and see that it ends well."""
    given = [one.fileno() for one in sockets]
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", HAND_OVER, ",".join(map(str, given))),
            *("--port", "1", "--data", str(data)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=given,
    )
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if line.startswith("Data: "):
                break
        yield lines
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=20)
        assert (process.returncode, "Traceback" in log) == (0, False), log
    finally:
        process.kill()
        process.communicate()


@pytest.mark.timeout(90)
def test_the_server_listens_on_what_it_inherits_and_leaves_it_open(tmp_path: Path) -> None:
    with ExitStack() as held:
        main, plain = (
            held.enter_context(closing(socket.create_server(("127.0.0.1", 0)))) for _ in range(2)
        )
        port, plain_port = main.getsockname()[1], plain.getsockname()[1]
        with served(tmp_path, main, plain) as lines:
            assert lines[0] == f"Server running on http://localhost:{port}"
            assert f"Advanced chat server listening on ws://localhost:{plain_port}" in lines
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status", timeout=10) as got:
                assert json.load(got)["status"] == "online"
            for address in (f"ws://127.0.0.1:{port}/ws", f"ws://127.0.0.1:{plain_port}/any"):
                with connect(address, proxy=None) as client:
                    assert "Welcome to the chat!" in str(client.recv(timeout=10))
        # Between two servers nobody is refused: the next one answers.
        with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as early:
            early.sendall(b"GET /api/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with served(tmp_path, main) as lines:
                assert not any(line.startswith("Advanced chat server") for line in lines)
                assert early.recv(100).startswith(b"HTTP/1.1 200")
