"""A FastAPI application with a Wynd in it: a counter that every open page sees."""

from fastapi import FastAPI

from wynd import ConnectionHandle, TextMessage, Wynd

app = FastAPI()
wynd = Wynd()
count = 0


@wynd.on_open
async def opened(handle: ConnectionHandle) -> None:
    await handle.send_text(str(count))


@wynd.on_text
async def received(message: TextMessage) -> None:
    add(int(message.data))


@app.post("/add/{number}")
async def post(number: int) -> dict[str, int]:
    add(number)
    return {"count": count}


def add(number: int) -> None:
    global count
    count += number
    if wynd.engine is not None:  # nobody has connected yet
        wynd.broadcast.text(str(count))


app.mount("/ws", wynd.handler())
