"""Accounts on the page: registering, signing in, claiming, links, invitations, moderation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.chat_page.stage import (
    Browser,
    Server,
    chromium,
    enter,
    person,
    running_server,
    say,
    see,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(150)

PASSWORD = "correct horse battery"


async def register(page: Any, url: str, name: str) -> None:
    """Make an account and enter with it."""
    await page.goto(url)
    await page.get_by_role("button", name="Create one").click()
    await page.get_by_label("Name", exact=True).fill(name)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    await page.get_by_role("textbox", name="Message #lobby").wait_for()


async def account_dialog(page: Any) -> Any:
    """Open one's account."""
    await page.locator(".me-button").click()
    dialog = page.get_by_role("dialog")
    await dialog.wait_for()
    return dialog


async def test_an_account_is_made_left_and_entered_again(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, chromium() as browser:
        browser.expect("status of 4")
        page = await browser.page()
        await register(page, server.url, "Alice")
        await say(page, "I have an account")
        await see(page, "I have an account")
        await page.reload()
        await page.get_by_role("textbox", name="Message #lobby").wait_for()
        dialog = await account_dialog(page)
        await dialog.get_by_text("this one").wait_for()
        await dialog.get_by_role("button", name="Sign out").click()
        await page.get_by_label("Your name").fill("Alice")
        await page.get_by_role("button", name="Start chatting").click()
        await page.get_by_role("button", name="Sign in as Alice").click()
        await page.get_by_label("Password").fill("not the password at all")
        await page.get_by_role("button", name="Sign in", exact=True).click()
        await page.get_by_role("alert").wait_for()
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in", exact=True).click()
        message = await see(page, "I have an account")
        assert "is-mine" in (await message.get_attribute("class") or "")


async def test_a_guest_keeps_name_and_messages_with_a_password(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, chromium() as browser:
        page = await browser.page()
        await enter(page, server.url, "Alice")
        await say(page, "as a guest")
        await see(page, "as a guest")
        await say(page, "/register")
        dialog = page.get_by_role("dialog", name="Create an account")
        await dialog.get_by_label("Password").fill(PASSWORD)
        await dialog.get_by_role("button", name="Create account").click()
        await page.get_by_text("Account", exact=True).wait_for()
        message = await see(page, "as a guest")
        assert "is-mine" in (await message.get_attribute("class") or "")
        assert await page.locator("textarea").input_value() == ""


async def test_a_password_is_changed_and_other_logins_end(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, chromium() as browser:
        browser.expect("status of 4")
        page, other = await browser.page(), await browser.page()
        await register(page, server.url, "Alice")
        await other.goto(server.url)
        await other.get_by_role("button", name="Sign in", exact=True).click()
        await other.get_by_label("Name", exact=True).fill("Alice")
        await other.get_by_label("Password").fill(PASSWORD)
        await other.get_by_role("button", name="Sign in", exact=True).click()
        await other.get_by_role("textbox", name="Message #lobby").wait_for()
        dialog = await account_dialog(page)
        await dialog.get_by_label("Password now").fill(PASSWORD)
        await dialog.get_by_label("New password").fill("another long password")
        await dialog.get_by_role("button", name="Change password").click()
        await page.get_by_text("The password is changed").wait_for()
        await other.get_by_text("Your sign-in has ended.").wait_for()
        await say(page, "still here")
        await see(page, "still here")


async def test_a_token_is_shown_once_and_revoked(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, chromium() as browser:
        page = await browser.page()
        await register(page, server.url, "Alice")
        dialog = await account_dialog(page)
        await dialog.get_by_label("What is it for").fill("backup script")
        await dialog.get_by_role("button", name="New token").click()
        token = await dialog.locator(".secret code").inner_text()
        assert len(token) >= 40
        answer = await page.request.get(
            f"{server.url}api/v1/users/me", headers={"Authorization": f"Bearer {token}"}
        )
        assert (await answer.json())["name"] == "Alice"
        await dialog.get_by_role("button", name="Revoke").click()
        await dialog.get_by_text("No tokens yet.").wait_for()


async def test_the_server_is_claimed_and_people_are_moderated(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path) as server,
        chromium() as browser,
        person(server, "Mallory") as mallory,
    ):
        code = re.search(r"/claim/(\S+)", server.log())
        assert code is not None, "the first start prints the claim link"
        page = await browser.page()
        await register(page, server.url, "Alice")
        await page.evaluate(f"() => {{ location.hash = '#/-/claim/{code[1]}'; }}")
        dialog = page.get_by_role("dialog", name="Claim this server")
        await dialog.get_by_role("button", name="Continue").click()
        await dialog.get_by_text("You are the administrator").wait_for()
        await dialog.get_by_role("button", name="Close").last.click()
        await page.get_by_text("Administrator", exact=True).wait_for()

        await mallory.says("spam")
        await (await see(page, "spam")).get_by_role("button", name="Mallory").click()
        card = page.get_by_role("dialog", name="Mallory")
        await card.get_by_role("button", name="Silence").click()
        await card.get_by_label("For how long").fill("5m")
        await card.get_by_role("button", name="Silence").click()
        await page.get_by_text(re.compile("silenced Mallory until")).wait_for()
        with pytest.raises(AssertionError, match="silenced"):
            await mallory.says("more spam")
        await page.get_by_role("button", name=re.compile("Mallory")).last.click()
        await card.get_by_role("button", name="Let speak again").click()
        await card.get_by_role("button", name="Let speak again").click()
        await page.get_by_text(re.compile("let Mallory speak again")).wait_for()
        await mallory.says("sorry")
        await see(page, "sorry")


async def test_an_invitation_leads_into_a_private_room(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, chromium() as browser:
        page = await browser.page()
        await register(page, server.url, "Alice")
        await page.get_by_role("button", name="Browse or create a room").click()
        await page.get_by_role("button", name="Create", exact=True).click()
        await page.get_by_label("Name", exact=True).fill("secret")
        await page.get_by_label("Topic").fill("For a few")
        await page.get_by_label("Private: only people who are invited see it").check()
        await page.get_by_role("button", name="Create", exact=True).click()
        await page.get_by_role("textbox", name="Message #secret").wait_for()
        await page.get_by_text("For a few").first.wait_for()
        await page.get_by_role("button", name="Room settings").click()
        await page.get_by_role("button", name="Make a link").click()
        link = await page.locator(".secret code").inner_text()
        code = link.rsplit("/", 1)[1]
        await follow(browser, server, code)


async def follow(browser: Browser, server: Server, code: str) -> None:
    """Accept an invitation as a guest."""
    guest = await browser.page()
    await enter(guest, server.url, "Bob")
    await guest.evaluate(f"() => {{ location.hash = '#/-/join/{code}'; }}")
    dialog = guest.get_by_role("dialog", name="Accept an invitation")
    await dialog.get_by_role("button", name="Join").click()
    await guest.get_by_role("textbox", name="Message #secret").wait_for()
    await say(guest, "here I am")
    await see(guest, "here I am")


async def test_another_device_is_signed_in_by_its_code(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, chromium() as browser:
        page = await browser.page()
        await register(page, server.url, "Alice")
        asked = await page.request.post(
            f"{server.url}api/v1/link", headers={"Origin": server.url[:-1]}
        )
        shown = await asked.json()
        await page.evaluate("() => { location.hash = '#/-/link'; }")
        dialog = page.get_by_role("dialog", name="Sign in another device")
        await dialog.get_by_label("Code").fill(shown["code"])
        await dialog.get_by_role("button", name="Continue").click()
        await dialog.get_by_text("The other device is signed in as you.").wait_for()
        taken = await page.request.post(
            f"{server.url}api/v1/link", data={"code": shown["code"], "secret": shown["secret"]}
        )
        assert (await taken.json())["user"]["name"] == "Alice"
