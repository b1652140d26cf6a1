"""Pull style: the program asks for the next message when it is ready for it."""

from wynd import Connection, Wynd

wynd = Wynd()


@wynd.on_connection
async def add_up(conn: Connection) -> None:
    total = 0
    async for message in conn:
        total += int(message.data)
        await conn.handle.send_text(f"So far: {total}")
    print(f"The sum of connection {conn.id} was {total}")
