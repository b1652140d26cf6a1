"""What goes wrong in a handler, and who hears of it."""

import logging

from wynd import ConnectionHandle, HandlerError, Limits, TextMessage, Wynd

log = logging.getLogger("sums")
wynd = Wynd(limits=Limits(message_bytes_max=1024), on_handler_error="close")


@wynd.on_text
async def double(message: TextMessage, handle: ConnectionHandle) -> None:
    await handle.send_text(str(2 * int(message.data)))


@wynd.on_error
async def failed(error: HandlerError) -> None:
    who = f"connection {error.handle.id}" if error.handle else "the server"
    log.error("%s failed: %s", who, error, exc_info=error.exception)
