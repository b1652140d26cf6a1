"""TLS in the server, over both engines: an independent client over the standard library's TLS."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import websockets
from websockets.typing import Origin

from tests.certificates import Authority
from tests.contracts.peers import EngineName, Log, connect, eventually, port_of
from wynd import (
    CertificateError,
    CloseEvent,
    ConnectionHandle,
    Limits,
    Request,
    Response,
    Tls,
    Wynd,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from wynd import BinaryMessage, TextMessage

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
MIB = 1024 * 1024


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Return an authority that nobody else trusts."""
    return Authority(tmp_path)


def echoing(engine: EngineName, **options: Any) -> Wynd:
    """Return a server that answers what it gets."""
    wynd = Wynd(engine=engine, **options)

    @wynd.on_text
    async def text(message: TextMessage, handle: ConnectionHandle) -> None:
        await handle.send_text(message.data)

    @wynd.on_binary
    async def binary(message: BinaryMessage, handle: ConnectionHandle) -> None:
        await handle.send_binary(message.data)

    return wynd


@asynccontextmanager
async def serving(wynd: Wynd, tls: Tls) -> AsyncIterator[int]:
    """Serve over TLS on a free port and give the port."""
    async with wynd.serving(0, host="127.0.0.1", tls=tls):
        yield port_of(wynd)


def secured(port: int, context: ssl.SSLContext, **options: Any) -> websockets.connect:
    """Return a connection over TLS, to be awaited or entered."""
    options = {"compression": None, "ping_interval": None, "proxy": None, **options}
    return websockets.connect(f"wss://127.0.0.1:{port}/", ssl=context, **options)


def certificate_of(client: websockets.ClientConnection) -> bytes:
    """Return the certificate a client was shown, as DER."""
    shown = client.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
    assert isinstance(shown, bytes)
    return shown


@pytest.mark.parametrize("version", VERSIONS)
async def test_messages_pass_over_both_versions(
    engine: EngineName, authority: Authority, version: ssl.TLSVersion
) -> None:
    wynd = echoing(engine)
    closed = Log()
    wynd.on_disconnect(closed.append)
    async with serving(wynd, authority.issue()) as port:
        async with secured(port, authority.client(version)) as client:
            spoken = client.transport.get_extra_info("ssl_object")
            assert spoken.version() == version.name.replace("_", ".")
            for size in (0, 1, 125, 126, 65_535, 65_536):
                await client.send("x" * size)
                assert await client.recv() == "x" * size
        assert client.close_code == 1000
        await closed.length(1)
        assert isinstance(closed[0], CloseEvent)
        assert closed[0].code == 1000


