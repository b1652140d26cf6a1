"""Everything of one user, whole, and nothing secret."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.wynd_chat.cli.conftest import Cli


def test_an_export_has_profile_logins_rooms_and_messages_of_that_user_only(cli: Cli) -> None:
    token = cli("user", "add", "Alice", "--bot").out.splitlines()[1].rpartition(" ")[2]
    cli("user", "add", "Bob", "--bot")
    cli("room", "create", "dev", "--owner", "alice", "--private")
    cli("send", "lobby", 'quote " and \x1b', "--as", "alice")
    cli("send", "lobby", "of Bob", "--as", "bob")
    cli("send", "dev", "second", "--as", "alice")
    result = cli("user", "export", "@alice")
    assert (result.status, result.err) == (0, "")
    found = json.loads(result.out)
    assert found["user"]["name"] == "Alice"
    assert found["user"]["created_at"].endswith("Z")
    assert [login["kind"] for login in found["logins"]] == ["bot"]
    assert {room["room"]: room["role"] for room in found["rooms"]} == {
        "lobby": "member",
        "dev": "owner",
    }
    said = {(one["room"], one["text"]) for one in found["messages"]}
    assert said == {("lobby", 'quote " and \x1b'), ("dev", "second")}
    assert "of Bob" not in result.out
    assert token not in result.out
    assert "hash" not in result.out
    assert "\x1b" not in result.out


def test_somebody_who_never_spoke_has_an_export_too(cli: Cli) -> None:
    cli("user", "add", "Alice", "--bot")
    found = json.loads(cli("user", "export", "alice").out)
    assert found["messages"] == []
    assert found["ignores"] == []


def test_a_file_is_for_its_owners_eyes_and_never_overwritten(cli: Cli, tmp_path: Path) -> None:
    cli("user", "add", "Alice", "--bot")
    path = tmp_path / "alice.json"
    assert cli("user", "export", "alice", "--to", str(path)).status == 0
    assert json.loads(path.read_text())["user"]["name"] == "Alice"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = cli("user", "export", "alice", "--to", str(path))
    assert (again.status, again.err) == (1, f"wynd-chat: {path}: File exists\n")


def test_nobody_leaves_no_file(cli: Cli, tmp_path: Path) -> None:
    result = cli("user", "export", "nobody", "--to", str(tmp_path / "x"))
    assert (result.status, result.out) == (1, "")
    assert not (tmp_path / "x").exists()
