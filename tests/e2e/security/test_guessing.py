"""Guessing, lockout and timing of logins, through the server (reliability.md, rows 36, 37, 42)."""

from __future__ import annotations

import asyncio
import logging
import statistics
import time
from typing import TYPE_CHECKING, Any

import argon2
import pytest
from websockets.asyncio.client import connect

from tests.e2e.security.matrix import socket_entrance
from tests.wynd_chat.gateway.chat_kit import RunningChat, a_chat
from wynd_chat.adapters.passwords import ArgonPasswords

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    import httpx

PASSWORD = "correct horse battery staple"
OFTEN: dict[str, Any] = {"logins_per_3_minutes": 100_000}
TIMED = 200  # tries of each kind
PROXIES = {"trusted_proxies": ("127.0.0.1", "::1")}


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[RunningChat]:
    """Give a chat behind a proxy that is trusted to name addresses."""
    async with a_chat(tmp_path, server=PROXIES) as running:
        await running.services.logins.register("Alice", PASSWORD, None)
        yield running


async def log_in(
    chat: RunningChat, name: str, password: str, address: str = "203.0.113.1"
) -> httpx.Response:
    """Try to log in from an address."""
    body = {"name": name, "password": password, "cookie": False}
    headers = {"x-forwarded-for": address}
    return await chat.client.post("/api/v1/sessions", json=body, headers=headers)


@pytest.mark.timeout(60)
async def test_a_thousand_addresses_get_ten_guesses_a_minute_and_the_owner_stays(
    chat: RunningChat,
) -> None:
    token = (await log_in(chat, "Alice", PASSWORD)).json()["token"]
    port = chat.chat.listeners.addresses[0][1]
    owner = {"authorization": f"Bearer {token}"}
    async with connect(
        f"ws://127.0.0.1:{port}/ws", additional_headers=owner, compression=None, proxy=None
    ) as socket:
        began = time.monotonic()
        codes: list[int] = []
        for start in range(0, 1000, 50):
            answers = await asyncio.gather(
                *(
                    log_in(chat, "Alice", f"guess {n}", f"203.0.{n // 250}.{n % 250}")
                    for n in range(start, start + 50)
                )
            )
            codes += [answer.status_code for answer in answers]
        assert time.monotonic() - began < 60
        assert codes.count(401) <= 10
        assert codes.count(429) == 1000 - codes.count(401)
        assert (await chat.client.get("/api/v1/users/me", headers=owner)).status_code == 200
        await socket.send("/users")
        while await socket.recv() != "Online users: Alice":
            pass


async def test_an_address_is_limited_whatever_names_it_tries(chat: RunningChat) -> None:
    answers = [await log_in(chat, f"name-{n}", "guess") for n in range(15)]
    assert [one.status_code for one in answers] == [401] * 10 + [429] * 5
    assert (await log_in(chat, "Alice", PASSWORD)).status_code == 429
    assert (await log_in(chat, "Alice", PASSWORD, "203.0.113.2")).status_code == 201
    assert int(answers[-1].headers["retry-after"]) <= 180


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:203.0.113.9", "203.0.113.9", True),
    ],
)
async def test_addresses_of_one_network_are_one(
    chat: RunningChat, one: str, other: str, are_one: bool
) -> None:
    for n in range(10):
        assert (await log_in(chat, f"name-{n}", "guess", one)).status_code == 401
    answer = await log_in(chat, "Alice", PASSWORD, other)
    assert answer.status_code == (429 if are_one else 201)


async def test_registrations_are_counted_by_address(tmp_path: Path) -> None:
    async with a_chat(tmp_path, server=PROXIES, limits={"registrations_per_hour": 3}) as chat:

        async def register(name: str, address: str) -> int:
            body = {"name": name, "password": PASSWORD}
            headers = {"x-forwarded-for": address}
            return (await chat.client.post("/api/v1/users", json=body, headers=headers)).status_code

        codes = [await register(f"user-{n}", "203.0.113.1") for n in range(5)]
        assert codes == [201, 201, 201, 429, 429]
        assert await register("other", "203.0.113.2") == 201


async def test_nobody_else_names_an_address_and_one_warning_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_chat(tmp_path) as chat:
        with caplog.at_level(logging.WARNING, "wynd"):
            for n in range(12):
                await log_in(chat, f"name-{n}", "guess", "203.0.113.1")
            answer = await log_in(chat, "x", "guess", "203.0.113.1")
            for _ in range(3):
                await socket_entrance(chat.chat, headers={"x-forwarded-for": "203.0.113.1"})
        assert answer.status_code == 401  # loopback, which is exempt
        told = [one for one in caplog.records if "trusted_proxies" in one.getMessage()]
        assert len(told) == 1


async def test_an_unknown_name_is_answered_like_a_wrong_password(tmp_path: Path) -> None:
    """The same answer after the same work; that it takes the same time is measured by night."""
    async with a_chat(tmp_path, limits=OFTEN) as chat:
        passwords = chat.services.logins._passwords
        assert isinstance(passwords, ArgonPasswords)
        checked: list[argon2.Parameters] = []
        check = passwords._verify

        def note_and_check(password_hash: str, prepared: bytes) -> bool:
            checked.append(argon2.extract_parameters(password_hash))
            return check(password_hash, prepared)

        passwords._verify = note_and_check  # type: ignore[method-assign]
        await chat.services.logins.register("Alice", PASSWORD, None)
        known = await log_in(chat, "Alice", "a wrong password")
        unknown = await log_in(chat, "Nobody", "a wrong password")
        assert known.status_code == unknown.status_code == 401
        assert known.json() == unknown.json()
        assert known.json()["detail"] == "wrong name or password"
        assert [*known.headers] == [*unknown.headers]
        assert len(checked) == 2
        assert checked[0] == checked[1]


@pytest.mark.nightly
@pytest.mark.timeout(600)
async def test_an_unknown_name_takes_as_long_as_a_wrong_password(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """From request to answer, in CPU time of the process: waiting for a core does not count."""
    async with a_chat(tmp_path, limits=OFTEN) as chat:
        names = [f"user-{n}" for n in range(2 * TIMED)]
        for name in names[::2]:
            await chat.services.logins.register(name, PASSWORD, None)
        taken: dict[bool, list[float]] = {True: [], False: []}
        for number, name in enumerate(names):  # known and unknown ones in turn, each once
            began = time.process_time()
            answer = await log_in(chat, name, "a wrong password")
            taken[number % 2 == 0].append(time.process_time() - began)
            assert answer.status_code == 401
        known, unknown = (1000 * statistics.median(taken[is_known]) for is_known in (True, False))
        record_property("CPU of a wrong password, ms", round(known, 2))
        record_property("CPU of an unknown name, ms", round(unknown, 2))
        assert unknown == pytest.approx(known, rel=0.05)
