"""What is acknowledged survives: killed programs, a full disk, a trace of what was synced when."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.contracts.chat_stores import ALICE, BOB, DEV, a_message, opened, sqlite_chat
from tests.contracts.postgres import POSTGRES
from wynd_chat.domain.events import Message

if TYPE_CHECKING:
    from tests.contracts.chat_stores import Chat

ROOT = Path(__file__).parents[2]
ROUNDS = 4
SENDERS = 8
ACKS_BEFORE_KILL = 40


def writer(*arguments: str, trace: Path | None = None) -> subprocess.Popen[str]:
    """Start the program that posts and says what was acknowledged."""
    command = [sys.executable, "-m", "tests.contracts.chat_writer", *arguments]
    if trace is not None:
        calls = "trace=fsync,fdatasync,write"
        command = ["strace", "-f", "-qq", "-o", str(trace), "-e", calls, "-s", "64", *command]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def acknowledged(lines: list[str]) -> dict[str, int]:
    """Return seqs by cid; a last line that was cut off does not count."""
    whole = [line.split() for line in lines if line.endswith("\n")]
    return {cid: int(seq) for cid, seq in whole}


def said_until_killed(address: str, acks: int) -> dict[str, int]:
    """Run the program, kill it in the middle of its work, and return what it acknowledged."""
    process = writer(address, str(SENDERS))
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(acks)]
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    return acknowledged(lines)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("chat", ["sqlite", POSTGRES], indirect=True)
async def test_a_killed_program_loses_nothing_it_acknowledged(chat: Chat) -> None:
    async with opened(chat.make()):
        pass
    acks: dict[str, int] = {}
    for number in range(ROUNDS):
        acks |= said_until_killed(chat.address, ACKS_BEFORE_KILL + 7 * number)
    async with opened(chat.make(), is_filled=False) as store:
        room = await store.read(lambda snapshot: snapshot.room(DEV.id))
        events = await store.read(lambda snapshot: snapshot.messages(DEV.id, limit=10**6))
        page = await store.read(lambda snapshot: snapshot.events_after(DEV.id, 0, 10**6))
        assert room is not None
        assert [event.seq for event in events] == list(range(1, room.last_seq + 1))
        assert list(page.events) == events
        cids = [event.body.cid for event in events if isinstance(event.body, Message)]
        assert len(set(cids)) == len(cids)
        stored = {cid: event.seq for cid, event in zip(cids, events, strict=True)}
        assert acks.items() <= stored.items()
        # What was not acknowledged may be there or not; sent again, it is there once.
        for cid, seq in acks.items():
            user = (ALICE, BOB)[int(cid.split("-")[1]) % 2]
            again = await store.post(a_message("again", user, cid=cid))
            assert (again.is_duplicate, again.event.seq) == (True, seq)
        assert await store.read(lambda snapshot: snapshot.count_messages(DEV.id)) == len(events)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
@pytest.mark.timeout(60)
async def test_a_full_disk_refuses_posts_keeps_readers_and_ends(tmp_path: Path) -> None:
    chat = sqlite_chat(tmp_path)
    async with opened(chat.make()):
        pass
    process = writer(chat.address, "1", "full")
    output, _ = process.communicate(timeout=50)
    assert process.returncode == 0
    said = [line.split() for line in output.splitlines()]
    acks = {line[0]: int(line[1]) for line in said if re.match(r"\d+-", line[0])}
    told = [line for line in said if not re.match(r"\d+-", line[0])]
    before = sum(cid.split("-")[1] == "0" for cid in acks)
    assert before > 10
    assert told == [
        ["failure", "StoreFailure"],
        ["writable", "False"],
        ["readable", str(before)],
        ["writable", "True"],
        ["closed"],
    ]
    async with opened(chat.make(), is_filled=False) as store:
        events = await store.read(lambda snapshot: snapshot.messages(DEV.id, limit=10**6))
        stored = {e.body.cid: e.seq for e in events if isinstance(e.body, Message)}
        assert stored == acks


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.timeout(60)
async def test_each_acknowledgement_follows_a_sync(tmp_path: Path) -> None:
    chat = sqlite_chat(tmp_path)
    async with opened(chat.make()):
        pass
    trace = tmp_path / "trace"
    process = writer(chat.address, "1", trace=trace)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(30)]
    if not lines[0]:
        process.communicate()
        pytest.skip(f"strace may not trace here: {trace.read_text()[:200]}")
    os.kill(int(lines[0].split("-")[0]), signal.SIGKILL)  # the traced program, whose id it said
    process.communicate()
    # With one sender each acknowledgement has a commit of its own: a sync ended since the last.
    is_synced, acks = False, 0
    for call in trace.read_text().splitlines():
        if re.search(r"\b(fsync|fdatasync)\b.*= 0$", call):
            is_synced = True
        elif re.search(r'write\(1, "\d+-0-\d+ ', call):
            assert is_synced, f"acknowledged without a sync: {call}"
            is_synced = False
            acks += 1
    assert acks >= 30
