"""Account commands where transcripts do not reach: over HTTP, and a program that revokes itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.wynd_chat.gateway.chat_kit import RunningChat, Visitor, a_chat
from tests.wynd_chat.gateway.rest.refusals_kit import assert_refused
from tests.wynd_chat.gateway.test_revocation import GOOD, a_house
from tests.wynd_chat.gateway.test_terminals import typed
from wynd_chat.domain.models import SessionKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[RunningChat]:
    """Give a chat."""
    async with a_chat(tmp_path) as running:
        yield running


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        (f"/login Alice {GOOD}", "use POST /api/v1/sessions"),
        ("/logout", "use DELETE /api/v1/sessions/current"),
        ("/token new script", "use POST /api/v1/tokens"),
    ],
)
async def test_secrets_have_endpoints_of_their_own_over_http(
    chat: RunningChat, line: str, instead: str
) -> None:
    alice = await chat.account("Alice")
    headers = {"idempotency-key": "k"}
    answer = await alice.post("/rooms/lobby/commands", {"text": line}, headers=headers)
    assert_refused(answer, "unsupported", instead)
    kept = await chat.store.read(lambda snap: snap.idempotent_answer(alice.user.id, "k"))
    assert kept is None or kept.request_hash == ""


async def test_a_guest_registers_over_http_elsewhere_too(chat: RunningChat) -> None:
    gail = await chat.guest("Gail")
    answer = await gail.post("/rooms/lobby/commands", {"text": f"/register {GOOD}"})
    assert_refused(answer, "unsupported", "use POST /api/v1/users")


async def test_lists_are_the_same_over_http(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    listed = (await alice.post("/rooms/lobby/commands", {"text": "/token list"})).json()
    assert listed["result"]["tokens"] == (await alice.get("/tokens")).json()["tokens"]
    await alice.post("/rooms/lobby/commands", {"text": "/token revoke token"})
    (token,) = listed["result"]["tokens"]
    answer = await alice.post("/rooms/lobby/commands", {"text": f"/token revoke {token['id']}"})
    assert answer.json()["result"] == {"revoked": 1}
    assert_refused(await Visitor(chat.client, None, alice.token).get("/users/me"), "unauthorized")


async def test_a_program_that_revokes_its_own_token_reads_so_before_it_ends(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        alice = await house.account()
        token, _ = await house.chat.services.sessions.new_token(alice, "mine")
        socket = await typed(house)
        await socket.close()
        entered = await house.enter(token)
        await entered.send('{"type":"command","id":1,"room":"lobby","text":"/token revoke mine"}')
        reply = str(await entered.recv())
        assert '"revoked":1' in reply
        assert await house.ended(entered) == 4501


async def test_logging_out_ends_every_connection_of_the_login_and_no_other(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        alice = await house.account()
        token = await house.token(alice)
        first, second = await house.enter(token), await house.enter(token)
        other = await house.enter(await house.token(alice, SessionKind.WEB))
        await first.send('{"type":"command","id":1,"room":"lobby","text":"/logout"}')
        assert '"ended":true' in str(await first.recv())
        assert await house.ended(first) == 4501
        assert await house.ended(second) == 4501
        assert await house.is_open(other)


async def test_a_guest_who_registers_closes_the_other_connections_of_the_guest(
    tmp_path: Path,
) -> None:
    async with a_house(tmp_path) as house:
        guest = await house.chat.services.accounts.name_guest("Gail")
        token = await house.chat.services.accounts.guest_token(guest)
        first, second = await house.enter(token), await house.enter(token)
        line = f"/register {GOOD}"
        await first.send(f'{{"type":"command","id":1,"room":"lobby","text":"{line}"}}')
        assert await house.ended(second) == 4501
        assert await house.is_open(first)
