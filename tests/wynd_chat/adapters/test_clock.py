"""The machine's clock and generator keep the promises of `ports.clock`."""

from __future__ import annotations

import asyncio
import base64
import re
import time

from wynd_chat.adapters.clock import SystemClock, SystemTokens


async def test_wall_time_is_in_milliseconds() -> None:
    before = time.time() * 1000
    assert before - 1 <= SystemClock().now_ms() <= time.time() * 1000 + 1


async def test_calls_happen_on_the_loop_unless_called_off() -> None:
    clock = SystemClock()
    called: list[str] = []
    done = asyncio.Event()
    off = clock.call_later(0, called.append, "off")
    off.cancel()
    off.cancel()
    clock.call_later(0, called.append, "on")
    clock.call_later(0.001, done.set)
    start = clock.monotonic()
    await done.wait()
    await clock.sleep(0.001)
    assert called == ["on"]
    assert clock.monotonic() > start


def test_secrets_are_256_bits_in_url_safe_base64() -> None:
    secrets = {SystemTokens().secret() for _ in range(200)}
    assert len(secrets) == 200
    for secret in secrets:
        assert len(base64.urlsafe_b64decode(secret + "=")) == 32
        assert not secret.endswith("=")


def test_codes_have_only_signs_that_cannot_be_mistaken() -> None:
    codes = [SystemTokens().code() for _ in range(2_000)]
    assert all(re.fullmatch("[A-HJ-NP-Z2-9]{4}-[A-HJ-NP-Z2-9]{4}", code) for code in codes)
    assert len(set("".join(codes)) - {"-"}) == 32  # every sign is drawn: five bits each
    assert len(set(codes)) == 2_000


def test_ids_have_their_prefix_and_sort_by_time() -> None:
    tokens = SystemTokens()
    first = tokens.new_id("u_")
    deadline = time.monotonic() + 1
    start = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 <= start and time.monotonic() < deadline:
        pass  # until the next millisecond
    second = tokens.new_id("u_")
    assert re.fullmatch("u_[0-9A-HJKMNP-TV-Z]{26}", first)
    assert first < second
    assert len({tokens.new_id("m_") for _ in range(5_000)}) == 5_000


def test_fractions_lie_below_one() -> None:
    fractions = [SystemTokens().fraction() for _ in range(1_000)]
    assert all(0 <= fraction < 1 for fraction in fractions)
    assert len(set(fractions)) > 900
