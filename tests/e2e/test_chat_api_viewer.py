"""The viewer of the chat's API in a real browser: it shows the document, and the policy holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.programs import chromium_browser
from tests.wynd_chat.gateway.chat_kit import a_chat

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_MS = 20_000


@pytest.mark.timeout(120)
async def test_the_api_is_looked_up_and_tried_out(tmp_path: Path) -> None:
    async with a_chat(tmp_path) as chat, chromium_browser() as chromium:
        alice = await chat.account("Alice")
        page = await chromium.new_page()
        complaints: list[str] = []
        requests: list[str] = []
        page.on("console", lambda line: complaints.append(line.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.set_default_timeout(PATIENCE_MS)

        await page.goto(f"{chat.chat.local_url}/api/docs")
        await page.get_by_role("heading", name="wynd-chat").first.wait_for()
        await page.get_by_role("button", name="Authorize").first.click()
        await page.get_by_label("auth-bearer-value").fill(str(alice.token))
        await page.get_by_role("button", name="Apply credentials").first.click()
        await page.get_by_role("button", name="Close").first.click()
        operation = page.locator(".opblock", has_text="/api/v1/users/me").first
        await operation.locator(".opblock-summary-control").click()
        await operation.get_by_role("button", name="Execute").click()
        shown = operation.locator(".live-responses-table .highlight-code")
        await shown.get_by_text('"Alice"').first.wait_for()

        assert complaints == []
        assert all(url.startswith((chat.chat.local_url, "data:")) for url in requests), requests
