"""The servers of the benchmark: what they are called, how they start, which version they are.

Everything that is installed for a measurement lives in `bench/.peers` (see `install.py`).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from bench.figures import FLOOR_NAME

__all__ = ["FLOOR", "INSTALLED", "LOAD", "SERVERS", "Server", "versions"]

BENCH = Path(__file__).resolve().parent
SOURCES = BENCH / "peers"
INSTALLED = BENCH / ".peers"
LOAD = INSTALLED / "load"
PYTHON = INSTALLED / "python" / "bin" / "python"
NODE_MODULES = INSTALLED / "node" / "node_modules"
WYND_RUST = INSTALLED / "cargo" / "release" / "wynd-peer"


@dataclass(frozen=True, slots=True)
class Server:
    """One server; `{port}` and `{mode}` (echo or fanout) are filled in when it starts."""

    name: str
    command: tuple[str, ...]
    needs: Path
    """Without this file the server is left out."""
    package: str = ""
    """The distribution whose version stands for this server."""
    environment: dict[str, str] = field(default_factory=dict)
    may_be_probed: bool = True
    """Whether a connection may come and go before the measurement."""
    is_in_quick: bool = True
    """Whether the short run has time for it."""

    def arguments(self, port: int, mode: str) -> list[str]:
        """The command line that serves `mode` on `port`."""
        return [part.format(port=port, mode=mode) for part in self.command]

    def variables(self, mode: str) -> dict[str, str]:
        """What is added to the environment."""
        return {name: value.format(mode=mode) for name, value in self.environment.items()}


def _ours(shape: str, loop: str, engine: str = "native") -> Server:
    label = "portable " if engine == "portable" else ""
    script = str(BENCH / "ours.py")
    return Server(
        f"wynd {label}{shape}, {loop}",
        (sys.executable, script, "{port}", "{mode}", shape, engine, loop),
        BENCH / "ours.py",
        "pywynd",
        is_in_quick=engine == "native" or shape == "async",
    )


def _hosted(loop: str) -> Server:
    """`wynd.handler()` under the command `uvicorn`: the portable engine, hosted by another."""
    arguments = ("--app-dir", str(BENCH.parent), "--loop", loop, "--port", "{port}")
    return Server(
        f"wynd under uvicorn, {loop}",
        (sys.executable, "-m", "uvicorn", *_QUIET_UVICORN, *arguments, "bench.hosted:app"),
        BENCH / "hosted.py",
        "pywynd",
        {"MODE": "{mode}"},
        is_in_quick=loop == "uvloop",
    )


def _python(name: str, script: str, package: str) -> Server:
    command = (str(PYTHON), str(SOURCES / script), "{port}", "{mode}")
    return Server(name, command, _package_folder(package), package)


def _package_folder(package: str) -> Path:
    found = sorted(INSTALLED.glob(f"python/lib/python3.*/site-packages/{package}"))
    return found[0] if found else INSTALLED / "python" / package


def _asgi(name: str, package: str, *arguments: str) -> Server:
    command = (str(PYTHON), "-m", package, *arguments, "--port", "{port}", "starlette_app:app")
    environment = {"MODE": "{mode}", "PYTHONPATH": str(SOURCES)}
    return Server(name, command, _package_folder(package), package, environment)


# The longest accept queue and no access log, so that nothing but the work is measured.
_QUIET_UVICORN = ("--log-level", "warning", "--backlog", "4096")
LOOPS, SHAPES = ("asyncio", "uvloop"), ("def", "async", "closures")

FLOOR = Server(FLOOR_NAME, (str(INSTALLED / "limit"), "{port}", "{mode}"), LOAD)

SERVERS: tuple[Server, ...] = (
    FLOOR,
    *(_ours(shape, loop) for loop in LOOPS for shape in SHAPES),
    *(_ours(shape, loop, "portable") for loop in LOOPS for shape in SHAPES),
    *(_hosted(loop) for loop in LOOPS),
    Server(
        "Bun",
        (str(NODE_MODULES / ".bin" / "bun"), str(SOURCES / "bun_server.js"), "{port}", "{mode}"),
        NODE_MODULES / ".bin" / "bun",
        "bun",
    ),
    Server(
        "Wynd (Rust)",
        (str(WYND_RUST), "{port}", "{mode}"),
        WYND_RUST,
        "wynd",
        # 0.12.3 spins for ever once a connection has ended, even with a closing handshake; its
        # rows would show that instead of its work.
        may_be_probed=False,
    ),
    _python("picows, uvloop", "picows_server.py", "picows"),
    _python("socketify", "socketify_server.py", "socketify"),
    Server(
        "ws (Node)",
        ("node", str(SOURCES / "ws_server.js"), "{port}", "{mode}"),
        NODE_MODULES / "ws" / "package.json",
        "ws",
        {"NODE_PATH": str(NODE_MODULES)},
    ),
    _python("aiohttp, uvloop", "aiohttp_server.py", "aiohttp"),
    _python("websockets, uvloop", "websockets_server.py", "websockets"),
    _asgi("uvicorn + Starlette", "uvicorn", *_QUIET_UVICORN),
    _asgi(
        "granian + Starlette",
        "granian",
        *("--interface", "asgi", "--workers", "1", "--loop", "uvloop", "--no-log"),
        # Its default refuses connections beyond the accept queue's length.
        *("--backlog", "16384", "--backpressure", "65536"),
    ),
)


def versions() -> dict[str, str]:
    """The version of everything that takes part and is installed."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    found |= _python_versions(Path(sys.executable), ("pywynd", "uvloop", "uvicorn", "fastapi"))
    if PYTHON.exists():
        peers = _python_versions(PYTHON, _PEER_PACKAGES)
        found |= {name: version for name, version in peers.items() if name != "uvloop"}
    for name in ("bun", "ws"):
        manifest = NODE_MODULES / name / "package.json"
        if manifest.exists():
            found[name] = str(json.loads(manifest.read_text())["version"])
    if shutil.which("node"):
        found["node"] = _output(["node", "--version"]).lstrip("v")
    lock = SOURCES / "wynd_rust" / "Cargo.lock"
    if lock.exists():
        match = re.search(r'name = "wynd"\nversion = "([^"]+)"', lock.read_text())
        found["wynd (Rust)"] = match.group(1) if match else "unknown"
    return found


_PEER_PACKAGES = (
    *("websockets", "picows", "aiohttp", "uvicorn", "starlette"),
    *("granian", "socketify", "uvloop"),
)


def _python_versions(python: Path, packages: tuple[str, ...]) -> dict[str, str]:
    script = (
        "import json, sys\n"
        "from importlib import metadata\n"
        "found = {}\n"
        "for name in sys.argv[1:]:\n"
        "    try: found[name] = metadata.version(name)\n"
        "    except metadata.PackageNotFoundError: pass\n"
        "print(json.dumps(found))\n"
    )
    answer: dict[str, str] = json.loads(_output([str(python), "-c", script, *packages]))
    return answer


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
