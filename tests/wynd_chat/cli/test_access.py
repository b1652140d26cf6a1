"""Links for people and tokens for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.wynd_chat.cli.test_users import read
from wynd_chat.domain.models import InviteKind, SessionKind
from wynd_chat.services.accounts import hash_of

if TYPE_CHECKING:
    from tests.wynd_chat.cli.conftest import Cli


def test_an_invitation_is_a_link_whose_code_is_stored_hashed(cli: Cli) -> None:
    cli("room", "create", "dev")
    result = cli("invite", "--room", "#dev", "--uses", "3", "--days", "1")
    base, _, code = result.out.strip().rpartition("/")
    assert base == "http://localhost:3000/join"
    assert "works 3 times" in result.err
    found = read(cli.data, lambda snapshot: snapshot.invite(hash_of(code)))
    room = read(cli.data, lambda snapshot: snapshot.room_by_key("dev"))
    assert found is not None
    assert room is not None
    assert (found.kind, found.target, found.uses_left) == (InviteKind.REGISTER, room.id, 3)
    assert code.encode() not in (cli.data / "chat.sqlite3").read_bytes()


def test_links_begin_as_the_chat_is_reached(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WYND_CHAT__SERVER__PUBLIC_URL", "https://chat.example.org")
    assert cli("invite").out.startswith("https://chat.example.org/join/")


def test_an_invitation_to_nowhere_is_refused(cli: Cli) -> None:
    assert cli("invite", "--room", "nowhere").err == "wynd-chat: there is no room #nowhere\n"
    assert cli("invite", "--uses", "0").status == 2


def test_tokens_are_made_listed_and_ended_by_label(cli: Cli) -> None:
    cli("user", "add", "Alice", "--password-stdin", stdin="correct horse battery\n")
    token = cli("token", "alice", "--label", "ci").out.strip()
    session = read(cli.data, lambda snapshot: snapshot.session(hash_of(token)))
    assert session is not None
    assert (session.kind, session.label, session.expires_at) == (SessionKind.API, "ci", None)
    short = cli("token", "alice", "--days", "1").out.strip()
    ending = read(cli.data, lambda snapshot: snapshot.session(hash_of(short)))
    assert ending is not None
    assert ending.expires_at == ending.created_at + 86_400_000
    listed = cli("token", "alice", "--list")
    assert [row[0] for row in listed.rows] == ["ci", "wynd-chat token"]
    assert token not in listed.out
    assert cli("token", "alice", "--revoke", "ci").out == "Ended 1\n"
    assert read(cli.data, lambda snapshot: snapshot.session(hash_of(token))) is None
    again = cli("token", "alice", "--revoke", "ci")
    assert (again.status, again.out) == (1, "")


@pytest.mark.parametrize("label", ["", "x" * 65])
def test_a_label_has_a_length(cli: Cli, label: str) -> None:
    cli("user", "add", "Robo", "--bot")
    assert "a label has 1 to 64 characters" in cli("token", "robo", "--label", label).err
