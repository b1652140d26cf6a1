"""The exceptions say what was wrong and what to do."""

from __future__ import annotations

import pytest

from wynd.errors import (
    ConnectionClosed,
    HandlerError,
    LimitExceeded,
    ProtocolError,
    Reject,
    WyndError,
)


def test_all_share_one_base() -> None:
    for error in (ConnectionClosed(), LimitExceeded("x", 1), ProtocolError(1002), Reject()):
        assert isinstance(error, WyndError)


def test_messages_name_the_facts() -> None:
    assert "received 1006" in str(ConnectionClosed(None, 1006))
    assert "Limits(rooms_per_connection_max=...)" in str(
        LimitExceeded("rooms_per_connection_max", 200)
    )
    assert "1002" in str(ProtocolError(1002))
    assert str(HandlerError(ValueError("bad"))) == "ValueError: bad"


def test_reject_refuses_what_could_not_be_sent() -> None:
    assert (Reject(4000, "no").code, Reject(4000, "no").reason) == (4000, "no")
    with pytest.raises(ValueError, match="1006"):
        Reject(1006)
