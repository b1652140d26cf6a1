"""`wynd new NAME`: a small project that runs, and whose test passes."""

from __future__ import annotations

from pathlib import Path

from wynd.cli.failure import Failure

__all__ = ["TEMPLATES", "create"]

ECHO = '''\
"""An echo server: `python main.py`, or `wynd serve main:app`."""

from wynd import Wynd
from wynd.http import App

wynd = Wynd()
app = App()
app.use_wynd("/ws", wynd.handler())


@wynd.on_text
async def text(message, handle):
    await handle.send_text(f"Echo: {message.data}")


@app.get("/")
async def status(request):
    return {"connections": len(wynd.clients())}


if __name__ == "__main__":
    app.run(8000, lambda: print("http://localhost:8000, ws://localhost:8000/ws"))
'''
ECHO_TEST = '''\
"""Run with `pytest`, or `python test_main.py`."""

import asyncio

from main import wynd
from wynd.testing import serve


def test_echo():
    async def scenario():
        async with serve(wynd) as server:
            client = await server.connect()
            await client.send_text("hello")
            assert await client.receive_text() == "Echo: hello"

    asyncio.run(scenario())
'''
CHAT = '''\
"""A chat with rooms: `python main.py`, or `wynd serve main:app`.

Say "/join ROOM" first; what you say then reaches everybody in it.
"""

from wynd import Wynd
from wynd.http import App

wynd = Wynd()
app = App()
app.use_wynd("/ws", wynd.handler())


@wynd.on_text
async def text(message, handle):
    if message.data.startswith("/join "):
        await handle.leave_all_rooms()
        handle.data["room"] = message.data.removeprefix("/join ").strip()
        await handle.join(handle.data["room"])
        await handle.send_text(f"You are in {handle.data['room']}")
    elif "room" in handle.data:
        await handle.to(handle.data["room"]).emit_text(f"{handle.id}: {message.data}")
    else:
        await handle.send_text("Join a room first: /join ROOM")


@app.get("/")
async def status(request):
    return {"connections": len(wynd.clients())}


if __name__ == "__main__":
    app.run(8000, lambda: print("http://localhost:8000, ws://localhost:8000/ws"))
'''
CHAT_TEST = '''\
"""Run with `pytest`, or `python test_main.py`."""

import asyncio

from main import wynd
from wynd.testing import serve


def test_a_room_hears_its_members():
    async def scenario():
        async with serve(wynd) as server:
            one, two = await server.connect(), await server.connect()
            for client in (one, two):
                await client.send_text("/join tea")
                assert await client.receive_text() == "You are in tea"
            await one.send_text("hello")
            assert (await two.receive_text()).endswith(": hello")

    asyncio.run(scenario())
'''
RUN_TESTS = """

if __name__ == "__main__":
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            test()
    print("passed")
"""
README = """\
# {name}

    pip install pywynd pytest
    python main.py        # or: wynd serve main:app --reload
    pytest
"""
TEMPLATES = {"chat": (CHAT, CHAT_TEST), "echo": (ECHO, ECHO_TEST)}


def create(name: str, template: str) -> list[str]:
    """Write the folder `name`; return what to tell the user.

    Raises:
        Failure: the name exists, or the folder cannot be written.
    """
    folder = Path(name)
    program, test = TEMPLATES[template]
    files = {
        "main.py": program,
        "test_main.py": test + RUN_TESTS,
        "README.md": README.format(name=folder.name),
    }
    try:
        folder.mkdir(parents=True)
        for file, text in files.items():
            (folder / file).write_text(text, encoding="utf-8")
    except FileExistsError:
        raise Failure(f"{name} exists already") from None
    except OSError as error:
        raise Failure(f"cannot write {name}: {error.strerror}") from error
    return [f"Made {name}. Start it with:", f"  cd {name}", "  python main.py"]
