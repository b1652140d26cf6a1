"""Renews the pictures of docs/images: `python -m tests.e2e.chat_page.screenshots`.

Not a test. Three sizes in both themes, over a real server with a conversation in several scripts.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.chat_page.stage import (
    UNLIMITED,
    Person,
    Server,
    chromium,
    enter,
    person,
    running_server,
    say,
    see,
)
from tests.e2e.chat_page.test_files import drop, png

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

IMAGES = Path(__file__).parents[3] / "docs" / "images"
SIZES = {"desktop": (1280, 800), "tablet": (820, 1000), "phone": (390, 800)}
CODE = "```python\ndef open(self) -> None:\n    if self.schema > NEWEST:\n        raise TooNew\n```"
TALK = (
    ("Miriam", "Good morning! Where are we with **1.2**?"),
    ("Jonas", "Two things are left:\n1. the migration of old databases\n2. the release notes"),
    ("Zoë", "I read it.\n> a newer schema is refused\nDoes that hold in memory too?"),
    ("Jonas", f"There is nothing to migrate in memory. This is the check:\n{CODE}"),
    ("田中さくら", "日本語の翻訳も終わりました。確認をお願いします 🙏"),
    ("أحمد", "صباح الخير! راجعت النص العربي مع رابط https://example.org/ar والنتيجة ممتازة."),
    ("Zoë", "🎉🎉"),
    ("Miriam", "@Jonas can you write the notes? `CHANGELOG.md` has everything."),
)


@contextlib.asynccontextmanager
async def people(server: Server) -> AsyncIterator[dict[str, Person]]:
    """Let those who talk come to the room #release."""
    async with contextlib.AsyncExitStack() as stack:
        found: dict[str, Person] = {}
        for name, _ in TALK:
            if name not in found:
                found[name] = await stack.enter_async_context(person(server, name))
                await found[name].runs("/join #release")
        await found["Miriam"].runs("/topic Release 1.2: what is left, and who does it", "release")
        await found["Zoë"].runs("/join #design")
        await found["Jonas"].runs("/join #random")
        yield found


async def take(folder: Path) -> None:
    """Take all pictures."""
    IMAGES.mkdir(exist_ok=True)
    async with (
        running_server(folder, UNLIMITED) as server,
        chromium() as browser,
        people(server) as found,
    ):
        for name, text in TALK:
            await found[name].says(text, "release")
        for theme in ("light", "dark"):
            page = await browser.page(color_scheme=theme, reduced_motion="reduce")
            name = f"Alice{theme[0].upper()}"
            await enter(page, server.url, name)
            for room in ("random", "release"):
                await say(page, f"/join #{room}")
                await page.get_by_role("textbox", name=f"Message #{room}").wait_for()
            await page.get_by_role("link", name="#lobby").click()
            await found["Miriam"].says(f"@{name} welcome! You can help with the notes.", "release")
            await found["Zoë"].says("Tagged. 🚀", "release")
            await found["Jonas"].says("The draft is here.", "random")
            await found["Miriam"].runs(f"/msg @{name} Have you seen #release?", "release")
            await page.get_by_role("link", name="Miriam, 1 unread message").wait_for()
            await page.get_by_role("link", name="#release").click()
            await see(page, "Tagged.")
            await page.mouse.move(0, 0)
            for size, (width, height) in SIZES.items():
                await page.set_viewport_size({"width": width, "height": height})
                await page.locator(".scroller").evaluate("s => { s.scrollTop = s.scrollHeight; }")
                await page.screenshot(path=IMAGES / f"chat-page-{size}-{theme}.png")
            await page.context.close()
        page = await browser.page(*SIZES["desktop"])
        await enter(page, server.url, "Alice")
        await drop(page, "blue.png", "image/png", png(640, 300))
        await page.locator(".tray-file.is-done").wait_for()
        await page.locator("textarea").fill("/to")
        await page.get_by_role("listbox").wait_for()
        await page.screenshot(path=IMAGES / "chat-page-composer.png")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(take(Path(temporary)))
