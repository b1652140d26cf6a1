"""Messages and close events are plain values."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import weakref
from typing import Any, cast

import pytest

import wynd
from wynd.events import (
    BinaryMessage,
    CloseEvent,
    PlainBinaryMessage,
    PlainTextMessage,
    TextMessage,
)

HANDLE = cast("Any", object())
# Where the native module is not built, both are the plain ones.
BOTH = pytest.mark.parametrize(
    ("text_type", "binary_type"),
    [(TextMessage, BinaryMessage), (PlainTextMessage, PlainBinaryMessage)],
    ids=["public", "plain"],
)


@BOTH
def test_messages_show_their_data(text_type: Any, binary_type: Any) -> None:
    text, binary = text_type("hi", HANDLE), binary_type(data=b"hi", handle=HANDLE)
    assert (text.data, binary.data, binary.handle) == ("hi", b"hi", HANDLE)
    assert (str(text), repr(text), text.handle) == ("hi", "TextMessage('hi')", HANDLE)
    assert (bytes(binary), repr(binary)) == (b"hi", "BinaryMessage(b'hi')")


def test_a_close_is_clean_when_both_sides_sent_a_frame() -> None:
    assert CloseEvent(1000, "", 1000, HANDLE).clean
    assert not CloseEvent(1006, "", 1000, HANDLE).clean
    assert not CloseEvent(1000, "", None, HANDLE).clean
    assert "code=4000" in repr(CloseEvent(4000, "x", None, HANDLE))


@BOTH
def test_events_belong_to_a_live_connection_and_refuse_pickling(
    text_type: Any, binary_type: Any
) -> None:
    for message in (text_type("x", HANDLE), binary_type(b"x", HANDLE)):
        refusal = f"{type(message).__name__} belongs to a live connection; pickle its data"
        with pytest.raises(TypeError, match=refusal):
            pickle.dumps(message)
        with pytest.raises(TypeError, match=refusal):
            copy.copy(message)


@BOTH
def test_both_forms_of_a_message_tell_the_same_about_themselves(
    text_type: Any, binary_type: Any
) -> None:
    assert (wynd.TextMessage, wynd.BinaryMessage) == (TextMessage, BinaryMessage)
    for form, name in ((text_type, "TextMessage"), (binary_type, "BinaryMessage")):
        assert (form.__name__, form.__qualname__, form.__module__) == (name, name, "wynd.events")
        assert inspect.cleandoc(form.__doc__).startswith(("A text message.", "A binary message."))
        assert "Attributes:" in form.__doc__
        assert list(inspect.signature(form).parameters) == ["data", "handle"]
    assert text_type("x", HANDLE) != text_type("x", HANDLE)
    assert repr(text_type("'\n", HANDLE)) == repr(PlainTextMessage("'\n", HANDLE))


@BOTH
def test_messages_take_part_in_garbage_collection(text_type: Any, binary_type: Any) -> None:
    class Holder:
        held: Any

    for form, data in ((text_type, "x"), (binary_type, b"x")):
        holder = Holder()
        holder.held = form(data, holder)
        assert holder in gc.get_referents(holder.held)
        gone = weakref.ref(holder)
        del holder
        gc.collect()
        assert gone() is None
