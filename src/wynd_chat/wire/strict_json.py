"""JSON as the JSON face takes it: RFC 8259 with the rules of I-JSON (RFC 7493), and bounded depth.

Decides whether a frame is one JSON object without repeated keys, lone surrogates, NaN, Infinity,
numbers that not every reader has, or nesting beyond 16. Time is linear in the frame and nothing
recurses deeper than 16. Knows no message types.
"""

from __future__ import annotations

import json
import math
import re
from itertools import accumulate

__all__ = ["FRAME_BYTES_MAX", "INTEGER_MAX", "NESTING_MAX", "StrictJsonError", "parse_object"]

FRAME_BYTES_MAX = 65_536  # the face's limit; the listener closes with 1009 before a frame gets here
INTEGER_MAX = 2**53 - 1  # RFC 7493 §2.2: beyond it JavaScript and others read another number
NESTING_MAX = 16  # the deepest message of the face has 5

# Strings, ended or not, and all else but brackets; possessively, so that no character is looked at
# twice.
_NO_BRACKETS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[^"\[\]{}]++', re.DOTALL)
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_INTEGER_CHARS_MAX = 17  # a sign and the 16 digits of INTEGER_MAX
_NUMBER_CHARS_MAX = 64  # a float has at most 24 characters that mean anything


class StrictJsonError(ValueError):
    """A frame that is not what the face takes; `sentence` says why, in words of ours only."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def parse_object(
    frame: str, *, bytes_max: int = FRAME_BYTES_MAX, what: str = "a frame"
) -> dict[str, object]:
    """Return the object a frame is. Values are dict, list, str, int, float, bool and None.

    U+0000 is taken out of all texts, keys included; no store has to keep it.

    Args:
        frame: The text.
        bytes_max: How many bytes it may have; REST allows more than the face.
        what: How sentences name it.

    Raises:
        StrictJsonError: It is none, or breaks a rule above.
    """
    if len(frame) > bytes_max or _size(frame) > bytes_max:
        raise StrictJsonError(f"{what} has at most {bytes_max} bytes")
    _check_nesting(frame)
    try:
        value = _DECODER.decode(frame)
    except json.JSONDecodeError as error:
        raise StrictJsonError(f"not valid JSON at character {error.pos + 1}") from None
    if type(value) is not dict:
        raise StrictJsonError(f"{what} is one JSON object")
    if _SURROGATE_ESCAPE.search(frame) is not None:
        _size(json.dumps(value, ensure_ascii=False))
    return _object_without_nul(value) if "\\u0000" in frame else value


def _size(text: str) -> int:
    """Return the bytes of a text; refuse one that UTF-8 cannot write."""
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise StrictJsonError("half a surrogate pair is no text") from None


def _check_nesting(frame: str) -> None:
    if frame.count("[") + frame.count("{") <= NESTING_MAX:
        return  # the usual case: not even if all of them were open at once
    brackets = _NO_BRACKETS.sub("", frame)
    if max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > NESTING_MAX:
        raise StrictJsonError(f"values nest at most {NESTING_MAX} deep")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise StrictJsonError("a key stands twice in one object")
    return value


def _integer(text: str) -> int:
    if len(text) > _INTEGER_CHARS_MAX or abs(value := int(text)) > INTEGER_MAX:
        raise StrictJsonError(f"integers go from -{INTEGER_MAX} to {INTEGER_MAX}")
    return value


def _number(text: str) -> float:
    if len(text) > _NUMBER_CHARS_MAX or not math.isfinite(value := float(text)):
        raise StrictJsonError("a number is too long or too large")
    return value


def _constant(text: str) -> float:
    raise StrictJsonError(f"{text} is no JSON")


def _without_nul(value: object) -> object:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [_without_nul(child) for child in value]
    if isinstance(value, dict):
        return _object_without_nul(value)
    return value


def _object_without_nul(value: dict[str, object]) -> dict[str, object]:
    return _unique([(key.replace("\0", ""), _without_nul(child)) for key, child in value.items()])


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_int=_integer,
    parse_float=_number,
    parse_constant=_constant,
)
