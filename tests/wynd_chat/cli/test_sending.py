"""Saying something from a script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.wynd_chat.cli.test_users import read
from wynd_chat.domain.events import Message, MessageKind

if TYPE_CHECKING:
    from tests.wynd_chat.cli.conftest import Cli


def said(cli: Cli, room: str) -> list[tuple[str, str, str]]:
    """Return (who, kind, what) of a room."""
    found = read(cli.data, lambda snapshot: snapshot.room_by_key(room))
    assert found is not None
    events = read(cli.data, lambda snapshot: snapshot.messages(found.id, limit=100))
    bodies = [event.body for event in events]
    return [
        (body.author.name, body.kind, body.text) for body in bodies if isinstance(body, Message)
    ]


def test_the_server_speaks_in_rooms_it_is_not_in(cli: Cli) -> None:
    cli("room", "create", "dev")
    result = cli("send", "#dev", "the build is green")
    assert (result.status, result.out, result.err) == (0, "", "")
    assert said(cli, "dev") == [("Server", MessageKind.SYSTEM, "the build is green")]


def test_an_account_speaks_where_it_is_a_member(cli: Cli) -> None:
    cli("room", "create", "dev")
    cli("user", "add", "Robo", "--bot")
    refused = cli("send", "dev", "hi", "--as", "robo")
    assert (refused.status, refused.err) == (1, "wynd-chat: you are not in #dev\n")
    assert cli("send", "lobby", "hi", "--as", "robo").status == 0
    assert said(cli, "dev") == []
    assert said(cli, "lobby") == [("Robo", MessageKind.TEXT, "hi")]


def test_standard_input_is_one_message(cli: Cli) -> None:
    cli("room", "create", "dev")
    cli("send", "dev", stdin="first line\nsecond line\n")
    assert said(cli, "dev") == [("Server", MessageKind.SYSTEM, "first line\nsecond line")]


def test_a_slash_is_text(cli: Cli) -> None:
    cli("room", "create", "dev")
    cli("send", "dev", "/topic hi")
    assert said(cli, "dev")[0][2] == "/topic hi"


def test_what_cannot_be_sent_is_refused(cli: Cli) -> None:
    cli("room", "create", "dev")
    assert cli("send", "nowhere", "hi").err == "wynd-chat: there is no room #nowhere\n"
    assert cli("send", "dev", "").status == 1
    assert cli("send", "dev", stdin="").status == 1
    too_long = cli("send", "dev", stdin="x" * 1_000_000)
    assert too_long.status == 1
    assert "8000" in too_long.err
    assert said(cli, "dev") == []
