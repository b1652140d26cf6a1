"""`wynd-chat config`: which settings are in force, whether they can be used, what there is."""

from __future__ import annotations

import typer

from wynd_chat.cli.options import ConfigOption, DataOption, load_with
from wynd_chat.cli.output import say, table, warn
from wynd_chat.settings import default_toml, explain, unsafe, variables

__all__ = ["app"]

app = typer.Typer(help="Show and check settings; secrets are masked.", no_args_is_help=True)


@app.command()
def show(data: DataOption = None, config: ConfigOption = None) -> None:
    """Print every setting in force and where it comes from."""
    loaded = load_with(data, config)
    table(
        ("setting", "value", "from"), ((row.key, row.value, row.source) for row in explain(loaded))
    )


@app.command()
def check(data: DataOption = None, config: ConfigOption = None) -> None:
    """Say whether the settings can be used, and which are unsafe."""
    loaded = load_with(data, config)
    for sentence in unsafe(loaded.settings):
        warn(f"unsafe: {sentence}")
    path = loaded.config_path
    say(f"The settings can be used ({path or 'no settings file'}).")


@app.command()
def default() -> None:
    """Print a settings file with every setting, its default and what it does."""
    say(default_toml().rstrip("\n"))


@app.command()
def env() -> None:
    """Print the environment variable of every setting, its default and what it does."""
    table(("variable", "default", "what it does"), variables())
