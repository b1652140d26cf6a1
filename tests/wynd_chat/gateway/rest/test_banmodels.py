"""Objects of moderation: what is taken is strict, and bounded where the domain is."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from wynd_chat.domain.durations import DURATION_MAX_S
from wynd_chat.gateway.rest.banmodels import NewBan, NewServerBan, Silence


@pytest.mark.parametrize(
    "value",
    [
        {"user": 1},
        {"seconds": "60"},
        {"seconds": 0},
        {"seconds": DURATION_MAX_S + 1},
        {"purge_seconds": -1},
        {"reason": None},
        {"reasons": ""},
        {"address": "192.0.2.1"},
    ],
)
def test_what_is_no_ban_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        NewBan.model_validate(value)


def test_a_ban_from_the_server_may_be_of_an_address() -> None:
    assert NewServerBan.model_validate({"address": "192.0.2.1"}).address == "192.0.2.1"


def test_a_silence_lasts_ten_minutes_unless_told_otherwise() -> None:
    assert Silence.model_validate({}).seconds == 600
    assert Silence.model_validate({"seconds": None}).seconds is None
