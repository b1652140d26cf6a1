"""At least 200 hostile uploads: every one refused or harmless, and nothing outside its folder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.wynd_chat.adapters.files.contents import HOSTILE, PNG
from tests.wynd_chat.domain.hostile_files import FILE_NAMES
from tests.wynd_chat.gateway.chat_kit import RunningChat, Visitor, a_chat
from wynd_chat import app
from wynd_chat.adapters.files.folder import FolderFiles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HEADER = re.compile("[ -~]*")
DISPOSITION = re.compile(
    r"""(inline|attachment); filename="[^"\\%]*"; filename\*=UTF-8''[A-Za-z0-9%._~-]+"""
)
PLACE = re.compile(r"files/([0-9a-f]{2})/([0-9a-f]{2})/\1\2[0-9a-f]{60}")
UNCLEAN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069/\\\\]")
HEAD = b"Content-Disposition: form-data; name=f; filename="
FORMS: list[tuple[str, bytes]] = [
    ("no parts", b"--b--\r\n"),
    ("no end", b"--b\r\n" + HEAD + b"x\r\n\r\ndata"),
    ("no boundary", b"data"),
    ("empty", b""),
    ("a thousand parts", b"".join(b"--b\r\n" + HEAD + b"x\r\n\r\nd\r\n" for _ in range(1000))),
    ("a head of 64 KiB", b"--b\r\nX: " + b"y" * 65_536 + b"\r\n\r\nd\r\n--b--\r\n"),
    ("a thousand heads", b"--b\r\n" + b"X: y\r\n" * 1000 + b"\r\nd\r\n--b--\r\n"),
    ("a form in a form", b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c--\r\n--b--"),
    ("carriage returns", b"--b" + b"\r" * 50_000),
    ("line feeds", b"--b\r\n" + b"\n" * 50_000),
    ("hyphens", b"-" * 100_000),
    ("half boundaries", b"--b\r\n" + HEAD + b"x\r\n\r\n" + b"\r\n--" * 20_000),
    ("nulls in a head", b"--b\r\nContent\0-Disposition: form-data\r\n\r\nd\r\n--b--\r\n"),
    ("two names", b"--b\r\n" + HEAD + b'"a"; filename="../b"\r\n\r\nd\r\n--b--\r\n'),
    ("an encoded name", b"--b\r\n" + HEAD[:-1] + b"*=utf-8''..%2f..%2fx\r\n\r\nd\r\n--b--\r\n"),
    ("a name without end", b"--b\r\n" + HEAD + b'"' + b"x" * 5_000 + b"\r\n\r\nd\r\n--b--\r\n"),
]


@pytest.fixture
async def on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningChat]:
    """Return a chat whose files are in a folder."""
    monkeypatch.setattr(
        app,
        "make_contents",
        lambda settings, clock: FolderFiles(settings.storage.directory / "files", clock),
    )
    async with a_chat(tmp_path / "data") as running:
        yield running


def assert_nothing_outside(tmp_path: Path) -> int:
    """Assert that only contents under their hashes are on the disk; return how many."""
    found = [path for path in tmp_path.rglob("*") if not path.is_dir()]
    for path in found:
        assert PLACE.fullmatch(path.relative_to(tmp_path / "data").as_posix()), path
        assert not path.is_symlink()
    return len(found)


async def assert_harmless(visitor: Visitor, file: dict[str, str]) -> None:
    """Assert that a file that was taken is named and served so that it can do nothing."""
    assert UNCLEAN.search(file["name"]) is None
    assert 0 < len(file["name"].encode()) <= 200
    path = "/" + file["url"].split("/", 3)[3]
    answer = await visitor.client.get(path, headers={"authorization": f"Bearer {visitor.token}"})
    assert answer.status_code == 200, path
    for name, value in answer.headers.items():
        assert HEADER.fullmatch(value), (name, value)
    assert "set-cookie" not in answer.headers
    assert DISPOSITION.fullmatch(answer.headers["content-disposition"])
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"


