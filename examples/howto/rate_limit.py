"""Ten messages a second for each connection; who sends more is told, then closed."""

import asyncio

from wynd import ConnectionHandle, TextMessage, Wynd

PER_SECOND = 10
WARNINGS_MAX = 3

wynd = Wynd()


class Bucket:
    """Fills with `PER_SECOND` tokens a second, up to as many."""

    def __init__(self) -> None:
        self.tokens = float(PER_SECOND)
        self.filled_at = asyncio.get_running_loop().time()
        self.warnings = 0

    def take(self) -> bool:
        now = asyncio.get_running_loop().time()
        self.tokens = min(PER_SECOND, self.tokens + (now - self.filled_at) * PER_SECOND)
        self.filled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@wynd.on_open
def opened(handle: ConnectionHandle) -> None:
    handle.data["bucket"] = Bucket()


@wynd.on_text
async def received(message: TextMessage, handle: ConnectionHandle) -> None:
    bucket: Bucket = handle.data["bucket"]
    if bucket.take():
        await handle.send_text(f"Echo: {message.data}")
    elif bucket.warnings < WARNINGS_MAX:
        bucket.warnings += 1
        await handle.send_text("Slow down.")
    else:
        await handle.close(1008, "Too many messages.")


if __name__ == "__main__":
    wynd.run(8080)
