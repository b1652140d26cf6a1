"""A chat server for tests that kill it: `server.py`, settings by environment as for `wynd-chat`.

It is the composition root with one addition: a committed message whose text is `FATAL` kills the
process after its commit and before anybody is told, as a power cut at that moment would.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

from wynd_chat.adapters.store.sqlite import SqliteStore
from wynd_chat.app import Chat
from wynd_chat.domain.events import Message
from wynd_chat.settings import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from wynd_chat.domain.events import Event
    from wynd_chat.domain.models import Room

FATAL = "die before the fan-out"


class MortalStore(SqliteStore):
    """A store whose process dies between a commit and the telling of it."""

    def on_commit(self, callback: Callable[[Room, Event], None]) -> None:
        """See `Store.on_commit`."""

        def tell(room: Room, event: Event) -> None:
            if isinstance(event.body, Message) and event.body.text == FATAL:
                os.kill(os.getpid(), signal.SIGKILL)
            callback(room, event)

        super().on_commit(tell)


async def main() -> None:
    """Serve until SIGTERM."""
    settings = load({}, os.environ)
    store = MortalStore(settings.storage.directory / "chat.sqlite3")
    await store.open()
    chat = Chat(settings, store=store)
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await chat.open()
    sys.stdout.write(f"Server running on {chat.local_url}\n")
    sys.stdout.flush()
    try:
        await stopping.wait()
    finally:
        await chat.close()


if __name__ == "__main__":
    asyncio.run(main())
