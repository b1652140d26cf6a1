"""Accounts from the command line: made, changed, listed, deleted, and refused with a reason."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import pytest

from wynd_chat.adapters.passwords import ArgonPasswords
from wynd_chat.adapters.store.sqlite import SqliteStore
from wynd_chat.domain.events import Message
from wynd_chat.domain.models import SessionKind, UserKind
from wynd_chat.services.accounts import hash_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.wynd_chat.cli.conftest import Cli
    from wynd_chat.ports.store import Snapshot

T = TypeVar("T")
GOOD = "correct horse battery\n"


def read(data: Path, work: Callable[[Snapshot], T]) -> T:
    """Read from a chat's database."""

    async def run() -> T:
        store = SqliteStore(data / "chat.sqlite3")
        await store.open()
        try:
            return await store.read(work)
        finally:
            await store.close()

    return asyncio.run(run())


def fits(data: Path, key: str, password: str) -> bool:
    """Tell whether a password is the user's."""
    user = read(data, lambda snapshot: snapshot.user_by_key(key))
    assert user is not None
    passwords = ArgonPasswords()
    try:
        return asyncio.run(passwords.verify(user.password_hash, password))
    finally:
        passwords.close()


def test_an_account_has_its_password_and_is_in_the_lobby(cli: Cli) -> None:
    assert cli("user", "add", "@Alice", "--password-stdin", stdin=GOOD).out == "Added Alice\n"
    assert fits(cli.data, "alice", "correct horse battery")
    user = read(cli.data, lambda snapshot: snapshot.user_by_key("alice"))
    assert user is not None
    rooms = read(cli.data, lambda snapshot: snapshot.rooms_of(user.id))
    assert [room.name for room, _ in rooms] == ["lobby"]
    ((name, kind, role, status, *_),) = cli("user", "list").rows
    assert (name, kind, role, status) == ("Alice", "human", "user", "active")


def test_a_bot_gets_a_token_that_is_shown_once_and_stored_hashed(cli: Cli) -> None:
    out = cli("user", "add", "Robo", "--bot").out
    token = out.splitlines()[1].removeprefix("Its token, shown once: ")
    session = read(cli.data, lambda snapshot: snapshot.session(hash_of(token)))
    assert session is not None
    assert session.kind is SessionKind.BOT
    user = read(cli.data, lambda snapshot: snapshot.user_by_key("robo"))
    assert user is not None
    assert (user.kind, user.password_hash, user.id) == (UserKind.BOT, None, session.user_id)
    assert token.encode() not in (cli.data / "chat.sqlite3").read_bytes()


def test_an_admin_is_one_and_may_cease_to_be(cli: Cli) -> None:
    cli("user", "add", "Alice", "--admin", "--bot")
    assert cli("user", "list").rows[0][2] == "admin"
    assert cli("user", "role", "alice", "user").out == "Alice is now a user\n"
    assert cli("user", "list").rows[0][2] == "user"
    assert cli("user", "role", "alice", "admin").out == "Alice is now an admin\n"
    assert cli("user", "role", "alice", "king").status == 2


@pytest.mark.parametrize(
    ("arguments", "stdin", "sentence"),
    [
        (("Al ice", "--bot"), "", "names can't contain spaces"),
        (("Server", "--bot"), "", "reserved"),
        (("@", "--bot"), "", "Please provide a valid name"),
        (("Alice", "--password-stdin"), "short\n", "a password has at least 15 characters"),
        (("Alice", "--password-stdin"), "", "a password has at least 15 characters"),
        (("Alice", "--password-stdin"), "x" * 2000, "a password has at most 1024 bytes"),
        (("Alice",), "", "there is no terminal to ask on"),
        (("Taken", "--bot"), "", "Taken is registered"),
        (("TAKEN", "--bot"), "", "Taken is registered"),
    ],
)
def test_an_account_that_cannot_be_made_is_not_made(
    cli: Cli, arguments: tuple[str, ...], stdin: str, sentence: str
) -> None:
    cli("user", "add", "Taken", "--bot")
    result = cli("user", "add", *arguments, stdin=stdin)
    assert (result.status, result.out) == (1, "")
    assert sentence in result.err
    assert [row[0] for row in cli("user", "list").rows] == ["Taken"]


def test_a_new_password_ends_all_logins(cli: Cli) -> None:
    cli("user", "add", "Alice", "--password-stdin", stdin=GOOD)
    token = cli("token", "alice").out.strip()
    cli("token", "alice")
    result = cli("user", "passwd", "alice", "--password-stdin", stdin="another horse battery\n")
    assert result.out == "Changed the password of Alice; 2 logins ended\n"
    assert fits(cli.data, "alice", "another horse battery")
    assert not fits(cli.data, "alice", "correct horse battery")
    assert read(cli.data, lambda snapshot: snapshot.session(hash_of(token))) is None


def test_a_bot_has_no_password(cli: Cli) -> None:
    cli("user", "add", "Robo", "--bot")
    result = cli("user", "passwd", "robo", "--password-stdin", stdin=GOOD)
    assert result.status == 1
    assert "wynd-chat token Robo" in result.err


def test_deleting_asks_first_and_messages_stay(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("user", "add", "Alice", "--bot")
    cli("send", "lobby", "hello", "--as", "alice")
    assert cli("user", "delete", "alice", stdin="n\n").status == 1
    assert cli("user", "list").rows != []
    assert cli("user", "delete", "alice", "--yes").out == "Deleted Alice\n"
    assert cli("user", "list").rows == []
    assert cli("room", "list").rows[0][3] == "1"


def test_deleting_with_the_messages_leaves_tombstones(cli: Cli) -> None:
    cli("user", "add", "Alice", "--bot")
    cli("user", "add", "Bob", "--bot")
    cli("send", "lobby", "a secret", "--as", "alice")
    cli("send", "lobby", "kept", "--as", "bob")
    assert cli("user", "delete", "alice", "--purge", "--yes").out == (
        "Deleted Alice and 1 messages\n"
    )
    lobby = read(cli.data, lambda snapshot: snapshot.room_by_key("lobby"))
    assert lobby is not None
    bodies = [
        event.body
        for event in read(cli.data, lambda snapshot: snapshot.messages(lobby.id, limit=10))
    ]
    assert [(body.text, body.is_deleted) for body in bodies if isinstance(body, Message)] == [
        ("", True),
        ("kept", False),
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("user", "passwd", "nobody", "--password-stdin"),
        ("user", "role", "nobody", "admin"),
        ("user", "delete", "nobody", "--yes"),
        ("token", "nobody"),
        ("send", "lobby", "hi", "--as", "nobody"),
    ],
)
def test_nobody_has_no_account(cli: Cli, arguments: tuple[str, ...]) -> None:
    cli("user", "add", "Somebody", "--bot")  # makes the lobby
    result = cli(*arguments, stdin=GOOD)
    assert (result.status, result.err) == (1, "wynd-chat: there is no account nobody\n")
    hostile = cli("token", "x\x1b[2J")
    assert "\x1b" not in hostile.err
