"""The page for everybody: keyboard alone, screen readers (axe on every view), phones, themes."""

from __future__ import annotations

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
    until,
)
from tests.npm_packages import npm_package

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(180)

AXE_VERSION = "4.14.1"
TARGET_PX = 44
SIZES = ((320, 640), (390, 844), (820, 1100), (1280, 800), (2560, 1300))


@pytest.fixture(scope="module")
def axe() -> str:
    """Return the source of axe-core."""
    package = npm_package("axe-core", AXE_VERSION, "axe.min.js")
    return (package / "axe.min.js").read_text(encoding="utf-8")


async def violations(page: Any, axe: str) -> list[str]:
    """Return what axe finds wrong with what is shown now."""
    # Transitions would be judged half-way: their colours are no colours of ours.
    await page.evaluate(
        "() => Promise.all(document.getAnimations().map((a) => a.finished.catch(() => null)))"
    )
    await page.evaluate(axe)  # through the debugger, which the page's policy does not bind
    found = await page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:300]}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_axe_finds_nothing_in_any_view(tmp_path: Path, axe: str, theme: str) -> None:
    async with (
        running_server(tmp_path, UNLIMITED) as server,
        line_to(server) as line,
        chromium() as browser,
        person(server, "Bob") as bob,
    ):
        browser.expect(*GONE, "status of 4")
        page = await browser.page(color_scheme=theme, reduced_motion="reduce")
        found: dict[str, list[str]] = {}

        async def judge(view: str) -> None:
            wrong = await violations(page, axe)
            if wrong:
                found[view] = wrong

        await page.goto(line.url)
        await page.get_by_label("Your name").wait_for()
        await judge("name")
        await page.get_by_role("button", name="Create one").click()
        await page.get_by_label("Password").wait_for()
        await judge("register")
        await page.get_by_role("button", name="Sign in instead").click()
        await judge("sign in")
        await page.get_by_role("button", name="Continue as a guest").click()
        await page.get_by_label("Your name").fill("#")
        await page.get_by_role("button", name="Start chatting").click()
        await page.get_by_role("alert").wait_for()
        await judge("refused name")
        await page.get_by_label("Your name").fill("Alice")
        await page.get_by_role("button", name="Start chatting").click()
        await page.get_by_role("img", name="QR code of the link").wait_for()
        await judge("empty room")
        for text in (
            "plain, **bold**, `code`, https://example.org/ and @Alice in #lobby",
            "> quote\n- list\n- of two\n||spoiler||",
            "```py\ncode\n```",
            "🎉",
        ):
            await bob.says(text)
        await bob.says("waves", kind="me")
        await bob.runs("/join #dev")
        await say(page, "/help")
        await see(page, "waves")
        await page.get_by_text("Only you see this").wait_for()
        await judge("talk")
        await say(page, "/nonsense")
        await page.get_by_text("That did not work").wait_for()
        await judge("refused command")
        await page.locator("textarea").fill("/to")
        await page.get_by_role("listbox").wait_for()
        await judge("completion")
        await page.locator("textarea").fill("x" * 8001)
        await page.get_by_text("1 characters too many").wait_for()
        await judge("too long")
        await page.locator("textarea").fill("")
        for view, button in (
            ("switcher", "Go to… (Ctrl+K)"),
            ("browse", "Browse or create a room"),
            ("people", "Write to somebody"),
            ("settings", "Settings"),
            ("notifications", "Notifications of this room"),
            ("room", "Room settings"),
        ):
            await page.get_by_role("button", name=button, exact=True).click()
            await page.get_by_role("dialog").wait_for()
            if view == "browse":
                await page.get_by_role("button", name="Join", exact=True).wait_for()
                await judge(view)
                await page.get_by_role("button", name="Create", exact=True).click()
            await judge(view)
            await page.keyboard.press("Escape")
            await page.get_by_role("dialog").wait_for(state="detached")
        await page.keyboard.press("Control+/")
        await page.get_by_role("dialog").wait_for()
        await judge("keys")
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Bob").first.click()
        await page.get_by_role("dialog").wait_for()
        await judge("user")
        await page.keyboard.press("Escape")
        await page.locator(".me-button").click()
        await page.get_by_role("dialog").wait_for()
        await judge("account")
        await page.keyboard.press("Escape")
        for view in ("link", "join", "claim"):
            await page.evaluate(f"() => {{ location.hash = '#/-/{view}/CODE'; }}")
            await page.get_by_role("dialog").wait_for()
            await judge(view)
            await page.keyboard.press("Escape")
            await page.get_by_role("dialog").wait_for(state="detached")
        await page.set_viewport_size({"width": 390, "height": 844})
        await judge("phone")
        await page.get_by_role("button", name="Rooms", exact=True).click()
        await page.get_by_role("navigation", name="Rooms").wait_for()
        await judge("drawer")
        await page.keyboard.press("Escape")
        await line.cut()
        await say(page, "waits")
        await page.get_by_text("1 message waiting").wait_for()
        await judge("offline")
        wrong = [f"{view}: {one}" for view, all_of_it in found.items() for one in all_of_it]
        assert not wrong, "\n".join(wrong)


