"""Codes, their HTTP status and whether trying again helps, as chat.md 5.6 has them."""

from __future__ import annotations

import pytest

from wynd_chat.domain.errors import ChatError, ErrorCode, UsageError

# code: (HTTP status, temporary)
SPECIFIED = {
    "bad_request": (400, False),
    "unsupported": (400, False),
    "text_only": (400, False),
    "unauthorized": (401, False),
    "forbidden": (403, False),
    "not_member": (403, False),
    "banned": (403, False),
    "silenced": (403, True),
    "not_found": (404, False),
    "not_online": (409, True),
    "name_taken": (409, False),
    "name_registered": (409, False),
    "conflict": (409, False),
    "expired": (410, False),
    "too_large": (413, False),
    "bad_name": (422, False),
    "rate_limited": (429, True),
    "internal": (500, True),
    "unavailable": (503, True),  # ours: a store that cannot write
}


def test_the_codes_are_those_of_the_specification() -> None:
    assert {code.value: (code.status, code.is_temporary) for code in ErrorCode} == SPECIFIED


def test_an_error_carries_code_sentence_and_the_time_to_wait() -> None:
    error = ChatError(ErrorCode.RATE_LIMITED, "Slow down", retry_after=1.5)
    assert (error.code, error.sentence, error.retry_after) == ("rate_limited", "Slow down", 1.5)
    assert str(error) == "Slow down"
    assert repr(error) == "ChatError('rate_limited', 'Slow down')"
    assert ChatError(ErrorCode.CONFLICT, "twice").retry_after is None


def test_a_usage_error_shows_the_syntax() -> None:
    with pytest.raises(ChatError) as refused:
        raise UsageError("/name <your_name>")
    assert refused.value.code is ErrorCode.BAD_REQUEST
    assert refused.value.sentence == "Usage: /name <your_name>"
