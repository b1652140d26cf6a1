"""How fast the page is there with nothing kept, how little comes over the line, what is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.chat_page.stage import (
    UNLIMITED,
    busy_machine,
    chromium,
    enter,
    person,
    running_server,
    see,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)

INTERACTIVE_MS_MAX = 300
TRANSFER_BYTES_MAX = 120_000
ATTEMPTS = 5


async def test_the_page_is_there_at_once_and_small(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    async with running_server(tmp_path, UNLIMITED) as server, chromium() as browser:
        async with person(server, "Bob") as bob:
            await bob.says_many([f"message {number}" for number in range(100)])
        times = []
        for _ in range(ATTEMPTS):  # a shared machine: the best of a few
            page = await browser.page()
            await page.goto(server.url, wait_until="commit")
            await page.get_by_label("Your name").wait_for()
            times.append(
                await page.evaluate(
                    """() => new Promise((resolve) => {
                      const look = () => document.activeElement?.name === 'name'
                        ? resolve(performance.now()) : requestAnimationFrame(look);
                      look();
                    })"""
                )
            )
            sizes = await page.evaluate(
                """() => ['navigation', 'resource'].flatMap(
                  (type) => performance.getEntriesByType(type).map((e) => [e.name, e.transferSize])
                )"""
            )
            assert sum(size for _, size in sizes) < TRANSFER_BYTES_MAX
            assert [name for name, size in sizes if name.endswith("main.js") and size > 0]
            await page.context.close()
        request.node.user_properties.append(("interactive, ms", times))
        if not request.config.getoption("--nightly"):
            return  # other tests share the cores: no time decides a result
        if min(times) >= INTERACTIVE_MS_MAX and busy_machine():
            pytest.skip(f"the machine is busy ({busy_machine()}): {min(times):.0f} ms at best")
        assert min(times) < INTERACTIVE_MS_MAX, times


async def test_the_second_visit_asks_for_the_page_only(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, chromium() as browser:
        context = await browser.context()
        page = await context.new_page()
        await enter(page, server.url, "Alice")
        await page.evaluate(
            "() => import(document.querySelector('script').src.replace('main', 'dialogs'))"
        )
        await page.locator(".qr svg").wait_for()  # drawn by the last module to come
        await page.reload()
        await page.get_by_role("textbox", name="Message #lobby").wait_for()
        fetched = await page.evaluate(
            """() => performance.getEntriesByType('resource')
              .filter((e) => e.name.includes('/assets/') && e.transferSize > 0)
              .map((e) => e.name)"""
        )
        assert fetched == []


async def test_the_basic_page_talks_on_the_text_face(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, chromium() as browser:
        page, other = await browser.page(), await browser.page()
        for one, name in ((page, "Alice"), (other, "Bob")):
            await one.goto(f"{server.url}basic")
            assert await one.title() == "Chat Server"
            await one.get_by_role("heading", name="Welcome to the Chat Server").wait_for()
            await one.get_by_text("Connected", exact=True).wait_for()
            colour = "e => getComputedStyle(e).color"
            assert await one.locator("#status-text").evaluate(colour) == "rgb(0, 128, 0)"
            await one.locator("#message").fill(f"/name {name}")
            await one.locator("#message").press("Enter")
            await one.get_by_text(f"You are now known as {name}").wait_for()
        await page.locator("#message").fill("<b>hi</b>")
        await page.get_by_role("button", name="Send").click()
        await other.get_by_text("Alice: <b>hi</b>", exact=True).wait_for()
        modern = await browser.page()
        await enter(modern, server.url, "Carol")
        await see(modern, "<b>hi</b>")
        await server.stop()
        await page.get_by_text("Disconnected", exact=True).wait_for()
        assert await page.locator("#status-text").evaluate(colour) == "rgb(255, 0, 0)"
        browser.complaints.clear()