@pytest.mark.parametrize("version", VERSIONS)
async def test_four_mebibytes_pass_both_ways(
    engine: EngineName, authority: Authority, version: ssl.TLSVersion
) -> None:
    wynd = echoing(engine, limits=Limits(message_bytes_max=8 * MIB, outbox_bytes_hard=16 * MIB))
    payload = bytes(range(256)) * (4 * MIB // 256)
    async with (
        serving(wynd, authority.issue()) as port,
        secured(port, authority.client(version), max_size=8 * MIB) as client,
    ):
        for _ in range(2):
            await client.send(payload)
            assert await client.recv() == payload


async def test_http_1_1_is_agreed_on(engine: EngineName, authority: Authority) -> None:
    context = authority.client()
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with (
        serving(echoing(engine), authority.issue()) as port,
        secured(port, context) as client,
    ):
        spoken = client.transport.get_extra_info("ssl_object")
        assert spoken.selected_alpn_protocol() == "http/1.1"


async def test_requests_know_that_they_are_secure_and_https_is_answered(
    engine: EngineName, authority: Authority
) -> None:
    wynd = Wynd(engine=engine)

    @wynd.on_request
    def asked(request: Request) -> Response | None:
        return None if request.path == "/ws" else Response(f"secure: {request.secure}", 404)

    opened = Log()
    wynd.on_open(lambda handle: opened.append(handle.request.secure))
    async with serving(wynd, authority.issue()) as port:
        context = authority.client()
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert answer.endswith(b"secure: True")
        writer.close()
        uri = f"wss://127.0.0.1:{port}/ws"
        # The same host over http is another origin than this https one.
        own = websockets.connect(
            uri, ssl=context, origin=Origin(f"https://127.0.0.1:{port}"), proxy=None
        )
        async with own:
            await opened.length(1)
        other = websockets.connect(
            uri, ssl=context, origin=Origin(f"http://127.0.0.1:{port}"), proxy=None
        )
        with pytest.raises(websockets.InvalidStatus):
            await other
        async with wynd.serving(0, host="127.0.0.1"):
            plain = int(wynd.addresses[-1][1])
            async with connect(plain, "/ws"):
                await opened.length(2)
    assert opened == [True, False]


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged, but for how long this test itself kept the loop busy with TLS."""
    return [record.getMessage() for record in caplog.records if record.name != "wynd.loop"]


async def test_a_client_that_trusts_nobody_is_no_harm(
    engine: EngineName, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with serving(echoing(engine), authority.issue()) as port:
            with pytest.raises(ssl.SSLCertVerificationError):
                await secured(port, ssl.create_default_context())
            async with secured(port, authority.client()) as client:
                await client.send("all is well")
                assert await client.recv() == "all is well"
    assert said(caplog) == []


async def test_plain_text_on_a_tls_port_ends_without_a_word_in_the_log(
    engine: EngineName, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    wynd = echoing(engine)
    with caplog.at_level(logging.WARNING):
        async with serving(wynd, authority.issue()) as port:
            for _ in range(3):
                with pytest.raises((websockets.InvalidMessage, ConnectionResetError)):
                    await connect(port)
            assert wynd.statistics().tls_failures == (3 if engine == "native" else 0)
            async with secured(port, authority.client()) as client:
                await client.send("all is well")
                assert await client.recv() == "all is well"
    assert said(caplog) == []


async def test_a_tls_client_on_a_plain_port_is_refused(
    engine: EngineName, authority: Authority
) -> None:
    wynd = echoing(engine)
    async with wynd.serving(0, host="127.0.0.1"):
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            await secured(port_of(wynd), authority.client())
        async with connect(port_of(wynd)) as client:
            await client.send("all is well")
            assert await client.recv() == "all is well"


async def test_two_hundred_connections_get_a_broadcast(
    engine: EngineName, authority: Authority
) -> None:
    wynd = echoing(engine)
    async with serving(wynd, authority.issue()) as port:
        context = authority.client()
        clients = [await secured(port, context) for _ in range(200)]
        await eventually(lambda: len(wynd.clients()) == 200)
        for text in ("small", "x" * 100_000):
            wynd.broadcast.text(text)
            received = await asyncio.gather(*(client.recv() for client in clients))
            assert received == [text] * 200
        await asyncio.gather(*(client.close() for client in clients))
        await eventually(lambda: wynd.clients() == [])


async def test_a_reader_that_stops_is_closed_by_its_limits(
    engine: EngineName, authority: Authority
) -> None:
    wynd = Wynd(engine=engine, limits=Limits(outbox_bytes_soft=64 * 1024, outbox_bytes_hard=MIB))
    ended = Log()
    wynd.on_disconnect(ended.append)
    sent = Log()

    @wynd.on_open
    async def opened(handle: ConnectionHandle) -> None:
        for _ in range(400):
            await handle.send_binary(b"x" * 65_536)
            sent.append(handle.buffered_bytes)

    async with (
        serving(wynd, authority.issue()) as port,
        secured(port, authority.client(), max_queue=1) as client,
    ):
        total = 0
        for _ in range(400):  # flow control: nothing is lost, nothing piles up
            total += len(await client.recv())
        assert total == 400 * 65_536
        await sent.length(400)
        assert max(sent) <= MIB


async def test_a_reload_counts_for_new_connections_only(
    engine: EngineName, authority: Authority
) -> None:
    wynd = echoing(engine)
    tls = authority.issue()
    async with serving(wynd, tls) as port, secured(port, authority.client()) as before:
        first = certificate_of(before)
        authority.issue()
        wynd.reload_certificates()
        async with secured(port, authority.client()) as after:
            assert certificate_of(after) != first
            for client in (before, after):
                await client.send("here")
                assert await client.recv() == "here"


async def test_a_reload_that_fails_keeps_the_old_certificate(
    engine: EngineName, authority: Authority
) -> None:
    wynd = echoing(engine)
    tls = authority.issue()
    good = authority.issue("good")
    async with serving(wynd, tls) as port, wynd.serving(0, host="127.0.0.1", tls=good):
        async with secured(port, authority.client()) as client:
            first = certificate_of(client)
        authority.issue("other")
        authority.issue("good")
        (authority.folder / "server.key").write_bytes((authority.folder / "other.key").read_bytes())
        with pytest.raises(CertificateError, match=r"server\.key does not belong to .*server\.pem"):
            wynd.reload_certificates()
        async with secured(port, authority.client()) as client:
            assert certificate_of(client) == first
        Wynd().reload_certificates()  # without listeners nothing happens


def _spoil(authority: Authority, what: str) -> Tls:
    tls = authority.issue()
    certificate, key = authority.folder / "server.pem", authority.folder / "server.key"
    if what == "missing certificate":
        certificate.unlink()
    elif what == "missing key":
        key.unlink()
    elif what == "no certificate":
        certificate.write_text("hello")
    elif what == "no key":
        return Tls(certificate)
    elif what == "swapped":
        return Tls(key, certificate)
    elif what == "encrypted":
        key.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\n-----END ENCRYPTED PRIVATE KEY-----")
    elif what == "other key":
        authority.issue("other")
        key.write_bytes((authority.folder / "other.key").read_bytes())
    return tls


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        (
            "missing certificate",
            "certificate file {}/server.pem cannot be read: No such file or directory",
        ),
        ("missing key", "key file {}/server.key cannot be read: No such file or directory"),
        (
            "no certificate",
            "certificate file {}/server.pem holds no certificate: no PEM block CERTIFICATE",
        ),
        ("no key", "key file {}/server.pem holds no private key: no PEM block PRIVATE KEY"),
        (
            "swapped",
            "certificate file {}/server.key holds no certificate: no PEM block CERTIFICATE",
        ),
        (
            "encrypted",
            "key file {}/server.key is encrypted: store the key without a passphrase "
            "(openssl pkey does)",
        ),
        (
            "other key",
            "key file {0}/server.key does not belong to certificate file {0}/server.pem: "
            "the key is another one",
        ),
    ],
)
async def test_bad_files_are_one_sentence_and_nothing_listens(
    engine: EngineName, authority: Authority, what: str, sentence: str
) -> None:
    tls = _spoil(authority, what)
    wynd = Wynd(engine=engine)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(CertificateError) as caught:
        await wynd.listen(port, host="127.0.0.1", tls=tls)
    assert str(caught.value) == sentence.format(authority.folder)
    assert wynd.addresses == ()
    with pytest.raises(ConnectionRefusedError):
        await connect(port)


async def test_one_file_may_hold_both(engine: EngineName, authority: Authority) -> None:
    authority.issue()
    both = authority.folder / "both.pem"
    parts = [(authority.folder / f"server.{end}").read_bytes() for end in ("key", "pem")]
    both.write_bytes(b"".join(parts))
    async with (
        serving(echoing(engine), Tls(str(both))) as port,
        secured(port, authority.client()) as client,
    ):
        await client.send("hello")
        assert await client.recv() == "hello"


async def test_file_names_need_not_be_utf_8(engine: EngineName, authority: Authority) -> None:
    authority.issue()
    name = authority.folder / os.fsdecode(b"caf\xe9.pem")
    try:
        (authority.folder / "server.pem").rename(name)
    except OSError as error:
        pytest.skip(f"this file system takes no such name: {error}")
    tls = Tls(name, authority.folder / "server.key")
    async with serving(echoing(engine), tls) as port, secured(port, authority.client()) as client:
        await client.send("hello")
        assert await client.recv() == "hello"


async def test_stopping_closes_with_the_code_and_ends_tls_in_order(
    engine: EngineName, authority: Authority
) -> None:
    wynd = echoing(engine)
    async with serving(wynd, authority.issue()) as port:
        client = await secured(port, authority.client())
        await eventually(lambda: wynd.clients())
    with pytest.raises(websockets.ConnectionClosed) as caught:
        await client.recv()
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1001, "Server is stopping.")
    await client.close()
