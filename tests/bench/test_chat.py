"""`python -m bench.chat` in its smallest form, its tables, and what its lines count."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest

from bench.chat.figures import CHAT, PAGE, PLOT, chat_pages_of, chat_tables
from bench.chat.lines import Line
from bench.chat.plot import chat_plot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.chat.lines import Frame, Script

ROOT = Path(__file__).parents[2]
MESSAGE = b'{"type":"message","text":"x"}'


@pytest.fixture
def pair() -> Iterator[tuple[Line, socket.socket]]:
    """Give an open line and the server's end of it."""
    ours, theirs = socket.socketpair()

    def script(hello: Frame) -> Script:
        reply = yield {"type": "name", "name": hello["server"]}
        yield {"type": "read", "seq": reply["seq"]}

    line = Line(ours, script)
    line.is_open = True
    yield line, theirs
    ours.close()
    theirs.close()


def test_a_script_is_given_the_hello_and_the_replies(pair: tuple[Line, socket.socket]) -> None:
    line, server = pair
    server.sendall(frame(b'{"type":"hello","server":"ours"}'))
    line.receive()
    assert received(server) == {"id": 1, "type": "name", "name": "ours"}
    server.sendall(frame(MESSAGE) + frame(b'{"re":1,"ok":true,"seq":7}'))
    line.receive()
    assert received(server) == {"id": 1, "type": "read", "seq": 7}
    assert line.counted == 1


def test_a_refusal_ends_the_measurement(pair: tuple[Line, socket.socket]) -> None:
    line, server = pair
    server.sendall(frame(b'{"type":"hello","server":"ours"}'))
    server.sendall(frame(b'{"re":1,"ok":false,"error":{"code":"rate_limited"}}'))
    with pytest.raises(OSError, match="rate_limited"):
        line.receive()


@pytest.mark.parametrize("cut", range(1, len(MESSAGE) + 2))
def test_a_listener_counts_each_message_once_however_it_is_cut(
    pair: tuple[Line, socket.socket], cut: int
) -> None:
    line, server = pair
    line.is_listening = True
    stream = frame(MESSAGE) * 2
    server.sendall(stream[:cut])
    line.receive()
    server.sendall(stream[cut:])
    line.receive()
    assert line.counted == 2


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_smallest_run_writes_its_figures(native_engine: None, tmp_path: Path) -> None:
    target = tmp_path / "chat.json"
    small = {"rounds": 1, "seconds": 0.5, "members": 20, "clients": 20, "idle": 20}
    arguments = [part for name, value in small.items() for part in (f"--{name}", str(value))]
    done = subprocess.run(
        [sys.executable, "-m", "bench.chat", *arguments, "--to", str(target)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(target.read_text())
    assert document["failures"] == []
    assert [one["senders"] for one in document["sending"]] == [1, 50, 500, 50]
    assert all(one["messages_per_s"] > 0 for one in document["sending"])
    assert all(one["deliveries_per_s"] > 0 for one in document["fanout"])
    assert [one["missed"] for one in document["storm"]] == [20]
    assert [one["users"] for one in document["memory"]] == [0, 20]
    assert all("|" in text for name, text in chat_tables(document).items() if "machine" not in name)
    ElementTree.fromstring(chat_plot(document))


def test_page_and_plot_show_the_committed_figures() -> None:
    wanted = chat_pages_of(json.loads(CHAT.read_text(encoding="utf-8")))
    assert set(wanted) == {PAGE, PLOT}
    for path, text in wanted.items():
        assert path.read_text(encoding="utf-8") == text, "run python -m bench.chat --pages-only"


def frame(payload: bytes) -> bytes:
    """Return a text frame of a server."""
    return bytes((0x81, len(payload))) + payload


def received(server: socket.socket) -> dict[str, Any]:
    """Return the next request, which is short and masked with zeros."""
    data = server.recv(4096)
    value: dict[str, Any] = json.loads(data[6:])
    return value
