"""A shared drawing board: everybody sees every stroke, newcomers the picture so far."""

import json
from collections import deque

from starlette.requests import Request

from wynd import ConnectionHandle, TextMessage, Wynd
from wynd.http import App

PAGE = """\
<!DOCTYPE html>
<title>Drawing board</title>
<canvas id="board" width="800" height="500" style="border: 1px solid"></canvas>
<script>
const board = document.getElementById('board');
const pen = board.getContext('2d');
const host = location.origin.replace(/^http/, 'ws');
const socket = new WebSocket(`${host}/boards${location.pathname}`);
let last = null;
function draw([x1, y1, x2, y2]) {
    pen.beginPath(); pen.moveTo(x1, y1); pen.lineTo(x2, y2); pen.stroke();
    board.dataset.strokes = Number(board.dataset.strokes || 0) + 1;
}
socket.onmessage = (event) => JSON.parse(event.data).forEach(draw);
board.onpointerdown = (event) => { last = [event.offsetX, event.offsetY]; };
board.onpointerup = () => { last = null; };
board.onpointermove = (event) => {
    if (!last) return;
    const stroke = [...last, event.offsetX, event.offsetY];
    last = stroke.slice(2);
    draw(stroke);
    socket.send(JSON.stringify(stroke));
};
</script>
"""
STROKES_MAX = 10_000  # of a board; the oldest go first

wynd = Wynd()
app = App()
boards: dict[str, deque[list[float]]] = {}


@wynd.on_open
async def opened(handle: ConnectionHandle) -> None:
    name = handle.request.path_params["name"]
    await handle.join(name)
    strokes = boards.setdefault(name, deque(maxlen=STROKES_MAX))
    await handle.send_text(json.dumps(list(strokes)))


@wynd.on_text
async def drawn(message: TextMessage, handle: ConnectionHandle) -> None:
    x1, y1, x2, y2 = map(float, json.loads(message.data))  # what is no stroke goes to on_error
    name = handle.request.path_params["name"]
    boards[name].append([x1, y1, x2, y2])
    handle.to(name).text(json.dumps([[x1, y1, x2, y2]]))


app.use_wynd("/boards/{name}", wynd.handler())


@app.get("/{name}")
async def page(request: Request) -> str:
    return PAGE


if __name__ == "__main__":
    app.run(3000, lambda: print("http://localhost:3000/anything"))
