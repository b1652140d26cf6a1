"""Row 40: uploaded files run no script in a browser, whatever they are and however they are opened.

Each file is opened by somebody who is logged in: as a page, and in pages of two hostile servers,
one of which is the same site to a browser (another port), so that the cookie goes along. The same
files from a careless server do run: that shows that a script which runs is noticed.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest

from tests.e2e.chat_page.hostile_contents import RAN, HostileFile, hostile_files
from tests.e2e.chat_page.stage import (
    UNLIMITED,
    chromium,
    free_port,
    person,
    running_server,
    say,
    see,
)
from tests.waiting import eventually
from wynd_chat.domain.files import INLINE_TYPES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from tests.e2e.chat_page.stage import Person, Server

pytestmark = pytest.mark.timeout(300)

ROOMY = {**UNLIMITED, "WYND_CHAT__LIMITS__UPLOADS_PER_MINUTE": "1000"}
RUNS = {"page.html", "drawing.svg", "cat.gif", "program.js", "page.xhtml", "data.xml", "tune.wav"}
AT_ONCE = 10  # files of one message
ANSWERS_S = 5.0  # of a frame or a tab
PATIENCE_S = 240.0  # below the test's own limit: what it waited for is told


class Hostile:
    """A server that shows pages which embed addresses, and takes calls of scripts that ran."""

    def __init__(self) -> None:
        self.port = free_port()
        self.calls: list[str] = []
        self.files: list[HostileFile] = []
        self._embedded: list[str] = []
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            kind, body = self._answer(head.split(" ")[1])
            fields = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close"
            writer.write(f"HTTP/1.1 200 OK\r\n{fields}\r\n\r\n".encode("latin-1") + body)
            await writer.drain()
        writer.close()
        self._writers.discard(writer)

    def end(self) -> None:
        """Cut the connections that a browser opened and never used."""
        for writer in self._writers:
            writer.transport.abort()

    def embed(self, urls: Iterable[str]) -> None:
        """Decide what the page `/` embeds."""
        self._embedded = list(urls)

    def _answer(self, path: str) -> tuple[str, bytes]:
        if path.startswith("/beacon/"):
            self.calls.append(path.removeprefix("/beacon/"))
            return "image/png", b""
        if path.startswith("/careless/"):
            wanted = path.removeprefix("/careless/")
            for number, file in enumerate(self.files):
                if wanted in (str(number), file.name):
                    return file.careless_type, file.content
        if path != "/":
            return "text/plain", b""
        return "text/html; charset=utf-8", embedding(self._embedded).encode()


def embedding(urls: list[str]) -> str:
    """Return a page that embeds each address in every way there is."""
    ways = (
        "<img src='{}'><iframe src='{}'></iframe><embed src='{}'><object data='{}'></object>"
        "<script src='{}'></script><script type=module src='{}'></script>"
        "<link rel=stylesheet href='{}'><audio src='{}'></audio><video src='{}'></video>"
    )
    parts = [ways.replace("{}", html.escape(url, quote=True)) for url in urls]
    return f"<!DOCTYPE html><title>hostile</title><body>{''.join(parts)}"


@contextlib.asynccontextmanager
async def hostile_server(host: str) -> AsyncIterator[tuple[Hostile, str]]:
    """Run a hostile server; give it and its address."""
    hostile = Hostile()
    server = await asyncio.start_server(hostile.serve, host, hostile.port)
    async with server:
        yield hostile, f"http://{host}:{hostile.port}/"
        hostile.end()


async def share(server: Server, sender: Person, files: list[HostileFile]) -> list[str]:
    """Upload files under their names and post them; return their addresses."""
    headers = {"authorization": f"Bearer {sender.token}"}
    uploaded: list[dict[str, str]] = []
    async with httpx.AsyncClient(trust_env=False, headers=headers, base_url=server.url) as http:
        for file in files:
            path = f"/api/v1/uploads/{quote(file.name, safe='')}"
            answer = await http.put(path, content=file.content)
            assert answer.status_code == 201, (file.name, answer.text)
            uploaded.append(answer.json())
    for at in range(0, len(uploaded), AT_ONCE):
        ids = [one["id"] for one in uploaded[at : at + AT_ONCE]]
        sent = {"type": "send", "room": "lobby", "text": "", "cid": f"files-{at}"}
        await sender.request(**sent, files=ids)
    return [one["url"] for one in uploaded]


async def log_in(page: Any, url: str) -> None:
    """Give a browser the cookie of an account: with it alone files can be opened by address."""
    await page.goto(url)
    statuses = await page.evaluate(
        """async (body) => {
          const statuses = [];
          for (const [path, more] of [["users", {}], ["sessions", {cookie: true}]]) {
            const answer = await fetch(`/api/v1/${path}`, {
              method: "POST",
              headers: {"content-type": "application/json"},
              body: JSON.stringify({...body, ...more}),
            });
            statuses.push(answer.status);
          }
          return statuses;
        }""",
        {"name": "Alice", "password": "correct horse battery staple"},
    )
    assert statuses == [201, 201]
    await page.goto(url)
    await page.get_by_role("textbox", name="Message #lobby").wait_for()


async def scripts_that_ran(page: Any) -> list[str]:
    """Return the titles and names that the frames of a page have, where a script made them."""
    found = []
    for frame in page.frames:
        # A frame that became a download has no document; asked for one, it fails or never answers.
        with contextlib.suppress(Exception):
            found += await asyncio.wait_for(marks(frame), ANSWERS_S)
    return found


async def marks(frame: Any) -> list[str]:
    """Return what a script left in a frame."""
    kept = await frame.evaluate("() => [document.title, self.name, String(self.ran)]")
    return [f"{frame.url}: {mark}" for mark in kept if RAN in mark]


async def close(page: Any) -> None:
    """Close a tab; Chromium may say so and leave it open while a download begins: so be it."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(page.close(), ANSWERS_S)


