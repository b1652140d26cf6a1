"""What hostile people write stays text: no script runs, no address leaves the three schemes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.chat_page.stage import UNLIMITED, chromium, enter, person, running_server, say, see

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)

HOSTILE = (
    "<script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked=1'>",
    "<svg/onload=window.hacked=1>",
    "</li></ol><iframe src=javascript:window.hacked=1>",
    "javascript:window.hacked=1",
    "[x](javascript:window.hacked=1)",
    'https://example.org/"onmouseover="window.hacked=1',
    "https://example.org/'><b>x",
    "data:text/html,<script>window.hacked=1</script>",
    "vbscript:window.hacked=1 file:///etc/passwd blob:x",
    "http:javascript:window.hacked=1",
    "mailto:<script>window.hacked=1</script>",
    "`<b>code</b>` **<i>bold</i>** ||<u>spoiler</u>||",
    "```html\n<script>window.hacked=1</script>\n```",
    "@<img/src=x> #<img/src=x> :<b>:",
    "\u202etxt.exe\u202c https://good.example\u202e/moc.live",
    "${window.hacked=1} {{window.hacked=1}} %3Cscript%3E",
    "a" * 7000,
    "*" * 4000 + "_" * 3999,
    "\u0300" * 500 + "zalgo",
    "http://[::1]:1/ http://a@b@c/ http://%00/ https://",
)
NAMES = ("__proto__", "constructor", "<b>x</b>", "toString", "\"'><svg>", "hasOwnProperty")


async def test_hostile_messages_are_shown_and_run_nothing(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path, UNLIMITED) as server,
        chromium() as browser,
        person(server, "Mallory") as mallory,
    ):
        for text in HOSTILE:
            await mallory.says(text)
            await mallory.says(text, kind="me")
        await mallory.runs("/join #evil")
        await mallory.runs("/topic <img src=x onerror=window.hacked=1>", "evil")
        page = await browser.page()
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        await enter(page, server.url, "Alice")
        await see(page, "http://[::1]:1/")
        for text in HOSTILE:
            await say(page, text.replace("\n", " ")[:7900])
        await say(page, "/join #evil")
        await page.get_by_role("textbox", name="Message #evil").wait_for()
        await page.get_by_text("<img src=x onerror=window.hacked=1>").first.wait_for()
        assert await page.evaluate("() => window.hacked === undefined")
        assert dialogs == []
        assert [url for url in requests if not url.startswith(server.url)] == []
        await page.get_by_role("link", name="#lobby").click()
        await see(page, "http://[::1]:1/")
        schemes = await page.evaluate(
            """() => [...new Set([...document.querySelectorAll('.messages a')].map((a) =>
              a.getAttribute('href').startsWith('#') ? '#' : new URL(a.href).protocol))]"""
        )
        assert set(schemes) <= {"http:", "https:", "mailto:", "#"}
        outside = page.locator('.messages a[href^="http"]:not(.mention)')
        assert await outside.count() > 0
        for link in await outside.all():
            assert await link.get_attribute("rel") == "noopener noreferrer nofollow"
        found = await page.locator(
            ".messages :is(script, iframe, svg[onload], img, object, embed, b, i, u)"
        ).count()
        assert found == 0, "no element came of what was written"


async def test_hostile_names_are_names(tmp_path: Path) -> None:
    async with running_server(tmp_path, UNLIMITED) as server, chromium() as browser:
        # A name with controls that the browser tries to show: refused, and the refusal is text.
        page = await browser.page()
        browser.expect("status of 4")
        taken = 0
        for name in NAMES:
            guest = await browser.page()
            await guest.goto(server.url)
            await guest.get_by_label("Your name").fill(name)
            await guest.get_by_role("button", name="Start chatting").click()
            box = guest.get_by_role("textbox", name="Message #lobby")
            refusal = guest.get_by_role("alert")
            await box.or_(refusal).first.wait_for()
            if await box.count():
                taken += 1
                await say(guest, f"I am {name} @{name}")
                await see(guest, "I am")
            assert await guest.evaluate("() => window.hacked === undefined")
        assert taken >= 3
        await enter(page, server.url, "Alice")
        await page.get_by_role("button", name="__proto__").first.wait_for()
        await say(page, "@constructor and @__proto__ and @toString")
        await see(page, "@constructor and @__proto__")
        await page.locator("textarea").fill("@__pro")
        await page.get_by_role("option").first.wait_for()
        assert await page.get_by_role("option").count() == 1


async def test_the_pages_policy_stops_a_script_that_got_in(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, chromium() as browser:
        browser.expect("Content Security Policy")
        page = await browser.page()
        await page.goto(server.url)
        ran = await page.evaluate(
            """async () => {
              const script = document.createElement('script');
              script.textContent = 'window.hacked = 1';
              document.body.append(script);
              const node = document.createElement('div');
              node.setAttribute('onclick', 'window.hacked = 2');
              node.click();
              return window.hacked;
            }"""
        )
        assert ran is None
