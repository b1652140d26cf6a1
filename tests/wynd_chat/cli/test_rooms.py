"""Rooms from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.wynd_chat.cli.test_users import read
from wynd_chat.domain.models import RoomKind, RoomRole

if TYPE_CHECKING:
    from tests.wynd_chat.cli.conftest import Cli


def test_a_room_has_its_name_topic_and_owner(cli: Cli) -> None:
    cli("user", "add", "Alice", "--bot")
    made = cli("room", "create", "#Dev", "--owner", "alice", "--topic", "Release\n1.2")
    assert made.out == "Made #dev\n"
    rows = {row[0]: row for row in cli("room", "list").rows}
    name, kind, members, messages, _, topic = rows["#dev"]
    assert (name, kind, members, messages) == ("#dev", "public", "1", "0")
    assert topic == "Release 1.2"
    room = read(cli.data, lambda snapshot: snapshot.room_by_key("dev"))
    user = read(cli.data, lambda snapshot: snapshot.user_by_key("alice"))
    assert room is not None
    assert user is not None
    membership = read(cli.data, lambda snapshot: snapshot.membership(room.id, user.id))
    assert membership is not None
    assert membership.role is RoomRole.OWNER


def test_a_private_room_is_private(cli: Cli) -> None:
    cli("room", "create", "ops", "--private")
    room = read(cli.data, lambda snapshot: snapshot.room_by_key("ops"))
    assert room is not None
    assert room.kind is RoomKind.PRIVATE
    assert [row[:2] for row in cli("room", "list").rows] == [["#ops", "private"]]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("two words",), ""),
        (("r_x",), ""),
        (("lobby2", "--topic", "x" * 301), "topic"),
        (("dev", "--owner", "nobody"), "there is no account nobody"),
        (("taken",), "there is a room #taken already"),
    ],
)
def test_a_room_that_cannot_be_made_is_not_made(
    cli: Cli, arguments: tuple[str, ...], sentence: str
) -> None:
    cli("room", "create", "taken")
    before = cli("room", "list").rows
    result = cli("room", "create", *arguments)
    assert (result.status, result.out) == (1, "")
    assert sentence in result.err
    assert cli("room", "list").rows == before


def test_an_archived_room_takes_no_messages_until_it_is_opened_again(cli: Cli) -> None:
    cli("room", "create", "dev")
    assert cli("room", "archive", "dev").out == "Archived #dev\n"
    assert cli("room", "list").rows[0][:2] == ["#dev", "public, archived"]
    refused = cli("send", "dev", "hi")
    assert (refused.status, refused.err) == (1, "wynd-chat: #dev is archived\n")
    assert cli("room", "archive", "dev", "--undo").out == "Opened #dev\n"
    assert cli("send", "dev", "hi").status == 0


def test_the_lobby_cannot_be_archived(cli: Cli) -> None:
    cli("user", "add", "Alice", "--bot")  # makes the lobby
    result = cli("room", "archive", "lobby")
    assert (result.status, result.err) == (1, "wynd-chat: the lobby can't be archived\n")


def test_a_room_that_is_not_there_is_told(cli: Cli) -> None:
    result = cli("room", "archive", "#nowhere\x1b[2J")
    assert result.status == 1
    assert result.err.startswith("wynd-chat: there is no room #nowhere")
    assert "\x1b" not in result.err


def test_purging_asks_first_and_takes_the_messages_along(cli: Cli) -> None:
    cli("user", "add", "Alice", "--bot")
    cli("room", "create", "dev", "--owner", "alice")
    cli("send", "dev", "a secret", "--as", "alice")
    asked = cli("room", "purge", "#Dev", stdin="n\n")
    assert (asked.status, asked.out.strip()) == (1, "")
    assert "Delete #dev, its 1 messages and its files for good?" in asked.err
    assert "#dev" in [row[0] for row in cli("room", "list").rows]
    done = cli("room", "purge", "#Dev", stdin="y\n")
    assert (done.status, done.out.lstrip()) == (0, "Purged #dev and 1 messages\n")
    assert [row[0] for row in cli("room", "list").rows] == ["#lobby"]
    assert cli("send", "dev", "hi").err == "wynd-chat: there is no room #dev\n"
    user = read(cli.data, lambda snapshot: snapshot.user_by_key("alice"))
    assert user is not None
    assert not read(cli.data, lambda snapshot: snapshot.has_messages(user.id))


def test_purging_says_when_the_files_leave_the_disk(cli: Cli) -> None:
    cli("room", "create", "dev")
    result = cli("room", "purge", "dev", "--yes")
    assert result.out == "Purged #dev and 0 messages\n"
    assert result.err == (
        "wynd-chat: nobody can open its files any more; "
        "a server takes them off the disk within a day\n"
    )


def test_the_lobby_cannot_be_purged(cli: Cli) -> None:
    cli("user", "add", "Alice", "--bot")  # makes the lobby
    result = cli("room", "purge", "LOBBY", "--yes")
    assert (result.status, result.err) == (1, "wynd-chat: the lobby can't be purged\n")
    assert [row[0] for row in cli("room", "list").rows] == ["#lobby"]


def test_a_room_that_is_not_there_is_not_purged(cli: Cli) -> None:
    result = cli("room", "purge", "nowhere", "--yes")
    assert (result.status, result.err) == (1, "wynd-chat: there is no room #nowhere\n")
