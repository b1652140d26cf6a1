"""The origin matrix (reliability.md, row 34): which pages may connect, and write with a cookie.

Upgrades are written by hand. A wrong Origin gets 403 before the 101, and its cookie does nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.e2e.security.matrix import upgrade_status
from tests.wynd_chat.gateway.chat_kit import RunningChat, a_chat
from wynd_chat.domain.models import SessionKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HOST = "chat.example:{port}"
PASSWORD = "correct horse battery staple"

SAME_HOST = [
    # the page's Origin, whether it may
    ("http://chat.example:{port}", True),
    ("HTTP://CHAT.EXAMPLE:{port}", True),
    ("https://chat.example:{port}", True),  # TLS that ends in front of us
    ("http://chat.example", False),
    ("http://chat.example:1", False),
    ("http://chat.example:{port}0", False),
    ("http://chat.example.:{port}", False),
    ("http://chat.example.evil.example:{port}", False),
    ("http://evilchat.example:{port}", False),
    ("http://evil.chat.example:{port}", False),
    ("http://chat.example:{port}.evil.example", False),
    ("http://chat.exampl:{port}", False),
    ("http://chat-example:{port}", False),
    ("http://chat.example@evil.example:{port}", False),
    ("http://evil.example@chat.example:{port}", False),
    ("http://user:pass@chat.example:{port}", False),
    ("http://evil.example#chat.example:{port}", False),
    ("http://evil.example?chat.example:{port}", False),
    ("http://evil.example/chat.example:{port}", False),
    ("http://chat.example:{port}/path", False),
    ("http://chat.example:{port}?query", False),
    ("ftp://chat.example:{port}", False),
    ("ws://chat.example:{port}", False),
    ("file://", False),
    ("data:text/html,x", False),
    ("chrome-extension://chat.example:{port}", False),
    ("null", False),
    ("NULL", False),
    ("*", False),
    ("chat.example:{port}", False),
    ("//chat.example:{port}", False),
    ("http://", False),
    ("http://xn--cht-5cd.example:{port}", False),  # looks alike in IDN
    ("http://ch\u00e4t.example:{port}", False),
    ("http://127.0.0.1:{port}", False),
    ("http://localhost:{port}", False),
    ("http://[::1]:{port}", False),
    ("http://chat.example:{port} http://evil.example", False),
    ("http://evil.example, http://chat.example:{port}", False),
]
LISTED = [
    ("https://app.example", True),
    ("https://app.example:443", True),
    ("https://a.wide.example", True),
    ("https://wide.example", False),
    ("https://a.wide.example.evil.example", False),
    ("https://awide.example", False),
    ("http://app.example", False),
    ("https://app.example:8443", False),
    ("https://app.example.evil.example", False),
    ("null", False),
    ("http://chat.example:{port}", False),  # a list takes the place of the default
]


@pytest.fixture(scope="module")
def listed() -> tuple[str, ...]:
    """Give a setting of pages that may."""
    return ("https://app.example", "https://*.wide.example")


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[RunningChat]:
    """Give a chat that only its own pages may use."""
    async with a_chat(tmp_path) as running:
        yield running


async def check(chat: RunningChat, rows: list[tuple[str, bool]], tests: pytest.Subtests) -> None:
    """Try each Origin at the sockets, at the API and at a form."""
    services = chat.services
    user = (await services.logins.register("Alice", PASSWORD, None)).user
    port = chat.chat.listeners.addresses[0][1]
    host = HOST.format(port=port)
    token, _ = await services.sessions.begin(user, SessionKind.WEB)
    base = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=base) as http:
        for form, may in rows:
            origin = form.format(port=port)
            with tests.test(origin):
                field = f"Origin: {origin.encode().decode('latin-1')}"
                for path in ("/ws", "/"):
                    status = await upgrade_status(chat.chat, path, field, host=host)
                    assert status == (101 if may else 403)
                headers = {"host": host, "origin": origin.encode(), "cookie": f"wynd_chat={token}"}
                answer = await http.patch(
                    "/api/v1/users/me", json={"away": origin}, headers=headers  # type: ignore[arg-type]
                )  # fmt: skip
                assert answer.status_code == (200 if may else 403)
                stored = await services.accounts.user(user.id)
                assert stored is not None
                assert (stored.away is not None) is may
                await services.accounts.set_away(user, None)
                answer = await http.post("/password", data={"old": "x"}, headers=headers)  # type: ignore[arg-type]
                assert answer.status_code == (401 if may else 403)


async def test_by_default_only_pages_of_the_same_host_and_port(
    chat: RunningChat, subtests: pytest.Subtests
) -> None:
    assert len(SAME_HOST) >= 30
    await check(chat, SAME_HOST, subtests)


async def test_a_list_is_matched_exactly_and_by_whole_labels(
    tmp_path: Path, listed: tuple[str, ...], subtests: pytest.Subtests
) -> None:
    async with a_chat(tmp_path, server={"origins": listed}) as chat:
        await check(chat, LISTED, subtests)


async def test_two_origins_are_none(chat: RunningChat) -> None:
    port = chat.chat.listeners.addresses[0][1]
    own = f"Origin: http://127.0.0.1:{port}"
    assert await upgrade_status(chat.chat, "/ws", own) == 101
    assert await upgrade_status(chat.chat, "/ws", own, own) in (400, 403)
    assert await upgrade_status(chat.chat, "/ws", own, "Origin: http://evil.example") in (400, 403)


async def test_without_an_origin_one_connects_as_nobody(chat: RunningChat) -> None:
    assert await upgrade_status(chat.chat, "/ws") == 101
    assert await upgrade_status(chat.chat, "/ws", "Origin: ") in (400, 403)
