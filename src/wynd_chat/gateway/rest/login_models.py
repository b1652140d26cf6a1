"""What the API takes and gives about logins: sessions, tokens, accounts, codes of other devices."""

from __future__ import annotations

from pydantic import BaseModel, Field

from wynd_chat.domain.models import ServerRole, SessionKind, UserKind
from wynd_chat.gateway.rest.models import Given, RoomName, Taken, Time

__all__ = [
    "Account",
    "Claimed",
    "InviteTaken",
    "LinkAsked",
    "LinkShown",
    "LinkTaken",
    "Login",
    "LoginGiven",
    "LoginList",
    "NewAccount",
    "NewLogin",
    "NewToken",
    "Registration",
    "TokenGiven",
    "TokenList",
]

Password = Field(max_length=2048, description="At most 1,024 bytes.")
Label = Field("", max_length=200, description="What it is for, at most 64 characters.")


class Account(Given):
    """A user, as logging in shows one."""

    id: str
    name: str
    kind: UserKind
    role: ServerRole


class Login(Given):
    """A login, or the token of a program."""

    id: str = Field(description="To end it by; no secret.")
    kind: SessionKind
    label: str
    ip: str = Field(description="Where it was made from.")
    user_agent: str
    created_at: Time
    last_seen_at: Time = Field(description="To the hour.")
    expires_at: Time | None = Field(description="If it is not used until then; null: never.")
    current: bool = Field(description="Whether this request uses it.")


class LoginList(Given):
    """Where the caller is logged in."""

    sessions: list[Login]


class TokenList(Given):
    """The caller's tokens for programs."""

    tokens: list[Login]


class NewLogin(Taken):
    """A name and its password."""

    name: str = Field(max_length=200, description="`@` is optional.", examples=["Alice"])
    password: str = Password
    label: str = Label
    cookie: bool = Field(
        True,
        description="False: the answer has a token for `Authorization` instead of a cookie.",
    )


class LoginGiven(Given):
    """A new login."""

    user: Account
    session: Login
    token: str | None = Field(None, description="Shown once; only without a cookie.")


class NewAccount(Taken):
    """An account to make. A guest who sends the own name keeps id, rooms and messages."""

    name: str = Field(max_length=200, examples=["Alice"])
    password: str = Password
    invite: str | None = Field(
        None, max_length=200, description="The code of an invitation, where one is needed."
    )


class Registration(Given):
    """A new account; log in to use it."""

    user: Account
    room: RoomName | None = Field(description="Where the invitation led; null: to the lobby.")


class NewToken(Taken):
    """A token to make for a program."""

    label: str = Label
    days: int | None = Field(None, ge=1, le=3650, description="How long; null: until revoked.")


class TokenGiven(Login):
    """A new token."""

    token: str = Field(description="Shown once.")


class LinkAsked(BaseModel):
    """Ask for a code (no body), or whether one was approved."""

    model_config = Taken.model_config

    code: str = Field(max_length=64)
    secret: str = Field(max_length=200)


class LinkShown(Given):
    """A code for this device to show."""

    code: str = Field(examples=["ABCD-2345"])
    link: str = Field(description="Where it is entered by who is logged in.")
    secret: str = Field(description="Proves that this device asked; show it to nobody.")
    expires_in_s: int


class LinkTaken(Given):
    """Whether the code was approved; if so, once, the login."""

    approved: bool
    user: Account | None = None
    token: str | None = Field(None, description="Shown once.")


class InviteTaken(Given):
    """The room an invitation led to."""

    room: RoomName
    added: bool = Field(description="False: was a member already.")


class Claimed(Given):
    """The administrator."""

    user: Account