async def open_as_page(context: Any, url: str) -> tuple[str | None, list[str]]:
    """Open an address in a tab of its own; return as what it is shown, and what ran.

    The former is None for a download.
    """
    page = await context.new_page()
    kind = None
    try:
        answer = await page.goto(url, wait_until="load")
    except Exception as error:
        if "Download is starting" not in str(error):
            raise
    else:
        assert answer.status == 200
        kind = answer.headers["content-type"].partition(";")[0]
        assert await page.evaluate("() => self.origin") == "null", f"{url} acts as the chat"
    ran = await scripts_that_ran(page)
    await close(page)
    return kind, ran


async def test_no_file_runs_a_script_however_it_is_opened(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(PATIENCE_S),
        running_server(tmp_path, ROOMY) as server,
        chromium() as browser,
        person(server, "Mallory") as mallory,
        hostile_server("127.0.0.1") as (stranger, stranger_url),
        hostile_server("localhost") as (neighbour, neighbour_url),
    ):
        browser.expect("")  # it tells of all that it refused to run, to frame and to read
        context = await browser.context(accept_downloads=True)
        alice = await context.new_page()
        await log_in(alice, server.url)
        files = hostile_files(f"{neighbour_url}beacon/")
        urls = await share(server, mallory, files)

        # Of somebody who is logged in, as a page.
        shown: dict[str, str] = {}
        for url, file in zip(urls, files, strict=True):
            kind, ran = await open_as_page(context, url)
            assert ran == [], file.name
            if kind is not None:
                shown[file.name] = kind
        assert set(shown.values()) <= INLINE_TYPES
        assert 10 < len(shown) < len(files) / 2
        for name in ("page.html", "picture.png", "drawing.svg", "drawing.png", "paper.pdf"):
            assert name not in shown, f"{name} is no download"

        # In pages of others: the cookie goes along to the neighbour's, not to the stranger's.
        for hostile, address in ((stranger, stranger_url), (neighbour, neighbour_url)):
            hostile.embed(urls)
            page = await context.new_page()
            await page.goto(address, wait_until="load", timeout=60_000)
            await page.evaluate("() => fetch('/beacon/end')")  # behind what a script asked for
            assert hostile.calls == ["end"]
            assert await scripts_that_ran(page) == []
            assert await page.title() == "hostile"
            assert await page.evaluate(
                "() => [...document.images].every((one) => !one.naturalWidth)"
            )
            await close(page)

        # In a page of the chat, had somebody found a way to put elements there.
        await alice.evaluate(
            """async (urls) => {
              for (const url of urls) for (const kind of ["text/javascript", "module"]) {
                const script = document.createElement("script");
                script.type = kind;
                script.src = url;
                const ended = new Promise((end) => { script.onload = script.onerror = end; });
                document.body.append(script);
                await ended;
              }
            }""",
            [url.replace(server.url.rstrip("/"), "", 1) for url in urls],
        )
        assert await scripts_that_ran(alice) == []
        for kind in ("Worker", "SharedWorker"):
            assert (
                await alice.evaluate(
                    f"""(url) => new Promise((end) => {{
                  try {{ const one = new {kind}(url); one.onerror = () => end("refused");
                    (one.port ?? one).onmessage = () => end("ran"); }}
                  catch {{ end("refused"); }}
                }})""",
                    urls[[file.name for file in files].index("worker.js")],
                )
                == "refused"
            )
        assert (
            await alice.evaluate(
                "(url) => navigator.serviceWorker.register(url).then(() => 'ran', () => 'refused')",
                urls[[file.name for file in files].index("worker.js")],
            )
            == "refused"
        )
        assert neighbour.calls == ["end"]
        await say(alice, "still here")
        await see(alice, "still here")


async def test_from_a_careless_server_the_same_files_do_run(tmp_path: Path) -> None:
    """The test above would notice."""
    async with chromium() as browser, hostile_server("localhost") as (hostile, address):
        browser.expect("")
        hostile.files = hostile_files(f"{address}beacon/")
        numbers = range(len(hostile.files))
        hostile.embed(f"{address}careless/{number}" for number in numbers)
        context = await browser.context(accept_downloads=True)
        page = await context.new_page()
        await page.goto(address, wait_until="commit")

        def ran() -> set[str]:
            return {hostile.files[int(number)].name for number in hostile.calls}

        await eventually(lambda: ran() >= RUNS and len(ran()) > 25, 60.0)
        assert await scripts_that_ran(page)
