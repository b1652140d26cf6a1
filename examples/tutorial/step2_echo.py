"""Step 2: an echo server. Every text comes back with "Echo: " in front."""

from wynd import CloseEvent, Connection, ConnectionHandle, TextMessage, Wynd

wynd = Wynd()


@wynd.on_connection
async def connected(conn: Connection) -> None:
    print(f"New connection established: {conn.id}")

    @conn.on_open
    async def opened(handle: ConnectionHandle) -> None:
        print(f"Connection {handle.id} is now open")
        await handle.send_text("Welcome to the echo server!")

    @conn.on_text
    async def text(message: TextMessage, handle: ConnectionHandle) -> None:
        print(f"Echoing: {message.data}")
        await handle.send_text(f"Echo: {message.data}")

    @conn.on_close
    async def closed(event: CloseEvent) -> None:
        print(f"Connection closed: code={event.code}, reason={event.reason}")


def listening() -> None:
    print("Echo server listening on ws://localhost:8080")


if __name__ == "__main__":
    wynd.run(8080, on_listening=listening)
