"""A live dashboard: the server's load, drawn by the browser as it changes."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.requests import Request

from wynd import ConnectionHandle, Policy, Wynd
from wynd.http import App

PAGE = """\
<!DOCTYPE html>
<title>Dashboard</title>
<h1>Load: <output id="load">?</output>, watchers: <output id="watchers">?</output></h1>
<canvas id="graph" width="600" height="200"></canvas>
<script>
const points = [];
const graph = document.getElementById('graph').getContext('2d');
const socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/ws`);
socket.onmessage = (event) => {
    const { load, watchers } = JSON.parse(event.data);
    document.getElementById('load').textContent = load.toFixed(2);
    document.getElementById('watchers').textContent = watchers;
    points.push(load);
    if (points.length > 600) points.shift();
    graph.clearRect(0, 0, 600, 200);
    points.forEach((value, x) => graph.fillRect(x, 200 - value * 50, 1, value * 50));
};
</script>
"""
EVERY_S = 1.0

wynd = Wynd()
wynd.room_policy("load", Policy.latest)  # who reads slowly gets the newest figure, not a backlog


@wynd.on_open
async def opened(handle: ConnectionHandle) -> None:
    await handle.join("load")
    publish()


def publish() -> None:
    figures = {"load": os.getloadavg()[0], "watchers": len(wynd.clients())}
    wynd.to("load").text(json.dumps(figures))


async def measure() -> None:
    while True:
        await asyncio.sleep(EVERY_S)
        publish()


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    measuring = asyncio.create_task(measure())
    yield
    measuring.cancel()


app = App(lifespan=lifespan)
app.use_wynd("/ws", wynd.handler())


@app.get("/")
async def page(request: Request) -> str:
    return PAGE


if __name__ == "__main__":
    app.run(3000, lambda: print("http://localhost:3000"))
