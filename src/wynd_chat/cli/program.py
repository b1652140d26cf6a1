"""All commands by name, and how each may fail.

`wynd-chat` without a command, or with options only, is `wynd-chat serve`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wynd_chat import __version__
from wynd_chat.adapters.backup.archive import BackupError
from wynd_chat.cli import (
    access,
    backups,
    config,
    exporting,
    maintenance,
    rooms,
    sending,
    serving,
    users,
)
from wynd_chat.cli.output import Failure, say, warn
from wynd_chat.domain.errors import ChatError
from wynd_chat.ports.store import StoreFailure, StoreUnusable
from wynd_chat.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["app", "run", "with_default_command"]

FAILED = 1
HELP = ("--help", "-h", "--version", "--install-completion", "--show-completion")

app = typer.Typer(
    name="wynd-chat",
    help="A small self-hosted chat server that you can type at.",
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        say(f"wynd-chat {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version)
    ] = False,
) -> None:
    """Take what stands before the command."""


app.command("serve")(serving.serve)
app.add_typer(config.app, name="config")
users.app.command("export")(exporting.export)
app.add_typer(users.app, name="user")
app.add_typer(rooms.app, name="room")
app.command("invite")(access.invite)
app.command("token")(access.token)
app.command("send")(sending.send)
app.command("backup")(backups.backup)
app.command("restore")(backups.restore)
app.command("migrate")(maintenance.migrate)
app.command("install-service")(maintenance.install_service)


def with_default_command(arguments: Sequence[str]) -> list[str]:
    """Put `serve` before arguments that name no command."""
    given = list(arguments)
    if not given or (given[0].startswith("-") and given[0].partition("=")[0] not in HELP):
        return ["serve", *given]
    return given


def run(arguments: Sequence[str]) -> int:
    """Run one command; return its exit status. What went wrong is one sentence each."""
    try:
        app(args=with_default_command(arguments), prog_name="wynd-chat")
    except SystemExit as end:  # typer's way to return a status; a text would be a mistake of ours
        return end.code if isinstance(end.code, int) else 0
    except SettingsError as error:
        for sentence in error.sentences:
            warn(sentence)
    except ChatError as error:
        warn(error.sentence)
    except (Failure, BackupError, StoreUnusable) as error:
        warn(str(error))
    except StoreFailure as error:
        warn(f"the database cannot do it now: {error}")
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        warn(f"{where}{error.strerror or error}")
    return FAILED
