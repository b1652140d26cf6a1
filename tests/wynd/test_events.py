"""Messages and close events are plain values."""

from __future__ import annotations

import pickle
from typing import Any, cast

import pytest

from wynd.events import BinaryMessage, CloseEvent, TextMessage

HANDLE = cast("Any", object())


def test_messages_show_their_data() -> None:
    text, binary = TextMessage("hi", HANDLE), BinaryMessage(b"hi", HANDLE)
    assert (str(text), repr(text), text.handle) == ("hi", "TextMessage('hi')", HANDLE)
    assert (bytes(binary), repr(binary)) == (b"hi", "BinaryMessage(b'hi')")


def test_a_close_is_clean_when_both_sides_sent_a_frame() -> None:
    assert CloseEvent(1000, "", 1000, HANDLE).clean
    assert not CloseEvent(1006, "", 1000, HANDLE).clean
    assert not CloseEvent(1000, "", None, HANDLE).clean
    assert "code=4000" in repr(CloseEvent(4000, "x", None, HANDLE))


def test_events_belong_to_a_live_connection_and_refuse_pickling() -> None:
    with pytest.raises(TypeError, match="pickle its data"):
        pickle.dumps(TextMessage("x", HANDLE))