async def test_everything_can_be_done_with_the_keyboard_alone(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path, UNLIMITED) as server,
        chromium() as browser,
        person(server, "Bob") as bob,
    ):
        page = await browser.page()
        keys = page.keyboard
        await page.goto(server.url)
        await page.get_by_label("Your name").wait_for()
        await keys.type("Alice")
        await keys.press("Enter")
        await page.get_by_role("textbox", name="Message #lobby").wait_for()
        await until(page, "() => document.activeElement?.tagName === 'TEXTAREA'")
        await keys.type("hello :tad")
        await keys.press("Enter")  # takes the emoji
        await keys.type("and")
        await keys.press("Shift+Enter")
        await keys.type("a second line")
        await keys.press("Enter")
        message = await see(page, "hello 🎉 and")
        assert await message.locator(".text").inner_text() == "hello 🎉 and\na second line"
        await bob.says("answer")
        await see(page, "answer")

        # From the box to the messages and their buttons, and back.
        await keys.press("ArrowUp")
        assert "answer" in await focused_text(page)
        await keys.press("ArrowUp")
        assert "a second line" in await focused_text(page)
        await keys.press("End")
        assert "answer" in await focused_text(page)
        await keys.press("Enter")
        assert await focused_label(page) == "Copy text"
        await keys.press("ArrowRight")
        await keys.press("ArrowRight")
        assert await focused_label(page) == "More about the author"
        await keys.press("Enter")
        await page.get_by_role("dialog", name="Bob").wait_for()
        await keys.press("Escape")
        await page.get_by_role("dialog").wait_for(state="detached")

        # F6 goes round the regions.
        await page.locator("textarea").focus()
        regions = []
        for _ in range(4):
            await keys.press("F6")
            regions.append(
                await page.evaluate(
                    "() => document.activeElement.closest('[data-region]')?.dataset.region"
                )
            )
        assert regions == ["members", "rooms", "log", "composer"]

        # A room is made, left with Alt and found with Ctrl+K.
        await keys.type("/join #de")
        await keys.press("Escape")
        await keys.type("v")
        await keys.press("Escape")
        await keys.press("Enter")
        await page.get_by_role("textbox", name="Message #dev").wait_for()
        await keys.press("Alt+ArrowUp")
        await page.get_by_role("textbox", name="Message #lobby").wait_for()
        await keys.press("Control+k")
        await page.get_by_role("combobox").wait_for()
        await keys.type("de")
        await keys.press("Enter")
        await page.get_by_role("textbox", name="Message #dev").wait_for()
        await bob.says("for @Alice")
        await page.get_by_role("link", name="#lobby, 1 unread message, 1 mention").wait_for()
        await keys.press("Alt+Shift+ArrowDown")
        await page.get_by_role("textbox", name="Message #lobby").wait_for()
        await page.locator(".unread-line").wait_for()
        await keys.press("Escape")
        await page.locator(".unread-line").wait_for(state="detached")

        # The first thing Tab reaches leads past the lists.
        first = page.locator(":is(a[href], button, input, textarea)").first
        assert await first.inner_text() == "Skip to the message box"
        await first.focus()
        await keys.press("Enter")
        await until(page, "() => document.activeElement?.tagName === 'TEXTAREA'")


async def focused_text(page: Any) -> str:
    return str(await page.evaluate("() => document.activeElement.innerText"))


async def focused_label(page: Any) -> str:
    return str(await page.evaluate("() => document.activeElement.getAttribute('aria-label')"))


