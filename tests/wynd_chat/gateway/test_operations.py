"""`Operations`: who asks for health and metrics, on which port, and what they are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from tests.waiting import eventually
from tests.wynd_chat.gateway.chat_kit import a_chat

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "a-token-for-metrics-1"


async def test_health_is_told_to_anybody(tmp_path: Path) -> None:
    async with a_chat(tmp_path) as running:
        alive = await running.client.get("/healthz")
        assert (alive.status_code, alive.text) == (200, "ok\n")
        await eventually(lambda: running.chat.health.is_ready)
        ready = await running.client.get("/readyz")
        assert (ready.status_code, ready.json()["ready"]) == (200, True)
        running.chat.health.drain()
        draining = await running.client.get("/readyz")
        assert (draining.status_code, draining.json()["checks"]["draining"]) == (503, "failing")


async def test_metrics_are_not_on_the_public_port_without_a_token(tmp_path: Path) -> None:
    async with a_chat(tmp_path) as running:
        assert (await running.client.get("/metrics")).status_code == 404


async def test_with_a_token_they_are_for_those_who_have_it(tmp_path: Path) -> None:
    async with a_chat(tmp_path, metrics={"token": TOKEN}) as running:
        ask = running.client.get
        assert (await ask("/metrics")).status_code == 401
        wrong = await ask("/metrics", headers={"authorization": "Bearer another-token-for-it"})
        assert wrong.status_code == 401
        right = await ask("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
        assert right.status_code == 200
        assert "wynd_chat_users_online 0.0" in right.text


async def test_a_listener_of_their_own_needs_none_and_counts_what_happened(tmp_path: Path) -> None:
    async with a_chat(tmp_path, metrics={"listen": "127.0.0.1:0"}) as running:
        alice = await running.account("Alice")
        running.connect(alice.user)
        await alice.say("lobby", "one", "two")
        port = running.chat.listeners.metrics_addresses[0][1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            text = (await client.get("/metrics")).text
            assert (await client.get("/readyz")).status_code in (200, 503)
        assert "wynd_chat_users_online 1.0" in text
        assert "wynd_chat_rooms 1.0" in text
        assert 'wynd_chat_messages_total{face="rest",kind="text"} 2.0' in text
        assert "Alice" not in text


async def test_tries_to_log_in_are_counted_by_their_end(tmp_path: Path) -> None:
    async with a_chat(tmp_path, metrics={"token": TOKEN}) as running:
        password = "correct horse battery staple"
        await running.services.logins.register("Alice", password, None)
        stranger = running.stranger()
        for text in (password, "wrong", "wrong", "wrong", "wrong"):
            await stranger.post("/sessions", {"name": "Alice", "password": text})
        answer = await running.client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
        for result, count in (("ok", 1), ("failed", 3), ("limited", 1)):
            assert f'wynd_chat_auth_total{{result="{result}"}} {count}.0' in answer.text
