"""A program that posts to a store and says on standard output what was acknowledged.

`python -m tests.contracts.chat_writer ADDRESS SENDERS`: each line is a cid and its seq, written at
once after the acknowledgement. It goes on until it is killed. With `full` as third argument it
posts until its files may not grow any more, then says what works meanwhile and afterwards.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.contracts.chat_stores import ALICE, BOB, DEV, a_message
from wynd_chat.adapters.store.postgres import PostgresStore
from wynd_chat.adapters.store.sqlite import SqliteStore
from wynd_chat.ports.store import StoreFailure

if TYPE_CHECKING:
    from wynd_chat.ports.store import Store

ROOM_LEFT = 300_000  # bytes that files may still grow


def say(*words: object) -> None:
    """Write a line at once, whole."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def store_of(address: str) -> Store:
    """Return the store of a path or of a PostgreSQL address."""
    is_postgres = address.startswith("postgresql:")
    return PostgresStore(address) if is_postgres else SqliteStore(Path(address))


async def send(store: Store, sender: int, count: int | None = None) -> None:
    """Post one message after the other and say what was acknowledged."""
    number = 0
    while count is None or number < count:
        number += 1
        cid = f"{os.getpid()}-{sender}-{number}"
        user = (ALICE, BOB)[sender % 2]
        posted = await store.post(a_message(f"text of {cid}", user, cid=cid))
        say(cid, posted.event.seq)


async def write_until_killed(store: Store, senders: int) -> None:
    """Post with several senders at once."""
    await store.open()
    await asyncio.gather(*(send(store, sender) for sender in range(senders)))


async def fill_the_disk(store: Store, path: Path) -> None:
    """Post until files may not grow any more; then let them grow again."""
    await store.open()
    # With a reader connected the log stays; otherwise reconnecting would empty it and make room.
    await store.read(lambda snapshot: snapshot.meta("epoch"))
    sizes = [file.stat().st_size for file in path.parent.glob(path.name + "*")]
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(sizes) + ROOM_LEFT, hard))
    try:
        while True:
            await send(store, 0, 50)
    except StoreFailure as failure:
        say("failure", type(failure).__name__)
    say("writable", await store.is_writable())
    count = await store.read(lambda snapshot: snapshot.count_messages(DEV.id))
    say("readable", count)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    say("writable", await store.is_writable())
    await send(store, 1, 5)
    await store.close()
    say("closed")


def main() -> None:
    """Run the program."""
    store = store_of(sys.argv[1])
    if sys.argv[3:] == ["full"]:
        asyncio.run(fill_the_disk(store, Path(sys.argv[1])))
    else:
        asyncio.run(write_until_killed(store, int(sys.argv[2])))


if __name__ == "__main__":
    main()
