"""The JSON face: any frame is a request that survives being written, or is refused by a reply.

The input is the frame.
"""

from __future__ import annotations

import json
import math
from typing import Any

import jsonschema_rs

from tests.fuzz.attempts import attempt
from tests.fuzz.drawing import text_of
from wynd_chat.domain.errors import ErrorCode
from wynd_chat.wire.json_face import Malformed, decode, encode_error
from wynd_chat.wire.requests import ID_BYTES_MAX, encode_request
from wynd_chat.wire.schemas import schema_of
from wynd_chat.wire.strict_json import (
    FRAME_BYTES_MAX,
    INTEGER_MAX,
    NESTING_MAX,
    StrictJsonError,
    parse_object,
)

__all__ = ["check"]

# An id of control characters, six bytes each, around the longest sentence, which lists the types.
REPLY_BYTES_MAX = 6 * ID_BYTES_MAX + 256
_ERROR = jsonschema_rs.validator_for(schema_of("error"))
_COUNTING_CODES = {ErrorCode.BAD_REQUEST}


def check(data: bytes) -> None:
    """Fail where a frame breaks what the face promises."""
    frame = text_of(data)
    _check_object(frame)
    request = attempt(Malformed, decode, frame)
    if isinstance(request, Malformed):
        _check_refusal(request)
        return
    written = encode_request(request)
    assert decode(written) == request, written
    assert len(written.encode()) <= len(frame.encode()), written
    assert encode_request(decode(written)) == written


def _check_refusal(error: Malformed) -> None:
    assert error.code in (ErrorCode.BAD_REQUEST, ErrorCode.UNSUPPORTED)
    assert error.code in _COUNTING_CODES or not error.is_malformed
    frame = encode_error(error.request_id, error)
    assert len(frame.encode()) <= REPLY_BYTES_MAX, frame
    reply = json.loads(frame)
    _ERROR.validate(reply)
    assert reply["re"] == error.request_id
    assert reply["error"]["message"].isprintable()
    assert "\n" not in frame


def _check_object(frame: str) -> None:
    """Hold the strict parser to the standard library's, and to its own rules."""
    value = attempt(StrictJsonError, parse_object, frame)
    if isinstance(value, StrictJsonError):
        assert value.sentence.isprintable()
        return
    assert len(frame.encode()) <= FRAME_BYTES_MAX
    _check_value(value, 1)
    if "\\u0000" not in frame:  # U+0000 is taken out
        assert json.loads(frame) == value
    again = parse_object(json.dumps(value), bytes_max=8 * FRAME_BYTES_MAX)
    assert again == value


def _check_value(value: Any, depth: int) -> None:
    assert depth <= NESTING_MAX + 1  # the values inside the deepest brackets
    if isinstance(value, dict):
        for key, child in value.items():
            _check_value(key, depth)
            _check_value(child, depth + 1)
    elif isinstance(value, list):
        for child in value:
            _check_value(child, depth + 1)
    elif isinstance(value, str):
        assert "\0" not in value
        value.encode()
    elif isinstance(value, float):
        assert math.isfinite(value)
    elif value is not None:
        assert isinstance(value, int)
        assert abs(value) <= INTEGER_MAX
