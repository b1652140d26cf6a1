"""`wynd-chat user`: accounts, from the machine the chat runs on.

Works on the store directly, with the rules of the domain; a running server notices by itself.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from wynd_chat.adapters.clock import SystemClock, SystemTokens
from wynd_chat.adapters.passwords import PASSWORD_BYTES_MAX, ArgonPasswords
from wynd_chat.cli.options import ConfigOption, DataOption, on_store, settings_of
from wynd_chat.cli.output import Failure, say, table, time_text, warn
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.models import ServerRole, Session, SessionKind, User, UserKind
from wynd_chat.domain.names import parse_user_name, user_key
from wynd_chat.domain.text import clean_line
from wynd_chat.services.accounts import enter_lobby, free_name, hash_of, new_user
from wynd_chat.services.rooms import make_lobby

if TYPE_CHECKING:
    from wynd_chat.ports.store import Snapshot, Store, Transaction
    from wynd_chat.settings import Settings

__all__ = ["app", "find_user", "new_session"]

app = typer.Typer(help="Add, change, list and delete accounts.", no_args_is_help=True)

PAGE = 500
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]
NameArgument = Annotated[str, typer.Argument(help="The user's name, @ optional.")]


def find_user(snapshot: Snapshot, name: str) -> User:
    """Return the account of this name.

    Raises:
        ChatError: `not_found`, also for a guest, who has no account.
    """
    key = user_key(name)
    user = None if key is None else snapshot.user_by_key(key)
    if user is None or user.is_guest:
        shown = clean_line(name.removeprefix("@"))[:32]
        raise ChatError(ErrorCode.NOT_FOUND, f"there is no account {shown}")
    return user


def new_session(
    user: User, token: str, label: str, now_ms: int, expires_at: int | None = None
) -> Session:
    """Return the login that a token of a program stands for."""
    return Session(
        token_hash=hash_of(token),
        user_id=user.id,
        kind=SessionKind.BOT if user.kind is UserKind.BOT else SessionKind.API,
        label=label,
        created_at=now_ms,
        last_seen_at=now_ms,
        expires_at=expires_at,
    )


@app.command()
def add(
    name: NameArgument,
    bot: Annotated[
        bool, typer.Option("--bot", help="A program: it gets a token instead of a password.")
    ] = False,
    admin: Annotated[bool, typer.Option("--admin", help="Administers the server.")] = False,
    password_stdin: PasswordStdin = False,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Make an account."""
    settings = settings_of(data, config)
    shown = parse_user_name(name).shown  # before a password is asked for
    password = None if bot else _password(settings, is_stdin=password_stdin)
    password_hash = None if password is None else asyncio.run(_hashed(settings, password))
    token = SystemTokens().secret() if bot else None
    role = ServerRole.ADMIN if admin else ServerRole.USER
    kind = UserKind.BOT if bot else UserKind.HUMAN
    on_store(settings, lambda store: _add(store, settings, name, kind, role, password_hash, token))
    say(f"Added {shown}")
    if token is not None:
        say(f"Its token, shown once: {token}")


@app.command()
def passwd(
    name: NameArgument,
    password_stdin: PasswordStdin = False,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Set a new password and end all logins."""
    settings = settings_of(data, config)
    user = on_store(settings, lambda store: store.read(lambda snap: find_user(snap, name)))
    if user.kind is UserKind.BOT:
        raise Failure(f"{user.name} is a program; make a token with: wynd-chat token {user.name}")
    password = _password(settings, is_stdin=password_stdin)
    password_hash = asyncio.run(_hashed(settings, password))

    def work(tx: Transaction) -> int:
        current = find_user(tx, name)
        tx.put_user(replace(current, password_hash=password_hash))
        sessions = tx.sessions_of(current.id)
        for session in sessions:
            tx.drop_session(session.token_hash)
        return len(sessions)

    ended = on_store(settings, lambda store: store.write(work))
    say(f"Changed the password of {user.name}; {ended} logins ended")


@app.command()
def role(
    name: NameArgument,
    role: Annotated[ServerRole, typer.Argument(help="admin or user.")],
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Make an account an administrator, or not one any more."""
    settings = settings_of(data, config)

    def work(tx: Transaction) -> User:
        user = find_user(tx, name)
        tx.put_user(replace(user, role=role))
        return user

    user = on_store(settings, lambda store: store.write(work))
    say(f"{user.name} is now {'an admin' if role is ServerRole.ADMIN else 'a user'}")


@app.command("list")
def list_(data: DataOption = None, config: ConfigOption = None) -> None:
    """List all accounts: name, kind, role, status, made, last seen."""
    settings = settings_of(data, config)

    def work(snapshot: Snapshot) -> list[User]:
        users: list[User] = []
        while page := snapshot.list_users(
            after_key=(users[-1].name_key or "") if users else "", limit=PAGE
        ):
            users += page
        return users

    table(
        ("name", "kind", "role", "status", "made", "last seen"),
        (
            (
                user.name,
                user.kind,
                user.role,
                user.status,
                time_text(user.created_at),
                time_text(user.last_seen_at),
            )
            for user in on_store(settings, lambda store: store.read(work))
        ),
    )


@app.command()
def delete(
    name: NameArgument,
    purge: Annotated[bool, typer.Option("--purge", help="Delete the messages too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Delete an account: logins and memberships go, messages stay as of a deleted user."""
    settings = settings_of(data, config)
    user = on_store(settings, lambda store: store.read(lambda snap: find_user(snap, name)))
    what = "the account and all messages of" if purge else "the account"
    if not yes and not typer.confirm(f"Delete {what} {user.name}?", err=True):
        raise typer.Exit(1)
    now = SystemClock().now_ms()

    def work(tx: Transaction) -> int:
        user_id = find_user(tx, name).id
        deleted = len(tx.delete_messages(user_id, since=0, at=now)) if purge else 0
        tx.drop_user(user_id)
        return deleted

    deleted = on_store(settings, lambda store: store.write(work))
    say(f"Deleted {user.name}" + (f" and {deleted} messages" if purge else ""))


async def _add(
    store: Store,
    settings: Settings,
    text: str,
    kind: UserKind,
    role: ServerRole,
    password_hash: str | None,
    token: str | None,
) -> None:
    tokens, now = SystemTokens(), SystemClock().now_ms()

    def work(tx: Transaction) -> None:
        name = parse_user_name(text)
        free_name(tx, name, None, lambda _: True)
        user = new_user(tokens.new_id("u_"), name, kind, now)
        tx.put_user(replace(user, password_hash=password_hash, role=role))
        enter_lobby(tx, make_lobby(tx, tokens, settings.rooms.lobby, now).id, user.id)
        if token is not None:
            tx.put_session(new_session(user, token, "user add --bot", now))

    await store.write(work)


async def _hashed(settings: Settings, password: str) -> str:
    passwords = ArgonPasswords(chars_min=settings.auth.password_min)
    try:
        return await passwords.hash(password)
    finally:
        passwords.close()


def _password(settings: Settings, *, is_stdin: bool) -> str:
    """Return a new password: typed twice and unseen, or one line of standard input."""
    if is_stdin:
        line = sys.stdin.readline(PASSWORD_BYTES_MAX + 2)
        password = line.rstrip("\r\n")
    elif sys.stdin.isatty():
        warn(f"at least {settings.auth.password_min} characters; it is not shown")
        password = str(
            typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        )
    else:
        raise Failure("there is no terminal to ask on; give the password with --password-stdin")
    return password
