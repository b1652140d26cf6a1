"""A real PostgreSQL server for the tests, started by them on a socket in a folder of their own.

Decides which server program is used and as whom it runs (it refuses root). One server serves a
whole session; each test has a fresh database, copied from one that was migrated before. Where no
server can be had the reason is printed with the skipped tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.programs import postgres_folder
from wynd_chat.adapters.store.postgres import PostgresStore

__all__ = [
    "POSTGRES",
    "PostgresProcess",
    "Unavailable",
    "database",
    "postgres",
]

# A parameter of tests that run over several stores.
POSTGRES = pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.timeout(400)])

STARTED_WITHIN_S = 30.0
SPEED = ("fsync=off", "full_page_writes=off", "autovacuum=off")  # nothing here outlives a test
UNPRIVILEGED = ("postgres", "nobody")


numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> PostgresProcess:
    """Give the running server; its database `empty` has an up-to-date schema."""
    try:
        return the_server(pytestconfig)
    except Unavailable as reason:
        pytest.skip(f"PostgreSQL: {reason}")


@pytest.fixture
def database(postgres: PostgresProcess) -> str:
    """Give the address of a database of one's own, with the schema."""
    name = f"chat_{next(numbers)}"
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE empty")
    return postgres.url(name)


@functools.cache
def the_server(config: pytest.Config) -> PostgresProcess:
    """Start the session's server; it ends with the session."""
    server = PostgresProcess()
    config.add_cleanup(server.remove)
    server.execute("CREATE DATABASE empty")
    with asyncio.Runner() as runner:
        store = PostgresStore(server.url("empty"))
        runner.run(store.open())
        runner.run(store.close())
    return server


class Unavailable(Exception):
    """No server can be had; the text says why."""


class PostgresProcess:
    """One server process over one data folder; may be stopped and started again.

    Raises:
        Unavailable: No program, or it does not start.
    """

    def __init__(self) -> None:
        self._programs = programs()
        self._user, self._group = unprivileged()
        self._groups: list[int] | None = None if self._user is None else []
        self._folder = Path(tempfile.mkdtemp(prefix="wynd-pg-", dir="/tmp"))
        self._data = self._folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        self._run("initdb", "-D", str(self._data), "-U", "chat", "-E", "UTF8", "--no-sync")
        self.start()

    def url(self, database: str) -> str:
        """Return the address of a database on this server."""
        return f"postgresql://chat@/{database}?host={self._folder}"

    def start(self) -> None:
        """Start the process, and wait until it answers."""
        arguments = ["-D", str(self._data), "-k", str(self._folder), "-c", "listen_addresses="]
        for setting in SPEED:
            arguments += ["-c", setting]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", *arguments],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                user=self._user,
                group=self._group,
                extra_groups=self._groups,
            )
        deadline = time.monotonic() + STARTED_WITHIN_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                log_text = (self._folder / "log").read_text(errors="replace")
                raise Unavailable(f"postgres did not start: {log_text[-500:]}")
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the process: SIGINT disconnects everybody, SIGQUIT lets nobody finish."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def pause(self) -> None:
        """Let the server's processes stand still, connections included."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        self._signal_all(signal.SIGCONT)

    def remove(self) -> None:
        """End the process and delete its folder."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def execute(self, statement: str, database: str = "postgres") -> str:
        """Run a statement; return what it answers, one row a line."""
        return self._run(
            "psql", "-h", str(self._folder), "-U", "chat", "-XAtq", "-c", statement, database
        )

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except Unavailable:
            return False
        return True

    def _signal_all(self, how: signal.Signals) -> None:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        for pid in [self._process.pid, *map(int, children.read_text().split())]:
            os.kill(pid, how)

    def _run(self, program: str, *arguments: str) -> str:
        try:
            done = subprocess.run(
                [self._programs / program, *arguments],
                capture_output=True,
                text=True,
                timeout=STARTED_WITHIN_S,
                cwd=self._folder,
                check=True,
                user=self._user,
                group=self._group,
                extra_groups=self._groups,
            )
        except subprocess.CalledProcessError as error:
            raise Unavailable(f"{program} failed: {error.stderr[-500:]}") from error
        return done.stdout.strip()


def programs() -> Path:
    """Return the folder of the server's programs.

    Raises:
        Unavailable: There are none.
    """
    found = postgres_folder()
    if found is None:
        raise Unavailable("no server is installed; python -m tests.programs may do it")
    return found


def unprivileged() -> tuple[str | None, int | None]:
    """Return the user and group to run the server as; None for ourselves.

    Raises:
        Unavailable: We are root, and there is nobody else.
    """
    if os.geteuid() != 0:
        return None, None
    for name in UNPRIVILEGED:
        with contextlib.suppress(KeyError):
            return name, pwd.getpwnam(name).pw_gid
    raise Unavailable("PostgreSQL refuses to run as root, and there is no other user")
