"""Values become rows of text and integers, and come back the same."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.contracts.chat_stores import (
    ALICE,
    BOB,
    DEV,
    a_ban,
    a_message,
    a_session,
    a_upload,
    an_answer,
    an_invite,
    author,
)
from tests.wynd_chat.domain.rows import a_member
from wynd_chat.adapters.store import rows
from wynd_chat.domain.events import Joined, LeaveHow, Left, Message, RoleChanged, TopicChanged
from wynd_chat.domain.models import (
    History,
    LinkCode,
    Notify,
    RoomKind,
    RoomRole,
    UploadState,
    UploadToken,
)
from wynd_chat.ports.store import DELETED_USER

if TYPE_CHECKING:
    from wynd_chat.adapters.store.rows import Mapper

VALUES: list[tuple[Mapper[Any], Any]] = [
    (rows.USERS, replace(ALICE, prefs={"ids": True}, away="")),
    (rows.ROOMS, replace(DEV, kind=RoomKind.PRIVATE, locked=True, history=History.SINCE_JOIN)),
    (rows.MEMBERSHIPS, a_member(ALICE, DEV, RoomRole.OP, notify=Notify.HIDDEN)),
    (rows.SESSIONS, a_session("t")),
    (rows.INVITES, an_invite()),
    (rows.BANS, a_ban("1")),
    (rows.UPLOADS, a_upload(state=UploadState.GONE, w=None)),
    (rows.ANSWERS, an_answer()),
    (
        rows.LINK_CODES,
        LinkCode(code_hash="h", owner_id=None, target="c", uses_left=1, expires_at=2),
    ),
    (
        rows.UPLOAD_TOKENS,
        UploadToken(code_hash="h", owner_id="u", target="r", uses_left=1, expires_at=2),
    ),
]


@pytest.mark.parametrize(("mapper", "value"), VALUES, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_the_same(mapper: Mapper[Any], value: Any) -> None:
    row = mapper.to_row(value)
    assert {type(column) for column in row.values()} <= {str, int, type(None)}
    again = mapper.from_row(["before", *row.values(), "after"], start=1)
    assert again == value
    for field in fields(value):  # equal enumerations and flags may still be plain strings
        assert type(getattr(again, field.name)) is type(getattr(value, field.name))


@pytest.mark.parametrize("text", ["a\0", "\ud800"])
def test_a_text_that_cannot_be_kept_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"U\+0000|surrogates"):
        rows.USERS.to_row(replace(ALICE, name=text))


BODIES = [
    Joined(author(ALICE)),
    TopicChanged(author(ALICE), "ünï 'quoted' \"twice\""),
    Left(author(ALICE), LeaveHow.LEAVE),
    Left(author(ALICE), LeaveHow.KICK, author(BOB), "spam"),
    RoleChanged(author(ALICE), RoomRole.OP, author(BOB)),
    RoleChanged(author(ALICE), RoomRole.MEMBER, author(BOB), 0),
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
def test_an_events_body_comes_back_the_same(body: Any) -> None:
    row = rows.body_row(body)
    assert rows.event_from("r", 3, row["kind"], row["body"], 9).body == body
    assert row["author_id"] in {ALICE.id, BOB.id}


def test_a_message_is_no_events_body() -> None:
    event = rows.message_event(a_message(), 1, ())
    assert isinstance(event.body, Message)
    with pytest.raises(ValueError, match="posted"):
        rows.body_row(event.body)


def test_an_unknown_kind_of_event_is_told() -> None:
    with pytest.raises(ValueError, match="'reacted' is not known"):
        rows.event_from("r", 1, "reacted", "{}", 1)


def test_a_user_is_taken_out_of_a_body_and_nobody_else() -> None:
    row = rows.body_row(Left(author(ALICE), LeaveHow.KICK, author(BOB), ALICE.id))
    body = rows.scrubbed(row["body"], ALICE.id, DELETED_USER)
    left = rows.event_from("r", 1, "left", body, 1).body
    assert isinstance(left, Left)
    assert (left.user.id, left.user.name) == (None, DELETED_USER)
    assert (left.by, left.reason) == (author(BOB), ALICE.id)


def test_no_mentions_are_no_text() -> None:
    assert rows.message_row(a_message(), 1, "")["mentions"] is None
    assert rows.message_row(a_message(mentions=("u_1",)), 1, "")["mentions"] == '["u_1"]'
