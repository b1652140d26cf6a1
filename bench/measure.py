"""One measurement: a server on one core, the load generator on the other, its figures read back.

Cores are given by `os.sched_setaffinity` before the program starts, so that it never runs anywhere
else and programs that size themselves by their cores see one.
"""

from __future__ import annotations

import os
import random
import re
import resource
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bench.figures import Sample
from bench.servers import LOAD, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    *(
        "HANDSHAKE",
        "Failed",
        "Workload",
        "cores",
        "cpu_seconds",
        "cpu_with_children",
        "measure",
        "pinned",
    ),
    *("raise_descriptor_limit", "resident_bytes", "run_load", "serving"),
]

READY_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 3.0
PROBE_CLOSE_S = 0.2  # the floor and others do not answer a close frame
LOAD_SPARE_S = 6.0  # beyond the load's own time
OPEN_CPU_S = 0.002  # per connection, for opening them: thrice what the slowest server takes
LOG_LINES = 6
_ALLOWED = sorted(os.sched_getaffinity(0))  # read before anything here is pinned
FIGURES = re.compile(
    r"rate (?P<rate>[\d.]+)/s +p50 (?P<p50>[\d.]+)us p99 (?P<p99>[\d.]+)us +"
    r"cpu (?P<cpu>[\d.]+)us/unit +serverload (?P<load>[\d.]+) +rss/conn (?P<rss>-?\d+)"
)
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
CLOSE = b"\x88\x82\0\0\0\0\x03\xe8"  # masked, 1000


class Failed(Exception):
    """A server did not start, or did not answer the load; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What the load generator does; `kind` is one of its modes."""

    key: str
    kind: str
    connections: int
    size: int = 64
    depth: int = 1

    @property
    def server_mode(self) -> str:
        """What the server has to do."""
        return "fanout" if self.kind == "fanout" else "echo"


def measure(server: Server, workload: Workload, seconds: float) -> Sample:
    """Start `server`, put `workload` on it, stop it.

    Raises:
        Failed: there are no figures.
    """
    with serving(server, workload.server_mode, stop_s=0.0) as (pid, port):
        return run_load(workload, port, pid, seconds)


@contextmanager
def serving(
    server: Server, mode: str, *, stop_s: float = STOP_TIMEOUT_S
) -> Iterator[tuple[int, int]]:
    """A running server, as process id and port; gone with everything it started at the end.

    It gets SIGTERM and `stop_s` seconds to end by itself, or is killed at once with 0.
    """
    port = _free_port()
    environment = {**os.environ, **server.variables(mode)}
    with tempfile.TemporaryFile() as log:
        with pinned(cores()[0]):
            process = subprocess.Popen(
                server.arguments(port, mode),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            _wait_until_ready(process, server, port, log)
            yield process.pid, port
        finally:
            _stop(process, stop_s)


def run_load(workload: Workload, port: int, pid: int, seconds: float) -> Sample:
    """Run the load generator against a server that is ready.

    Raises:
        Failed: it was refused, lost its connections, or got no message back.
    """
    numbers = (workload.connections, workload.size, workload.depth, seconds, pid)
    command = [str(LOAD), workload.kind, str(port), "/", *map(str, numbers)]
    deadline = seconds + LOAD_SPARE_S + OPEN_CPU_S * workload.connections
    before = _taken_from(pid)
    try:
        with pinned(cores()[1]):
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        with process:
            try:
                answer, complaint = process.communicate(timeout=deadline)
            finally:
                process.kill()
    except subprocess.TimeoutExpired:
        raise Failed("the load generator did not end: messages or connections hang") from None
    after = _taken_from(pid)
    match = FIGURES.search(answer)
    if match is None:
        raise Failed(complaint.strip() or f"the load generator ended with {process.returncode}")
    found = {name: float(text) for name, text in match.groupdict().items()}
    if not found["cpu"]:
        raise Failed("no message came back")
    return Sample(
        cpu_us=found["cpu"],
        rate=found["rate"],
        p50_us=found["p50"],
        p99_us=found["p99"],
        server_load=found["load"],
        bytes_per_connection=int(found["rss"]),
        disturbed=round(max(0.0, (after[0] - before[0]) / (after[1] - before[1])), 3),
    )


def cores() -> tuple[int, int]:
    """The server's core and the load generator's; the same one where there is only one."""
    return _ALLOWED[0], _ALLOWED[-1]


def raise_descriptor_limit() -> int:
    """Raise the descriptor limit as far as allowed, for everything started here; return it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit = 1 << 20 if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit


def cpu_seconds(pid: int) -> float:
    """CPU time of another process, all of its threads."""
    return time.clock_gettime((~pid << 3) | 2)  # the clock of a process, as in the kernel's header


def _taken_from(pid: int) -> tuple[float, float]:
    """Seconds so far that the server's core gave to others than the server, and the time."""
    name = f"cpu{cores()[0]} "
    lines = Path("/proc/stat").read_text().splitlines()
    line = next(line for line in lines if line.startswith(name))
    user, nice, system, _, _, irq, softirq, stolen, *_ = map(int, line.split()[1:])
    busy = (user + nice + system + irq + softirq + stolen) / os.sysconf("SC_CLK_TCK")
    return busy - cpu_with_children(pid), time.monotonic()


def cpu_with_children(pid: int) -> float:
    """CPU time of another process and of all below it."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return cpu_seconds(pid) + sum(cpu_with_children(int(child)) for child in found)


def resident_bytes(pid: int) -> int:
    """Memory of another process that is in RAM."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """What is started inside runs on `core` only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _free_port() -> int:
    """A port below those that clients get: one of theirs that still waits in TIME-WAIT would
    refuse a server that binds every address."""
    lowest_of_clients = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(10_000, lowest_of_clients)
        with suppress(OSError), socket.create_server(("0.0.0.0", port)):
            return port


def _wait_until_ready(
    process: subprocess.Popen[bytes], server: Server, port: int, log: IO[bytes]
) -> None:
    """Wait for the listener, then make one whole connection: lazy imports are no one's cost."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not _is_listening(port):
        if process.poll() is not None:
            log.seek(0)
            said = " / ".join(log.read().decode(errors="replace").strip().split("\n")[-LOG_LINES:])
            raise Failed(f"the server ended with {process.returncode}: {said or 'no output'}")
        if time.monotonic() > deadline:
            raise Failed(f"the server did not listen within {READY_TIMEOUT_S:.0f} s")
        time.sleep(0.02)
    if not server.may_be_probed:
        return
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=READY_TIMEOUT_S) as client:
            client.sendall(HANDSHAKE)
            answer = client.recv(4096)
            if not answer.startswith(b"HTTP/1.1 101"):
                raise Failed(f"the server refused: {answer[:60]!r}")
            client.sendall(CLOSE)
            client.settimeout(PROBE_CLOSE_S)
            with suppress(TimeoutError):
                while client.recv(4096):
                    pass
    except OSError as error:
        raise Failed(f"the server did not answer: {error}") from None


def _is_listening(port: int) -> bool:
    """Whether anyone listens, seen from outside: asking by connecting would be a connection."""
    wanted, listening = f":{port:04X}", "0A"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError), open(table) as lines:
            for line in lines:
                words = line.split()
                if words[1].endswith(wanted) and words[3] == listening:
                    return True
    return False


def _stop(process: subprocess.Popen[bytes], stop_s: float) -> None:
    """End the server and its children, which share its session."""
    if stop_s:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(stop_s)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
