"""Files over HTTP: uploading in three ways, reading in ranges, and who may."""

from __future__ import annotations

import asyncio
import hashlib
import random
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.waiting import eventually
from tests.wynd_chat.adapters.files.contents import HOSTILE, PLAIN, PNG
from tests.wynd_chat.gateway.chat_kit import RunningChat, Visitor, a_chat
from tests.wynd_chat.gateway.rest.refusals_kit import assert_refused
from wynd_chat.domain.errors import ChatError
from wynd_chat.domain.files import INLINE_TYPES
from wynd_chat.domain.models import History, RoomKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MIB = 1024 * 1024


async def uploaded(visitor: Visitor, data: bytes = b"hello", name: str = "a.txt") -> dict[str, Any]:
    """Upload a file; return what it was answered with."""
    answer = await visitor.call("PUT", f"/uploads/{name}", content=data)
    assert answer.status_code == 201, answer.text
    value: dict[str, Any] = answer.json()
    return value


async def shared(visitor: Visitor, room: str, data: bytes = b"hello") -> dict[str, Any]:
    """Upload a file and post it; return it."""
    file = await uploaded(visitor, data)
    answer = await visitor.post(f"/rooms/{room}/messages", {"files": [file["id"]]})
    assert answer.status_code == 201, answer.text
    return file


async def fetched(visitor: Visitor, file: dict[str, Any], **headers: str) -> httpx.Response:
    """Read a file."""
    login = {} if visitor.token is None else {"authorization": f"Bearer {visitor.token}"}
    return await visitor.client.get(f"/files/{file['id']}/x", headers=headers | login)


