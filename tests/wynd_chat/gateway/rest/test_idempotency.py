"""`Answers`: one answer for racing copies, whatever happens to those who wait for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from starlette.responses import Response

from tests.wynd_chat.kit import Kit, a_kit
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.gateway.rest.idempotency import Answers, digest_of
from wynd_chat.services.idempotency import Idempotency

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wynd_chat.domain.models import User


@pytest.fixture
async def kit() -> AsyncIterator[Kit]:
    """Return services over a store."""
    async with a_kit() as made:
        yield made


class Work:
    """Counts how often it was done; waits until it is let go."""

    def __init__(self, *, is_held: bool = False) -> None:
        self.count = 0
        self.begun = asyncio.Event()
        self.release = asyncio.Event()
        self.error: Exception | None = None
        if not is_held:
            self.release.set()

    async def __call__(self) -> Response:
        self.count += 1
        self.begun.set()
        await self.release.wait()
        if self.error is not None:
            raise self.error
        return Response(f"answer {self.count}", 201, {"location": "x"}, "text/plain")


def answers_of(kit: Kit) -> Answers:
    """Return what a server has that was just started."""
    return Answers(Idempotency(kit.store, kit.clock))


async def alice_of(kit: Kit) -> User:
    """Return a user."""
    return await kit.account("Alice")


async def test_copies_that_race_get_the_one_answer(kit: Kit) -> None:
    alice, answers, work = await alice_of(kit), answers_of(kit), Work(is_held=True)
    racing = [asyncio.create_task(answers.once(alice, "k", "d", work)) for _ in range(64)]
    await work.begun.wait()
    with pytest.raises(ChatError) as refused:
        await answers.once(alice, "k", "another", work)
    assert refused.value.code is ErrorCode.CONFLICT
    work.release.set()
    got = await asyncio.gather(*racing)
    assert work.count == 1
    assert {(one.status_code, bytes(one.body), one.headers["location"]) for one in got} == {
        (201, b"answer 1", "x")
    }


async def test_later_copies_get_what_was_kept_for_a_day_also_after_a_restart(kit: Kit) -> None:
    alice, work = await alice_of(kit), Work()
    first = await answers_of(kit).once(alice, "k", "d", work)
    await kit.clock.advance(23 * 3600)
    again = await answers_of(kit).once(alice, "k", "d", work)
    assert (again.status_code, again.body, again.headers) == (201, first.body, first.headers)
    await kit.clock.advance(3600)
    assert (await answers_of(kit).once(alice, "k", "d", work)).body == b"answer 2"


async def test_whoever_waits_is_told_of_the_refusal_and_may_try_again(kit: Kit) -> None:
    alice, answers, work = await alice_of(kit), answers_of(kit), Work(is_held=True)
    work.error = ChatError(ErrorCode.FORBIDDEN, "no")
    racing = [asyncio.create_task(answers.once(alice, "k", "d", work)) for _ in range(3)]
    await work.begun.wait()
    work.release.set()
    got = await asyncio.gather(*racing, return_exceptions=True)
    assert got == [work.error] * 3
    work.error = None
    assert (await answers.once(alice, "k", "another", work)).status_code == 201


async def test_a_client_that_goes_away_stops_nothing(kit: Kit) -> None:
    alice, answers, work = await alice_of(kit), answers_of(kit), Work(is_held=True)
    first = asyncio.create_task(answers.once(alice, "k", "d", work))
    await work.begun.wait()
    waiting = asyncio.create_task(answers.once(alice, "k", "d", work))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    work.release.set()
    assert (await waiting).body == b"answer 1"
    assert (await answers.once(alice, "k", "d", work)).body == b"answer 1"


async def test_a_request_that_was_cut_off_is_not_done_twice(kit: Kit) -> None:
    alice, work = await alice_of(kit), Work(is_held=True)
    cut_off = asyncio.create_task(answers_of(kit).once(alice, "k", "d", work))
    await work.begun.wait()  # and here the server ends
    with pytest.raises(ChatError) as refused:
        await answers_of(kit).once(alice, "k", "d", work)
    assert refused.value.code is ErrorCode.CONFLICT
    assert "cut off" in refused.value.sentence
    assert work.count == 1
    work.release.set()
    await cut_off


async def test_what_was_done_and_not_kept_is_answered_all_the_same(kit: Kit) -> None:
    alice, answers, work = await alice_of(kit), answers_of(kit), Work(is_held=True)
    doing = asyncio.create_task(answers.once(alice, "k", "d", work))
    await work.begun.wait()
    kit.store.fail()
    work.release.set()
    assert (await doing).status_code == 201


async def test_answers_that_are_no_success_are_not_kept(kit: Kit) -> None:
    alice, answers = await alice_of(kit), answers_of(kit)

    async def refuse() -> Response:
        return Response(b"no", 409)

    assert (await answers.once(alice, "k", "d", refuse)).status_code == 409
    assert (await answers.once(alice, "k", "d", Work())).status_code == 201


def test_digests_tell_requests_apart() -> None:
    digests = {
        digest_of("POST", "/a", b"x"),
        digest_of("POST", "/a", b"y"),
        digest_of("POST", "/b", b"x"),
        digest_of("PUT", "/a", b"x"),
        digest_of("POST", "/a\n", b"x"),
        digest_of("POST", "/a", b"\nx"),
    }
    assert len(digests) == 6
