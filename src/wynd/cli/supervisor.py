"""`wynd serve --workers N` and `--reload`: processes that share a port, and who restarts them.

The port is opened here once, so that a port in use is told once and `--port 0` means one port. On
Linux each worker has a socket of its own (SO_REUSEPORT) and the kernel spreads connections evenly;
elsewhere, and for Unix sockets, all accept from one shared socket.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from wynd.cli.failure import Failure
from wynd.cli.serving import load_application, where
from wynd.engines.base import ListenerOptions
from wynd.engines.sockets import address_of, close_sockets, open_sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wynd.cli.serving import ServeOptions

__all__ = ["Workers", "end_with_supervisor", "supervise"]

HEALTHY_S = 1.0  # a worker that lived so long is restarted at once
EARLY_DEATHS_MAX = 5  # in a row: the application cannot start, and trying on helps nobody
LOOK_S = 0.2  # how often workers and files are looked at
SPARE_S = 5.0  # what a worker has beyond its drain before it is killed
SCOPE_WARNING = "without a broker, rooms and broadcasts stay within a worker"


def supervise(
    options: ServeOptions,
    count: int,
    reloads: bool,
    given: Sequence[str],
    say: Callable[[str], None],
) -> int:
    """Run `count` workers until SIGINT or SIGTERM; restart those that die.

    Args:
        reloads: restart all of them when a .py file below the application's folder changes.
        given: the command line, which a worker gets too.

    Raises:
        Failure: the port is in use, or workers die as soon as they start.
    """
    if os.name != "posix":
        raise Failure("--workers and --reload need a POSIX system")
    if not reloads:
        _check(options)
    sockets = _open(options)
    try:
        if count > 1:
            say(f"warning: {SCOPE_WARNING}")
        for line in where(tuple(map(address_of, sockets)), is_secure=options.tls is not None):
            say(line)
        workers = Workers(
            _commands(options, given, sockets),
            count,
            options.drain_s,
            passes_hangup_on=options.tls is not None,
        )
        return workers.run(_Files(Path(options.app_dir)) if reloads else None, say)
    finally:
        close_sockets(sockets)


def _check(options: ServeOptions) -> None:
    """Say at once, in one sentence, that there is no such application."""
    child = [sys.executable, "-c", _CHECK, options.application, options.app_dir]
    found = subprocess.run(child, capture_output=True, text=True, check=False)
    if found.returncode == 3:
        raise Failure(found.stdout.strip())


# In a process of its own: an imported application would run here too, beside its workers.
_CHECK = f"""\
import sys
from {load_application.__module__} import load_application
from {Failure.__module__} import Failure
try:
    load_application(*sys.argv[1:])
except Failure as failure:
    print(failure)
    sys.exit(3)
