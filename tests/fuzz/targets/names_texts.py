"""Names and texts: what is accepted is seen, stays what it is, and does nothing to a terminal.

The input is the text, which is typed as a name, a room, a file, a message and a word to search.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import islice

from tests.fuzz.attempts import attempt
from tests.fuzz.drawing import text_of
from tests.wynd_chat.wire.terminal import assert_one_frame, assert_one_line
from wynd_chat.domain.confusables import is_single_script, scripts_of, skeleton
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.files import clean_file_name
from wynd_chat.domain.names import (
    NAME_MAX,
    RESERVED,
    parse_room_name,
    parse_user_name,
    room_key,
    suggestions,
    user_key,
)
from wynd_chat.domain.text import (
    MENTIONS_MAX,
    accept_text,
    clean_for_terminal,
    clean_line,
    escape_for_log,
    mentioned_names,
    search_text,
)

__all__ = ["check"]

TEXT_MAX = 8000
FILE_NAME_BYTES = (200, 40)
SUGGESTED = 3
_ROOM = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_INVISIBLE = re.compile("[\u00ad\u034f\u115f\u1160\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")

_BLANK = re.compile("[\u2800\u3164\uffa0\ufffc\ufffd]")


def check(data: bytes) -> None:
    """Fail where one of the rules does not hold."""
    text = text_of(data)
    _check_user_name(text)
    _check_room_name(text)
    _check_cleaning(text)
    _check_log(text)
    _check_file_name(text)
    _check_mentions(text)
    kept = attempt(ChatError, accept_text, text, TEXT_MAX, "message")
    if isinstance(kept, ChatError):
        assert kept.code in (ErrorCode.BAD_REQUEST, ErrorCode.TOO_LARGE)
        return
    found = search_text(kept)
    assert search_text(found) == found


def _check_user_name(text: str) -> None:
    name = attempt(ChatError, parse_user_name, text)
    if isinstance(name, ChatError):
        assert name.code is ErrorCode.BAD_NAME
        assert name.sentence.isprintable(), name.sentence
        assert len(name.sentence) <= 6 * NAME_MAX
        return
    shown = name.shown
    assert 1 <= len(shown) <= NAME_MAX
    assert unicodedata.is_normalized("NFC", shown)
    assert unicodedata.is_normalized("NFC", name.key)
    assert shown.isprintable()
    assert " " not in shown
    assert _INVISIBLE.search(shown) is None
    assert _BLANK.search(shown) is None
    assert clean_line(shown) == shown
    assert escape_for_log(shown) == shown.replace("\\", "\\\\")
    assert parse_user_name(shown) == name
    assert user_key(f"@{shown}") == name.key
    assert name.key not in RESERVED
    assert skeleton(name.skeleton) == name.skeleton == skeleton(shown)
    assert is_single_script(shown)
    for character in shown:
        scripts_of(character)
    for tried in islice(suggestions(shown), SUGGESTED):
        assert tried != shown
        assert len(tried) <= NAME_MAX


def _check_room_name(text: str) -> None:
    name = attempt(ChatError, parse_room_name, text)
    if isinstance(name, ChatError):
        assert name.code is ErrorCode.BAD_NAME
        assert name.sentence.isprintable()
        assert room_key(text) is None
        return
    assert _ROOM.fullmatch(name)
    assert not name.startswith("r_")
    assert parse_room_name(name) == parse_room_name(f"#{name}") == name == room_key(text)


def _check_cleaning(text: str) -> None:
    line = clean_line(text)
    assert_one_line(line)
    assert clean_line(line) == line
    assert clean_for_terminal(line) == line
    frame = clean_for_terminal(text)
    assert_one_frame(frame)
    frame.encode()
    assert len(line) <= len(text)


def _check_log(text: str) -> None:
    escaped = escape_for_log(text)
    assert escaped.isprintable()
    escaped.encode()
    assert _unescaped(escaped) == text


def _unescaped(escaped: str) -> str:
    """Return what was escaped: nothing may be lost, and no two texts look alike in a log."""
    return re.sub(
        r"\\(?:[\\nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})",
        lambda found: found[0].encode("ascii").decode("unicode_escape"),
        escaped,
    )


def _check_file_name(text: str) -> None:
    for bytes_max in FILE_NAME_BYTES:
        if any("\ud800" <= character <= "\udfff" for character in text):
            return  # names come percent-encoded or as bytes, and are decoded with replacement
        name = clean_file_name(text, bytes_max)
        assert 1 <= len(name.encode()) <= bytes_max
        assert name not in (".", "..")
        assert re.search(r'[/\\<>:"|?*]', name) is None
        assert_one_line(name)
        assert _INVISIBLE.search(name) is None
        assert clean_file_name(name, bytes_max) == name


def _check_mentions(text: str) -> None:
    keys = mentioned_names(text)
    assert len(keys) <= MENTIONS_MAX
    assert len(set(keys)) == len(keys)
    for key in keys:
        assert 1 <= len(key) <= NAME_MAX
        assert key.isprintable()
