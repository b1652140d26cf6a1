"""The forms, used with a browser that runs no script, against a chat that listens."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tests.wynd_chat.gateway.chat_kit import RunningChat, a_chat
from tests.wynd_chat.gateway.forms.browser import Browser
from wynd_chat.domain.models import ServerRole, User
from wynd_chat.ports.store import StoreFailure
from wynd_chat.web.assets import CONTENT_SECURITY_POLICY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

GOOD = "correct horse battery staple"
FORMS = ("/login", "/register", "/password", "/link")


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[RunningChat]:
    """Give a chat where anybody may register."""
    async with a_chat(tmp_path) as running:
        yield running


@pytest.fixture
def browser(chat: RunningChat) -> Browser:
    """Give a browser that was never here."""
    return Browser(chat.client)


async def an_account(chat: RunningChat, name: str = "Alice") -> User:
    """Make an account with a password."""
    return (await chat.services.logins.register(name, GOOD, None)).user


async def signed_in(chat: RunningChat, name: str = "Alice") -> Browser:
    """Return a browser in which somebody signed in."""
    browser = Browser(chat.client)
    await browser.open("/login")
    await browser.submit(name=name, password=GOOD)
    assert browser.cookies
    return browser


async def test_somebody_signs_in_and_out(chat: RunningChat, browser: Browser) -> None:
    alice = await an_account(chat)
    page = await browser.open("/login")
    assert "Sign in to your account." in page.text
    await browser.submit(name="Alice", password=GOOD)
    assert browser.place == "/"
    assert list(browser.cookies) == ["wynd_chat"]
    page = await browser.open("/login")
    assert "You are signed in as Alice." in page.text
    assert len(await chat.services.sessions.list_of(alice)) == 1
    kept = dict(browser.cookies)
    page = await browser.submit()
    assert browser.place == "/login"
    assert "Sign in to your account." in page.text
    assert browser.cookies == {}
    assert await chat.services.sessions.list_of(alice) == []
    browser.cookies = kept  # a copy is worth nothing
    assert "Sign in to your account." in (await browser.open("/login")).text


async def test_signing_in_makes_a_new_session_and_ends_the_one_before(chat: RunningChat) -> None:
    alice = await an_account(chat)
    browser = await signed_in(chat)
    before = dict(browser.cookies)
    page = await browser.open("/login")
    page.forms = [("login", {"name": "", "password": ""})]  # left open in another tab
    await browser.submit(name="Alice", password=GOOD)
    assert browser.cookies != before
    assert len(await chat.services.sessions.list_of(alice)) == 1


async def test_a_session_that_was_planted_is_not_taken_over(
    chat: RunningChat, browser: Browser
) -> None:
    await an_account(chat)
    browser.cookies = {"wynd_chat": "planted"}
    await browser.open("/login")
    await browser.submit(name="Alice", password=GOOD)
    assert browser.cookies["wynd_chat"] != "planted"


@pytest.mark.parametrize("name", ["Alice", "Nobody", "<script>alert(1)</script>", ""])
async def test_a_wrong_password_is_told_in_the_form(
    chat: RunningChat, browser: Browser, name: str
) -> None:
    await an_account(chat)
    await browser.open("/login")
    page = await browser.submit(name=name, password="wrong")
    assert browser.answer.status_code == 401
    assert "Wrong name or password" in page.text
    assert browser.cookies == {}
    assert page.forms[0][1] == {"name": name, "password": ""}
    assert page.scripts == 0


async def test_guessing_ends_in_429_with_the_time_to_wait(
    chat: RunningChat, browser: Browser
) -> None:
    await an_account(chat)
    await browser.open("/login")
    for _ in range(4):
        await browser.submit(name="Alice", password="wrong")
    assert browser.answer.status_code == 429
    assert browser.answer.headers["retry-after"] == "1"
    assert "Slow down" in browser.page.text


async def test_somebody_registers_and_is_in(chat: RunningChat, browser: Browser) -> None:
    await browser.open("/login")
    await browser.follow("register")
    page = await browser.submit(name="two words", password=GOOD)
    assert browser.answer.status_code == 422
    assert "try /name two_words" in page.text
    page = await browser.submit(name="Alice", password="short")
    assert browser.answer.status_code == 400
    assert "at least 15 characters" in page.text
    await browser.submit(name="Alice", password=GOOD)
    assert browser.place == "/"
    assert "You are signed in as Alice." in (await browser.open("/login")).text


async def test_registering_is_refused_where_it_is_closed(tmp_path: Path) -> None:
    async with a_chat(tmp_path, auth={"registration": "closed"}) as chat:
        browser = Browser(chat.client)
        await browser.open("/register")
        page = await browser.submit(name="Alice", password=GOOD)
        assert browser.answer.status_code == 403
        assert "Nobody can register here" in page.text


# Invitations


async def test_an_invitation_makes_an_account_in_its_room(tmp_path: Path) -> None:
    async with a_chat(tmp_path, auth={"registration": "invite", "guests": "off"}) as chat:
        root = await chat.account("Root", is_admin=True)
        room = await chat.room(root, "ops")
        code = await chat.services.rooms.invite_link(root.user, room)
        browser = Browser(chat.client)
        page = await browser.open(f"/join/{code}")
        assert "You are invited to #ops." in page.text
        assert not any("#/join" in one for one in page.links)
        await browser.submit(name="Alice", password=GOOD)
        assert browser.place == "/#/ops"
        alice = (await chat.services.accounts.find("Alice")).id
        assert await chat.store.read(lambda snap: snap.membership(room.id, alice)) is not None
        await browser.open("/register")
        assert "invite" in browser.page.forms[0][1]


async def test_a_members_invitation_lets_in_who_signs_in(chat: RunningChat) -> None:
    owner = await chat.account("Owner")
    alice = await an_account(chat)
    room = await chat.room(owner, "dev")
    code = await chat.services.rooms.invite_link(owner.user, room)
    browser = Browser(chat.client)
    await browser.open(f"/join/{code}")
    await browser.follow(f"login?next=join/{code}")
    page = await browser.submit(name="Alice", password=GOOD)
    assert browser.place == f"/join/{code}"
    assert "You are signed in as Alice." in page.text
    await browser.submit()
    assert browser.place == "/#/dev"
    assert await chat.store.read(lambda snap: snap.membership(room.id, alice.id)) is not None


async def test_where_anybody_may_register_a_members_invitation_is_enough(
    chat: RunningChat, browser: Browser
) -> None:
    owner = await chat.account("Owner")
    room = await chat.room(owner, "dev")
    code = await chat.services.rooms.invite_link(owner.user, room)
    page = await browser.open(f"/join/{code}")
    assert f"../#/join/{code}" in page.links  # guests are on here
    await browser.submit(name="Alice", password=GOOD)
    assert browser.place == "/#/dev"


@pytest.mark.parametrize("code", ["nonsense", "x" * 5000, "%00", "..%2f..%2fetc", "<script>"])
async def test_an_invitation_that_does_not_hold_says_so(browser: Browser, code: str) -> None:
    page = await browser.open(f"/join/{code}")
    assert browser.answer.status_code in (404, 410)
    assert page.scripts == 0
    if browser.answer.status_code == 410:
        assert "This invitation has ended" in page.text


# The first administrator


async def test_the_first_administrator_claims_with_a_new_account(
    chat: RunningChat, browser: Browser
) -> None:
    assert chat.chat.claim_link is not None
    path = chat.chat.claim_link.removeprefix(chat.chat.local_url)
    page = await browser.open(path)
    assert "This server has no administrator yet." in page.text
    await browser.submit(name="Root", password=GOOD)
    assert browser.place == "/"
    root = await chat.services.accounts.find("Root")
    assert root.role is ServerRole.ADMIN
    assert (await Browser(chat.client).open(path)).text.count("This claim link has ended") == 1


async def test_the_first_administrator_claims_with_an_account_that_exists(
    chat: RunningChat, browser: Browser
) -> None:
    await an_account(chat)
    assert chat.chat.claim_link is not None
    await browser.open(chat.chat.claim_link.removeprefix(chat.chat.local_url))
    (way,) = [one for one in browser.page.links if "login" in one]
    await browser.open(f"/{way.removeprefix('../')}")
    page = await browser.submit(name="Alice", password=GOOD)
    assert "You are signed in as Alice." in page.text
    await browser.submit()
    assert (await chat.services.accounts.find("Alice")).is_admin


async def test_a_server_with_an_admin_prints_no_claim_link(
    chat: RunningChat, tmp_path: Path
) -> None:
    await chat.account("Root", is_admin=True)
    async with a_chat(tmp_path, store=chat.store._store) as again:
        assert again.chat.claim_link is None
        await again.store.open()  # the first chat goes on


# A second device, a new password


async def test_another_device_is_let_in_by_its_code(chat: RunningChat, browser: Browser) -> None:
    alice = await an_account(chat)
    code, secret = await chat.services.links.begin()
    await browser.open("/link")
    assert browser.place == "/login?next=link"
    page = await browser.submit(name="Alice", password=GOOD)
    assert browser.place == "/link"
    assert "Only do this for one in front of you" in page.text
    page = await browser.submit(code="AAAA-AAAA")
    assert browser.answer.status_code == 410
    assert "This code is wrong or has ended" in page.text
    page = await browser.submit(code=code.lower().replace("-", " "))
    assert "The other device is signed in as you." in page.text
    user = await chat.services.links.take(code, secret)
    assert user is not None
    assert user.id == alice.id


async def test_a_new_password_signs_out_everything_else(chat: RunningChat) -> None:
    alice = await an_account(chat)
    mine, other = await signed_in(chat), await signed_in(chat)
    await mine.open("/password")
    page = await mine.submit(old="wrong", new="another long password")
    assert mine.answer.status_code == 401
    assert "That is not your password" in page.text
    page = await mine.submit(old=GOOD, new="short")
    assert mine.answer.status_code == 400
    page = await mine.submit(old=GOOD, new="another long password")
    assert "Other logins and tokens that ended: 1." in page.text
    assert "You are signed in as Alice." in (await mine.open("/login")).text
    assert "Sign in to your account." in (await other.open("/login")).text
    assert len(await chat.services.sessions.list_of(alice)) == 1


async def test_the_password_is_changed_only_by_who_is_signed_in(browser: Browser) -> None:
    await browser.open("/password")
    assert browser.place == "/login?next=password"


# What other pages, and broken clients, can do


FOREIGN = [
    "null",
    "https://evil.example",
    "http://localhost.evil.example",
    "http://evil-localhost",
    "http://127.0.0.1:1",
    "https://127.0.0.1",
    "file://",
    "http://localhost@evil.example",
    "",
]


@pytest.mark.parametrize("origin", FOREIGN[:-1])
async def test_a_form_of_another_sites_page_does_nothing(chat: RunningChat, origin: str) -> None:
    alice = await an_account(chat)
    browser = await signed_in(chat)
    await browser.open("/password")
    await browser.submit(origin=origin, old=GOOD, new="another long password")
    assert browser.answer.status_code == 403
    await browser.open("/login")
    await browser.submit(origin=origin)  # signing out
    assert browser.answer.status_code == 403
    stranger = Browser(chat.client)
    await stranger.open("/login")
    await stranger.submit(origin=origin, name="Alice", password=GOOD)  # login CSRF
    assert stranger.answer.status_code == 403
    assert stranger.cookies == {}
    assert len(await chat.services.sessions.list_of(alice)) == 1
    assert (await chat.services.logins.check("Alice", GOOD, None)).id == alice.id


async def test_without_an_origin_a_cookie_does_not_count(chat: RunningChat) -> None:
    alice = await an_account(chat)
    browser = await signed_in(chat)
    await browser.open("/password")
    await browser.submit(origin=None, old=GOOD, new="another long password")
    assert browser.place == "/login?next=password"
    assert (await chat.services.logins.check("Alice", GOOD, None)).id == alice.id


async def test_every_page_is_under_the_policy_and_kept_nowhere(
    chat: RunningChat, browser: Browser
) -> None:
    owner = await chat.account("Owner")
    code = await chat.services.rooms.invite_link(owner.user, await chat.room(owner, "dev"))
    await an_account(chat)
    for one in (browser, await signed_in(chat)):
        for path in (*FORMS, f"/join/{code}", "/join/nonsense", "/claim/nonsense"):
            page = await one.open(path)
            headers = one.answer.headers
            assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "same-origin"
            assert (page.scripts, page.inline) == (0, 0)
            assert all(not link.startswith(("/", "http")) for link in page.links)


async def test_hostile_names_are_shown_as_text(tmp_path: Path) -> None:
    server = {"name": '<img src=x onerror="alert(1)">'}
    async with a_chat(tmp_path, server=server) as chat:
        browser = Browser(chat.client)
        page = await browser.open("/login")
        assert '<img src=x onerror="alert(1)">' in page.title
        await browser.submit(name='"><script>alert(1)</script>', password="x")
        assert browser.page.scripts == 0
        assert browser.page.forms[0][1]["name"] == '"><script>alert(1)</script>'


@pytest.mark.parametrize(
    "following", ["https://evil.example", "//evil.example", "../x", "join/a/b", "javascript:x"]
)
async def test_signing_in_never_leads_elsewhere(
    chat: RunningChat, browser: Browser, following: str
) -> None:
    await an_account(chat)
    await browser.open(f"/login?next={following}")
    await browser.submit(name="Alice", password=GOOD)
    assert browser.place == "/"


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "application/json", 400),
        (b"name=x", "text/plain", 400),
        (b"x" * 20_000, "application/x-www-form-urlencoded", 413),
        (b"&".join(b"a%d=1" % n for n in range(100)), "application/x-www-form-urlencoded", 400),
        (b"nonsense", "application/x-www-form-urlencoded", 400),
        (b"name=%ff&password=x", "application/x-www-form-urlencoded", 400),
        ("name=é".encode(), "application/x-www-form-urlencoded", 400),
        (b"", "application/x-www-form-urlencoded", 401),
        (b"name=a%00b&password=%00", "application/x-www-form-urlencoded", 401),
    ],
)
async def test_what_is_no_form_is_refused(
    chat: RunningChat, content: bytes, kind: str, status: int
) -> None:
    answer = await chat.client.post("/login", content=content, headers={"content-type": kind})
    assert answer.status_code == status
    assert "<h1>" in answer.text


async def test_the_first_of_a_repeated_field_counts(chat: RunningChat) -> None:
    await an_account(chat)
    body = f"name=Alice&password={GOOD.replace(' ', '+')}&password=wrong"
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    answer = await chat.client.post("/login", content=body, headers=headers)
    assert answer.status_code == 303


async def test_a_failure_is_told_without_its_reason(
    chat: RunningChat, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    await browser.open("/login")
    chat.store.failure = StoreFailure("no space left on /dev/sda1")
    with caplog.at_level(logging.CRITICAL):
        page = await browser.submit(name="Alice", password=GOOD)
    assert browser.answer.status_code == 503
    assert "retry-after" in browser.answer.headers
    assert "sda1" not in page.text
    chat.store.failure = RuntimeError("secret")
    page = await browser.submit(name="Alice", password=GOOD) if page.forms else page
    page = await browser.open("/join/code")
    assert browser.answer.status_code == 500
    assert "secret" not in page.text


async def test_only_the_forms_methods_are_taken(chat: RunningChat) -> None:
    for path in (*FORMS, "/logout", "/join/x", "/claim/x"):
        assert (await chat.client.delete(path)).status_code in (404, 405)
    assert (await chat.client.get("/logout")).status_code in (404, 405)


# TLS that ends at a proxy


async def test_over_tls_only_the_guarded_cookie_is_given_and_counts(tmp_path: Path) -> None:
    server = {"trusted_proxies": ("127.0.0.1", "::1"), "public_url": "https://chat.example"}
    async with a_chat(tmp_path, server=server) as chat:
        await an_account(chat)
        secure = {
            "x-forwarded-proto": "https",
            "host": "chat.example",
            "x-own-origin": "https://chat.example",
        }
        browser = Browser(chat.client, **secure)
        await browser.open("/login")
        await browser.submit(name="Alice", password=GOOD)
        assert list(browser.cookies) == ["__Host-wynd_chat"]
        token = browser.cookies["__Host-wynd_chat"]
        assert "You are signed in as Alice." in (await browser.open("/login")).text
        browser.cookies = {"wynd_chat": token}  # set by somebody on the way, over plain HTTP
        assert "Sign in to your account." in (await browser.open("/login")).text
        plain = Browser(chat.client, host="chat.example")
        plain.cookies = {"__Host-wynd_chat": token}
        assert "Sign in to your account." in (await plain.open("/login")).text
        browser = Browser(chat.client, **secure)
        await browser.open("/login")
        await browser.submit(origin="http://chat.example", name="Alice", password=GOOD)
        assert browser.answer.status_code == 403  # a plain page of this host may be anybody's
