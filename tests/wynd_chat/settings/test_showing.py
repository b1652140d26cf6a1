"""What people see of the settings: complete, true, and without secrets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from wynd_chat.settings.keys import KEYS
from wynd_chat.settings.loading import load, load_traced
from wynd_chat.settings.showing import MASK, default_toml, explain, masked, variables

if TYPE_CHECKING:
    from pathlib import Path


def test_every_key_is_explained_with_its_source() -> None:
    rows = explain(load_traced({"server.port": 80}, {}))
    assert [row.key for row in rows] == list(KEYS)
    by_key = {row.key: row for row in rows}
    assert (by_key["server.port"].value, by_key["server.port"].source) == ("80", "flag --port")
    assert by_key["server.host"].value == '["localhost"]'
    assert by_key["server.plain_port"].value == '"off"'


def test_the_file_of_defaults_is_the_defaults(tmp_path: Path) -> None:
    active = re.sub(r"^# ([a-z_]+ = )", r"\1", default_toml(), flags=re.MULTILINE)
    assert active.count(" = ") >= len(KEYS)
    path = tmp_path / "wynd-chat.toml"
    path.write_text(active)
    assert load({}, {}, path) == load({}, {})


def test_the_file_of_defaults_changes_nothing_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "wynd-chat.toml"
    path.write_text(default_toml())
    assert load({}, {}, path) == load({}, {})


def test_every_variable_of_the_list_is_understood() -> None:
    environ = {name: default for name, default, _ in variables() if not name.endswith("_FILE")}
    assert len(environ) == len(KEYS)
    assert load({}, environ) == load({}, {})


def test_secrets_may_be_files_in_the_list() -> None:
    names = {name for name, _, _ in variables()}
    assert {"WYND_CHAT__METRICS__TOKEN_FILE", "WYND_CHAT__STORAGE__URL_FILE"} <= names
    assert "WYND_CHAT__SERVER__PORT_FILE" not in names


def test_every_key_says_what_it_does_and_what_it_must_be() -> None:
    assert [key.name for key in KEYS.values() if not key.description or not key.expects] == []


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (None, None),
        ("memory:", "memory:"),
        ("sqlite:////var/chat.sqlite3", "sqlite:////var/chat.sqlite3"),
        ("postgresql://me@host/name", "postgresql://me@host/name"),
        ("postgresql://me:s3cret@host:1/name", f"postgresql://me:{MASK}@host:1/name"),
        ("postgresql://me:s3cret@a,b/name", f"postgresql://me:{MASK}@a,b/name"),
        ("postgresql://me@host/name?password=s3cret", f"postgresql://me@host/name?{MASK}"),
    ],
)
def test_of_a_database_only_the_password_is_hidden(url: str | None, shown: str | None) -> None:
    assert masked(KEYS["storage.url"], url) == shown


def test_a_token_is_never_shown() -> None:
    environ = {"WYND_CHAT__METRICS__TOKEN": "hunter2hunter2hunter2"}
    text = str(explain(load_traced({}, environ)))
    assert "hunter2" not in text
    assert MASK in text


def test_odd_characters_are_valid_toml(tmp_path: Path) -> None:
    name = 'quote " backslash \\ ünï'
    rows = explain(load_traced({}, {"WYND_CHAT__SERVER__NAME": name}))
    (value,) = (row.value for row in rows if row.key == "server.name")
    path = tmp_path / "wynd-chat.toml"
    path.write_text(f"[server]\nname = {value}\n", encoding="utf-8")
    assert load({}, {}, path).server.name == name
