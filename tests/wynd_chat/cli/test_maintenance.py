"""Migrating, and the unit that starts the chat with the machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wynd_chat.cli import maintenance

if TYPE_CHECKING:
    from tests.wynd_chat.cli.conftest import Cli


def test_migrate_makes_a_chat_and_may_be_repeated(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "chat"
    first = cli.bare("migrate", "--data", str(folder))
    assert first.out.startswith("The database is up to date (epoch ")
    assert cli.bare("migrate", "--data", str(folder)).out == first.out
    assert (folder.stat().st_mode & 0o777) == 0o700


def test_the_unit_is_printed_with_this_programs_path(cli: Cli) -> None:
    out = cli.bare("install-service", "--print", "--system").out
    assert f"ExecStart={Path(sys.executable).parent}" in out
    assert "DynamicUser=yes" in out
    assert "DynamicUser" not in cli.bare("install-service", "--print", "--user").out


def test_a_unit_for_one_user_goes_into_that_users_folder(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(maintenance.shutil, "which", lambda name: f"/bin/{name}")  # type: ignore[attr-defined]
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    result = cli.bare("install-service", "--user")
    path = tmp_path / "systemd" / "user" / "wynd-chat.service"
    assert result.out.splitlines() == [
        f"Wrote {path}",
        "Start it with: systemctl --user daemon-reload && systemctl --user enable --now wynd-chat",
    ]
    assert "serve" in path.read_text()


def test_without_systemd_that_is_said(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance.shutil, "which", lambda _: None)  # type: ignore[attr-defined]
    result = cli.bare("install-service", "--user")
    assert result.status == 1
    assert "there is no systemd here" in result.err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no owners of that kind")
def test_a_data_directory_of_its_own_names_its_owner(cli: Cli, tmp_path: Path) -> None:
    result = cli.bare("install-service", "--print", "--system", "--data", str(tmp_path))
    assert f"User={tmp_path.owner()}\n" in result.out
    missing = cli.bare(
        "install-service", "--print", "--system", "--data", str(tmp_path / "missing")
    )
    assert missing.status == 1
    assert "there is no folder" in missing.err
