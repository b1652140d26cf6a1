"""Events are values whose words clients read; an ignored message keeps nothing of its content."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from wynd_chat.domain.events import (
    Author,
    Event,
    FileInfo,
    LeaveHow,
    Message,
    MessageKind,
    TopicChanged,
    hidden,
    without_ignored,
)
from wynd_chat.domain.models import UserKind

ALICE = Author("u_alice", "Alice", UserKind.HUMAN)
MESSAGE = Message(
    id="m_1",
    author=ALICE,
    kind=MessageKind.FILE,
    text="look",
    mentions=("u_bob",),
    files=(FileInfo("f_1", "cat.png", "image/png", 120_000, 640, 480),),
    reply_to=39,
    cid="c1",
)


def test_the_words_that_clients_read_are_those_of_the_specification() -> None:
    assert list(MessageKind) == ["text", "me", "file", "system"]
    assert list(LeaveHow) == ["leave", "kick", "ban"]


def test_a_message_is_plain_unless_told() -> None:
    plain = Message(id="m_1", author=ALICE, kind=MessageKind.TEXT, text="hi")
    assert (plain.mentions, plain.files, plain.reply_to, plain.cid) == ((), (), None, None)
    assert (plain.edited_at, plain.is_deleted, plain.is_hidden) == (None, False, False)


def test_a_hidden_message_shows_who_wrote_it_and_nothing_of_what() -> None:
    shown = hidden(MESSAGE)
    assert (shown.text, shown.mentions, shown.files) == ("", (), ())
    assert shown.is_hidden
    assert replace(shown, text="look", mentions=("u_bob",), files=MESSAGE.files) == replace(
        MESSAGE, is_hidden=True
    )


def test_only_messages_of_the_ignored_are_hidden() -> None:
    said = Event("r_dev", 43, 1_000, MESSAGE)
    topic = replace(said, body=TopicChanged(ALICE, "hi"))
    deleted = replace(said, body=replace(MESSAGE, author=replace(ALICE, id=None)))
    assert without_ignored(said, {"u_alice"}) == replace(said, body=hidden(MESSAGE))
    assert without_ignored(said, {"u_bob"}) is said
    assert without_ignored(said, ()) is said
    assert without_ignored(topic, {"u_alice"}) is topic
    assert without_ignored(deleted, {"u_alice"}) is deleted


def test_events_are_compared_by_value_and_do_not_change() -> None:
    event = Event("r_dev", 43, 1_000, TopicChanged(ALICE, "hi"))
    assert event == Event("r_dev", 43, 1_000, TopicChanged(ALICE, "hi"))
    with pytest.raises(FrozenInstanceError):
        event.seq = 44  # type: ignore[misc]