async def test_a_file_is_uploaded_posted_and_read(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    await chat.room(alice, "dev", bob)
    file = await uploaded(alice, PNG, "my%20cat.png")
    assert file == {
        "id": file["id"],
        "url": f"{chat.chat.local_url}/files/{file['id']}/my%20cat.png",
        "name": "my cat.png",
        "mime": "image/png",
        "size": len(PNG),
        "w": 640,
        "h": 480,
    }
    posted = await alice.post("/rooms/dev/messages", {"text": "look", "files": [file["id"]]})
    seq = posted.json()["seq"]
    message = (await bob.get(f"/rooms/dev/messages/{seq}")).json()
    assert message["files"] == [{name: file[name] for name in file if name != "url"}]
    answer = await fetched(bob, file)
    assert answer.status_code == 200
    assert answer.content == PNG
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-length"] == str(len(PNG))
    # once attached, it is nobody's to attach again
    again = await alice.post("/rooms/dev/messages", {"files": [file["id"]]})
    assert_refused(again, "bad_request", "there is no such file to attach")


async def test_a_form_may_have_several_files(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    form = [("file", ("a.txt", b"first")), ("other", ("b.png", PNG)), ("file", ("c", b"third"))]
    answer = await alice.call("POST", "/uploads", files=form, data={"note": "ignored"})
    value = answer.json()
    assert answer.status_code == 201
    assert [file["name"] for file in value["files"]] == ["a.txt", "b.png", "c"]
    assert value["id"] == value["files"][0]["id"]
    ids = [file["id"] for file in value["files"]]
    posted = await alice.post("/rooms/lobby/messages", {"files": ids})
    assert posted.status_code == 201


async def test_a_form_is_taken_once_per_key(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    key = {"idempotency-key": "upload-1"}
    first = await alice.call("POST", "/uploads", files={"f": ("a.txt", b"once")}, headers=key)
    again = await alice.call("POST", "/uploads", files={"f": ("a.txt", b"once")}, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    other = {"f": ("a.txt", b"of another length")}
    refused = await alice.call("POST", "/uploads", files=other, headers=key)
    assert_refused(refused, "conflict")


async def test_equal_contents_are_kept_once(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    one, two = await uploaded(alice, b"same"), await uploaded(bob, b"same", "b.txt")
    assert one["id"] != two["id"]
    assert chat.services.files.held_bytes == 4


# Who may read


async def test_reading_a_file_needs_the_right_to_read_its_room(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    admin, guest = await chat.account("Ada", is_admin=True), await chat.guest("Gail")
    dev = await chat.room(alice, "dev", guest)
    file = await shared(alice, "dev")
    assert (await fetched(alice, file)).status_code == 200
    assert (await fetched(guest, file)).status_code == 200
    assert (await fetched(admin, file)).status_code == 200
    assert_refused(await fetched(bob, file), "not_member")
    assert_refused(await fetched(chat.stranger(), file), "unauthorized")
    await chat.change(dev, kind=RoomKind.PRIVATE)
    assert_refused(await fetched(bob, file), "not_found", "there is no such file")
    await chat.services.rooms.leave(guest.user, dev)
    assert_refused(await fetched(guest, file), "not_found", "there is no such file")


async def test_files_of_conversations_are_for_their_two(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    admin = await chat.account("Ada", is_admin=True)
    file = await shared(alice, "@Bob")
    assert (await fetched(bob, file)).status_code == 200
    assert_refused(await fetched(admin, file), "not_found", "there is no such file")


async def test_a_file_that_waits_is_its_owners(chat: RunningChat) -> None:
    alice, admin = await chat.account("Alice"), await chat.account("Ada", is_admin=True)
    file = await uploaded(alice)
    assert (await fetched(alice, file)).content == b"hello"
    assert_refused(await fetched(admin, file), "not_found", "there is no such file")
    theirs = await admin.post("/rooms/lobby/messages", {"files": [file["id"]]})
    assert_refused(theirs, "bad_request", "there is no such file to attach")


async def test_files_of_deleted_messages_are_gone(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    await chat.room(alice, "dev", bob)
    file = await shared(bob, "dev")
    await chat.services.rooms.find(alice.user, "dev")
    answer = await alice.post(
        "/rooms/dev/bans", {"user": "Bob", "purge_seconds": 3600, "reason": "spam"}
    )
    assert answer.status_code == 201, answer.text
    assert_refused(await fetched(alice, file), "not_found")


async def test_messages_before_joining_hide_their_files_too(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    dev = await chat.room(alice, "dev")
    await chat.change(dev, history=History.SINCE_JOIN)
    file = await shared(alice, "dev")
    await chat.services.rooms.join(bob.user, "dev")
    assert_refused(await fetched(bob, file), "not_found", "there is no such file")
    later = await shared(alice, "dev", b"later")
    assert (await fetched(bob, later)).status_code == 200


# How it is served


@pytest.mark.parametrize(
    ("data", "mime"), [(one[1], one[2]) for one in PLAIN], ids=[one[0] for one in PLAIN]
)
async def test_what_is_shown_inside_pages_can_still_not_run(
    chat: RunningChat, data: bytes, mime: str
) -> None:
    alice = await chat.account("Alice")
    answer = await fetched(alice, await uploaded(alice, data))
    expected = "text/plain; charset=utf-8" if mime == "text/plain" else mime
    assert answer.headers["content-type"] == expected
    assert answer.headers["content-disposition"].startswith("inline; ")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"


@pytest.mark.parametrize(
    "name", ["a.txt", "a.png", "a.html", "a.svg"], ids=["txt", "png", "html", "svg"]
)
async def test_what_could_run_is_only_saved_whatever_it_is_called(
    chat: RunningChat, name: str
) -> None:
    alice = await chat.account("Alice")
    for what, data in HOSTILE:
        file = await uploaded(alice, data, name)
        assert file["mime"] not in INLINE_TYPES, what
        answer = await fetched(alice, file)
        assert answer.content == data
        assert answer.headers["content-type"] == "application/octet-stream", what
        assert answer.headers["content-disposition"].startswith("attachment; "), what
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"


async def test_a_claimed_type_means_nothing(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    form = {"f": ("cat.png", b"<script>alert(1)</script>", "image/png")}
    answer = await alice.call("POST", "/uploads", files=form, headers={"x": "y"})
    assert answer.json()["mime"] == "text/html"


async def test_ranges_are_read(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    data = random.Random(1).randbytes(1_000_000)
    file = await uploaded(alice, data)
    one = await fetched(alice, file, range="bytes=100-299999")
    assert one.status_code == 206
    assert one.content == data[100:300_000]
    assert one.headers["content-range"] == "bytes 100-299999/1000000"
    last = await fetched(alice, file, range="bytes=-10")
    assert last.content == data[-10:]
    beyond = await fetched(alice, file, range="bytes=1000000-")
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == "bytes */1000000"
    two = await fetched(alice, file, range="bytes=0-4,999990-")
    assert two.status_code == 206
    assert two.headers["content-length"] == str(len(two.content))
    assert data[:5] in two.content
    assert data[-10:] in two.content
    many = await fetched(
        alice, file, range="bytes=" + ",".join(f"{n}-{n}" for n in range(0, 300, 2))
    )
    assert many.status_code == 416
    head = await alice.client.head(
        f"/files/{file['id']}/x", headers={"authorization": f"Bearer {alice.token}"}
    )
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == "1000000"


async def test_what_is_known_already_is_not_sent_again(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    dev = await chat.room(alice, "dev", bob)
    file = await shared(alice, "dev")
    tag = (await fetched(bob, file)).headers["etag"]
    known = {"if-none-match": tag}
    assert (await fetched(bob, file, **known)).status_code == 304
    ranged = await fetched(bob, file, **{"if-range": tag, "range": "bytes=0-1"})
    assert ranged.content == b"he"
    other = await fetched(bob, file, **{"if-range": '"x"', "range": "bytes=0-1"})
    assert (other.status_code, other.content) == (200, b"hello")
    await chat.services.rooms.leave(bob.user, dev)
    assert_refused(await fetched(bob, file, **known), "not_member")  # asked each time


# Bounds


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[RunningChat]:
    """Return a chat for files of at most 1 MiB, 3 MiB a day and five a minute."""
    limits = {
        "upload_bytes_max": MIB,
        "upload_bytes_per_day_max": 3 * MIB,
        "uploads_per_minute": 5,
    }
    async with a_chat(tmp_path, limits=limits) as running:
        yield running


async def chunks(count: int, size: int = 65_536) -> AsyncIterator[bytes]:
    """Yield pieces without telling how many there are."""
    for number in range(count):
        yield bytes([number % 256]) * size


async def test_files_are_bounded_with_and_without_a_length(small: RunningChat) -> None:
    alice = await small.account("Alice")
    exact = await alice.call("PUT", "/uploads/a", content=b"x" * MIB)
    assert exact.status_code == 201
    told = await alice.call("PUT", "/uploads/a", content=b"x" * (MIB + 1))
    assert_refused(told, "too_large", "a file has at most 1 MiB")
    untold = await alice.call("PUT", "/uploads/a", content=chunks(17))
    assert_refused(untold, "too_large", "a file has at most 1 MiB")
    form = await alice.call("POST", "/uploads", files={"f": ("a", b"x" * (MIB + 1))})
    assert_refused(form, "too_large", "a file has at most 1 MiB")
    assert small.services.files.held_bytes == MIB
    assert_refused(await alice.call("PUT", "/uploads/a", content=b""), "bad_request")


async def test_a_day_has_its_bytes_also_for_many_at_once(small: RunningChat) -> None:
    alice = await small.account("Alice")
    answers = await asyncio.gather(
        *(alice.call("PUT", f"/uploads/{n}", content=bytes([n]) * MIB) for n in range(5))
    )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [201, 201, 201, 429, 429]
    assert small.services.files.held_bytes <= 3 * MIB + 65_536
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert_refused(refused, "rate_limited", "at most 3 MiB of files a day, try again tomorrow")
    bob = await small.account("Bob")
    assert (await bob.call("PUT", "/uploads/b", content=b"his own")).status_code == 201


async def test_an_upload_that_others_overtook_leaves_nothing(small: RunningChat) -> None:
    alice = await small.account("Alice")
    user = await small.services.store.read(lambda snapshot: snapshot.user_by_key("alice"))
    assert user is not None
    is_let_in, goes_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        is_let_in.set()
        await goes_on.wait()
        yield b"d" * MIB

    slow = asyncio.create_task(small.services.files.receive(user, "slow", slowly()))
    await is_let_in.wait()
    for n in range(3):
        answer = await alice.call("PUT", f"/uploads/{n}", content=bytes([n]) * MIB)
        assert answer.status_code == 201
    goes_on.set()
    with pytest.raises(ChatError, match="3 MiB of files a day"):
        await slow
    assert small.services.files.held_bytes == 3 * MIB


async def test_a_minute_has_its_uploads(small: RunningChat) -> None:
    alice = await small.account("Alice")
    for _ in range(5):
        await uploaded(alice)
    assert_refused(await alice.call("PUT", "/uploads/a", content=b"x"), "rate_limited")


async def test_a_nearly_full_disk_takes_no_files(
    chat: RunningChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await chat.account("Alice")

    async def free() -> int:
        return chat.services.limits.disk_free_bytes_min - 1

    contents = chat.chat._contents
    monkeypatch.setattr(contents, "free_bytes", free)
    answer = await alice.call("PUT", "/uploads/a", content=b"x")
    assert answer.status_code == 507
    assert answer.json()["code"] == "unavailable"
    form = await alice.call("POST", "/uploads", files={"f": ("a", b"x")})
    assert form.status_code == 507
    assert (await alice.post("/rooms/lobby/messages", {"text": "still here"})).status_code == 201


async def test_an_upload_that_is_cut_leaves_nothing(chat: RunningChat) -> None:
    alice = await chat.account("Alice")

    async def cut() -> AsyncIterator[bytes]:
        yield b"x" * 300_000
        raise OSError("the line was cut")

    with pytest.raises((OSError, httpx.HTTPError)):
        await alice.call("PUT", "/uploads/a", content=cut())
    assert chat.services.files.held_bytes == 0
    assert await chat.store.read(lambda s: s.uploads_of(alice.user.id, 0)) == []


# One-time links


async def link_of(visitor: Visitor, room: str = "dev") -> str:
    """Return the path of a new link."""
    answer = await visitor.post(f"/rooms/{room}/commands", {"text": "/upload"})
    line = answer.json()["lines"][0]
    assert line == f"curl -T FILE {answer.json()['result']['link']}"
    return httpx.URL(answer.json()["result"]["link"]).path


async def test_a_link_shares_one_file_once(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    await chat.room(alice, "dev")
    path = await link_of(alice)
    answer = await chat.client.put(f"{path}notes.txt", content=b"hello")
    assert answer.status_code == 201
    assert answer.text.startswith("Shared notes.txt in #dev: http://")
    page = (await alice.get("/rooms/dev/messages")).json()
    assert [one["kind"] for one in page["messages"]] == ["file"]
    assert page["messages"][0]["files"][0]["name"] == "notes.txt"
    again = await chat.client.put(f"{path}notes.txt", content=b"hello")
    assert_refused(again, "expired", "this link has ended, type /upload again")


async def test_racing_for_a_link_stores_one_file(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    await chat.room(alice, "dev")
    path = await link_of(alice)
    answers = await asyncio.gather(
        *(chat.client.put(f"{path}{n}", content=bytes([n]) * 10_000) for n in range(10))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [410] * 9
    assert len((await alice.get("/rooms/dev/messages")).json()["messages"]) == 1


async def test_a_link_whose_upload_failed_works_again(small: RunningChat) -> None:
    alice = await small.account("Alice")
    await small.room(alice, "dev")
    path = await link_of(alice)
    assert_refused(await small.client.put(f"{path}a", content=b"x" * (MIB + 1)), "too_large")
    assert (await small.client.put(f"{path}a", content=b"x")).status_code == 201


async def test_a_link_ends_with_the_right_to_write(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    dev = await chat.room(alice, "dev", bob)
    path = await link_of(bob)
    await chat.services.moderation.timeout(alice.user, dev, bob.user, 600)
    assert_refused(await chat.client.put(f"{path}a", content=b"x"), "silenced")
    await chat.services.moderation.timeout(alice.user, dev, bob.user, None)
    await chat.services.moderation.kick(alice.user, dev, bob.user)
    assert_refused(await chat.client.put(f"{path}a", content=b"x"), "not_member")
    unknown = await chat.client.put("/u/nonsense/a", content=b"x")
    assert_refused(unknown, "expired")


async def test_a_silenced_member_gets_no_link(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    dev = await chat.room(alice, "dev", bob)
    await chat.services.moderation.timeout(alice.user, dev, bob.user, 600)
    answer = await bob.post("/rooms/dev/commands", {"text": "/upload"})
    assert_refused(answer, "silenced")


async def test_curl_shares_a_file(chat: RunningChat, tmp_path: Path) -> None:
    alice = await chat.account("Alice")
    await chat.room(alice, "dev")
    data = random.Random(2).randbytes(3 * MIB)
    (tmp_path / "my film.bin").write_bytes(data)
    link = chat.chat.local_url + await link_of(alice)
    process = await asyncio.create_subprocess_exec(
        *("curl", "-sS", "-T", str(tmp_path / "my film.bin"), link),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert out.startswith(b"Shared my film.bin in #dev: http://")
    file = (await alice.get("/rooms/dev/messages")).json()["messages"][0]["files"][0]
    content = (await fetched(alice, file)).content
    assert hashlib.sha256(content).digest() == hashlib.sha256(data).digest()


async def test_a_slow_disk_holds_the_sender_back(
    chat: RunningChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body of 20 MiB does not go through memory: what is not written is not read either."""
    alice = await chat.account("Alice")
    go_on = asyncio.Event()
    sent = 0
    contents = chat.chat._contents
    receive = contents.receive

    async def slow_receive() -> Any:
        incoming = await receive()
        write = incoming.write

        async def slow_write(chunk: bytes) -> None:
            await go_on.wait()
            await write(chunk)

        monkeypatch.setattr(incoming, "write", slow_write)
        return incoming

    monkeypatch.setattr(contents, "receive", slow_receive)

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(320):
            yield b"x" * 65_536
            sent += 65_536

    upload = asyncio.create_task(alice.call("PUT", "/uploads/big", content=body()))
    now = asyncio.get_running_loop().time
    seen, since = -1, now()

    def stands_still() -> bool:
        nonlocal seen, since
        if seen != sent:
            seen, since = sent, now()
        return sent > 0 and now() > since + 0.5

    await eventually(stands_still)
    assert sent < 16 * MIB, "the body went on while nothing was written"
    go_on.set()
    answer = await upload
    assert answer.json()["size"] == 20 * MIB
