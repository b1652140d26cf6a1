"""Which origins may connect, over both engines: wrong ones get 403 before the upgrade, unheard.

A browser names the page that opens a WebSocket in `Origin`; everything but the exact scheme, host
and port of a page that is trusted must be refused (RFC 6455 §10.2).
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.wire import Server, opened
from tests.conformance.wire import head as request_head
from tests.contracts.peers import EngineName, Log, eventually, serving
from wynd import Request, Wynd

SAME: Any = "same-host"
LISTED: Any = ["https://example.org", "https://*.example.net", "http://localhost:3000"]
IDN: Any = ["https://xn--bcher-kva.example"]

# Category, rule, origin (None: no field), status. Requests are for HOST, over plain TCP.
HOST = "chat.example.org:8080"
CASES: list[tuple[str, Any, str | None, int]] = [
    ("same", SAME, "http://chat.example.org:8080", 101),
    ("same", SAME, "https://chat.example.org:8080", 101),  # TLS ends at a proxy
    ("absent", SAME, None, 101),
    ("absent", LISTED, None, 101),
    ("empty", SAME, "", 403),
    ("null", SAME, "null", 403),
    ("null", LISTED, "null", 403),
    ("null", "*", "null", 101),
    ("any", "*", "http://evil.example", 101),
    ("prefix", SAME, "http://chat.example.org:8080.evil.example", 403),
    ("prefix", SAME, "http://chat.example.org.evil.example:8080", 403),
    ("prefix", LISTED, "https://example.org.evil.example", 403),
    ("suffix", SAME, "http://evilchat.example.org:8080", 403),
    ("suffix", SAME, "http://www.chat.example.org:8080", 403),
    ("suffix", LISTED, "https://evilexample.org", 403),
    ("suffix", LISTED, "https://evilexample.net", 403),
    ("suffix", LISTED, "https://a.example.net", 101),
    ("suffix", LISTED, "https://a.b.example.net", 101),
    ("suffix", LISTED, "https://example.net", 403),
    ("suffix", LISTED, "https://.example.net", 403),
    ("port", SAME, "http://chat.example.org", 403),
    ("port", SAME, "http://chat.example.org:80", 403),
    ("port", SAME, "http://chat.example.org:8081", 403),
    ("port", LISTED, "https://example.org:443", 101),
    ("port", LISTED, "https://example.org:8443", 403),
    ("port", LISTED, "http://localhost", 403),
    ("port", LISTED, "http://localhost:3000", 101),
    ("scheme", SAME, "ws://chat.example.org:8080", 403),
    ("scheme", SAME, "file://chat.example.org:8080", 403),
    ("scheme", SAME, "chat.example.org:8080", 403),
    ("scheme", LISTED, "http://example.org", 403),
    ("scheme", LISTED, "https://localhost:3000", 403),
    ("case", SAME, "HTTP://Chat.Example.ORG:8080", 101),
    ("case", LISTED, "HTTPS://EXAMPLE.ORG", 101),
    ("IDN", IDN, "https://xn--bcher-kva.example", 101),
    ("IDN", IDN, "https://XN--BCHER-KVA.example", 101),
    ("IDN", IDN, "https://b\u00fccher.example", 403),
    ("IDN", IDN, "https://xn--bcher-kva.example.", 403),
    ("IDN", LISTED, "https://ex\u00e4mple.org", 403),
    ("userinfo", SAME, "http://chat.example.org:8080@evil.example", 403),
    ("userinfo", SAME, "http://evil.example@chat.example.org:8080", 403),
    ("userinfo", LISTED, "https://example.org@evil.example", 403),
    ("userinfo", LISTED, "https://example.org:x@evil.example", 403),
    ("not an origin", SAME, "http://chat.example.org:8080/", 403),
    ("not an origin", SAME, "http://chat.example.org:8080#@evil.example", 403),
    ("not an origin", LISTED, "https://evil.example/.example.net", 403),
    ("not an origin", LISTED, "https://example.org https://evil.example", 403),
    ("elsewhere", SAME, "http://evil.example", 403),
    ("elsewhere", SAME, "http://127.0.0.1:8080", 403),
    ("elsewhere", LISTED, "http://chat.example.org:8080", 403),
]


def test_the_matrix_has_every_category() -> None:
    assert len(CASES) >= 30
    wanted = {"null", "absent", "prefix", "suffix", "port", "scheme", "case", "IDN", "userinfo"}
    assert wanted <= {category for category, _, _, _ in CASES}


@pytest.mark.parametrize(
    ("rule", "origin", "status"),
    [case[1:] for case in CASES],
    ids=[f"{category}-{origin!r}-{rule!r}" for category, rule, origin, _ in CASES],
)
async def test_a_wrong_origin_is_403_before_the_upgrade_and_nobody_hears_of_it(
    engine: EngineName, rule: Any, origin: str | None, status: int
) -> None:
    heard = Log()
    wynd = Wynd(engine=engine, origins=rule)
    wynd.on_request(lambda request: heard.append("request"))
    wynd.use_middleware(_note(heard))
    wynd.on_open(lambda handle: heard.append("open"))
    async with serving(wynd) as port, opened(Server("127.0.0.1", port)) as wire:
        fields = [b"Host: " + HOST.encode()]
        if origin is not None:
            fields.append(b"Origin: " + origin.encode())
        wire.send(request_head(*fields, drop=b"host"))
        seen, _, body = await wire.answer()
        assert seen == status
        if status == 403:
            assert body == b"This Origin is not allowed.\n"
            assert await wire.is_ended()
            assert wynd.statistics().handshakes_refused == {403: 1}
        else:
            await eventually(lambda: "open" in heard)
    assert heard == ([] if status == 403 else ["request", "middleware", "open"])


def _note(heard: Log) -> Any:
    async def middleware(conn: Any, handle: Any, next: Any) -> None:
        heard.append("middleware")
        await next(conn, handle)

    return middleware


async def test_two_origins_are_refused(engine: EngineName) -> None:
    asked: list[Request] = []
    wynd = Wynd(engine=engine)
    wynd.on_request(asked.append)
    async with serving(wynd) as port, opened(Server("127.0.0.1", port)) as wire:
        same = b"Origin: http://" + HOST.encode()
        wire.send(request_head(b"Host: " + HOST.encode(), same, same, drop=b"host"))
        assert (await wire.answer())[0] == 403
    assert asked == []
