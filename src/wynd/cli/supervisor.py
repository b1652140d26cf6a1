"""`wynd serve --workers N` and `--reload`: processes that share a port, and who restarts them.

The port is opened here once, so that a port in use is told once and `--port 0` means one port. On
Linux each worker has a socket of its own (SO_REUSEPORT) and the kernel spreads connections evenly;
elsewhere, and for Unix sockets, all accept from one shared socket.
"""

from __future__ import annotations

import asyncio
import contextlib
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
from wynd.engines.certificates import server_context
from wynd.engines.sockets import address_of, close_sockets, open_sockets
from wynd.errors import CertificateError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wynd.cli.serving import ServeOptions

__all__ = ["Workers", "end_with_supervisor", "supervise", "tell_supervisor"]

HEALTHY_S = 1.0  # a worker that listened so long is restarted at once
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
        Failure: the port is in use, the certificate cannot be used, or workers die as soon as they
            start.
    """
    if os.name != "posix":
        raise Failure("--workers and --reload need a POSIX system")
    if options.tls is not None:
        try:
            server_context(options.tls)
        except CertificateError as error:
            raise Failure(str(error)) from error
    if not reloads:
        _check(options)
    sockets = _open(options)
    try:
        if count > 1:
            say(f"warning: {SCOPE_WARNING}")
        workers = Workers(
            _commands(options, given, sockets),
            count,
            options.drain_s,
            where(tuple(map(address_of, sockets)), is_secure=options.tls is not None),
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
        raise Failure(error.strerror or str(error)) from error
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


# The standard input of a worker is a socket to its supervisor: one byte tells that the worker
# listens, and its end that nobody watches the worker any more. Not `sys.stdin`: a thread that waits
# inside its lock aborts an interpreter that ends.


def end_with_supervisor() -> None:
    """In a worker: stop when the supervisor has gone."""

    def watch() -> None:
        with contextlib.suppress(OSError):  # a reset is an end too
            while os.read(0, 1):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="wynd-supervisor", daemon=True).start()


def tell_supervisor() -> None:
    """In a worker: say that it listens."""
    with contextlib.suppress(OSError):  # it has gone; `end_with_supervisor` sees that
        os.write(0, b".")


class _Worker:
    """One process, and since when it listens."""

    def __init__(self, command: Sequence[str], descriptors: tuple[int, ...]) -> None:
        self._channel, theirs = socket.socketpair()
        self._channel.setblocking(False)
        with theirs:
            self.process = subprocess.Popen(
                command,
                pass_fds=descriptors,
                stdin=theirs.fileno(),
                process_group=0,  # Ctrl-C comes here alone; a second signal would cut the drain
            )
        self._listens_since: float | None = None

    def listens_for(self) -> float | None:
        """Return for how many seconds it has been listening, as far as it was looked at."""
        now = time.monotonic()
        if self._listens_since is None:
            try:
                told = self._channel.recv(1)
            except OSError:  # nothing yet, or a process that was killed
                told = b""
            self._listens_since = now if told else None
        return None if self._listens_since is None else now - self._listens_since

    def close(self) -> None:
        """Let go of a process that has ended."""
        self._channel.close()


class Workers:
    """A fixed number of processes with one command.

    Args:
        command: the command line, and descriptors that the processes inherit.
        count: how many run.
        drain_s: seconds they have for their end.
        places: the lines that tell where they serve; said when the first of them listens.
        passes_hangup_on: whether SIGHUP is for them: they read their certificates again.
    """

    def __init__(
        self,
        command: tuple[list[str], tuple[int, ...]],
        count: int,
        drain_s: float,
        places: Sequence[str],
        *,
        passes_hangup_on: bool = False,
    ) -> None:
        self._command, self._descriptors = command
        self._count = count
        self._drain_s = drain_s
        self._untold_places = list(places)
        self._running: list[_Worker] = []
        self._early_deaths = 0
        self._waits = False
        self._ends = False
        self._passes_hangup_on = passes_hangup_on
        self._hung_up = False
        self._untold: list[_Worker] = []
        """Those that SIGHUP is still to be passed on to."""

    def run(self, files: _Files | None, say: Callable[[str], None]) -> int:
        """Keep them running until a signal; return the exit code.

        With `files`, one that ends as soon as it starts is told once, and started again when a file
        has changed.
        """
        self._waits = files is not None
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
                    self._tell_places(say)
                    self._bury(say)
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

    def _tell_places(self, say: Callable[[str], None]) -> None:
        for worker in self._running:
            if worker.listens_for() is not None:
                while self._untold_places:
                    say(self._untold_places.pop(0))

    def _pass_hangup_on(self) -> None:
        """Pass SIGHUP on; one that does not listen yet is told when it does."""
        if self._hung_up:
            self._hung_up = False
            self._untold = list(self._running)
        for worker in tuple(self._untold):
            if worker not in self._running:
                self._untold.remove(worker)
            elif worker.listens_for() is not None:
                self._untold.remove(worker)
                worker.process.send_signal(signal.SIGHUP)

    def _start_missing(self) -> None:
        if self._waits and self._early_deaths:
            return
        while len(self._running) < self._count:
            self._running.append(_Worker(self._command, self._descriptors))

    def _bury(self, say: Callable[[str], None]) -> None:
        for worker in tuple(self._running):
            listened_s = worker.listens_for()
            status = worker.process.poll()
            if status is None:
                continue
            self._running.remove(worker)
            worker.close()
            is_early = listened_s is None or listened_s < HEALTHY_S
            self._early_deaths = self._early_deaths + 1 if is_early else 0
            ended = f"worker {worker.process.pid} ended with {status}"
            if self._waits and self._early_deaths:
                say(f"{ended}: waiting for a file to change")
            elif self._early_deaths < EARLY_DEATHS_MAX:
                say(f"{ended}: starting another")
            else:
                raise Failure("workers end as soon as they start; the log above says why")

    def _stop_all(self) -> None:
        for worker in self._running:
            if worker.process.poll() is None:
                worker.process.terminate()
        deadline = time.monotonic() + self._drain_s + SPARE_S
        for worker in self._running:
            try:
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            worker.close()
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
