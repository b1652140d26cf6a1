"""The configurations of docs/howto/nginx.md, run: nginx, Caddy and HAProxy before our server.

Only addresses, ports and certificates are put in; each program is skipped where it is missing.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from tests.certificates import Authority
from tests.docs.pages import DOCS, blocks_of
from tests.programs import program
from wynd import ConnectionHandle, TextMessage, Wynd
from wynd.http import App

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.requests import Request

pytestmark = pytest.mark.timeout(60)

WAIT_S = 20.0
PAGE = DOCS / "howto" / "nginx.md"
CLIENT = "127.0.0.2"  # where the client connects from, so that it is not the proxy's address


def snippets(language: str) -> list[str]:
    """Return the page's configurations of one program."""
    return [block.text for block in blocks_of(PAGE) if block.language == language]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def application() -> App:
    """Return an application that tells what it knows of its clients."""
    wynd, app = Wynd(), App()

    @wynd.on_open
    async def opened(handle: ConnectionHandle) -> None:
        real = handle.request.headers.get("X-Real-IP", "-")
        await handle.send_text(f"{handle.addr.host} {real} {handle.request.secure}")

    @wynd.on_text
    async def text(message: TextMessage, handle: ConnectionHandle) -> None:
        await handle.send_text(message.data)

    @app.get("/who")
    async def who(request: Request) -> dict[str, Any]:
        assert request.client is not None
        return {"host": request.client.host, "scheme": request.url.scheme}

    app.use_wynd("/chat", wynd.handler())
    return app


@asynccontextmanager
async def proxy(port: int, *command: str) -> AsyncIterator[None]:
    """Run a proxy until the block ends; what it printed is shown if it does not start."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(WAIT_S):
            while process.returncode is None:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    break
        if process.returncode is not None:
            output, _ = await process.communicate()
            raise AssertionError(output.decode())
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ask(port: int, context: ssl.SSLContext, times: int = 1) -> list[bytes]:
    """GET /who over one connection, after another; return the bodies."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, local_addr=(CLIENT, 0)
    )
    bodies = []
    for _ in range(times):
        writer.write(b"GET /who HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % port)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert head.startswith(b"http/1.1 200 ")
        length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        bodies.append(await reader.readexactly(int(length)))
    writer.close()
    return bodies


async def talk(port: int, context: ssl.SSLContext) -> str:
    """Echo over wss through the proxy as a page of the same host; return the server's greeting."""
    options: dict[str, Any] = {"ssl": context, "proxy": None, "local_addr": (CLIENT, 0)}
    options |= {"host": "127.0.0.1", "port": port}
    uri = f"wss://localhost:{port}/chat"
    async with connect(uri, origin=Origin(f"https://localhost:{port}"), **options) as one:
        greeting = str(await one.recv())
        for message in ("hello", "", "x" * 100_000):
            await one.send(message)
            assert await one.recv() == message
    for foreign in ("https://evil.example", f"http://localhost:{port}"):
        with pytest.raises(InvalidStatus) as refused:
            await connect(uri, origin=Origin(foreign), **options)
        assert refused.value.response.status_code == 403
    return greeting


@asynccontextmanager
async def under_nginx(folder: Path, snippet: str, upstream: int) -> AsyncIterator[int]:
    """Run nginx with a configuration of the page."""
    nginx, port = program("nginx"), free_port()
    secured = f"ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;"
    replaced = {
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl; {secured}",
        "127.0.0.1:8080": f"127.0.0.1:{upstream}",
    }
    for given, taken in replaced.items():
        assert given in snippet
        snippet = snippet.replace(given, taken)
    places = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{place}_temp_path {folder}/{place};" for place in places)
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;\n"
        f"events {{}}\nhttp {{ access_log off; {temporary}\n{snippet}\n}}\n"
    )
    async with proxy(port, nginx, "-p", str(folder), "-c", "nginx.conf"):
        yield port


async def test_nginx_passes_one_path_on(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.issue()
    options: dict[str, Any] = {"host": "127.0.0.1", "trusted_proxies": "127.0.0.1"}
    async with application().serving(0, **options) as app:
        upstream = int(app.addresses[0][1])
        async with under_nginx(tmp_path, snippets("nginx")[0], upstream) as port:
            greeting = await talk(port, authority.client())
    assert greeting == f"{CLIENT} {CLIENT} True"


async def test_nginx_passes_pages_and_websockets_on(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.issue()
    options: dict[str, Any] = {"host": "127.0.0.1", "trusted_proxies": "127.0.0.1"}
    async with application().serving(0, **options) as app:
        upstream = int(app.addresses[0][1])
        async with under_nginx(tmp_path, snippets("nginx")[1], upstream) as port:
            # In turn: nginx keeps its connections, and may upgrade one that served requests.
            for _ in range(3):
                answers = await ask(port, authority.client(), 3)
                assert answers == [b'{"host":"%b","scheme":"https"}' % CLIENT.encode()] * 3
                assert await talk(port, authority.client()) == f"{CLIENT} - True"


async def test_caddy_passes_one_path_on(tmp_path: Path) -> None:
    caddy, port = program("caddy"), free_port()
    authority = Authority(tmp_path)
    authority.issue()
    (snippet,) = snippets("caddy")
    options: dict[str, Any] = {"host": "127.0.0.1", "trusted_proxies": "127.0.0.1"}
    async with application().serving(0, **options) as app:
        files = f"{tmp_path}/server.pem {tmp_path}/server.key"
        replaced = {
            "example.org {": f"https://localhost:{port} {{\n    bind 127.0.0.1\n    tls {files}",
            "127.0.0.1:8080": f"127.0.0.1:{app.addresses[0][1]}",
        }
        for given, taken in replaced.items():
            assert given in snippet
            snippet = snippet.replace(given, taken)
        file = tmp_path / "Caddyfile"
        file.write_text("{\n    admin off\n    auto_https off\n}\n" + snippet + "\n")
        command = (caddy, "run", "--adapter", "caddyfile", "--config", str(file))
        async with proxy(port, *command):
            greeting = await talk(port, authority.client())
    assert greeting == f"{CLIENT} {CLIENT} True"


async def test_haproxy_names_the_client_before_tls(tmp_path: Path) -> None:
    haproxy, port = program("haproxy"), free_port()
    authority = Authority(tmp_path)
    tls = authority.issue()
    (snippet,) = snippets("haproxy")
    options: dict[str, Any] = {"proxy_protocol": True, "trusted_proxies": "127.0.0.1", "tls": tls}
    async with application().serving(0, host="127.0.0.1", **options) as app:
        upstream = f"127.0.0.1:{app.addresses[0][1]}"
        snippet = snippet.replace("bind :443", f"bind 127.0.0.1:{port}")
        file = tmp_path / "haproxy.cfg"
        file.write_text(snippet.replace("127.0.0.1:8443", upstream) + "\n")
        async with proxy(port, haproxy, "-f", str(file)):
            assert await talk(port, authority.client()) == f"{CLIENT} - True"
            answers = await ask(port, authority.client())
    assert answers == [b'{"host":"%b","scheme":"https"}' % CLIENT.encode()]
