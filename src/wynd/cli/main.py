"""The command line of `wynd`: arguments in, one sentence and an exit code out.

Exit codes: 0 done, 1 it could not be done, 2 wrong arguments (argparse's).
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from wynd.cli.creating import TEMPLATES, create
from wynd.cli.failure import Failure
from wynd.cli.serving import LEVELS, ServeOptions, serve_application
from wynd.cli.supervisor import end_with_supervisor, supervise, tell_supervisor
from wynd.tls import Tls

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

DRAIN_S_MAX = 86_400  # a day; whoever wants no end wants no stop
WORKERS_MAX = 1024  # more is a typing error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    try:
        if options.command == "new":
            for line in create(options.name, options.template):
                _say(line)
            return 0
        return _serve(options, given)
    except Failure as failure:
        sys.stderr.write(f"wynd: {failure}\n")
        return 1


def _serve(options: argparse.Namespace, given: list[str]) -> int:
    if options.uds is not None and options.port is not None:
        raise Failure("give --port or --uds, not both")
    if options.tls_key is not None and options.tls_cert is None:
        raise Failure("--tls-key needs --tls-cert")
    if options.proxy_protocol and not options.trusted_proxies:
        raise Failure("--proxy-protocol needs --trusted-proxies: who may name the client")
    serve = ServeOptions(
        application=options.application,
        host=options.host,
        port=8000 if options.port is None and options.uds is None else options.port,
        uds=options.uds,
        tls=None if options.tls_cert is None else Tls(options.tls_cert, options.tls_key),
        trusted_proxies=options.trusted_proxies,
        proxy_protocol=options.proxy_protocol,
        root_path=options.root_path,
        log_level=options.log_level,
        compression=options.compression,
        drain_s=options.drain,
        fd=options.fd,
        reuse_port=options.reuse_port,
        app_dir=options.app_dir,
    )
    if (options.workers > 1 or options.reload) and not options.worker:
        return supervise(serve, options.workers, options.reload, given, _say)
    if options.worker:
        end_with_supervisor()
    serve_application(serve, _say, tell_supervisor if options.worker else None)
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="wynd", description="WebSocket and HTTP servers.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="serve an ASGI application")
    serve.add_argument("application", metavar="MODULE:APP", help="for example main:app")
    serve.add_argument("--host", default="localhost", help="address to bind (localhost)")
    serve.add_argument("--port", type=_port, default=None, help="port to bind (8000); 0: any")
    serve.add_argument("--uds", metavar="PATH", help="Unix socket instead of a port")
    serve.add_argument("--workers", type=_workers, default=1, help="processes that share the port")
    serve.add_argument("--reload", action="store_true", help="restart when a .py file changes")
    serve.add_argument("--tls-cert", metavar="FILE", help="certificate chain (PEM)")
    serve.add_argument("--tls-key", metavar="FILE", help="its private key (PEM)")
    serve.add_argument(
        "--trusted-proxies", default="", metavar="ADDRESSES", help="whose X-Forwarded-* count"
    )
    serve.add_argument(
        "--proxy-protocol", action="store_true", help="those proxies send its header (v1 or v2)"
    )
    serve.add_argument("--root-path", default="", metavar="PATH", help="what a proxy takes away")
    serve.add_argument("--log-level", choices=LEVELS, default="info", help="(info)")
    serve.add_argument(
        "--compression", choices=("off", "shared"), default="off", help="of ASGI WebSockets (off)"
    )
    serve.add_argument("--drain", type=_seconds, default=30.0, metavar="SECONDS", help="(30)")
    serve.add_argument("--app-dir", default=".", metavar="FOLDER", help="where modules are (.)")
    for hidden in ("--worker", "--reuse-port"):
        serve.add_argument(hidden, action="store_true", help=argparse.SUPPRESS)
    serve.add_argument("--fd", type=int, default=None, help=argparse.SUPPRESS)
    new = commands.add_parser("new", help="write a small project")
    new.add_argument("name", metavar="NAME", help="its folder")
    new.add_argument("--template", choices=sorted(TEMPLATES), default="echo", help="(echo)")
    return parser


def _port(text: str) -> int:
    if text.isdecimal() and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"a port is 0 to 65535, not {text!r}")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if 0 <= seconds <= DRAIN_S_MAX:
        return seconds
    raise argparse.ArgumentTypeError(f"seconds are 0 to {DRAIN_S_MAX}, not {text!r}")


def _workers(text: str) -> int:
    if text.isdecimal() and 1 <= int(text) <= WORKERS_MAX:
        return int(text)
    raise argparse.ArgumentTypeError(f"workers are 1 to {WORKERS_MAX}, not {text!r}")


if __name__ == "__main__":  # the supervisor starts its workers so
    sys.exit(main())
