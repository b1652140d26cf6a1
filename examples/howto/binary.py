"""Binary messages: a file in chunks, answered with its size and digest."""

import hashlib
import json

from wynd import BinaryMessage, ConnectionHandle, TextMessage, Wynd

wynd = Wynd()


@wynd.on_binary
async def chunk(message: BinaryMessage, handle: ConnectionHandle) -> None:
    digest = handle.data.setdefault("digest", hashlib.sha256())
    digest.update(message.data)
    handle.data["size"] = handle.data.get("size", 0) + len(message.data)


@wynd.on_text
async def command(message: TextMessage, handle: ConnectionHandle) -> None:
    if message.data == "done":
        digest = handle.data.pop("digest", hashlib.sha256())
        answer = {"size": handle.data.pop("size", 0), "sha256": digest.hexdigest()}
        await handle.send_text(json.dumps(answer))


if __name__ == "__main__":
    wynd.run(8080)
