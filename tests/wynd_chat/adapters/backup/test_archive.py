"""The form of a backup: whole or refused, and nothing in it that does not belong there."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import asdict
from typing import IO, TYPE_CHECKING

import pytest

from wynd_chat.adapters.backup.archive import (
    ArchiveWriter,
    BackupError,
    Manifest,
    content_path,
    read_archive,
)

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b"some content" * 100
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def ignore(_count: int) -> None:
    """Take no notice."""


def manifest_of(writer: ArchiveWriter) -> Manifest:
    """Return the manifest of what was added."""
    return Manifest(
        program="x",
        made_at="2026-11-29T02:00:00Z",
        database="sqlite",
        schema="0001",
        epoch="e",
        files=tuple(writer.entries),
    )


def write(path: Path) -> Manifest:
    """Write a backup of a database and one file."""
    with ArchiveWriter(path) as writer:
        writer.add("chat.sqlite3", io.BytesIO(CONTENT), len(CONTENT), ignore)
        writer.add(content_path(SHA256), io.BytesIO(CONTENT), len(CONTENT), ignore)
        manifest = manifest_of(writer)
        writer.close_with(manifest)
        writer.commit()
    return manifest


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "b.tar"
    manifest = write(path)
    kept: dict[str, Path] = {}

    def keep(name: str) -> IO[bytes]:
        kept[name] = tmp_path / str(len(kept))
        return kept[name].open("wb")

    assert read_archive(path, keep=keep) == manifest
    assert {name: kept[name].read_bytes() for name in kept} == {
        "chat.sqlite3": CONTENT,
        content_path(SHA256): CONTENT,
    }


def test_without_commit_nothing_is_left(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path / "b.tar") as writer:
        writer.add("chat.sqlite3", io.BytesIO(b"x"), 1, ignore)
        writer.close_with(manifest_of(writer))
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_is_shorter_than_it_said_fails(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="unexpected end"), ArchiveWriter(tmp_path / "b") as writer:
        writer.add("chat.sqlite3", io.BytesIO(b"x"), 2, ignore)
    assert list(tmp_path.iterdir()) == []


def test_every_flipped_byte_of_a_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "b.tar"
    write(path)
    whole = path.read_bytes()
    at = whole.index(CONTENT) + 7
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    with pytest.raises(BackupError, match=r"damaged: chat\.sqlite3"):
        read_archive(path)


@pytest.mark.parametrize("part", [0, 0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_backup_that_was_cut_off_is_refused(tmp_path: Path, part: float) -> None:
    path = tmp_path / "b.tar"
    write(path)
    whole = path.read_bytes()
    end = whole.rindex(b"}")
    path.write_bytes(whole[: int(end * part)])
    with pytest.raises(BackupError):
        read_archive(path)


def member(name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    """Return a member of a tar."""
    info = tarfile.TarInfo(name)
    info.size = len(content) if kind == tarfile.REGTYPE else 0
    info.type = kind
    info.linkname = "/etc/passwd"
    return info


def tar_of(path: Path, *infos: tarfile.TarInfo, manifest: dict[str, object] | None = None) -> Path:
    """Write a tar by hand."""
    with tarfile.open(path, "w") as tar:
        for info in infos:
            tar.addfile(info, io.BytesIO(b"x" * info.size))
        if manifest is not None:
            content = json.dumps(manifest).encode()
            tar.addfile(member("manifest.json", content), io.BytesIO(content))
    return path


GOOD = asdict(Manifest(program="x", made_at="", database="sqlite", schema=None, epoch=None))


@pytest.mark.parametrize(
    "info",
    [
        member("../chat.sqlite3"),
        member("/chat.sqlite3"),
        member("./chat.sqlite3"),
        member("files/../../x"),
        member(f"files/aa/bb/{'c' * 64}"),
        member(f"files/{SHA256[:2]}/{SHA256[2:4]}/{SHA256}x"),
        member(f"files/{SHA256[:2]}/{SHA256[2:4]}/{SHA256}\n"),
        member(content_path(SHA256).upper()),
        member("chat.sqlite3-wal"),
        member("wynd-chat.toml"),
        member("x\x1b[2J"),
        member("chat.sqlite3", kind=tarfile.SYMTYPE),
        member("chat.sqlite3", kind=tarfile.LNKTYPE),
        member("chat.sqlite3", kind=tarfile.FIFOTYPE),
        member("chat.sqlite3", kind=tarfile.DIRTYPE),
    ],
    ids=lambda info: f"{info.name!r}-{info.type!r}",
)
def test_what_does_not_belong_in_a_backup_is_refused_and_never_kept(
    tmp_path: Path, info: tarfile.TarInfo
) -> None:
    path = tar_of(tmp_path / "b.tar", info, manifest=GOOD)

    def keep(name: str) -> IO[bytes]:
        raise AssertionError(name)

    with pytest.raises(BackupError, match="does not belong there") as refused:
        read_archive(path, keep=keep)
    assert str(refused.value).isprintable()


def test_the_same_name_twice_and_anything_after_the_manifest_are_refused(tmp_path: Path) -> None:
    twice = tar_of(tmp_path / "a.tar", member("chat.sqlite3"), member("chat.sqlite3"))
    with pytest.raises(BackupError, match="does not belong there"):
        read_archive(twice)
    late = tar_of(tmp_path / "b.tar", manifest=GOOD)
    with tarfile.open(late, "a") as tar:
        tar.addfile(member("chat.sqlite3"), io.BytesIO(b"x"))
    with pytest.raises(BackupError, match="does not belong there"):
        read_archive(late)


def test_files_that_the_manifest_does_not_list_are_refused(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "b.tar", member("chat.sqlite3"), manifest=GOOD)
    with pytest.raises(BackupError, match=r"chat\.sqlite3 is not what the manifest says"):
        read_archive(path)


@pytest.mark.parametrize(
    ("manifest", "sentence"),
    [
        ({}, "its manifest cannot be read"),
        ({"format": "1"}, "its manifest cannot be read"),
        ({"format": 1}, "its manifest cannot be read"),
        ({**GOOD, "extra": 1}, "its manifest cannot be read"),
        ({**GOOD, "files": [{"path": "x"}]}, "its manifest cannot be read"),
        ({**GOOD, "format": 2}, "made by a newer wynd-chat"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_refused(
    tmp_path: Path, manifest: dict[str, object], sentence: str
) -> None:
    path = tar_of(tmp_path / "b.tar", manifest=manifest)
    with pytest.raises(BackupError, match=sentence):
        read_archive(path)


def test_no_manifest_means_not_written_to_its_end(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "b.tar", member("chat.sqlite3"))
    with pytest.raises(BackupError, match="has no manifest"):
        read_archive(path)


def test_other_files_are_no_backups(tmp_path: Path) -> None:
    for name, content in {"empty": b"", "text": b"hello\n" * 200, "zip": b"PK\3\4" * 200}.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(BackupError):
            read_archive(path)
    with pytest.raises(BackupError, match="No such file"):
        read_archive(tmp_path / "missing")
