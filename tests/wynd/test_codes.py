"""Which close codes and reasons may go on the wire."""

from __future__ import annotations

from typing import Any

import pytest

from wynd.codes import CloseCode, check_close, sentence_of


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1014, 3000, 4999])
def test_codes_that_may_be_sent(code: int) -> None:
    check_close(code, "")


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])
def test_codes_that_must_not_be_sent(code: int) -> None:
    with pytest.raises(ValueError, match=str(code)):
        check_close(code, "")


@pytest.mark.parametrize(("code", "reason"), [("1000", ""), (True, ""), (1000, b""), (1000, None)])
def test_wrong_types(code: Any, reason: Any) -> None:
    with pytest.raises(TypeError):
        check_close(code, reason)


def test_the_reason_is_measured_in_bytes() -> None:
    check_close(1000, "x" * 123)
    check_close(1000, "ä" * 61)
    with pytest.raises(ValueError, match="124 bytes"):
        check_close(1000, "ä" * 62)
    with pytest.raises(ValueError, match="surrogate"):
        check_close(1000, "\ud800")


def test_sentences_are_the_documented_ones() -> None:
    assert sentence_of(CloseCode.MESSAGE_TOO_BIG) == "Message too big."
    assert sentence_of(CloseCode.SERVICE_RESTART) == "Server is restarting."
    assert sentence_of(4000) == ""
