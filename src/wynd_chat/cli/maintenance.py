"""`wynd-chat migrate` and `wynd-chat install-service`."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wynd_chat.cli.options import ConfigOption, DataOption, on_store, settings_of
from wynd_chat.cli.output import Failure, say, warn
from wynd_chat.cli.unit import UNIT_NAME, unit_text

if TYPE_CHECKING:
    from wynd_chat.ports.store import Store

__all__ = ["install_service", "migrate"]

SYSTEM_FOLDER = Path("/etc/systemd/system")
HOMES = tuple(f"/{name}/" for name in ("root", "home"))


def migrate(data: DataOption = None, config: ConfigOption = None) -> None:
    """Bring the database to this version's schema, as every start does, and stop."""
    settings = settings_of(data, config)
    settings.storage.directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def opened(store: Store) -> str:
        return await store.read(lambda snapshot: snapshot.meta("epoch")) or ""

    epoch = on_store(settings, opened)
    say(f"The database is up to date (epoch {epoch})")


def install_service(
    show: Annotated[
        bool, typer.Option("--print", help="Print the unit instead of writing it.")
    ] = False,
    user: Annotated[
        bool | None,
        typer.Option(
            "--user/--system",
            help="For this user only, or for the machine; as root for the machine.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Another data directory.", show_default=False),
    ] = None,
) -> None:
    """Write a systemd unit that starts the chat with the machine."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    is_user = not is_root if user is None else user
    command = _command()
    folder = None if data is None else data.expanduser().absolute()
    owner = None if folder is None or is_user else _owner(folder)
    text = unit_text(command, is_user=is_user, data=folder, owner=owner)
    if show:
        say(text.rstrip("\n"))
        return
    if sys.platform != "linux" or shutil.which("systemctl") is None:
        raise Failure("there is no systemd here; wynd-chat install-service --print shows the unit")
    if not is_user and command[0].startswith(HOMES):
        raise Failure(
            f"{command[0]} lies in a home folder, where the service may not read; install "
            "wynd-chat for all users (for example into /opt), or use --user"
        )
    path = _user_folder() / UNIT_NAME if is_user else SYSTEM_FOLDER / UNIT_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    say(f"Wrote {path}")
    systemctl = "systemctl --user" if is_user else "systemctl"
    say(f"Start it with: {systemctl} daemon-reload && {systemctl} enable --now wynd-chat")
    if is_user:
        warn("it stops when you log out, unless you run: loginctl enable-linger")


def _owner(folder: Path) -> str:
    """Return as whom the server runs: whoever owns the data directory."""
    if not folder.is_dir():
        raise Failure(f"there is no folder {folder}; make it and give it to the user of the server")
    if str(folder).startswith(HOMES):
        raise Failure(f"{folder} lies in a home folder, where the service may not read; use --user")
    return folder.owner()


def _command() -> list[str]:
    """Return how this very program is started, by its full path."""
    program = Path(sys.executable).with_name("wynd-chat")
    return [str(program)] if program.exists() else [sys.executable, "-m", "wynd_chat"]


def _user_folder() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "systemd" / "user"
