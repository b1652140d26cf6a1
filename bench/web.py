"""ASGI, TLS, compression and HTTP: interleaved rounds of what stands on one port, against others.

    python -m bench.web [--only TEXT ...] [--rounds 3] [--seconds 2]

Each comparison runs its servers in turn, one on one core with the load on the other, round after
round; a figure is CPU of the server per unit, its median over the rounds, and the ratio to the
comparison's yardstick is taken within a round. Writes bench/results/web.json and the page's tables.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import trustme

from bench.about import about
from bench.install import install, install_tools
from bench.measure import Failed, Workload, cores, pinned, run_load, serving
from bench.pages import WEB, write, write_web_pages
from bench.servers import BENCH, SERVERS, Server

LOAD_SPARE_S = 60.0
ASGI_CONNECTIONS, WSS_CONNECTIONS, FANOUT_CONNECTIONS, HTTP_CONNECTIONS = 100, 100, 200, 50
FANOUT_BYTES, BODY_BYTES = 4096, 100_000
QUIET = ("--host", "127.0.0.1", "--port", "{port}", "--log-level", "warning")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Servers under one load, and what is wanted of ours."""

    key: str
    title: str
    kind: str
    """Of the load; see `load.c` and `webload.py`."""
    servers: tuple[Server, ...]
    yardstick: str
    """The server the ratios are of; "best" is the cheapest that is not ours."""
    connections: int
    size: int = 64
    depth: int = 1
    options: tuple[str, ...] = ()
    """For `webload.py`; without any, an echo is measured by `load.c`."""
    most: float | None = None
    """What the best of ours is to be at most, in ratio to the yardstick."""

    @property
    def uses_c(self) -> bool:
        """Whether the load generator in C speaks it."""
        return self.kind == "echo" and not self.options


def uvicorn(name: str, app: str, *arguments: str, loop: str = "asyncio") -> Server:
    """Return uvicorn with an application of this folder; no access log, no compression."""
    command = (sys.executable, "-m", "uvicorn", f"bench.{app}:app", *QUIET, "--loop", loop)
    more = ("--backlog", "4096", "--no-access-log", "--ws-per-message-deflate", "false")
    return Server(name, (*command, *more, *arguments), BENCH / f"{app}.py")


def wynd_serve(name: str, app: str, *arguments: str) -> Server:
    """Return `wynd serve` with an application of this folder."""
    command = (sys.executable, "-m", "wynd.cli.main", "serve", f"bench.{app}:app", *QUIET)
    return Server(name, (*command, *arguments), BENCH / f"{app}.py")


def ours(name: str, *arguments: str, **environment: str) -> Server:
    """Return our own server, on asyncio."""
    command = (sys.executable, str(BENCH / "ours.py"), "{port}", "{mode}", *arguments)
    return Server(name, command, BENCH / "ours.py", environment=environment)


def peer(name: str, **environment: str) -> Server:
    """Return a server of `make bench` with settings of its own."""
    found = next(server for server in SERVERS if server.name.startswith(name))
    settings = {**found.environment, **environment}
    return Server(found.name, found.command, found.needs, found.package, settings)


def comparisons(certificate: str, key: str) -> list[Comparison]:
    """Return all of them; TLS with these files."""
    tls = {"TLS_CERT": certificate, "TLS_KEY": key}
    under_uvicorn = ("--ssl-certfile", certificate, "--ssl-keyfile", key)
    under_wynd = ("--tls-cert", certificate, "--tls-key", key)
    found = []
    for framework, spoken in (("starlette", "Starlette"), ("fastapi", "FastAPI")):
        app = f"asgi_{framework}"
        servers = (
            *(
                uvicorn(f"uvicorn, {ws}", app, "--ws", ws)
                for ws in ("websockets", "websockets-sansio", "wsproto")
            ),
            uvicorn("uvicorn, WyndProtocol", app, "--ws", "wynd.http.uvicorn:WyndProtocol"),
            wynd_serve("wynd serve", app),
        )
        for depth, most in ((1, 1 / 1.7), (16, 1 / 2)):
            title = f"{spoken}, echo 64 B, {depth} in flight"
            key_ = f"{framework}-{depth}"
            found.append(
                Comparison(
                    *(key_, title, "echo", servers, "best", ASGI_CONNECTIONS),
                    depth=depth,
                    most=most,
                )
            )
    for depth in (1, 16):
        servers = (
            ours("wynd def, over TLS", "def", "native", **tls),
            ours("wynd async, over TLS", "async", "native", **tls),
            ours("wynd async, without TLS", "async", "native"),
            peer("Bun", **tls),
            uvicorn("uvicorn + Starlette", "asgi_starlette", *under_uvicorn),
        )
        title = f"wss, echo 64 B, {depth} in flight"
        found.append(
            Comparison(
                *(f"wss-{depth}", title, "echo", servers, "best", WSS_CONNECTIONS),
                depth=depth,
                options=("tls",),
            )
        )
    servers = (
        ours("wynd, shared", "async", "native", "shared"),
        ours("wynd, dedicated", "async", "native", "dedicated"),
        peer("Bun", COMPRESS="1"),
        peer("ws (Node)", COMPRESS="1"),
        peer("websockets", COMPRESS="1"),
    )
    found.append(
        Comparison(
            *("deflate", "compressed fan-out of 4 KiB", "fanout", servers, "best"),
            FANOUT_CONNECTIONS,
            size=FANOUT_BYTES,
            options=("deflate",),
        )
    )
    for secure, theirs, mine in ((False, (), ()), (True, under_uvicorn, under_wynd)):
        servers = (
            uvicorn("uvicorn", "asgi_web", *theirs),
            wynd_serve("wynd serve", "asgi_web", *mine),
        )
        words = ("-tls", ", over TLS") if secure else ("", "")
        options = ("tls",) if secure else ("plain",)
        found += [
            Comparison(
                *(f"get{words[0]}", f"GET, keep-alive{words[1]}", "get", servers, "uvicorn"),
                HTTP_CONNECTIONS,
                options=options,
                most=1.05,
            ),
            Comparison(
                *(f"post{words[0]}", f"POST of 100 KB and back{words[1]}", "post", servers),
                *("uvicorn", HTTP_CONNECTIONS),
                size=BODY_BYTES,
                options=options,
                most=1.1,
            ),
        ]
    return found


