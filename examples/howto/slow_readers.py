"""Members that do not keep up: a policy for each kind of room."""

from wynd import ConnectionHandle, Limits, Policy, TextMessage, Wynd

wynd = Wynd(limits=Limits(outbox_bytes_soft=64 * 1024, outbox_bytes_hard=256 * 1024))
wynd.room_policy("chat.*", Policy.close(4008, "You are too slow."))  # nobody misses a line
wynd.room_policy("prices.*", Policy.latest)  # only the newest value of each key matters
wynd.room_policy("log", Policy.drop_oldest)  # old lines may go


@wynd.on_open
async def joined(handle: ConnectionHandle) -> None:
    for room in ("chat.lobby", "prices.metal", "log"):
        handle.join(room)


@wynd.on_text
async def said(message: TextMessage, handle: ConnectionHandle) -> None:
    handle.to("chat.lobby").text(message.data)
    typing = handle.to("chat.lobby")
    typing.text(f"{handle.id} is typing", droppable=True)  # the first to go, even in this room


async def send_file(handle: ConnectionHandle, parts: list[bytes]) -> None:
    """Send to one client, at the pace it reads."""
    for part in parts:
        await handle.send_binary(part)
