"""The start as its user sees it: first lines, signals, and what is refused."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wynd_chat.cli import serving
from wynd_chat.cli.serving import Started, start_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.wynd_chat.cli.conftest import Cli

DATA = Path("/srv/chat")


def test_the_first_lines_are_the_tutorials_then_ours() -> None:
    started = Started(
        addresses=[("127.0.0.1", 3000), ("::1", 3000)],
        claim_link="http://localhost:3000/claim/7Qm",
        data=Path.home() / ".local/share/wynd-chat",
    )
    assert start_lines(started) == [
        "Server running on http://localhost:3000",
        "WebSocket available at ws://localhost:3000/ws",
        "API status at http://localhost:3000/api/status",
        "API users at http://localhost:3000/api/users",
        "Admin claim link (works once, 24 h): http://localhost:3000/claim/7Qm",
        "Try it: npx wscat -c ws://localhost:3000/ws",
        "Data: ~/.local/share/wynd-chat",
    ]


def test_a_plain_port_has_the_tutorials_line() -> None:
    started = Started(
        addresses=[("127.0.0.1", 3000)],
        plain_addresses=[("127.0.0.1", 8080), ("::1", 8080)],
        data=DATA,
    )
    lines = start_lines(started)
    assert lines[4] == "Advanced chat server listening on ws://localhost:8080"
    assert lines[-1] == "Data: /srv/chat"


def test_a_chat_that_keeps_nothing_says_so() -> None:
    lines = start_lines(Started(addresses=[("0.0.0.0", 80)]))
    assert lines[0] == "Server running on http://localhost:80"
    assert lines[-1] == "Data: in memory only; nothing is kept when the server ends"


def test_people_nearby_get_a_link_and_a_qr_code() -> None:
    started = Started(
        addresses=[("127.0.0.1", 3000), ("::1", 3000), ("192.168.1.5", 3000)],
        data=DATA,
        is_lan=True,
    )
    lines = start_lines(started)
    assert "Also on http://192.168.1.5:3000" in lines
    at = lines.index("For people nearby: http://192.168.1.5:3000")
    assert len(lines) - at > 10
    alone = Started(addresses=[("127.0.0.1", 3000)], data=DATA, is_lan=True)
    assert len(start_lines(alone)) == 6


def test_an_ipv6_address_is_shown_in_brackets() -> None:
    lines = start_lines(Started(addresses=[("fd00::5", 3000)], data=DATA))
    assert lines[1] == "WebSocket available at ws://[fd00::5]:3000/ws"


def test_flags_that_contradict_each_other_are_refused(cli: Cli) -> None:
    result = cli("serve", "--lan", "--host", "127.0.0.1")
    assert (result.status, result.err) == (1, "wynd-chat: give --host or --lan, not both\n")


def test_lan_binds_loopback_and_what_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "lan_addresses", lambda: ["192.168.1.5"])
    assert serving._lan_hosts() == ("localhost", "192.168.1.5")


# The program itself


class Server:
    """`wynd-chat` in a process of its own."""

    def __init__(self, *arguments: str, environ: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "wynd_chat", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environ or {})},
        )

    def lines_until(self, prefix: str) -> list[str]:
        """Return what it prints, up to a line with this beginning."""
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line.rstrip("\n"))
            if line.startswith(prefix):
                return lines
        raise AssertionError(self.process.stderr.read() if self.process.stderr else lines)

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; return status and log."""
        self.process.send_signal(number)
        _, log = self.process.communicate(timeout=15)
        return self.process.returncode, log


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    """Servers that are ended whatever happens."""
    started: list[Server] = []
    yield started
    for server in started:
        server.process.kill()
        server.process.communicate()


def test_it_starts_answers_and_ends(tmp_path: Path, servers: list[Server]) -> None:
    data = tmp_path / "data"
    servers.append(Server("--port", "0", "--plain-port", "0", "--data", str(data)))
    lines = servers[0].lines_until("Data: ")
    found = re.fullmatch(r"Server running on (http://localhost:\d+)", lines[0])
    assert found is not None
    assert lines[1] == f"WebSocket available at {found[1].replace('http', 'ws', 1)}/ws"
    assert any(line.startswith("Advanced chat server listening on ws://") for line in lines)
    assert lines[-1] == f"Data: {data}"
    with urllib.request.urlopen(f"{found[1]}/api/status", timeout=10) as answer:
        assert json.load(answer)["status"] == "online"
    assert (data.stat().st_mode & 0o777) == 0o700
    status, log = servers[0].end()
    assert status == 0
    assert "Chat server shutting down" in log
    assert "Traceback" not in log


def test_a_second_server_on_the_same_data_is_refused(tmp_path: Path, servers: list[Server]) -> None:
    servers.append(Server("--port", "0", "--data", str(tmp_path)))
    servers[0].lines_until("Data: ")
    second = subprocess.run(
        [sys.executable, "-m", "wynd_chat", "--port", "0", "--data", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr == (
        f"wynd-chat: another wynd-chat uses {tmp_path}; stop it, or name another folder with "
        "--data\n"
    )
    assert servers[0].end(signal.SIGINT)[0] == 0


def test_unsafe_settings_warn_at_the_start(servers: list[Server]) -> None:
    servers.append(Server("--ephemeral", "--port", "0", "--origin", "*", "--log-format", "json"))
    lines = servers[0].lines_until("Data: ")
    assert lines[-1] == "Data: in memory only; nothing is kept when the server ends"
    status, log = servers[0].end()
    assert status == 0
    entries = [json.loads(line) for line in log.splitlines()]
    warnings = [entry["message"] for entry in entries if entry["level"] == "warning"]
    assert any(text.startswith('UNSAFE: server.origins is "*"') for text in warnings)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGHUP")
def test_sighup_reads_the_settings_again(tmp_path: Path, servers: list[Server]) -> None:
    config = tmp_path / "wynd-chat.toml"
    config.write_text("")
    servers.append(Server("--port", "0", "--data", str(tmp_path)))
    servers[0].lines_until("Data: ")
    config.write_text('[log]\nformat = "json"\n[backup]\nkeep = 3\n')
    servers[0].process.send_signal(signal.SIGHUP)
    errors = servers[0].process.stderr
    assert errors is not None
    said = []
    for line in errors:
        said.append(line)
        if "a restart is needed" in line:
            break
    entries = [json.loads(line) for line in said if line.startswith("{")]
    assert [entry["message"] for entry in entries] == [
        "settings: changed log.format",
        "settings: a restart is needed for backup.keep",
    ]
    assert servers[0].end()[0] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only systemd takes notices")
def test_the_service_manager_is_told_when_it_listens(tmp_path: Path, servers: list[Server]) -> None:
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(15)
        servers.append(
            Server(
                "--ephemeral",
                "--port",
                "0",
                environ={"NOTIFY_SOCKET": str(tmp_path / "notify")},
            )
        )
        assert manager.recv(100) == b"READY=1"
    assert servers[0].end()[0] == 0