def measure(comparison: Comparison, server: Server, seconds: float) -> dict[str, float]:
    """Start a server, load it, stop it; return `cpu_us` and `rate`, and `bytes` where known.

    Raises:
        Failed: there are no figures.
    """
    mode = "fanout" if comparison.kind == "fanout" else "echo"
    secure = "tls" in comparison.options
    speaks_http = comparison.kind in ("get", "post")
    may_be_probed = not (secure or speaks_http)
    started = Server(
        server.name, server.command, server.needs, server.package, server.environment, may_be_probed
    )
    options = () if "without TLS" in server.name else comparison.options
    if "without TLS" in server.name and not comparison.uses_c:
        options = ("plain",)
    with serving(started, mode, stop_s=0.0) as (pid, port):
        if comparison.uses_c:
            workload = Workload(
                comparison.key,
                comparison.kind,
                comparison.connections,
                comparison.size,
                comparison.depth,
            )
            sample = run_load(workload, port, pid, seconds)
            return {"cpu_us": sample.cpu_us, "rate": sample.rate}
        numbers = (port, comparison.connections, comparison.size, comparison.depth, seconds, pid)
        command = [sys.executable, "-m", "bench.webload", comparison.kind, *map(str, numbers)]
        with pinned(cores()[1]):
            done = subprocess.run(
                [*command, *options],
                capture_output=True,
                text=True,
                timeout=seconds + LOAD_SPARE_S,
                check=False,
                cwd=BENCH.parent,
            )
        if done.returncode or not done.stdout:
            raise Failed(
                done.stderr.strip().rpartition("\n")[2] or "the load ended without figures"
            )
        found: dict[str, float] = json.loads(done.stdout)
        rate = round(found["units"] / found["seconds"])
        return {"cpu_us": found["cpu_us"], "rate": rate, "bytes": found["bytes"]}


def run(comparison: Comparison, rounds: int, seconds: float) -> dict[str, Any]:
    """Measure a comparison; return its document."""
    samples: dict[str, list[dict[str, float]]] = {}
    failures: dict[str, str] = {}
    for _ in range(rounds):
        for server in comparison.servers:
            if not server.needs.exists():
                failures[server.name] = f"{server.package} is not installed"
            if server.name in failures:
                continue
            try:
                sample = measure(comparison, server, seconds)
            except (Failed, subprocess.TimeoutExpired) as failure:
                failures[server.name] = str(failure)
                print(f"{comparison.key:14} {server.name:28} {failure}", flush=True)
                continue
            samples.setdefault(server.name, []).append(sample)
            print(
                f"{comparison.key:14} {server.name:28} cpu {sample['cpu_us']:9.3f} us  "
                f"{sample['rate']:9,.0f}/s",
                flush=True,
            )
    return {
        "key": comparison.key,
        "title": comparison.title,
        "yardstick": _yardstick(comparison, samples),
        "most": comparison.most,
        "samples": samples,
        "failures": failures,
    }


def _yardstick(comparison: Comparison, samples: dict[str, list[dict[str, float]]]) -> str:
    if comparison.yardstick != "best":
        return comparison.yardstick
    theirs = {
        name: median(sample["cpu_us"] for sample in found)
        for name, found in samples.items()
        if "wynd" not in name.lower()
    }
    return min(theirs, key=lambda name: theirs[name]) if theirs else ""


def main() -> None:
    """Measure and write."""
    quick = os.environ.get("QUICK", "") not in ("", "0")
    parser = argparse.ArgumentParser(prog="bench.web", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="comparisons whose key has it")
    parser.add_argument("--rounds", type=int, default=1 if quick else 3)
    parser.add_argument("--seconds", type=float, default=0.5 if quick else 2.0, help="of a load")
    parser.add_argument("--no-install", action="store_true", help="take what is installed")
    parser.add_argument("--to", type=Path, default=WEB, help="the JSON document to write")
    options = parser.parse_args()
    options.quick = quick
    install_tools()
    if not options.no_install:
        install()
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = _certificate(Path(folder))
        chosen = [
            comparison
            for comparison in comparisons(certificate, key)
            if not options.only or any(text in comparison.key for text in options.only)
        ]
        found = [run(comparison, options.rounds, options.seconds) for comparison in chosen]
    document = {"about": about(options.rounds, options, None), "comparisons": found}
    write(options.to.resolve(), document)
    if options.to.resolve() == WEB:
        write_web_pages(document)


def _certificate(folder: Path) -> tuple[str, str]:
    leaf = trustme.CA(key_type=trustme.KeyType.ECDSA).issue_cert(
        "localhost", "127.0.0.1", key_type=trustme.KeyType.ECDSA
    )
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(b"".join(part.bytes() for part in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(str(key))
    return str(chain), str(key)


if __name__ == "__main__":
    main()
