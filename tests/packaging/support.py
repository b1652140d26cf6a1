"""What the packaging tests share: clean environments, and the tutorial's step 6 as a process."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from websockets.exceptions import ConnectionClosedOK
from websockets.sync.client import ClientConnection, connect

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
STEP_6 = ROOT / "examples" / "tutorial" / "step6_errors.py"
HAS_CARGO = shutil.which("cargo") is not None
RECEIVE_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Machine:
    """A machine as a user has it: a home of its own, and perhaps no Rust."""

    home: Path

    def environment(self, *, cargo: bool) -> dict[str, str]:
        """Return the environment of its processes.

        Without cargo PATH is an empty folder: Python needs nothing from it. The configuration of
        pip and the toolchain are those of the real user, who is the one that can reach an index.
        """
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
        kept.pop("PYTHONPATH", None)
        kept.pop("WYND_REQUIRE_NATIVE", None)
        real = Path.home()
        for config in (real / ".config" / "pip" / "pip.conf", real / ".pip" / "pip.conf"):
            if config.exists():
                kept.setdefault("PIP_CONFIG_FILE", str(config))
        kept.setdefault("CARGO_HOME", str(real / ".cargo"))
        kept.setdefault("RUSTUP_HOME", str(real / ".rustup"))
        kept.setdefault("CARGO_TARGET_DIR", str(ROOT / "target"))
        kept["HOME"] = str(self.home)
        if not cargo:
            empty = self.home / "empty"
            empty.mkdir(exist_ok=True)
            kept["PATH"] = str(empty)
            kept.pop("CARGO", None)
            kept.pop("RUSTC", None)
        return kept

    def make_venv(self) -> Path:
        """Make a clean virtual environment; return its Python."""
        venv = self.home / "venv"
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        return venv / "bin" / "python"


def install(python: Path, what: Path | str, environment: dict[str, str]) -> None:
    """Install one distribution and what it requires, as a user does."""
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", what]
    result = subprocess.run(
        [*map(str, command)], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def build(
    source: Path, target: Path, kind: str, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Build an sdist or a wheel of `source` into `target`, with the tools of this environment."""
    command = [sys.executable, "-m", "build", "--no-isolation", f"--{kind}"]
    return subprocess.run(
        [*command, "--outdir", str(target), str(source)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@dataclass(frozen=True)
class Chat:
    """Step 6, running: where it listens and what it writes."""

    url: str
    process: subprocess.Popen[str]
    log: Path


@dataclass(frozen=True)
class ChatServer:
    """`wynd-chat`, running."""

    port: int
    process: subprocess.Popen[str]


@contextlib.contextmanager
def running_server(python: Path, folder: Path, environment: dict[str, str]) -> Iterator[ChatServer]:
    """Run the installed `wynd-chat` on a free port; end it with SIGINT afterwards."""
    port, log = free_port(), folder / "chat-log"
    command = [python.parent / "wynd-chat", "--port", str(port), "--data", folder / "chat"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*map(str, command)], env=environment, stdout=output, stderr=output, text=True
        )
    try:
        wait_until_listening(port, process, log)
        yield ChatServer(port, process)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def running_chat(python: Path, folder: Path, environment: dict[str, str]) -> Iterator[Chat]:
    """Run a copy of step 6 on a free port until it listens; end it with SIGINT afterwards."""
    port = free_port()
    program = folder / "step6.py"
    program.write_text(STEP_6.read_text(encoding="utf-8").replace("8080", str(port)))
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [python, "-u", program],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=output,
            text=True,
        )
    try:
        wait_until_listening(port, process, log)
        yield Chat(f"ws://localhost:{port}", process, log)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
    finally:
        process.kill()
        process.wait()


def wait_until_listening(
    port: int, process: subprocess.Popen[str], log: Path, patience_s: float = 30.0
) -> None:
    """Wait until the program has said that it listens."""
    deadline = time.monotonic() + patience_s
    ends = f"ws://localhost:{port}", f"ws://localhost:{port}/ws"
    while not any(line.endswith(ends) for line in log.read_text().splitlines()):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


def hold_conversation(url: str) -> None:
    """Hold the tutorial's conversation with two clients."""
    with client(url) as alice, client(url) as bob:
        for peer in (alice, bob):
            assert receive(peer).startswith("\nWelcome to the chat! Available commands:\n")
        say(alice, "hello", "Please set your name first with: /name <your_name>")
        say(alice, "/name Alice", "You are now known as Alice")
        say(bob, "/name Bob", "You are now known as Bob")
        assert receive(alice) == "Bob joined the chat"
        alice.send("hi")
        assert receive(bob) == "Alice: hi"
        say(bob, "/users", "Online users: Alice, Bob")
        say(alice, "/quit", "Goodbye!")
        with contextlib.suppress(ConnectionClosedOK):
            receive(alice)
        assert alice.close_code == 1000
        assert receive(bob) == "Alice left the chat"


def client(url: str) -> ClientConnection:
    """Connect, past any proxy this machine is configured with."""
    return connect(url, proxy=None, open_timeout=RECEIVE_TIMEOUT_S)


def say(peer: ClientConnection, text: str, answer: str) -> None:
    """Send one text and check the answer to it."""
    peer.send(text)
    assert receive(peer) == answer


def receive(peer: ClientConnection) -> str:
    """Receive one text within the deadline."""
    return str(peer.recv(timeout=RECEIVE_TIMEOUT_S))


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def lasting_port() -> int:
    """Return a free port that the system gives to nobody meanwhile: below those it gives out."""
    for port in random.sample(range(20_000, 30_000), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("a hundred ports below 30,000 are taken")
