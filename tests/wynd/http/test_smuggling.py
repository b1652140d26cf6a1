"""Requests that two parsers could frame differently: each has one outcome, first and later alike.

Behind every case stands `SMUGGLED`, a request that must never reach the application if the case is
refused, and must reach it as the next one if the case is served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import NATIVE_IS_BUILT

if TYPE_CHECKING or NATIVE_IS_BUILT:
    from tests.wynd.http.http_kit import GET, running, upgrade

pytestmark = pytest.mark.skipif(not NATIVE_IS_BUILT, reason="the native module is not built")

SMUGGLED = b"GET /both HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def _upgrade_with(field: bytes) -> bytes:
    return upgrade()[:-2] + field + b"\r\n\r\n"


# name → what is sent, and the status of its one answer; the connection ends with it
REFUSED: dict[str, tuple[bytes, int]] = {
    "two lengths": (POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
    "two equal lengths": (POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
    "a list of lengths": (POST + b"Content-Length: 5, 5\r\n\r\nhello", 400),
    "length and coding": (
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "coding and length": (
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        400,
    ),
    "a signed length": (POST + b"Content-Length: +5\r\n\r\nhello", 400),
    "a negative length": (POST + b"Content-Length: -1\r\n\r\n", 400),
    "a hexadecimal length": (POST + b"Content-Length: 0x5\r\n\r\nhello", 400),
    "an empty length": (POST + b"Content-Length:\r\n\r\n", 400),
    "a length beyond 64 bits": (POST + b"Content-Length: 99999999999999999999\r\n\r\n", 400),
    "an unknown coding": (POST + b"Transfer-Encoding: gzip\r\n\r\n", 400),
    "chunked and another": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    "two codings": (
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "a coding with a vertical tab": (POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n", 400),
    "a space before the colon": (POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    "a coding over HTTP/1.0": (
        b"POST /echo HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "bare LF as line end": (b"GET /hello HTTP/1.1\nHost: a\n\n", 400),
    "bare LF in a field": (b"GET /hello HTTP/1.1\r\nHost: a\r\nX: y\nZ: z\r\n\r\n", 400),
    "bare CR in a field": (b"GET /hello HTTP/1.1\r\nHost: a\r\nX: y\rZ: z\r\n\r\n", 400),
    "NUL in a field": (b"GET /hello HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", 400),
    "a folded field": (b"GET /hello HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", 400),
    "a line before the request": (b"\r\n" + b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no Host": (b"GET /hello HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (b"GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "a tunnel": (b"CONNECT http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "HTTP/2's preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "a head too large": (b"GET /hello HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 17_000, 431),
    "too many fields": (b"GET /hello HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431),
    "a chunk without a size": (CHUNKED + b"\r\nhello\r\n0\r\n\r\n", 400),
    "a chunk size with a sign": (CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n", 400),
    "a chunk size with a prefix": (CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n", 400),
    "a chunk size with a blank": (CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n", 400),
    "a chunk size of a million digits": (CHUNKED + b"0" * 1_000_000 + b"5\r\nhello", 400),
    "a chunk size that ends in LF": (CHUNKED + b"5\nhello\r\n0\r\n\r\n", 400),
    "a chunk longer than its size": (CHUNKED + b"5\r\nhello!\r\n0\r\n\r\n", 400),
    "an extension with a bare LF": (CHUNKED + b"5;a\nb\r\nhello\r\n0\r\n\r\n", 400),
    "a trailer with a bare LF": (CHUNKED + b"5\r\nhello\r\n0\r\nX: y\n\r\n", 400),
    "a trailer that is no field": (CHUNKED + b"5\r\nhello\r\n0\r\nGET / HTTP/1.1\r\n\r\n", 400),
    "an upgrade with a length": (_upgrade_with(b"Content-Length: 5"), 400),
    "an upgrade with a coding": (_upgrade_with(b"Transfer-Encoding: chunked"), 400),
    "an upgrade with another method": (upgrade().replace(b"GET", b"POST", 1), 405),
    "an upgrade of another version": (upgrade().replace(b": 13", b": 8"), 426),
    "an upgrade over HTTP/1.0": (upgrade().replace(b"HTTP/1.1", b"HTTP/1.0"), 505),
}

# name → what is sent, and the body of its answer; the next request is served after it
SERVED: dict[str, tuple[bytes, bytes]] = {
    "a GET with a body": (
        b"GET /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /",
        b"hello",
    ),
    "a request inside a body": (
        POST + b"Content-Length: %d\r\n\r\n%b" % (len(SMUGGLED), SMUGGLED),
        SMUGGLED,
    ),
    "a request inside a chunk": (
        CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED),
        SMUGGLED,
    ),
    "a length with zeros in front": (POST + b"Content-Length: 005\r\n\r\nhello", b"hello"),
    "a coding in capitals": (
        POST + b"Transfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"hello",
    ),
    "trailers that look like framing": (
        CHUNKED + b"5\r\nhello\r\n0\r\nContent-Length: 40\r\nHost: b\r\n\r\n",
        b"hello",
    ),
    "extensions": (CHUNKED + b'5;a="0\t;";b\r\nhello\r\n0;c\r\n\r\n', b"hello"),
    "another protocol offered": (
        b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
        b"Content-Length: 5\r\n\r\nhello",
        b"hello",
    ),
}


@pytest.mark.parametrize("later", [False, True], ids=["first", "later"])
@pytest.mark.parametrize("name", REFUSED)
async def test_it_is_refused_and_nothing_behind_it_is_seen(name: str, later: bool) -> None:
    sent, status = REFUSED[name]
    async with running() as test:
        client = await test.connect()
        if later:
            assert await client.ask(GET) == (200, b"hello")
        client.send(sent, SMUGGLED)
        answered, fields, _ = await client.response()
        assert (answered, fields["connection"].split(", ")[-1]) == (status, "close")
        client.send(SMUGGLED)
        assert await client.rest() == b""
        assert "GET /both" not in test.served.requests


@pytest.mark.parametrize("later", [False, True], ids=["first", "later"])
@pytest.mark.parametrize("name", SERVED)
async def test_it_is_served_and_the_next_request_is_the_next(name: str, later: bool) -> None:
    sent, body = SERVED[name]
    async with running() as test:
        client = await test.connect()
        if later:
            assert await client.ask(GET) == (200, b"hello")
        client.send(sent, SMUGGLED)
        assert (await client.response())[2] == body
        assert (await client.response())[2] == b"hello"
        assert test.served.requests[-1] == "GET /both"
        assert len(test.served.requests) == 2 + later


async def test_a_body_that_breaks_after_the_answer_began_ends_the_connection() -> None:
    async with running() as test:
        client = await test.connect()
        client.send(CHUNKED.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        assert (await client.response())[0] == 100
        client.send(b"no chunk\r\n", SMUGGLED)
        assert await client.rest() == b""
        assert "GET /both" not in test.served.requests


async def test_no_second_request_is_seen_after_one_that_closes() -> None:
    async with running() as test:
        client = await test.connect()
        client.send(b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", SMUGGLED)
        assert (await client.response())[2] == b"hello"
        assert await client.rest() == b""
        assert test.served.requests == ["GET /hello"]


async def test_early_bytes_behind_an_upgrade_are_bounded() -> None:
    async with running() as test:
        client = await test.connect()
        client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n", upgrade(), b"x" * 100_000)
        await test.served.begun.wait()
        test.served.go_on.set()
        assert (await client.response())[2] == b"slow"
        assert (await client.response())[0] == 400
        assert await client.rest() == b""
