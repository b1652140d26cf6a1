"""The log under load: 10,000 messages scrolled through, 200 a second, jumps and permalinks.

Tasks of the page are timed by the browser itself. A shared machine may stop a page for longer than
any of its work takes, so what counts is the best of a few attempts.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.chat_page.stage import (
    UNLIMITED,
    Person,
    busy_machine,
    chromium,
    enter,
    person,
    running_server,
    say,
    see,
    until,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(300)

NODES_MAX = 320
TASK_MS_MAX = 50
ATTEMPTS = 4
NODES = "document.querySelectorAll('.messages > li.message').length"


async def fill_room(somebody: Person, count: int) -> None:
    """Say many things of different length in the lobby."""
    words = (
        "a few words",
        "**bold** and `code`",
        "see https://example.org/x",
        "line one\nline two",
    )
    for first in range(0, count, 1000):
        await somebody.says_many(
            [f"number {n}: {words[n % 4]}" for n in range(first, min(first + 1000, count))]
        )


async def longest_task(page: Any) -> int:
    """Return how long the page was busy at most since it was asked last, in milliseconds."""
    return int(await page.evaluate("() => Math.max(0, ...window.longTasks.splice(0))"))


def check_tasks(busy: list[int], request: pytest.FixtureRequest) -> None:
    """Note the longest tasks of a few attempts; the long run judges them by the best."""
    request.node.user_properties.append(("longest tasks, ms", busy))
    if not request.config.getoption("--nightly"):
        return  # other tests share the cores: no time decides a result
    if min(busy) > TASK_MS_MAX and busy_machine():
        pytest.skip(f"the machine is busy ({busy_machine()}): tasks of {busy} ms")
    assert min(busy) <= TASK_MS_MAX, busy


async def scroll_up(page: Any, until_seq: int) -> int:
    """Scroll up to a message, as with a wheel; return the most nodes there were."""
    return int(
        await page.evaluate(
            """async (seq) => {
              const scroller = document.querySelector('.scroller');
              const message = 'li.message[data-seq]';
              const first = () => Number(document.querySelector(message).dataset.seq);
              const deadline = performance.now() + 120000;
              let most = 0;
              while (first() > seq && performance.now() < deadline) {
                scroller.scrollTop -= 400;
                await new Promise(requestAnimationFrame);
                most = Math.max(most, document.querySelectorAll('.messages > li.message').length);
              }
              return first() > seq ? -1 : most;
            }""",
            until_seq,
        )
    )


@pytest.mark.slow
async def test_ten_thousand_messages_are_scrolled_with_few_nodes_and_no_long_task(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    async with running_server(tmp_path, UNLIMITED) as server, chromium() as browser:
        async with person(server, "Bob") as bob:
            await fill_room(bob, 10_000)
        page = await browser.page()
        await enter(page, server.url, "Alice")
        await see(page, "number 9999")
        await longest_task(page)
        busy = []
        for below in (7500, 5000, 2500, 1):
            most = await scroll_up(page, below)
            assert 0 < most <= NODES_MAX
            busy.append(await longest_task(page))
        assert await page.locator("h2", has_text="Welcome to #lobby").count() == 1
        check_tasks(busy, request)
        # Nothing was left out on the way: the rows that are there follow one another.
        seqs = await page.evaluate(
            "() => [...document.querySelectorAll('li.message')].map(r => Number(r.dataset.seq))"
        )
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
        await page.get_by_role("button", name="Latest").click()
        await until(
            page,
            "() => [...document.querySelectorAll('li.message')].at(-1)?.dataset.seq === '10000'",
        )
        assert await page.evaluate(NODES) <= NODES_MAX


async def test_two_hundred_messages_a_second_leave_no_long_task(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    async with (
        running_server(tmp_path, UNLIMITED) as server,
        chromium() as browser,
        person(server, "Bob") as bob,
    ):
        await fill_room(bob, 300)
        page = await browser.page()
        await enter(page, server.url, "Alice")
        await see(page, "number 299")
        busy = []
        for attempt in range(ATTEMPTS):
            await longest_task(page)
            for second in range(2):
                async with asyncio.timeout(5):
                    for part in range(10):
                        started = asyncio.get_running_loop().time()
                        name = f"{attempt}.{second}.{part}"
                        await bob.says_many([f"fast {name}.{n}" for n in range(20)])
                        spent = asyncio.get_running_loop().time() - started
                        await asyncio.sleep(max(0.0, 0.1 - spent))  # the rate is the test
            await see(page, f"fast {attempt}.1.9.19")
            assert await page.evaluate(NODES) <= NODES_MAX
            busy.append(await longest_task(page))
            if busy[-1] <= TASK_MS_MAX:
                break
        check_tasks(busy, request)
        end = "(s => s.scrollHeight - s.scrollTop - s.clientHeight)"
        distance = await page.evaluate(f"() => {end}(document.querySelector('.scroller'))")
        assert distance <= 1, "the end stays in view"


async def test_the_reader_keeps_their_place_and_is_told_what_is_new(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path, UNLIMITED) as server,
        chromium() as browser,
        person(server, "Bob") as bob,
    ):
        await fill_room(bob, 120)
        page = await browser.page()
        await enter(page, server.url, "Alice")
        await see(page, "number 119")
        await page.locator(".scroller").hover()
        await page.mouse.wheel(0, -900)
        await page.get_by_role("button", name="Latest").wait_for()
        place = "() => document.querySelector('li[data-seq=\"90\"]').getBoundingClientRect().top"
        before = await page.evaluate(place)
        for number in range(3):
            await bob.says(f"new {number}")
        pill = page.get_by_role("button", name="3 new")
        await pill.wait_for()
        assert abs(await page.evaluate(place) - before) <= 1
        await pill.click()
        await see(page, "new 2")
        await pill.wait_for(state="detached")
        await page.mouse.wheel(0, -900)
        await page.get_by_role("button", name="Latest").wait_for()
        await say(page, "my own")
        await until(
            page,
            """() => {
              const scroller = document.querySelector('.scroller');
              return scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight <= 1;
            }""",
        )


async def test_a_permalink_shows_the_message_in_the_middle(tmp_path: Path) -> None:
    async with running_server(tmp_path, UNLIMITED) as server, chromium() as browser:
        async with person(server, "Bob") as bob:
            await fill_room(bob, 1000)
        page = await browser.page()
        await enter(page, server.url, "Alice")
        await see(page, "number 999")
        await page.evaluate("() => { location.hash = '#/lobby/200'; }")
        target = page.locator('li[data-seq="200"].is-target')
        await target.wait_for()
        box = await target.bounding_box()
        assert 250 <= box["y"] + box["height"] / 2 <= 550
        # From there one reads on to the end.
        await page.evaluate(
            """async () => {
              const scroller = document.querySelector('.scroller');
              const deadline = performance.now() + 30000;
              const isThere = () => document.querySelector('li[data-seq="1000"]') !== null;
              while (!isThere() && performance.now() < deadline) {
                scroller.scrollTop += 500;
                await new Promise(requestAnimationFrame);
              }
            }"""
        )
        await see(page, "number 999")
        fresh = await browser.page()
        await enter(fresh, f"{server.url}#/lobby/300", "Carol")
        await fresh.locator('li[data-seq="300"]').wait_for()
        box = await fresh.locator('li[data-seq="300"]').bounding_box()
        assert 0 < box["y"] < 800


async def test_several_messages_are_copied_with_time_and_author(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path, UNLIMITED) as server,
        chromium() as browser,
        person(server, "Bob") as bob,
    ):
        await bob.says("first")
        await bob.says("second")
        page = await browser.page()
        await enter(page, server.url, "Alice")
        await say(page, "third")
        await see(page, "third")
        copied = await page.evaluate(
            """() => {
              const rows = document.querySelectorAll('li.message');
              const range = document.createRange();
              range.setStartBefore(rows[0].querySelector('.text'));
              range.setEndAfter(rows[2].querySelector('.text'));
              document.getSelection().removeAllRanges();
              document.getSelection().addRange(range);
              const data = new DataTransfer();
              const how = {clipboardData: data, bubbles: true, cancelable: true};
              rows[0].dispatchEvent(new ClipboardEvent('copy', how));
              return data.getData('text/plain');
            }"""
        )
        lines = [line.split("] ", 1) for line in copied.splitlines()]
        assert [line[1] for line in lines] == ["<Bob> first", "<Bob> second", "<Alice> third"]
        assert all(len(line[0]) == len("[12:01") for line in lines)
