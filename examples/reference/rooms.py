"""Rooms: who is in, who hears what, and what a slow member misses."""

from wynd import ConnectionHandle, Policy, Prepared, TextMessage, Wynd

wynd = Wynd()
wynd.room_policy("prices.*", Policy.latest)

CLOSED = Prepared("The market is closed.")


@wynd.on_open
async def joined(handle: ConnectionHandle) -> None:
    handle.join("lobby")
    handle.to("lobby").text(f"{handle.id} came in")


@wynd.on_text
async def said(message: TextMessage, handle: ConnectionHandle) -> None:
    match message.data.split():
        case ["watch", stock]:
            handle.join(f"prices.{stock}")
        case ["price", stock, price]:
            handle.to(f"prices.{stock}").emit_text(f"{stock} {price}", key=stock)
        case ["close"]:
            handle.broadcast.emit_text(CLOSED)
        case _:
            handle.to("lobby").text(f"{handle.id}: {message.data}")
