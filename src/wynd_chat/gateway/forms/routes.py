"""`Forms`: `/login /register /claim/{code} /link /join/{code} /password /logout`, without script.

Decides what each page shows and where it leads. What happens behind them are the same services as
behind every face; refusals are shown in the form that was sent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from wynd_chat.domain.errors import ChatError
from wynd_chat.domain.models import SessionKind
from wynd_chat.gateway.admission import limit_key
from wynd_chat.gateway.cookies import drop_cookie, give_cookie
from wynd_chat.gateway.forms import html
from wynd_chat.gateway.forms.reading import (
    address_of,
    check_origin,
    is_secure,
    read_fields,
    safe_next,
    visitor,
)
from wynd_chat.gateway.rest.origins import Origins
from wynd_chat.services.sessions import Origin
from wynd_chat.web.assets import PAGE_HEADERS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request

    from wynd_chat.domain.models import Room, Session, User
    from wynd_chat.gateway.doorman import Doorman
    from wynd_chat.services.bundle import Services

__all__ = ["Forms"]

# With "no-referrer", browsers send `Origin: null` with a form, as a hostile page's would be.
HEADERS = {**PAGE_HEADERS, "referrer-policy": "same-origin", "cache-control": "no-store"}
CODE_CHARS_MAX = 200
CHAT = "Open the chat"
RELOAD = "Signed in here already? Go on as yourself"


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a browser."""

    request: Request
    user: User | None
    session: Session | None
    fields: dict[str, str]
    """Of the form; none for GET."""

    @property
    def code(self) -> str:
        """The code in the address."""
        return str(self.request.path_params["code"])[:CODE_CHARS_MAX]

    @property
    def is_post(self) -> bool:
        """Whether the form was sent."""
        return self.request.method == "POST"

    def field(self, name: str) -> str:
        """Return a field, "" where it was left out."""
        return self.fields.get(name, "")