def test_there_are_enough_of_them() -> None:
    assert len(FILE_NAMES) * 2 + len(HOSTILE) + len(FORMS) >= 200
    assert len(set(FILE_NAMES)) == len(FILE_NAMES)


async def test_hostile_names_in_addresses(on_disk: RunningChat, tmp_path: Path) -> None:
    eve = await on_disk.account("Eve")
    for number, name in enumerate(FILE_NAMES):
        content = b"%d" % number
        encoded = quote(name.encode("utf-8", "surrogatepass"), safe="")
        answer = await eve.call("PUT", f"/uploads/{encoded}", content=content)
        assert answer.status_code in (201, 400, 404, 405, 414, 431), (name, answer.text)
        if answer.status_code == 201:
            await assert_harmless(eve, answer.json())
    assert assert_nothing_outside(tmp_path) > len(FILE_NAMES) * 0.8


async def test_hostile_names_in_forms(on_disk: RunningChat, tmp_path: Path) -> None:
    eve = await on_disk.account("Eve")
    for name in FILE_NAMES:
        raw = name.encode("utf-8", "surrogatepass")
        body = b"--b\r\n" + HEAD + b'"' + raw + b'"\r\n\r\nx\r\n--b--\r\n'
        kind = {"content-type": "multipart/form-data; boundary=b"}
        answer = await eve.call("POST", "/uploads", content=body, headers=kind)
        assert answer.status_code in (201, 400, 413), (name, answer.text)
        if answer.status_code == 201:
            await assert_harmless(eve, answer.json())
    assert assert_nothing_outside(tmp_path) == 2  # one name ends its head and begins a content


async def test_hostile_contents(on_disk: RunningChat, tmp_path: Path) -> None:
    eve = await on_disk.account("Eve")
    for what, content in HOSTILE:
        answer = await eve.call("PUT", "/uploads/cat.png", content=content)
        assert answer.status_code == 201, what
        await assert_harmless(eve, answer.json())
    assert assert_nothing_outside(tmp_path) == len({content for _, content in HOSTILE})


@pytest.mark.parametrize("body", [one[1] for one in FORMS], ids=[one[0] for one in FORMS])
async def test_hostile_forms(on_disk: RunningChat, tmp_path: Path, body: bytes) -> None:
    eve = await on_disk.account("Eve")
    kind = {"content-type": "multipart/form-data; boundary=b"}
    answer = await eve.call("POST", "/uploads", content=body, headers=kind)
    assert answer.status_code in (201, 400, 413), answer.text
    if answer.status_code == 201:
        await assert_harmless(eve, answer.json())
    assert (await eve.get("/users/me")).status_code == 200
    assert_nothing_outside(tmp_path)


@pytest.mark.parametrize(
    "path",
    [
        "/files/../../etc/passwd",
        "/files/%2e%2e/%2e%2e/etc/passwd",
        "/files/f_1/../../../etc/passwd",
        "/files/..%2f..%2fchat.sqlite3/x",
        "/files//etc/passwd",
        "/files/" + "f" * 5000 + "/x",
        "/files/f_%00/x",
        "/files/__proto__/x",
        "/files/' OR 1=1 --/x",
    ],
)
async def test_hostile_addresses_read_nothing(on_disk: RunningChat, path: str) -> None:
    eve = await on_disk.account("Eve")
    answer = await eve.client.get(path, headers={"authorization": f"Bearer {eve.token}"})
    assert answer.status_code in (400, 404), answer.text
    assert b"root:" not in answer.content


async def test_a_link_planted_in_the_folder_is_not_followed(
    on_disk: RunningChat, tmp_path: Path
) -> None:
    eve = await on_disk.account("Eve")
    file = (await eve.call("PUT", "/uploads/cat.png", content=PNG)).json()
    (content,) = [path for path in (tmp_path / "data" / "files").rglob("*") if path.is_file()]
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret" * 10)
    content.unlink()
    content.symlink_to(secret)
    path = "/" + file["url"].split("/", 3)[3]
    answer = await eve.client.get(path, headers={"authorization": f"Bearer {eve.token}"})
    assert answer.status_code == 404
    assert b"secret" not in answer.content
