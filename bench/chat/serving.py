"""`wynd-chat` as it is measured: the command line on SQLite with `synchronous=FULL`, on one core.

Only its limits are raised; everything else is as it is by default.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import Failed, cores, cpu_seconds, pinned, resident_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ChatProcess", "Meter", "sync_seconds", "wynd_chat"]

FOLDER = Path(__file__).resolve().parents[2] / "var" / "bench-chat"
READY = re.compile(rb"Server running on http://[^:]+:(\d+)")
STOP_S = 20.0
SYNCS = 200
ROOMY = {
    # Large bursts that hardly refill: a bucket that is always full would be dropped and made anew.
    "LIMITS__MESSAGES_BURST": "100000000",
    "LIMITS__MESSAGES_PER_SECOND": "1",
    "LIMITS__COMMANDS_BURST": "100000000",
    "LIMITS__COMMANDS_PER_SECOND": "1",
    "LIMITS__FRAMES_BURST": "100000000",
    "LIMITS__FRAMES_PER_SECOND": "1",
    "LIMITS__CONNECTIONS_MAX": "15000",
    "LOG__LEVEL": "warning",
}


@dataclass(frozen=True, slots=True)
class ChatProcess:
    """A running server."""

    pid: int
    port: int

    @property
    def cpu_s(self) -> float:
        """CPU time so far, all threads."""
        return cpu_seconds(self.pid)

    @property
    def resident(self) -> int:
        """Bytes in memory."""
        return resident_bytes(self.pid)


class Meter:
    """Reads clocks when it is made and again when it is read."""

    def __init__(self, server: ChatProcess) -> None:
        self._server = server
        self._began = time.perf_counter()
        self._cpu = server.cpu_s
        self._others = self._of_others()

    def read(self) -> tuple[float, float, float]:
        """Return seconds since it was made, CPU seconds of the server in them, and the noise.

        The noise is the share of all cores that went to neither the server nor the load.
        """
        took = time.perf_counter() - self._began
        noise = (self._of_others() - self._others) / took / (os.cpu_count() or 1)
        return took, self._server.cpu_s - self._cpu, max(0.0, noise)

    def _of_others(self) -> float:
        """CPU seconds so far of everything but the server and this process."""
        first = Path("/proc/stat").read_text().split("\n", 1)[0]
        user, nice, system, _, _, irq, softirq, stolen, *_ = map(int, first.split()[1:])
        busy = (user + nice + system + irq + softirq + stolen) / os.sysconf("SC_CLK_TCK")
        return busy - self._server.cpu_s - time.process_time()


@contextmanager
def wynd_chat() -> Iterator[ChatProcess]:
    """Run a server with an empty database on the first core until the block ends.

    Raises:
        Failed: it did not start.
    """
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    variables = {f"WYND_CHAT__{name}": value for name, value in ROOMY.items()}
    command = [sys.executable, "-m", "wynd_chat", "--port", "0", "--data", str(FOLDER)]
    with (FOLDER / "log").open("wb") as log, pinned(cores()[0]):
        process = subprocess.Popen(
            command,
            env=os.environ | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        assert process.stdout is not None
        match = READY.match(process.stdout.readline())
        if match is None:
            raise Failed(f"wynd-chat did not start: {(FOLDER / 'log').read_text()[-500:]}")
        yield ChatProcess(process.pid, int(match[1]))
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
        shutil.rmtree(FOLDER, ignore_errors=True)


def sync_seconds() -> float:
    """Return the median time that this disk takes for what a commit needs at least.

    That is 4 KiB appended and synced, as the write-ahead log does.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / "sync"
    taken = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        for _ in range(SYNCS):
            began = time.perf_counter()
            os.write(descriptor, bytes(4096))
            os.fdatasync(descriptor)
            taken.append(time.perf_counter() - began)
    finally:
        os.close(descriptor)
        path.unlink()
    return sorted(taken)[SYNCS // 2]
