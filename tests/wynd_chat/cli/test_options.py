"""Flags: each is a setting, and each setting's flag is there."""

from __future__ import annotations

from pathlib import Path

import typer.main

from wynd_chat.cli.options import load_with
from wynd_chat.cli.program import app
from wynd_chat.settings import KEYS

OTHERS = {"--config", "--ephemeral", "--lan", "--no-guests", "--no-strict-tutorial", "--help", "-h"}


def test_every_flag_of_serve_is_a_setting_and_the_other_way_round() -> None:
    command = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    flags = {
        option
        for parameter in command.params
        for option in [*parameter.opts, *parameter.secondary_opts]
    }
    assert flags - OTHERS == {key.flag for key in KEYS.values() if key.flag is not None}


def test_flags_that_were_not_given_do_not_count() -> None:
    loaded = load_with(Path("/x"), None, {"server.port": None, "server.host": ()})
    assert loaded.sources.keys() == {"storage.data"}
