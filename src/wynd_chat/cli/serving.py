"""`wynd-chat serve`: flags become settings, the data directory is made ready, the server runs.

Decides what a start prints (chat.md 11.2). How the server is put together is `wynd_chat.app`'s.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wynd_chat.adapters.datalock import DataLock
from wynd_chat.cli.activation import inherited_sockets
from wynd_chat.cli.network import lan_addresses, qr_code
from wynd_chat.cli.options import ConfigOption, DataOption, load_with
from wynd_chat.cli.output import Failure, say, warn
from wynd_chat.cli.rereading import reread_on_hangup
from wynd_chat.cli.unit import notify
from wynd_chat.observability.logs import configure
from wynd_chat.settings import EPHEMERAL_URL, unsafe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wynd_chat.app import Chat
    from wynd_chat.settings import Settings

__all__ = ["Started", "serve", "start_lines"]

log = logging.getLogger("wynd_chat")

LOOPBACK = ("127.0.0.1", "::1", "0.0.0.0", "::")


class LogForm(StrEnum):
    """How the log looks."""

    TEXT = "text"
    JSON = "json"


class Level(StrEnum):
    """From which weight on it speaks."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Registration(StrEnum):
    """Who may make an account."""

    AUTO = "auto"
    OPEN = "open"
    INVITE = "invite"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A server that listens, as far as its first lines need it."""

    addresses: Sequence[tuple[str, int]]
    """Where page, API and WebSocket are."""
    plain_addresses: Sequence[tuple[str, int]] = ()
    """Where the plain-text face is."""
    claim_link: str | None = None
    """With which the first administrator claims the server; None: there is one already."""
    data: Path | None = None
    """The data directory; None: nothing is kept."""
    is_lan: bool = False
    """Bound for the people nearby: they get a QR code."""


def serve(
    host: Annotated[
        list[str] | None,
        typer.Option("--host", help="Address to bind; may be repeated.", show_default="localhost"),
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", help="Page, WebSocket and API.", show_default="3000")
    ] = None,
    plain_port: Annotated[
        int | None,
        typer.Option("--plain-port", help="A second port for plain text.", show_default=False),
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
    public_url: Annotated[
        str | None,
        typer.Option("--public-url", help="How people reach it, for links.", show_default=False),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option("--origin", help="Another site that may connect.", show_default=False),
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            "--trusted-proxy", help="Whose X-Forwarded-* headers count.", show_default=False
        ),
    ] = None,
    guests: Annotated[
        bool | None,
        typer.Option("--guests/--no-guests", help="Whether a name is enough.", show_default="auto"),
    ] = None,
    registration: Annotated[
        Registration | None,
        typer.Option("--registration", help="Who may make an account.", show_default="auto"),
    ] = None,
    ephemeral: Annotated[
        bool, typer.Option("--ephemeral", help="Keep everything in memory only.")
    ] = False,
    lan: Annotated[
        bool, typer.Option("--lan", help="Bind the private addresses; print a QR code.")
    ] = False,
    strict_tutorial: Annotated[
        bool | None,
        typer.Option("--strict-tutorial", help="Say what the tutorial says and nothing more."),
    ] = None,
    log_format: Annotated[
        LogForm | None, typer.Option("--log-format", help="How the log looks.", show_default="text")
    ] = None,
    log_level: Annotated[
        Level | None,
        typer.Option("--log-level", help="How much is logged.", show_default="info"),
    ] = None,
) -> None:
    """Serve the chat (this is what wynd-chat does without a command)."""
    if lan and host:
        raise Failure("give --host or --lan, not both")
    flags: dict[str, Any] = {
        "server.host": _lan_hosts() if lan else tuple(host or ()),
        "server.port": port,
        "server.plain_port": plain_port,
        "server.public_url": public_url,
        "server.origins": tuple(origin or ()),
        "server.trusted_proxies": tuple(trusted_proxy or ()),
        "auth.guests": guests,
        "auth.registration": None if registration is None else registration.value,
        "storage.url": EPHEMERAL_URL if ephemeral else None,
        "text.strict_tutorial": strict_tutorial,
        "log.format": None if log_format is None else log_format.value,
        "log.level": None if log_level is None else log_level.value,
    }

    def load() -> Settings:
        return load_with(data, config, flags).settings

    settings = load()
    configure(settings.log.format, settings.log.level)
    for sentence in unsafe(settings):
        log.warning("UNSAFE: %s", sentence)
    _raise_descriptors()
    raise typer.Exit(_serve(settings, load, is_lan=lan))


def start_lines(started: Started) -> list[str]:
    """Return what a start prints: the tutorial's lines, then what is ours."""
    at = [f"{shown_host(host)}:{port}" for host, port in _each_once(started.addresses)]
    first = at[0]
    lines = [
        f"Server running on http://{first}",
        f"WebSocket available at ws://{first}/ws",
        f"API status at http://{first}/api/status",
        f"API users at http://{first}/api/users",
    ]
    lines += [
        f"Advanced chat server listening on ws://{shown_host(host)}:{port}"
        for host, port in _each_once(started.plain_addresses)[:1]
    ]
    lines += [f"Also on http://{other}" for other in at[1:]]
    if started.claim_link is not None:
        lines.append(f"Admin claim link (works once, 24 h): {started.claim_link}")
    lines.append(f"Try it: npx wscat -c ws://{first}/ws")
    if started.data is None:
        lines.append("Data: in memory only; nothing is kept when the server ends")
    else:
        lines.append(f"Data: {_short(started.data)}")
    if started.is_lan:
        for near in [one for one in at if not one.startswith("localhost:")][:1]:
            lines += [f"For people nearby: http://{near}", *qr_code(f"http://{near}").split("\n")]
    return lines


