"""A server of the `websockets` library, in wynd: `async for` stays, `recv` has a loop around it."""

from wynd import Connection, TextMessage, Wynd

wynd = Wynd()


@wynd.on_connection
async def handler(conn: Connection) -> None:
    async for message in conn:
        if isinstance(message, TextMessage):
            await conn.handle.send_text(f"Hello {message.data}!")


if __name__ == "__main__":
    wynd.run(8765)