async def test_new_messages_are_announced_and_many_only_counted(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path, UNLIMITED) as server,
        chromium() as browser,
        person(server, "Bob") as bob,
    ):
        page = await browser.page()
        await enter(page, server.url, "Alice")
        announcer = page.get_by_role("status", name="New messages")
        await say(page, "my own is not read out")
        await see(page, "my own")
        await bob.says("**hello** you")
        await announcer.get_by_text("Bob: hello you", exact=True).wait_for()
        for number in range(5):
            await bob.says(f"quick {number}")
        await announcer.get_by_text("5 new messages", exact=True).wait_for()
        log = page.get_by_role("log")
        assert await log.get_attribute("aria-live") == "off"


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_it_fits_every_width_and_targets_can_be_hit(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with (
        running_server(tmp_path, UNLIMITED) as server,
        chromium() as browser,
        person(server, "W" * 32) as bob,
    ):
        await bob.says("word" * 300)
        await bob.says("```\n" + "a long line of code " * 40 + "\n```")
        await bob.says("https://example.org/" + "path/" * 200)
        await bob.runs("/join #" + "r" * 32)
        await bob.runs("/topic " + "topic " * 50, "r" * 32)
        page = await browser.page(*size)
        await enter(page, server.url, "Alice-" + "i" * 26)
        await say(page, "/join #" + "r" * 32)
        await page.get_by_role("textbox", name="Message #rrr").wait_for()
        await page.evaluate("() => { location.hash = '#/lobby'; }")
        await see(page, "path/")
        overflow = "() => document.documentElement.scrollWidth - innerWidth"
        inner = "(scroller) => scroller.scrollWidth - scroller.clientWidth"
        assert await page.evaluate(overflow) <= 0
        assert await page.locator(".scroller").evaluate(inner) <= 0
        assert await small_targets(page) == []
        for button in ("Room settings", "Members"):
            found = page.get_by_role("button", name=button).first
            if await found.is_visible() and not (size[0] >= 1000 and button == "Members"):
                await found.click()
                opened = page.get_by_role(
                    "dialog" if button == "Room settings" else "complementary"
                )
                await opened.wait_for()
                assert await page.evaluate(overflow) <= 0
                assert await small_targets(page) == []
                await page.keyboard.press("Escape")
                await opened.wait_for(state="hidden")


async def small_targets(page: Any) -> list[str]:
    """Return visible controls that are smaller than a finger; links within text do not count."""
    return list(
        await page.evaluate(
            """(least) => {
              const all = document.querySelectorAll('button, a[href], input, textarea');
              const inText = '.text *, .author, .picture, .copy-code, .hint a';
              const notShown = '.skip-link, .hidden-field';
              return [...all]
                .filter((node) => node.checkVisibility({visibilityProperty: true}))
                .filter((node) => !node.matches(inText) && !node.matches(notShown))
                .map((node) => node.closest('label') ?? node)
                .map((node) => [node, node.getBoundingClientRect()])
                .filter(([, box]) => Math.min(box.width, box.height) < least - 0.5)
                .map(([node, box]) => `${node.outerHTML.slice(0, 80)} ${box.width}x${box.height}`);
            }""",
            TARGET_PX,
        )
    )


async def test_on_a_phone_the_lists_are_drawers(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path, UNLIMITED) as server,
        chromium() as browser,
        person(server, "Bob") as bob,
    ):
        await bob.runs("/join #dev")
        page = await browser.page(390, 844, has_touch=True, is_mobile=True)
        await enter(page, server.url, "Alice")
        rooms = page.get_by_role("navigation", name="Rooms")
        assert not await rooms.is_visible()
        await page.get_by_role("button", name="Rooms", exact=True).tap()
        await rooms.wait_for()
        # The address tells late which room is open; what was opened meanwhile stays.
        await page.evaluate("dispatchEvent(new HashChangeEvent('hashchange'))")
        await page.get_by_role("button", name="Browse or create a room").tap()
        await page.get_by_role("button", name="Join", exact=True).tap()
        await page.get_by_role("textbox", name="Message #dev").wait_for()
        await rooms.wait_for(state="hidden")
        await page.get_by_role("button", name="Members").tap()
        await page.get_by_role("complementary", name="Members").wait_for()
        await page.locator(".scrim").tap(position={"x": 10, "y": 400})
        await page.get_by_role("complementary", name="Members").wait_for(state="hidden")
        box = page.locator("textarea")
        await box.fill("one")
        await box.press("Enter")  # on touch it breaks the line
        await box.press_sequentially("two")
        await page.get_by_role("button", name="Send").tap()
        assert await (await see(page, "one")).locator(".text").inner_text() == "one\ntwo"


async def test_themes_and_density_are_chosen_and_kept(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, chromium() as browser:
        page = await browser.page(color_scheme="dark")
        ground = "(colour) => getComputedStyle(document.body).backgroundColor === colour"
        await enter(page, server.url, "Alice")
        await until(page, ground, "rgb(23, 24, 28)")
        await page.get_by_role("button", name="Settings", exact=True).click()
        await page.get_by_label("Light").check()
        await until(page, ground, "rgb(255, 255, 255)")
        await page.get_by_label("Compact").check()
        await page.reload()
        await page.get_by_role("textbox", name="Message #lobby").wait_for()
        await until(page, "() => document.documentElement.dataset.density === 'compact'")
        await until(page, ground, "rgb(255, 255, 255)")
        await say(page, "compact")
        row = await see(page, "compact")
        assert not await row.locator(".avatar").is_visible()


async def test_text_from_right_to_left_stands_right(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path, UNLIMITED) as server,
        chromium() as browser,
        person(server, "أحمد") as ahmad,
    ):
        await ahmad.says("صباح الخير!")
        await ahmad.says("left to right")
        page = await browser.page()
        await enter(page, server.url, "Alice")
        arabic = (await see(page, "صباح")).locator("p")
        latin = (await see(page, "left to right")).locator("p")
        direction = "p => getComputedStyle(p).direction"
        assert await arabic.evaluate(direction) == "rtl"
        assert await latin.evaluate(direction) == "ltr"