def shown_host(host: str) -> str:
    """Return a host as links name it: loopback and "all interfaces" are localhost."""
    if host in LOOPBACK:
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _serve(settings: Settings, load: Callable[[], Settings], *, is_lan: bool) -> int:
    """Run the server over a data directory of its own."""
    from wynd_chat.app import serve as serve_chat  # takes a while; mistakes are told before

    def on_ready(chat: Chat) -> None:
        reread_on_hangup(chat, load)
        started = Started(
            addresses=chat.listeners.addresses,
            plain_addresses=chat.listeners.plain_addresses,
            claim_link=chat.claim_link,
            data=None if settings.storage.is_ephemeral else settings.storage.directory,
            is_lan=is_lan,
        )
        for line in start_lines(started):
            say(line)
        notify("READY=1", os.environ)

    sockets = inherited_sockets(os.environ, os.getpid())
    if sockets:
        log.info("listening on %d sockets of the service manager, on no port", len(sockets))
    with ExitStack() as held:
        if not settings.storage.is_ephemeral:
            settings.storage.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            held.enter_context(DataLock(settings.storage.directory))
        return serve_chat(settings, on_ready, sockets)


def _lan_hosts() -> tuple[str, ...]:
    """Return loopback and every private address."""
    near = lan_addresses()
    if not near:
        warn("--lan: this machine has no private address; only it can reach the chat")
    return ("localhost", *near)


def _raise_descriptors() -> None:
    """Let the server open as many files as it may at all; each connection is one."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as error:  # macOS names a limit that it does not grant
            log.info("the limit of open files stays at %d: %s", soft, error)


def _each_once(addresses: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return addresses without those that are shown alike: both loopbacks are localhost."""
    seen: dict[tuple[str, int], tuple[str, int]] = {}
    for host, port in addresses:
        seen.setdefault((shown_host(host), port), (host, port))
    return list(seen.values())


def _short(path: Path) -> str:
    """Return a path with `~` for the home folder."""
    try:
        return f"~/{path.relative_to(Path.home()).as_posix()}"
    except (ValueError, RuntimeError):
        return str(path)
