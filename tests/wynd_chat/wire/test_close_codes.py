"""Closing: the codes of the protocol, their reasons, and when a client may come back."""

from __future__ import annotations

import pytest

from wynd_chat.wire.close_codes import REASON_BYTES_MAX, Advice, CloseCode, Closing, closing


def test_the_codes_are_those_of_the_protocol() -> None:
    assert sorted(CloseCode) == [
        *(1000, 1001, 1002, 1007, 1009, 1012, 1013),
        *(4000, 4008, 4010, 4029, 4500, 4501, 4503, 4509),
    ]


@pytest.mark.parametrize("code", CloseCode)
def test_every_code_has_a_short_ascii_reason(code: CloseCode) -> None:
    wait = 86_400.0 if code.advice is Advice.WAIT else None
    frame = closing(code, retry_after_s=wait)
    assert frame.code == code
    assert frame.reason.startswith(code.reason)
    assert frame.reason.isascii()
    assert 0 < len(frame.reason) <= REASON_BYTES_MAX


@pytest.mark.parametrize("code", [code for code in CloseCode if code >= 4000])
def test_the_range_tells_whether_to_come_back(code: CloseCode) -> None:
    stays_away = {Advice.REPORT, Advice.LOGIN, Advice.TELL}
    assert (code.advice in stays_away) is (code >= 4500)


@pytest.mark.parametrize(
    ("code", "wait", "reason"),
    [
        (CloseCode.RESTART, 1.5, "the server restarts; retry_after=1.5"),
        (CloseCode.RESTART, 2.0, "the server restarts; retry_after=2"),
        (CloseCode.OVERLOAD, 0.04, "the server is overloaded; retry_after=0"),
        (CloseCode.OVERLOAD, -3, "the server is overloaded; retry_after=0"),
        (CloseCode.FLOODING, None, "flooding; retry_after=30"),
        (CloseCode.FLOODING, 12, "flooding; retry_after=12"),
    ],
)
def test_a_wait_ends_the_reason(code: CloseCode, wait: float | None, reason: str) -> None:
    assert closing(code, retry_after_s=wait) == Closing(int(code), reason)


@pytest.mark.parametrize(("code", "wait"), [(CloseCode.RESTART, None), (CloseCode.BYE, 1.0)])
def test_a_wait_that_does_not_fit_is_refused(code: CloseCode, wait: float | None) -> None:
    with pytest.raises(ValueError, match=code.name):
        closing(code, retry_after_s=wait)
