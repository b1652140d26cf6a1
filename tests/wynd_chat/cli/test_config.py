"""What `config` says."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

from wynd_chat.settings import KEYS

if TYPE_CHECKING:
    import pytest

    from tests.wynd_chat.cli.conftest import Cli


def test_show_names_every_setting_with_its_source(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WYND_CHAT__METRICS__TOKEN", "hunter2hunter2hunter2")
    (cli.data / "wynd-chat.toml").write_text("[server]\nport = 4000\n")
    result = cli("config", "show")
    rows = {row[0]: row[1:] for row in result.rows}
    assert rows.keys() == KEYS.keys()
    assert rows["server.port"] == ["4000", str(cli.data / "wynd-chat.toml")]
    assert rows["storage.data"] == [f'"{cli.data}"', "flag --data"]
    assert rows["metrics.token"][1] == "environment WYND_CHAT__METRICS__TOKEN"
    assert "hunter2" not in result.out


def test_check_says_what_is_unsafe_and_what_is_wrong(cli: Cli) -> None:
    path = cli.data / "wynd-chat.toml"
    path.write_text('[server]\norigins = ["*"]\n')
    fine = cli("config", "check")
    assert (fine.status, fine.out) == (0, f"The settings can be used ({path}).\n")
    assert fine.err.startswith('wynd-chat: unsafe: server.origins is "*"')
    path.write_text("[server]\nport = 99999\n")
    wrong = cli("config", "check")
    assert (wrong.status, wrong.out) == (1, "")
    assert wrong.err == f"wynd-chat: {path}: server.port must be a port, 0 to 65535, not 99999\n"


def test_default_is_a_settings_file(cli: Cli) -> None:
    out = cli.bare("config", "default").out
    assert set(tomllib.loads(out)) >= {"server", "storage", "auth", "limits"}
    (cli.data / "wynd-chat.toml").write_text(out)
    assert cli("config", "check").status == 0


def test_env_lists_every_variable(cli: Cli) -> None:
    names = {row[0] for row in cli.bare("config", "env").rows}
    assert names >= {key.variable for key in KEYS.values()}
