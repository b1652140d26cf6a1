"""A chat is saved while it runs, and comes back whole, with a new epoch, or not at all."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import stat
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.wynd_chat.adapters.backup.chats import (
    add_file,
    make_chat,
    message,
    names_in,
    open_chat,
    texts,
)
from wynd_chat.adapters.backup.archive import BackupError, content_path
from wynd_chat.adapters.backup.backups import (
    Backup,
    backup_name,
    make_backup,
    newest_backup,
    prune_backups,
    restore_backup,
)

if TYPE_CHECKING:
    from wynd_chat.adapters.backup.archive import Progress

NOW = 1_795_917_600_123  # 2026-11-29T02:00:00.123Z


def save(data: Path, target: Path, progress: Progress = lambda _done, _total: None) -> Backup:
    """Save a chat."""
    return make_backup(
        data,
        target,
        now_ms=NOW,
        program="wynd-chat 1.0",
        database=data / "chat.sqlite3",
        progress=progress,
    )


def listing(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


async def test_what_was_said_and_shared_comes_back_under_a_new_epoch(tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    store = await make_chat(data, messages=5)
    sha256 = await add_file(store, data, b"hello" * 1000)
    epoch = await store.read(lambda snapshot: snapshot.meta("epoch"))
    made = save(data, tmp_path / "out")
    await store.close()

    assert made.path == tmp_path / "out" / "wynd-chat-20261129T020000Z.tar"
    assert made.missing == ()
    assert made.manifest.epoch == epoch
    assert made.manifest.counts["messages"] == 5
    assert made.manifest.counts["users"] == 1
    assert made.manifest.program == "wynd-chat 1.0"
    assert made.manifest.made_at == "2026-11-29T02:00:00Z"

    restored = restore_backup(made.path, copy, now_ms=NOW)
    again = await open_chat(copy)
    assert await texts(again) == [1, 2, 3, 4, 5]
    assert await again.read(lambda snapshot: snapshot.meta("epoch")) == restored.epoch
    assert restored.epoch not in (None, epoch)
    assert (copy / content_path(sha256)).read_bytes() == b"hello" * 1000
    await again.post(message(6))
    assert await texts(again) == [1, 2, 3, 4, 5, 6]
    await again.close()


async def test_a_backup_beside_a_busy_server_is_one_moment_of_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    store = await make_chat(data, messages=200)
    is_done = asyncio.Event()
    posted = 200

    async def keep_posting() -> None:
        nonlocal posted
        while not is_done.is_set():
            await store.post(message(posted + 1))
            posted += 1

    posting = asyncio.create_task(keep_posting())
    before = posted
    made = await asyncio.to_thread(save, data, tmp_path / "b.tar")
    after = posted
    is_done.set()
    await posting
    await store.close()

    restore_backup(made.path, tmp_path / "copy", now_ms=NOW)
    again = await open_chat(tmp_path / "copy")
    said = await texts(again)
    await again.close()
    assert said == list(range(1, len(said) + 1))
    assert before <= len(said) <= after
    assert made.manifest.counts["messages"] == len(said)


async def test_a_backup_needs_no_server(tmp_path: Path) -> None:
    data = tmp_path / "data"
    await (await make_chat(data)).close()
    before = listing(data)
    made = save(data, tmp_path / "b.tar")
    assert made.manifest.counts["messages"] == 3
    assert listing(data) == before


async def test_a_backup_is_for_its_owners_eyes_and_never_overwrites(tmp_path: Path) -> None:
    data = tmp_path / "data"
    await (await make_chat(data)).close()
    made = save(data, tmp_path / "b.tar")
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    with pytest.raises(BackupError, match="already there"):
        save(data, tmp_path / "b.tar")
    (tmp_path / "folder").mkdir()
    first, second = (save(data, tmp_path / "folder") for _ in range(2))
    assert (first.path.name, second.path.name) == (
        "wynd-chat-20261129T020000Z.tar",
        "wynd-chat-20261129T020000Z-2.tar",
    )
    assert names_in(tmp_path) == ["b.tar", "data", "folder"]


async def test_progress_rises_to_all(tmp_path: Path) -> None:
    data = tmp_path / "data"
    store = await make_chat(data)
    await add_file(store, data, os.urandom(3_000_000))
    await store.close()
    seen: list[tuple[int, int]] = []
    made = save(data, tmp_path / "b.tar", lambda done, total: seen.append((done, total)))
    assert len(seen) > 5
    assert all(0 <= done <= total for done, total in seen)
    assert seen[-1][0] == seen[-1][1]
    read: list[tuple[int, int]] = []
    restore_backup(
        made.path,
        tmp_path / "copy",
        now_ms=NOW,
        progress=lambda done, total: read.append((done, total)),
    )
    assert [done for done, _ in read] == sorted(done for done, _ in read)
    assert read[-1][0] == read[-1][1]


async def test_only_files_that_the_chat_needs_are_saved_and_missing_ones_are_told(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    store = await make_chat(data)
    kept = await add_file(store, data, b"kept", "f_1")
    lost = await add_file(store, data, b"lost", "f_2")
    rotten = await add_file(store, data, b"rotten", "f_3")
    await store.close()
    (data / content_path(lost)).unlink()
    (data / content_path(rotten)).write_bytes(b"Rotten")
    stray = data / content_path("0" * 64)
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"of nobody")
    made = save(data, tmp_path / "b.tar")
    assert set(made.missing) == {lost, rotten}
    assert [entry.path for entry in made.manifest.files] == ["chat.sqlite3", content_path(kept)]


async def test_a_link_among_the_files_is_not_followed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    store = await make_chat(data)
    sha256 = await add_file(store, data, b"secret")
    await store.close()
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret")
    (data / content_path(sha256)).unlink()
    (data / content_path(sha256)).symlink_to(outside)
    assert save(data, tmp_path / "b.tar").missing == (sha256,)


def test_without_a_database_there_is_nothing_to_save(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="has the server run once"):
        save(tmp_path, tmp_path / "b.tar")
    assert not (tmp_path / "b.tar").exists()
    assert list(tmp_path.iterdir()) == []


async def test_a_damaged_database_is_not_saved(tmp_path: Path) -> None:
    data = tmp_path / "data"
    await (await make_chat(data, messages=300)).close()
    database = data / "chat.sqlite3"
    content = bytearray(database.read_bytes())
    content[4096 * 5 : 4096 * 12] = b"\xa5" * (4096 * 7)
    database.write_bytes(content)
    with pytest.raises(BackupError, match=r"damaged|cannot be"):
        save(data, tmp_path / "b.tar")
    assert not (tmp_path / "b.tar").exists()


async def test_files_alone_are_saved_where_the_database_is_elsewhere(tmp_path: Path) -> None:
    data = tmp_path / "data"
    store = await make_chat(data)
    sha256 = await add_file(store, data, b"hello")
    await store.close()
    made = make_backup(data, tmp_path / "b.tar", now_ms=NOW, program="x", database=None)
    assert [entry.path for entry in made.manifest.files] == [content_path(sha256)]
    assert made.manifest.database == "postgresql"
    restored = restore_backup(made.path, tmp_path / "copy", now_ms=NOW)
    assert restored.epoch is None
    assert listing(tmp_path / "copy") == {content_path(sha256): b"hello"}


# Restoring


async def backup_of_a_chat(tmp_path: Path) -> Path:
    """Return a backup with three messages and a file."""
    data = tmp_path / "source"
    store = await make_chat(data)
    await add_file(store, data, b"hello")
    await store.close()
    return save(data, tmp_path / "b.tar").path


async def test_a_target_that_holds_a_chat_is_refused_and_untouched(tmp_path: Path) -> None:
    archive = await backup_of_a_chat(tmp_path)
    target = tmp_path / "target"
    await (await make_chat(target, messages=7)).close()
    before = listing(target)
    with pytest.raises(BackupError, match="holds a chat already"):
        restore_backup(archive, target, now_ms=NOW)
    assert listing(target) == before


async def test_by_force_what_was_there_is_moved_aside(tmp_path: Path) -> None:
    archive = await backup_of_a_chat(tmp_path)
    target = tmp_path / "target"
    await (await make_chat(target, messages=7)).close()
    (target / "wynd-chat.toml").write_text("")
    restored = restore_backup(archive, target, now_ms=NOW, is_forced=True)
    assert restored.replaced == target / "replaced-20261129T020000Z"
    new, old = await open_chat(target), await open_chat(restored.replaced)
    assert (len(await texts(new)), len(await texts(old))) == (3, 7)
    await new.close()
    await old.close()
    assert (target / "wynd-chat.toml").exists()


async def test_settings_beside_the_data_do_not_make_a_target_full(tmp_path: Path) -> None:
    archive = await backup_of_a_chat(tmp_path)
    target = tmp_path / "target"
    target.mkdir()
    (target / "wynd-chat.toml").write_text("")
    assert restore_backup(archive, target, now_ms=NOW).replaced is None


async def test_a_newer_schema_is_refused_before_anything_changes(tmp_path: Path) -> None:
    archive = await backup_of_a_chat(tmp_path)
    target = tmp_path / "target"
    with pytest.raises(BackupError, match="newer than this wynd-chat"):
        restore_backup(archive, target, now_ms=NOW, known_schemas={"something else"})
    assert listing(target) == {}


async def test_a_failure_while_names_change_puts_back_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = await backup_of_a_chat(tmp_path)
    target = tmp_path / "target"
    store = await make_chat(target, messages=7)
    await add_file(store, target, b"other")
    await store.close()
    before = listing(target)
    replace = os.replace
    failing = {target / "files"}

    def fail_once(source: Path, destination: Path) -> None:
        if Path(destination) in failing:
            failing.clear()
            raise OSError(5, "Input/output error", str(destination))
        replace(source, destination)

    monkeypatch.setattr(os, "replace", fail_once)
    with pytest.raises(BackupError, match="Input/output error"):
        restore_backup(archive, target, now_ms=NOW, is_forced=True)
    assert listing(target) == before


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root gives files away")
async def test_restored_by_root_the_files_belong_to_the_owner_of_the_folder(
    tmp_path: Path,
) -> None:
    archive = await backup_of_a_chat(tmp_path)
    target = tmp_path / "target"
    target.mkdir()
    os.chown(target, 12345, 12346)
    restore_backup(archive, target, now_ms=NOW)
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in target.rglob("*")}
    assert owners == {(12345, 12346)}


async def test_a_database_that_is_not_the_manifests_is_refused(tmp_path: Path) -> None:
    """Somebody swaps the counts: the hash still fits, what is in it does not."""
    archive = await backup_of_a_chat(tmp_path)
    changed = tmp_path / "changed.tar"
    with tarfile.open(archive) as source, tarfile.open(changed, "w") as target:
        for member in source:
            content = source.extractfile(member)
            assert content is not None
            if member.name != "manifest.json":
                target.addfile(member, content)
                continue
            manifest = json.load(content)
            manifest["counts"]["messages"] = 5
            path = tmp_path / "manifest.json"
            path.write_text(json.dumps(manifest))
            target.add(path, "manifest.json")
    with pytest.raises(BackupError, match="not what its manifest says"):
        restore_backup(changed, tmp_path / "target", now_ms=NOW)
    assert listing(tmp_path / "target") == {}


# Keeping


def test_names_sort_by_time() -> None:
    names = [backup_name(NOW + days * 86_400_000) for days in range(400)]
    assert names == sorted(names)


def test_only_the_newest_are_kept_and_nothing_else_is_touched(tmp_path: Path) -> None:
    made = [backup_name(NOW + days * 86_400_000) for days in range(5)]
    others = ["wynd-chat-old.tar", "notes.txt", ".wynd-chat-20200101T000000Z.tar.partial"]
    for name in [*made, *others]:
        (tmp_path / name).touch()
    gone = prune_backups(tmp_path, 2)
    assert [path.name for path in gone] == made[:3]
    assert {path.name for path in tmp_path.iterdir()} == {*made[3:], *others}
    assert prune_backups(tmp_path, 2) == []
    assert prune_backups(tmp_path / "missing", 2) == []


def test_the_newest_is_known_by_its_name(tmp_path: Path) -> None:
    assert newest_backup(tmp_path / "missing", now_ms=NOW) is None
    for name in ("wynd-chat-20260231T000000Z.tar", "wynd-chat-20991231T000000Z.tar", "x.tar"):
        (tmp_path / name).touch()
    assert newest_backup(tmp_path, now_ms=NOW) is None
    (tmp_path / backup_name(NOW)).touch()
    (tmp_path / backup_name(NOW - 86_400_000)).touch()
    assert newest_backup(tmp_path, now_ms=NOW) == NOW // 1000


def test_sqlite_can_pin_a_moment_here() -> None:
    assert sqlite3.sqlite_version_info >= (3, 37)
