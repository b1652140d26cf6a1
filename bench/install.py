"""Installs what the benchmark compares with into `bench/.peers`, which git ignores.

What cannot be installed is told with its reason and left out; the measurement goes on without it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from bench.servers import INSTALLED, LOAD, NODE_MODULES, PYTHON, SOURCES, WYND_RUST

__all__ = ["install", "install_tools"]

BENCH = Path(__file__).resolve().parent
PYTHON_PEERS = (
    *("websockets>=17,<18", "picows>=2.3,<3", "aiohttp>=3.14,<4", "uvicorn[standard]>=0.54,<1"),
    *("starlette>=1,<2", "granian>=2.8,<3", "socketify>=0.0.31,<0.1", "uvloop>=0.23,<1"),
)
NODE_PEERS = ("ws@8", "bun@1")
MINUTES_MAX = 15
REASON_LINES = 3


class NotInstalled(Exception):
    """Something could not be installed; the text says what and why."""


def install() -> dict[str, str]:
    """Install every peer that is missing; return reasons by package for those that cannot be."""
    INSTALLED.mkdir(exist_ok=True)
    reasons: dict[str, str] = {}
    for packages, step in (
        (PYTHON_PEERS, _install_python),
        (NODE_PEERS, _install_node),
        (("wynd",), _install_rust),
    ):
        try:
            step()
        except NotInstalled as error:
            for package in packages:
                name = package.split("@")[0].split(">")[0].split("[")[0]
                reasons[name] = str(error)
            print(f"left out: {', '.join(packages)}: {error}", file=sys.stderr)
    return reasons


def install_tools() -> None:
    """Compile the floor and the load generator.

    Raises:
        SystemExit: there is no C compiler, and nothing can be measured.
    """
    INSTALLED.mkdir(exist_ok=True)
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    for target in (INSTALLED / "limit", LOAD):
        source = BENCH / f"{target.name}.c"
        if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
            continue
        if compiler is None:
            raise SystemExit("the benchmark needs a C compiler (cc, gcc or clang) in PATH")
        try:
            _run([compiler, "-O2", "-march=native", "-o", str(target), str(source)])
        except NotInstalled as error:
            raise SystemExit(f"{source.name} does not compile: {error}") from None


def _install_python() -> None:
    """A failing package must not take the others with it, so they come one by one if need be."""
    stamp = INSTALLED / "python" / "installed.txt"
    wanted = "\n".join(PYTHON_PEERS)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    if not PYTHON.exists():
        _run([sys.executable, "-m", "venv", str(PYTHON.parent.parent)])
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        _run([*pip, *PYTHON_PEERS])
    except NotInstalled:
        for package in PYTHON_PEERS:
            try:
                _run([*pip, package])
            except NotInstalled as error:
                print(f"left out: {package}: {error}", file=sys.stderr)
    stamp.write_text(wanted)


def _install_node() -> None:
    if (NODE_MODULES / "ws").exists() and _bun_runs():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise NotInstalled("npm is not in PATH")
    folder = NODE_MODULES.parent
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"name": "bench-peers", "private": true}\n')
    quiet = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund"]
    _run([*quiet, *NODE_PEERS])
    if not _bun_runs():
        # Its install script did not run; the platform's package holds the same program.
        _run([*quiet, "@oven/bun-linux-x64@1"])
        link = NODE_MODULES / ".bin" / "bun"
        link.unlink(missing_ok=True)
        link.symlink_to(NODE_MODULES / "@oven" / "bun-linux-x64" / "bin" / "bun")


def _bun_runs() -> bool:
    try:
        _run([str(NODE_MODULES / ".bin" / "bun"), "--version"])
    except NotInstalled:
        return False
    return True


def _install_rust() -> None:
    if WYND_RUST.exists():
        return
    cargo = shutil.which("cargo")
    if cargo is None:
        raise NotInstalled("cargo is not in PATH")
    manifest = SOURCES / "wynd_rust" / "Cargo.toml"
    target = ["--target-dir", str(WYND_RUST.parent.parent)]
    _run([cargo, "build", "--release", "--quiet", *target, "--manifest-path", str(manifest)])


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60 * MINUTES_MAX)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(str(error)) from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()[-REASON_LINES:]
        raise NotInstalled(" ".join(line.strip() for line in lines) or f"exit {done.returncode}")
