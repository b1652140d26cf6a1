"""Saving and restoring from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.wynd_chat.cli.test_users import read
from wynd_chat.adapters.datalock import DataLock

if TYPE_CHECKING:
    import pytest

    from tests.wynd_chat.cli.conftest import Cli


def test_a_chat_is_saved_destroyed_and_restored(cli: Cli, tmp_path: Path) -> None:
    cli("user", "add", "Alice", "--bot")
    cli("send", "lobby", "hello")
    epoch = read(cli.data, lambda snapshot: snapshot.meta("epoch"))
    saved = cli("backup", "--to", str(tmp_path / "chat.tar"))
    assert saved.status == 0
    assert saved.out.startswith("Saved 1 messages, 0 files, ")
    assert saved.out.endswith(f"checked: {tmp_path / 'chat.tar'}\n")
    (cli.data / "chat.sqlite3").unlink()

    restored = cli("restore", str(tmp_path / "chat.tar"))
    assert restored.status == 0
    assert restored.out.startswith(f"Restored {cli.data} as of ")
    assert [row[0] for row in cli("user", "list").rows] == ["Alice"]
    assert cli("room", "list").rows[0][3] == "1"
    assert read(cli.data, lambda snapshot: snapshot.meta("epoch")) not in (None, epoch)


def test_without_a_target_backups_go_beside_the_data(cli: Cli) -> None:
    path = Path(cli("backup").out.rpartition(": ")[2].strip())
    assert path.parent == cli.data / "backups"
    assert path.exists()


def test_a_full_folder_is_refused_and_moved_aside_by_force(cli: Cli, tmp_path: Path) -> None:
    cli("backup", "--to", str(tmp_path / "chat.tar"))
    refused = cli("restore", str(tmp_path / "chat.tar"))
    assert refused.status == 1
    assert "holds a chat already" in refused.err
    forced = cli("restore", str(tmp_path / "chat.tar"), "--force")
    assert forced.status == 0
    assert forced.out.startswith(f"What was there is now in {cli.data / 'replaced-'}")


def test_a_folder_that_a_server_uses_is_refused(cli: Cli, tmp_path: Path) -> None:
    cli("backup", "--to", str(tmp_path / "chat.tar"))
    with DataLock(cli.data):
        refused = cli("restore", str(tmp_path / "chat.tar"), "--force")
    assert refused.status == 1
    assert "another wynd-chat uses" in refused.err


def test_what_is_no_backup_is_refused(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"nonsense")
    for name in ("x.tar", "missing.tar"):
        refused = cli("restore", str(tmp_path / name), "--force")
        assert refused.status == 1
        assert len(refused.err.splitlines()) == 1
    assert cli("user", "list").status == 0


def test_on_postgresql_the_files_are_saved_and_the_rest_is_told(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WYND_CHAT__STORAGE__URL", "postgresql://chat:s3cret@db/chat")
    saved = cli("backup", "--to", str(tmp_path / "files.tar"))
    assert saved.status == 0
    assert "pg_dump --format=custom" in saved.out
    assert "s3cret" not in saved.out + saved.err
    other = cli.bare("restore", str(tmp_path / "files.tar"), "--data", str(tmp_path / "other"))
    assert other.status == 0
    assert "pg_restore" in other.err