"""


def _shares(options: ServeOptions) -> bool:
    """Return whether all workers accept from the sockets opened here."""
    return options.uds is not None or not sys.platform.startswith("linux")


def _open(options: ServeOptions) -> list[socket.socket]:
    """Open the port; where workers bind it themselves, only to hold it."""
    listener = ListenerOptions(port=options.port, host=options.host, uds=options.uds)
    try:
        sockets = asyncio.run(open_sockets(listener))
    except OSError as error:
        target = options.uds or f"{options.host}:{options.port}"
        raise Failure(f"cannot serve on {target}: {error.strerror or error}") from error
    if _shares(options):
        return sockets[:1]
    held = []
    for sock in sockets:  # a listening socket here would get connections that nobody accepts
        family, address = sock.family, sock.getsockname()
        sock.close()
        holder = socket.socket(family, socket.SOCK_STREAM)
        if family == socket.AF_INET6:
            holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(address)
        held.append(holder)
    return held


def _commands(
    options: ServeOptions, given: Sequence[str], sockets: Sequence[socket.socket]
) -> tuple[list[str], tuple[int, ...]]:
    command = [sys.executable, "-m", "wynd.cli.main", *given, "--worker"]
    if _shares(options):
        fd = sockets[0].fileno()
        return [*command, "--fd", str(fd)], (fd,)
    return [*command, "--reuse-port", "--port", str(sockets[0].getsockname()[1])], ()


def end_with_supervisor() -> None:
    """In a worker: stop when the supervisor has gone, which its end of our standard input tells."""

    def watch() -> None:
        sys.stdin.buffer.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="wynd-supervisor", daemon=True).start()


class Workers:
    """A fixed number of processes with one command.

    Args:
        command: the command line, and descriptors that the processes inherit.
        count: how many run.
        drain_s: seconds they have for their end.
        passes_hangup_on: whether SIGHUP is for them: they read their certificates again.
    """

    def __init__(
        self,
        command: tuple[list[str], tuple[int, ...]],
        count: int,
        drain_s: float,
        *,
        passes_hangup_on: bool = False,
    ) -> None:
        self._command, self._descriptors = command
        self._count = count
        self._drain_s = drain_s
        self._running: dict[subprocess.Popen[bytes], float] = {}
        self._early_deaths = 0
        self._ends = False
        self._passes_hangup_on = passes_hangup_on
        self._hung_up = False
        self._untold: set[subprocess.Popen[bytes]] = set()
        """Workers that SIGHUP is still to be passed on to."""

    def run(self, files: _Files | None, say: Callable[[str], None]) -> int:
        """Keep them running until a signal; return the exit code."""
        caught = [signal.SIGINT, signal.SIGTERM]
        if self._passes_hangup_on:
            caught.append(signal.SIGHUP)
        before = {number: signal.signal(number, self._caught) for number in caught}
        try:
            while not self._ends:
                self._start_missing()
                time.sleep(LOOK_S)
                if files is not None and files.have_changed():
                    say("a file changed: restarting")
                    self._stop_all()
                    self._early_deaths = 0
                elif not self._ends:
                    self._bury(say, gives_up=files is None)
                    self._pass_hangup_on()
        finally:
            self._stop_all()
            for number, handler in before.items():
                signal.signal(number, handler)
        return 0

    def _caught(self, number: int, frame: object) -> None:
        if number == getattr(signal, "SIGHUP", None):
            self._hung_up = True
        else:
            self._ends = True

    def _pass_hangup_on(self) -> None:
        """Pass SIGHUP on; one that has just started may not be ready for it, and is told later."""
        if self._hung_up:
            self._hung_up = False
            self._untold.update(self._running)
        for worker in tuple(self._untold):
            started = self._running.get(worker)
            if started is None:
                self._untold.discard(worker)
            elif time.monotonic() - started >= HEALTHY_S:
                self._untold.discard(worker)
                worker.send_signal(signal.SIGHUP)

    def _start_missing(self) -> None:
        if self._early_deaths >= EARLY_DEATHS_MAX:
            return  # with --reload: until a file changes
        while len(self._running) < self._count:
            worker = subprocess.Popen(
                self._command,
                pass_fds=self._descriptors,
                stdin=subprocess.PIPE,  # its end tells the worker that nobody watches it any more
                process_group=0,  # Ctrl-C comes here alone; a second signal would cut the drain
            )
            self._running[worker] = time.monotonic()

    def _bury(self, say: Callable[[str], None], *, gives_up: bool) -> None:
        for worker, started in tuple(self._running.items()):
            status = worker.poll()
            if status is None:
                continue
            del self._running[worker]
            if worker.stdin is not None:
                worker.stdin.close()
            is_early = time.monotonic() - started < HEALTHY_S
            self._early_deaths = self._early_deaths + 1 if is_early else 0
            if self._early_deaths < EARLY_DEATHS_MAX:
                say(f"worker {worker.pid} ended with {status}: starting another")
            elif gives_up:
                raise Failure("workers end as soon as they start; the log above says why")

    def _stop_all(self) -> None:
        for worker in self._running:
            if worker.poll() is None:
                worker.terminate()
        deadline = time.monotonic() + self._drain_s + SPARE_S
        for worker in self._running:
            try:
                worker.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
            if worker.stdin is not None:
                worker.stdin.close()
        self._running.clear()


class _Files:
    """The .py files below a folder; hidden folders, and so environments, are left out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen = self._look()

    def have_changed(self) -> bool:
        """Return whether one was changed, added or removed since the last look."""
        before, self._seen = self._seen, self._look()
        return before != self._seen

    def _look(self) -> dict[str, int]:
        found = {}
        for folder, folders, names in os.walk(self._folder):
            folders[:] = [name for name in folders if name[0] != "." and name != "node_modules"]
            for name in names:
                if name.endswith(".py"):
                    path = os.path.join(folder, name)
                    try:
                        found[path] = os.stat(path).st_mtime_ns
                    except OSError:  # gone meanwhile
                        continue
        return found
