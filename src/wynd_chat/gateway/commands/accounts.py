"""Accounts: `/register` to `/token`: from a name to a login, and back.

A login by a command is that of its connection: it ends with it, since nobody has its token. What is
typed and shown here may be secret, so over HTTP these commands point to endpoints of their own,
whose bodies are kept nowhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import SessionKind
from wynd_chat.domain.sessions import is_token, public_id
from wynd_chat.gateway.admission import limit_key
from wynd_chat.gateway.calls import Mode, Outcome
from wynd_chat.gateway.terminals import TERMINAL
from wynd_chat.services.sessions import Origin
from wynd_chat.wire import json_face, text_face
from wynd_chat.wire.close_codes import CloseCode
from wynd_chat.wire.json_logins import login_object
from wynd_chat.wire.times import minute_text

if TYPE_CHECKING:
    from wynd_chat.domain.models import Session
    from wynd_chat.gateway.calls import Call

__all__ = ["HANDLERS"]

_KINDS = {
    SessionKind.WEB: "browser",
    SessionKind.API: "token",
    SessionKind.BOT: "token",
    SessionKind.DEVICE: "connection",
    SessionKind.GUEST: "guest",
}


async def register(call: Call) -> Outcome:
    """`/register PASSWORD`: the guest name becomes an account."""
    _not_over_http(call, "POST /api/v1/users")
    sessions, caller = call.services.sessions, call.caller
    _, session = sessions.made(
        call.user.id, SessionKind.DEVICE, TERMINAL, Origin(address=caller.address)
    )
    user = await call.services.logins.register_guest(
        call.user,
        call.rest,
        limit_key(caller.address),
        session=session,
        besides=caller.number,
    )
    caller.user, caller.token_hash = user, session.token_hash
    call.router.terminals.own(caller.number, session)
    return Outcome([text_face.registered(user.name)], {"user": json_face.user_object(user)})


async def login(call: Call) -> Outcome:
    """`/login USER PASSWORD`; alone: a code to enter elsewhere."""
    _not_over_http(call, "POST /api/v1/sessions")
    caller = call.caller
    if not call.word(0):
        code = await call.router.terminals.show_code(caller)
        link = f"{caller.base_url}/link"
        return Outcome([text_face.login_code(link, code)], {"link": link, "code": code})
    if not call.word(1):
        raise call.usage()
    user = await call.services.logins.check(call.word(0), call.word(1), limit_key(caller.address))
    await call.router.terminals.enter(caller, user)
    # The text face has read the new name when it entered.
    lines = [] if caller.mode is Mode.TEXT else [text_face.you_are(user.name)]
    return Outcome(lines, {"user": json_face.user_object(user)})


async def logout(call: Call) -> Outcome:
    """`/logout`: end this login, and all its connections."""
    _not_over_http(call, "DELETE /api/v1/sessions/current")
    caller = call.caller
    if caller.token_hash is not None:
        await call.services.sessions.end(call.user, caller.token_hash, besides=caller.number)
    line = text_face.server_line("you are logged out")
    return Outcome([line], {"ended": True}, closing=CloseCode.UNAUTHORIZED)


async def sessions_(call: Call) -> Outcome:
    """`/sessions`: where one is logged in."""
    found = await call.services.sessions.list_of(call.user)
    logins = [session for session in found if not is_token(session)]
    current = call.caller.token_hash
    lines = [_line(session, current) for session in logins]
    lines.append(f"-- and {len(found) - len(logins)} tokens, see /token list")
    objects = [login_object(session, current) for session in logins]
    return Outcome(["\n".join(lines)], {"sessions": objects})


async def token(call: Call) -> Outcome:
    """`/token new|list|revoke [LABEL]`."""
    action = call.word(0).lower()
    if action == "new":
        _not_over_http(call, "POST /api/v1/tokens")
        return await _new_token(call)
    if action == "list" and not call.word(1):
        return await _tokens(call)
    if action == "revoke" and call.word(1):
        caller = call.caller
        count = await call.services.sessions.revoke(call.user, call.word(1), besides=caller.number)
        text = "revoked 1 token" if count == 1 else f"revoked {count} tokens"
        held = await call.services.sessions.list_of(call.user)
        is_own = caller.token_hash not in {None, *(one.token_hash for one in held)}
        closing = CloseCode.UNAUTHORIZED if is_own else None
        return Outcome([text_face.server_line(text)], {"revoked": count}, closing=closing)
    raise call.usage()


async def _new_token(call: Call) -> Outcome:
    origin = Origin(address=call.caller.address)
    secret, session = await call.services.sessions.new_token(call.user, call.word(1), origin=origin)
    line = text_face.server_line(f"token {session.label}, shown once: {secret}")
    result = login_object(session, None) | {"token": secret}
    return Outcome([line], result)


async def _tokens(call: Call) -> Outcome:
    found = await call.services.sessions.list_of(call.user)
    tokens = [session for session in found if is_token(session)]
    current = call.caller.token_hash
    lines = [_line(session, current) for session in tokens]
    text = "\n".join(lines) if lines else text_face.server_line("you have no tokens")
    return Outcome([text], {"tokens": [login_object(session, current) for session in tokens]})


def _line(session: Session, current: str | None) -> str:
    """Return one line of a list of logins."""
    parts = [f"{public_id(session)} {_KINDS[session.kind]}"]
    if session.label:
        parts.append(session.label)
    if session.ip:
        parts.append(f"from {session.ip}")
    parts.append(f"last seen {minute_text(session.last_seen_at)}")
    here = " (this one)" if session.token_hash == current else ""
    return text_face.server_line(", ".join(parts) + here)


def _not_over_http(call: Call, endpoint: str) -> None:
    if call.caller.mode is Mode.REST:
        raise ChatError(ErrorCode.UNSUPPORTED, f"use {endpoint}")


HANDLERS = {
    "register": register,
    "login": login,
    "logout": logout,
    "sessions": sessions_,
    "token": token,
}
