"""An application behind nginx on the same machine."""

import logging

from wynd import ConnectionHandle, Wynd

log = logging.getLogger("app")
wynd = Wynd(origins=["https://example.org"])


@wynd.on_open
async def opened(handle: ConnectionHandle) -> None:
    handle.data["address"] = handle.request.headers.get("X-Real-IP", handle.addr.host)
    log.info("connection %d comes from %s", handle.id, handle.data["address"])


if __name__ == "__main__":
    wynd.run(8080)
