"""Strict JSON: what is taken agrees with the standard library; what is refused, quickly."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wynd_chat.wire.strict_json import (
    FRAME_BYTES_MAX,
    INTEGER_MAX,
    NESTING_MAX,
    StrictJsonError,
    parse_object,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-INTEGER_MAX, INTEGER_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=20
)


@given(st.dictionaries(TEXTS, VALUES), st.booleans())
def test_objects_come_back_as_they_were(value: dict[str, Any], is_ascii: bool) -> None:
    assert parse_object(json.dumps(value, ensure_ascii=is_ascii)) == value


@given(st.text('{}[]":,\\ue0d8a1-. \n', max_size=60))
def test_anything_is_an_object_or_refused(frame: str) -> None:
    try:
        value = parse_object(frame)
    except StrictJsonError:
        return
    assert value == json.loads(frame)


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


def test_nesting_is_counted_without_brackets_in_strings() -> None:
    text = '[{"\\"' * 2000
    assert parse_object(json.dumps({"text": text})) == {"text": text}
    assert parse_object(nested(NESTING_MAX))
    with pytest.raises(StrictJsonError, match="nest"):
        parse_object(nested(NESTING_MAX + 1))


def test_siblings_are_no_nesting() -> None:
    assert parse_object('{"a":[' + "[]," * 1000 + "[]]}")


def test_limits_are_of_bytes() -> None:
    frame = '{"a":"%s"}'
    room = FRAME_BYTES_MAX - len(frame % "")
    assert parse_object(frame % ("x" * room))
    assert parse_object(frame % ("é" * (room // 2)))
    for text in ("x" * (room + 1), "é" * (room // 2 + 1)):
        with pytest.raises(StrictJsonError, match="at most 65536 bytes"):
            parse_object(frame % text)


@pytest.mark.parametrize("number", [str(INTEGER_MAX), str(-INTEGER_MAX), "0", "-0", "1e3", "1.5"])
def test_numbers_that_everybody_has_are_taken(number: str) -> None:
    assert parse_object(f'{{"n":{number}}}') == {"n": json.loads(number)}


def test_nul_is_taken_out_of_keys_and_texts() -> None:
    frame = r'{"a\u0000b":["x\u0000",{"c":"\u0000"}],"d":"\\u0000"}'
    assert parse_object(frame) == {"ab": ["x", {"c": ""}], "d": r"\u0000"}
    with pytest.raises(StrictJsonError, match="twice"):
        parse_object(r'{"a":1,"a\u0000":2}')


def test_a_surrogate_pair_is_one_character() -> None:
    assert parse_object(r'{"a":"\ud83d\ude00"}') == {"a": "😀"}
    assert parse_object(r'{"a":"\\ud83d"}') == {"a": r"\ud83d"}


SLOW = {
    "open brackets": '{"a":' + "[" * 65_000,
    "escaped quotes without an end": '{"a":[[[[[[[[[[[[[[[[[["' + '\\"' * 32_000,
    "backslashes": '{"a":[[[[[[[[[[[[[[[[[["' + "\\" * 65_000,
    "quotes": "[[[[[[[[[[[[[[[[[" + '"' * 65_000,
    "alternating": "[]" * 32_000,
    "digits": '{"a":' + "9" * 65_000 + "}",
    "digits of a fraction": '{"a":0.' + "9" * 65_000 + "}",
    "keys": "{" + ",".join(f'"{n}":0' for n in range(7_000)) + "}",
    "escapes": '{"a":"' + "\\ud83d\\ude00" * 5_400 + '"}',
    "white space": '{"a":1' + " " * 65_000 + "}",
}


@pytest.mark.parametrize("frame", SLOW.values(), ids=SLOW)
def test_hostile_frames_cost_little(frame: str) -> None:
    seconds = []
    for _ in range(3):  # the best counts: a collection of the whole test run may fall into one
        began = time.thread_time()
        with contextlib.suppress(StrictJsonError):
            parse_object(frame)
        seconds.append(time.thread_time() - began)
    assert min(seconds) < 0.02
