"""Every command can be asked for help, fails in one sentence, and is found by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import typer.main

from wynd_chat.cli.program import app, with_default_command

if TYPE_CHECKING:
    from pathlib import Path

    from tests.wynd_chat.cli.conftest import Cli

SPECIFIED = {
    "serve",
    "user add",
    "user passwd",
    "user role",
    "user list",
    "user delete",
    "user export",
    "room list",
    "room create",
    "room archive",
    "invite",
    "token",
    "send",
    "backup",
    "restore",
    "migrate",
    "config show",
    "config check",
    "config default",
    "config env",
    "install-service",
}


def commands() -> set[str]:
    """Return the names of all commands."""
    root = typer.main.get_command(app)
    found = set()
    for name, command in getattr(root, "commands", {}).items():
        parts = getattr(command, "commands", None)
        found |= {name} if parts is None else {f"{name} {part}" for part in parts}
    return found


def test_every_command_of_the_specification_is_there() -> None:
    assert commands() >= SPECIFIED


@pytest.mark.parametrize("name", sorted(SPECIFIED))
def test_every_command_explains_itself(cli: Cli, name: str) -> None:
    result = cli.bare(*name.split(), "--help")
    assert result.status == 0
    assert "Usage: wynd-chat" in result.out


@pytest.mark.parametrize(
    ("given", "run"),
    [
        ([], ["serve"]),
        (["--port", "80"], ["serve", "--port", "80"]),
        (["--ephemeral"], ["serve", "--ephemeral"]),
        (["serve", "--port", "80"], ["serve", "--port", "80"]),
        (["--help"], ["--help"]),
        (["--version"], ["--version"]),
        (["user", "list"], ["user", "list"]),
        (["nonsense"], ["nonsense"]),
    ],
)
def test_without_a_command_it_serves(given: list[str], run: list[str]) -> None:
    assert with_default_command(given) == run


def test_wrong_usage_is_status_2(cli: Cli) -> None:
    assert cli.bare("nonsense").status == 2
    assert cli.bare("--port", "x").status == 2
    assert cli.bare("user", "add").status == 2


def test_settings_that_cannot_be_used_are_told_one_by_one(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WYND_CHAT__SERVER__PROT", "1")
    monkeypatch.setenv("WYND_CHAT__LOG__LEVEL", "loud")
    result = cli("user", "list")
    assert result.status == 1
    assert result.out == ""
    assert sorted(result.err.splitlines()) == [
        "wynd-chat: environment WYND_CHAT__LOG__LEVEL: log.level must be "
        '"debug", "info", "warning" or "error", not \'loud\'',
        "wynd-chat: environment WYND_CHAT__SERVER__PROT is no setting; "
        "did you mean WYND_CHAT__SERVER__PORT?",
    ]


def test_a_chat_that_keeps_nothing_has_nothing_to_work_on(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WYND_CHAT__STORAGE__URL", "memory:")
    result = cli("user", "list")
    assert (result.status, result.out) == (1, "")
    assert "nothing is kept" in result.err


def test_a_folder_that_is_not_there_is_not_made_by_accident(cli: Cli, tmp_path: Path) -> None:
    result = cli.bare("user", "list", "--data", str(tmp_path / "typo"))
    assert result.status == 1
    assert result.err.startswith(f"wynd-chat: there is no folder {tmp_path / 'typo'};")
    assert not (tmp_path / "typo").exists()


def test_a_damaged_database_is_one_sentence(cli: Cli) -> None:
    (cli.data / "chat.sqlite3").write_bytes(b"nonsense" * 1000)
    result = cli("user", "list")
    assert result.status == 1
    assert result.err.startswith("wynd-chat: ")
    assert "Traceback" not in result.err
    assert len(result.err.splitlines()) == 1