class Forms:
    """The pages of one server.

    Args:
        services: The use cases.
        doorman: Says what is told of failures.
        frame: What all pages share.
        origins: Pages that may send forms; those of the sockets.
        password_min: Returns how long a new password must be.
    """

    def __init__(
        self,
        services: Services,
        doorman: Doorman,
        frame: html.Frame,
        origins: str | Sequence[str],
        password_min: Callable[[], int],
    ) -> None:
        self._services = services
        self._doorman = doorman
        self._frame = frame
        self._origins = Origins(origins)
        self._password_min = password_min

    def routes(self) -> list[Route]:
        """Return the routes, to stand at the chat's own address."""
        both = ["GET", "POST"]
        return [
            Route("/login", self._endpoint(self._login), methods=both),
            Route("/logout", self._endpoint(self._logout), methods=["POST"]),
            Route("/register", self._endpoint(self._register), methods=both),
            Route("/password", self._endpoint(self._password), methods=both),
            Route("/link", self._endpoint(self._link), methods=both),
            Route("/claim/{code}", self._endpoint(self._claim, up="../"), methods=both),
            Route("/join/{code}", self._endpoint(self._join, up="../"), methods=both),
        ]

    def _endpoint(
        self, answer: Callable[[Visit], Awaitable[Response]], up: str = ""
    ) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint that answers whatever is raised with a page."""

        async def endpoint(request: Request) -> Response:
            try:
                await self._services.server_bans.check_address(address_of(request))
                fields: dict[str, str] = {}
                if request.method == "POST":
                    check_origin(request, self._origins)
                    fields = await read_fields(request)
                found = await visitor(request, self._services)
                user, session = (None, None) if found is None else found
                return await answer(Visit(request, user, session, fields))
            except ChatError as error:
                refused = error
            except Exception as error:
                what = f"{request.method} {request.url.path.split('/')[1]}"
                refused = self._doorman.failure_of(error, what)
            shown = [html.message(refused.sentence, is_error=True), html.link(up or "./", CHAT)]
            return self._page("Not possible", shown, up=up, error=refused)

        return endpoint

    # Signing in and out

    async def _login(self, visit: Visit) -> Response:
        following = safe_next(visit.field("next") or visit.request.query_params.get("next"))
        error = None
        if visit.is_post:
            try:
                user = await self._services.logins.check(
                    visit.field("name"),
                    visit.field("password"),
                    limit_key(address_of(visit.request)),
                )
                return await self._signed_in(visit, user, following or "./")
            except ChatError as refused:
                error = refused
        elif visit.user is not None:
            return self._page("Signed in", self._signed_in_parts(visit.user))
        way_on = f"?next={quote(following, safe='')}" if following else ""
        parts = [
            html.paragraph("Sign in to your account."),
            html.form(
                "login",
                "Sign in",
                [_name(visit.field("name")), _password("password", "Password", "current-password")],
                hidden={"next": following},
                error="" if error is None else error.sentence,
            ),
            html.link(f"register{way_on}", "Create an account"),
            html.link("./", CHAT),
        ]
        return self._page("Sign in", parts, error=error)

    def _signed_in_parts(self, user: User) -> list[str]:
        return [
            html.paragraph("You are signed in as {}.", user.name),
            html.link("./", CHAT),
            html.link("link", "Sign in another device"),
            html.link("password", "Change the password"),
            html.form("logout", "Sign out", [], is_danger=True),
        ]

    async def _signed_in(self, visit: Visit, user: User, to: str) -> Response:
        """Give the browser a new session, and send it on. The one it had ends."""
        services, request = self._services, visit.request
        origin = Origin(address_of(request), request.headers.get("user-agent", ""))
        token, _ = await services.sessions.begin(user, SessionKind.WEB, origin=origin)
        if visit.user is not None and visit.session is not None:
            await services.sessions.end(visit.user, visit.session.token_hash)
        response = _sent_on(to)
        give_cookie(response, token, is_secure=is_secure(request))
        return response

    async def _logout(self, visit: Visit) -> Response:
        if visit.user is not None and visit.session is not None:
            await self._services.sessions.end(visit.user, visit.session.token_hash)
        response = _sent_on("login")
        drop_cookie(response, is_secure=is_secure(visit.request))
        return response

    # Accounts

    async def _register(self, visit: Visit) -> Response:
        following = safe_next(visit.field("next") or visit.request.query_params.get("next"))
        error = None
        if visit.is_post:
            try:
                made = await self._services.logins.register(
                    visit.field("name"),
                    visit.field("password"),
                    limit_key(address_of(visit.request)),
                    visit.field("invite").strip() or None,
                )
                return await self._signed_in(visit, made.user, following or _at(made.room))
            except ChatError as refused:
                error = refused
        needs_invite = self._services.logins.registration == "invite"
        invite = html.Field(
            name="invite",
            label="Invitation code",
            value=visit.field("invite"),
            hint="The last part of the link you were sent.",
            is_required=needs_invite,
        )
        parts = [
            html.paragraph("Create an account, to keep your name."),
            html.form(
                "register",
                "Create account",
                [*self._new_account(visit), *([invite] if needs_invite else [])],
                hidden={"next": following},
                error="" if error is None else error.sentence,
            ),
            html.link("login", "Sign in instead"),
        ]
        return self._page("Create an account", parts, error=error)

    async def _password(self, visit: Visit) -> Response:
        if visit.user is None or visit.session is None:
            return _sent_on("login?next=password")
        error = None
        if visit.is_post:
            try:
                count = await self._services.logins.change_password(
                    visit.user,
                    visit.field("old"),
                    visit.field("new"),
                    visit.session.token_hash,
                )
            except ChatError as refused:
                error = refused
            else:
                said = f"The password is changed. Other logins and tokens that ended: {count}."
                return self._page("Changed", [html.message(said), html.link("./", CHAT)])
        parts = [
            html.paragraph("Change the password of {}. Everything else is signed out.",
                           visit.user.name),
            html.form(
                "password",
                "Change password",
                [_password("old", "Password now", "current-password"), self._new_password("new")],
                error="" if error is None else error.sentence,
            ),
            html.link("./", CHAT),
        ]  # fmt: skip
        return self._page("Change the password", parts, error=error)

    # Links

    async def _link(self, visit: Visit) -> Response:
        if visit.user is None:
            return _sent_on("login?next=link")
        error = None
        if visit.is_post:
            try:
                await self._services.links.approve(visit.user, visit.field("code"))
            except ChatError as refused:
                error = refused
            else:
                said = "The other device is signed in as you."
                return self._page("Signed in", [html.message(said), html.link("./", CHAT)])
        code = html.Field(name="code", label="Code", value=visit.field("code"))
        parts = [
            html.paragraph("Sign in another device as {}.", visit.user.name),
            html.paragraph("Enter the code that it shows. Only do this for one in front of you."),
            html.form("link", "Continue", [code], error="" if error is None else error.sentence),
            html.link("./", CHAT),
        ]
        return self._page("Sign in another device", parts, error=error)

    async def _claim(self, visit: Visit) -> Response:
        services, code = self._services, visit.code
        error = None
        await services.invitations.look_at_claim(code)
        if visit.is_post:
            try:
                if visit.user is not None:
                    await services.logins.claim(visit.user, code)
                    return _sent_on("../")
                admin = await services.logins.claim_new(
                    visit.field("name"), visit.field("password"), code
                )
                return await self._signed_in(visit, admin, "../")
            except ChatError as refused:
                error = refused
        said = "" if error is None else error.sentence
        here = quote(code, safe="")
        parts = [html.paragraph("This server has no administrator yet.")]
        if visit.user is not None:
            parts += [
                html.paragraph("You are signed in as {}.", visit.user.name),
                html.form(here, "Become the administrator", [], error=said),
            ]
        else:
            parts += [
                html.form(here, "Create the account", self._new_account(visit), error=said),
                html.link(f"../login?next=claim/{here}", "Use an account that exists"),
                html.link(here, RELOAD),
            ]
        return self._page("Claim the server", parts, up="../", error=error)

    async def _join(self, visit: Visit) -> Response:
        services, code = self._services, visit.code
        error = None
        invitation = await services.invitations.look(code)
        if visit.is_post:
            try:
                return await self._joined(visit, code, registers=invitation.registers)
            except ChatError as refused:
                error = refused
        said = "" if error is None else error.sentence
        here = quote(code, safe="")
        room = "the chat" if invitation.room is None else f"#{invitation.room.name}"
        parts = [html.paragraph("You are invited to {}.", room)]
        if visit.user is not None:
            parts += [
                html.paragraph("You are signed in as {}.", visit.user.name),
                html.form(here, "Join", [], error=said),
            ]
        else:
            mode = services.logins.registration
            if mode == "open" or (invitation.registers and mode == "invite"):
                account = self._new_account(visit)
                parts.append(html.form(here, "Create account and join", account, error=said))
            elif said:
                parts.append(html.message(said, is_error=True))
            parts += [
                html.link(f"../login?next=join/{here}", "Sign in and join"),
                html.link(here, RELOAD),
            ]
            if self._doorman.are_guests_allowed():
                parts.append(html.link(f"../#/join/{here}", "Join as a guest"))
        return self._page("Invitation", parts, up="../", error=error)

    async def _joined(self, visit: Visit, code: str, *, registers: bool) -> Response:
        """Enter the room of an invitation, as who is signed in or with a new account."""
        services = self._services
        user = visit.user
        if user is None:
            made = await services.logins.register(
                visit.field("name"),
                visit.field("password"),
                limit_key(address_of(visit.request)),
                code if registers else None,
            )
            if registers:
                return await self._signed_in(visit, made.user, "../" + _at(made.room))
            user = made.user
        services.rate_limits.join(user.id)
        entry = await services.rooms.accept_invite(user, code)
        to = "../" + _at(entry.room)
        return _sent_on(to) if visit.user is not None else await self._signed_in(visit, user, to)

    # Parts

    def _new_account(self, visit: Visit) -> list[html.Field]:
        return [_name(visit.field("name")), self._new_password("password")]

    def _new_password(self, name: str) -> html.Field:
        least = self._password_min()
        return html.Field(
            name=name,
            label="New password" if name == "new" else "Password",
            type="password",
            autocomplete="new-password",
            min_length=least,
            hint=f"At least {least} characters. A few words are easy to remember.",
        )

    def _page(
        self, title: str, parts: list[str], *, up: str = "", error: ChatError | None = None
    ) -> Response:
        text = html.page(self._frame, title, parts, up=up)
        status = 200 if error is None else error.code.status
        headers = dict(HEADERS)
        if status in (429, 503) and error is not None:
            headers["retry-after"] = str(max(1, math.ceil(error.retry_after or 1.0)))
        return HTMLResponse(text, status, headers)


def _name(value: str) -> html.Field:
    return html.Field(name="name", label="Name", value=value, autocomplete="username")


def _password(name: str, label: str, autocomplete: str) -> html.Field:
    return html.Field(name=name, label=label, type="password", autocomplete=autocomplete)


def _at(room: Room | None) -> str:
    """Return the address of the page in a room."""
    return "./" if room is None else f"./#/{quote(room.shown, safe='')}"


def _sent_on(to: str) -> Response:
    """Send the browser on, by GET; the address is relative."""
    return RedirectResponse(to, 303, {"cache-control": "no-store"})
