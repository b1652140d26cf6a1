"""`Admission`: face, credential and refusals of an upgrade (chat.md 4 and 6)."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.wynd_chat.gateway.desk import a_desk, a_request
from wynd import Accept, Response
from wynd_chat.domain.presence import Face
from wynd_chat.gateway.admission import (
    Admission,
    Credential,
    credential_of,
    face_of,
    limit_key,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.wynd_chat.gateway.desk import Desk

BEARER = "bearer." + base64.urlsafe_b64encode(b"token").decode().rstrip("=")
SUPPORTED = b'{"supported":["chat.v1.json","chat.v1.text"]}'


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with a_desk(tmp_path, {"limits.new_connections_per_10_seconds": 3}) as made:
        yield made


@pytest.fixture
def admission(desk: Desk) -> Admission:
    return Admission(desk.services, desk.doorman)


def offer(*names: str) -> str:
    """Return the header of a client's subprotocols."""
    return f"Sec-WebSocket-Protocol: {', '.join(names)}"


@pytest.mark.parametrize(
    ("offered", "face", "echoed"),
    [
        ((), Face.TEXT, None),
        (("chat.v1.text",), Face.TEXT, "chat.v1.text"),
        (("chat.v1.json",), Face.JSON, "chat.v1.json"),
        (("chat.v1.json", "chat.v1.text"), Face.JSON, "chat.v1.json"),
        (("chat.v1.text", "chat.v1.json"), Face.TEXT, "chat.v1.text"),
        (("irc", "chat.v1.json"), Face.JSON, "chat.v1.json"),
        ((BEARER, "chat.v1.json"), Face.JSON, "chat.v1.json"),
        (("irc",), None, None),
        (("chat.v2.json",), None, None),
        ((BEARER,), None, None),
    ],
)
async def test_the_first_subprotocol_that_is_known_counts(
    admission: Admission, offered: tuple[str, ...], face: Face | None, echoed: str | None
) -> None:
    request = a_request(*([offer(*offered)] if offered else []), address="127.0.0.1")
    assert face_of(request) is face
    answer = await admission.judge(request)
    if face is None:
        assert isinstance(answer, Response)
        assert (answer.status, answer.body) == (400, SUPPORTED)
    else:
        assert isinstance(answer, Accept)
        assert answer.subprotocol == echoed


@pytest.mark.parametrize(
    ("offered", "status"),
    [
        ((), None),
        (("chat.v1.text",), None),
        (("irc", "chat.v1.text"), None),
        (("chat.v1.json",), 400),
    ],
)
async def test_the_plain_port_has_the_text_face_only(
    admission: Admission, offered: tuple[str, ...], status: int | None
) -> None:
    request = a_request(*([offer(*offered)] if offered else []), address="127.0.0.1")
    answer = await admission.judge_plain(request)
    if status is None:
        assert isinstance(answer, Accept)
        assert answer.subprotocol == ("chat.v1.text" if offered else None)
    else:
        assert isinstance(answer, Response)
        assert (answer.status, answer.body) == (status, b'{"supported":["chat.v1.text"]}')


def test_the_first_credential_wins() -> None:
    origin, cookie = "Origin: http://chat.example", "Cookie: wynd_chat=from-cookie"
    header = "Authorization: Bearer from-header"
    offered = offer("chat.v1.json", BEARER)
    assert credential_of(a_request()) is None
    assert credential_of(a_request(header, cookie, origin, offered)) == Credential(
        "from-header", "header"
    )
    assert credential_of(a_request(cookie, origin, offered)) == Credential("from-cookie", "cookie")
    assert credential_of(a_request(cookie, offered)) == Credential("token", "subprotocol")
    assert credential_of(a_request(cookie)) is None  # only pages have cookies, and pages an Origin
    assert credential_of(a_request("Authorization: Basic dTpw")) is None
    assert credential_of(a_request("authorization: bearer  x ")) == Credential("x", "header")


def test_a_subprotocol_that_is_no_base64_is_a_token_as_it_is() -> None:
    assert credential_of(a_request(offer("bearer.abcde"))) == Credential("abcde", "subprotocol")


async def test_a_bad_header_is_401_a_bad_cookie_or_subprotocol_is_let_in(
    admission: Admission,
) -> None:
    answer = await admission.judge(a_request("Authorization: Bearer wrong", address="127.0.0.1"))
    assert isinstance(answer, Response)
    assert (answer.status, answer.body) == (401, b"this token is not valid, log in again\n")
    origin, cookie = "Origin: http://chat.example", "Cookie: wynd_chat=old"
    for request in (
        a_request(origin, cookie, address="127.0.0.1"),
        a_request(offer("chat.v1.json", BEARER), address="127.0.0.1"),
    ):
        assert isinstance(await admission.judge(request), Accept)


async def test_a_good_header_is_let_in(admission: Admission, desk: Desk) -> None:
    _, token = await desk.account("Carol")
    answer = await admission.judge(a_request(f"Authorization: Bearer {token}"))
    assert isinstance(answer, Accept)


async def test_new_connections_of_an_address_are_bounded(admission: Admission, desk: Desk) -> None:
    for _ in range(3):
        assert isinstance(await admission.judge(a_request()), Accept)
    answer = await admission.judge(a_request())
    assert isinstance(answer, Response)
    assert answer.status == 429
    assert b"limits.new_connections_per_10_seconds" in answer.body
    assert ("retry-after", "10") in [(n.lower(), v) for n, v in answer.headers]
    assert isinstance(await admission.judge(a_request(address="10.0.0.2")), Accept)
    for _ in range(10):
        assert isinstance(await admission.judge(a_request(address="127.0.0.1")), Accept)
    await desk.clock.advance(10)
    assert isinstance(await admission.judge(a_request()), Accept)


async def test_a_flooder_waits_for_half_a_minute(admission: Admission, desk: Desk) -> None:
    handle = SimpleNamespace(close=lambda code, reason: None)
    client: Any = SimpleNamespace(number=7, address="10.0.0.9", user=None, handle=handle)
    await flood(desk, client)
    answer = await admission.judge(a_request(address="10.0.0.9"))
    assert isinstance(answer, Response)
    assert answer.status == 429
    await desk.clock.advance(30)
    assert isinstance(await admission.judge(a_request(address="10.0.0.9")), Accept)


async def flood(desk: Desk, client: Any) -> None:
    """Let a client be refused until it has three strikes."""
    from wynd_chat.services.ratelimits import TooFast

    for _ in range(3):
        desk.doorman.note_refusal(client, TooFast(1.0))
        await desk.clock.advance(1)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("127.0.0.1", None),
        ("::1", None),
        ("/run/chat.sock", None),
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
    ],
)
def test_addresses_count_by_themselves_ipv6_by_its_network(address: str, key: str | None) -> None:
    assert limit_key(address) == key
