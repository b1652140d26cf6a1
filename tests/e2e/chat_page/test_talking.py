"""Two people on the page, and what happens to their conversation when things go wrong."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.chat_page.stage import (
    GONE,
    UNLIMITED,
    chromium,
    enter,
    line_to,
    person,
    running_server,
    say,
    see,
    texts,
    until,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)


async def test_two_people_talk_in_rooms_and_directly(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, chromium() as browser:
        alice, bob = await browser.page(), await browser.page()
        await enter(alice, server.url, "Alice")
        await enter(bob, server.url, "Bob")
        await say(alice, "Hello **Bob**")
        assert await (await see(bob, "Hello Bob")).locator("strong").inner_text() == "Bob"
        await say(bob, "/me waves")
        await see(alice, "waves")

        await say(alice, "/join #dev")
        await alice.get_by_role("heading", name="dev", exact=True).wait_for()
        await say(alice, "/topic What we build")
        await alice.get_by_text("set the topic: What we build").wait_for()
        await bob.get_by_role("button", name="Browse or create a room").click()
        await bob.get_by_role("button", name="Join", exact=True).click()
        await bob.get_by_role("textbox", name="Message #dev").wait_for()
        await say(bob, "in dev")
        await see(alice, "in dev")

        await alice.get_by_role("button", name="Bob", exact=True).click()
        await alice.get_by_role("button", name="Write a direct message").click()
        await alice.get_by_role("textbox", name="Message Bob").wait_for()
        await say(alice, "only for you")
        link = bob.get_by_role("link", name="Alice, 1 unread message")
        await link.wait_for()
        assert await bob.title() == "(1) #dev — wynd-chat"
        await link.click()
        await see(bob, "only for you")
        await until(bob, "() => document.title === 'Alice — wynd-chat'")


async def test_a_shared_link_leads_into_the_room(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path, UNLIMITED) as server,
        chromium() as browser,
        person(server, "Bob") as bob,
    ):
        await bob.runs("/join #dev")
        await bob.runs("/topic What we build", "dev")
        browser.expect("status of 404")
        page = await browser.page()
        await page.goto(f"{server.url}#/dev")
        await page.get_by_label("Your name").fill("Alice")
        await page.get_by_role("button", name="Start chatting").click()
        dialog = page.get_by_role("dialog", name="#dev")
        await dialog.get_by_text("1 here · What we build").wait_for()
        await dialog.get_by_role("button", name="Join").click()
        await page.get_by_role("textbox", name="Message #dev").wait_for()
        await page.evaluate("() => { location.hash = '#/nowhere'; }")
        await page.get_by_role("alert").get_by_text("There is no such room").wait_for()


async def test_what_comes_elsewhere_is_counted_and_the_unread_line_stands(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path, UNLIMITED) as server,
        chromium() as browser,
        person(server, "Bob") as bob,
    ):
        alice = await browser.page()
        await enter(alice, server.url, "Alice")
        await bob.runs("/join #dev")
        await say(alice, "/join #dev")
        await alice.get_by_role("textbox", name="Message #dev").wait_for()
        await bob.says("before", "dev")
        await see(alice, "before")
        await say(alice, "mine")
        await see(alice, "mine")
        await alice.get_by_role("link", name="#lobby").click()
        await alice.get_by_role("textbox", name="Message #lobby").wait_for()
        await bob.says("one", "dev")
        await bob.says("two for @Alice", "dev")
        link = alice.get_by_role("link", name="#dev, 2 unread messages, 1 mention")
        await link.wait_for()
        await link.click()
        line = alice.locator(".unread-line")
        assert await line.inner_text() == "2 new messages"
        assert await alice.locator("li.is-mention").count() == 1
        await alice.reload()
        await line.wait_for()
        assert await line.inner_text() == "2 new messages", "it survives a reload"
        await alice.keyboard.press("Escape")
        await line.wait_for(state="detached")
        await alice.reload()
        await see(alice, "two for")
        assert await line.count() == 0, "Esc marked the room as read"


async def test_reload_keeps_place_and_drafts(tmp_path: Path) -> None:
    async with running_server(tmp_path, UNLIMITED) as server, chromium() as browser:
        async with person(server, "Bob") as bob:
            await bob.says_many([f"message {number}" for number in range(150)])
        page = await browser.page()
        await enter(page, server.url, "Alice")
        await see(page, "message 149")
        await page.locator("textarea").fill("half a tho")
        await page.locator(".scroller").hover()
        await page.evaluate(
            """() => document.querySelector(".scroller").addEventListener("scrollend",
              () => { self.rests = true; }, {once: true})"""
        )
        await page.mouse.wheel(0, -1500)
        await page.get_by_role("button", name="Latest").wait_for()
        await until(page, "() => self.rests && sessionStorage.length > 0")
        before = await top_row(page)
        await page.reload()
        await page.locator("li.message[data-seq]").first.wait_for()
        assert await page.locator("textarea").input_value() == "half a tho"
        # It may have to load what is below before it can stand where it stood.
        await stands_again(page, *before)
        await page.get_by_role("button", name="Latest").click()
        await until(
            page, "() => [...document.querySelectorAll('li.message')].at(-1)?.dataset.seq === '150'"
        )


async def top_row(page: Any) -> tuple[str, float]:
    """Return the first message in view, and how far below the top of the log it begins."""
    found = await page.evaluate(
        """() => {
          const top = document.querySelector('.scroller').getBoundingClientRect().top;
          for (const row of document.querySelectorAll('li.message[data-seq]')) {
            const box = row.getBoundingClientRect();
            if (box.bottom > top) return [row.dataset.seq, box.top - top];
          }
        }"""
    )
    return str(found[0]), float(found[1])


async def stands_again(page: Any, seq: str, top: float) -> None:
    """Wait until a message begins so far below the top of the log, give or take two pixels."""
    await until(
        page,
        """([seq, top]) => {
          const row = document.querySelector(`li[data-seq="${seq}"]`)?.getBoundingClientRect();
          const log = document.querySelector('.scroller').getBoundingClientRect();
          return row !== undefined && Math.abs(row.top - log.top - top) <= 2;
        }""",
        [seq, top],
    )


async def test_a_restart_of_the_server_in_mid_conversation_loses_and_repeats_nothing(
    tmp_path: Path,
) -> None:
    async with running_server(tmp_path, UNLIMITED) as server, chromium() as browser:
        browser.expect(*GONE)
        alice, bob = await browser.page(), await browser.page()
        await enter(alice, server.url, "Alice")
        await enter(bob, server.url, "Bob")
        for number in range(5):
            await say(alice, f"a{number}")
            await say(bob, f"b{number}")
        await see(alice, "b4")
        await see(bob, "a4")
        await server.stop(signal.SIGKILL)
        await say(alice, "while it was gone")
        await alice.locator("li.is-pending", has_text="while it was gone").wait_for()
        await server.start()
        for page in (alice, bob):
            await see(page, "while it was gone")
        await say(bob, "and on")
        await see(alice, "and on")
        said = sorted(await texts(alice))
        assert said == sorted(
            [
                *(f"{who}{number}" for who in "ab" for number in range(5)),
                "while it was gone",
                "and on",
            ]
        )
        assert await texts(alice) == await texts(bob), "everybody reads the same order"


async def test_three_messages_typed_without_a_line_arrive_once_and_in_order(
    tmp_path: Path,
) -> None:
    async with (
        running_server(tmp_path) as server,
        line_to(server) as line,
        chromium() as browser,
        person(server, "Bob") as bob,
    ):
        browser.expect(*GONE)
        context = await browser.context()
        page = await context.new_page()
        await enter(page, line.url, "Alice")
        await say(page, "with a line")
        await see(page, "with a line")
        await line.cut()
        for text in ("one", "two", "three"):
            await say(page, text)
        banner = page.get_by_role("status").filter(has_text="3 messages waiting")
        await banner.wait_for()
        assert "Reconnecting" in await banner.inner_text()
        await bob.says("meanwhile")
        await page.close()  # the messages were kept, not only shown
        await line.restore()
        page = await context.new_page()
        await page.goto(line.url)
        await see(page, "three")
        await until(page, "() => document.querySelectorAll('li.is-pending').length === 0")
        assert await texts(page) == ["with a line", "meanwhile", "one", "two", "three"]
        await page.reload()
        await see(page, "three")
        assert await texts(page) == ["with a line", "meanwhile", "one", "two", "three"]


async def test_the_line_comes_back_without_a_word_where_it_was_short(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path) as server,
        line_to(server) as line,
        chromium() as browser,
        person(server, "Bob") as bob,
    ):
        browser.expect(*GONE)
        page = await browser.page()
        await enter(page, line.url, "Alice")
        await bob.says("before")
        await see(page, "before")
        await line.cut()
        await bob.says("in the gap 1")
        await bob.says("in the gap 2")
        await line.restore()
        await see(page, "in the gap 2")
        assert await texts(page) == ["before", "in the gap 1", "in the gap 2"]
        assert await page.locator(".banner").count() == 0


async def test_a_refused_message_can_be_tried_again_copied_and_deleted(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path) as server,
        chromium() as browser,
        person(server, "Olga") as olga,
    ):
        await olga.runs("/join #quiet")
        page = await browser.page()
        await enter(page, server.url, "Alice")
        await say(page, "/join #quiet")
        await page.get_by_role("textbox", name="Message #quiet").wait_for()
        await olga.runs("/lock on", "quiet")
        await say(page, "may I?")
        failed = page.locator("li.is-failed")
        await failed.wait_for()
        assert "Not sent. Only ops can write here." in await failed.inner_text()
        await olga.runs("/lock off", "quiet")
        await failed.get_by_role("button", name="Retry").click()
        await see(page, "may I?")
        await olga.runs("/lock on", "quiet")
        await say(page, "and now?")
        await failed.get_by_role("button", name="Delete").click()
        await failed.wait_for(state="detached")
        assert await texts(page) == ["may I?"]


async def test_a_fast_typist_is_never_refused(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, chromium() as browser:
        page = await browser.page()
        await enter(page, server.url, "Alice")
        for number in range(14):  # more than the burst of ten
            await say(page, f"line {number}")
        assert await page.locator("li.is-failed").count() == 0
        await see(page, "line 13")
        assert await texts(page) == [f"line {number}" for number in range(14)]
