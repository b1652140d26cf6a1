"""The models take exactly what they say, and each is described."""

from __future__ import annotations

import inspect

import pytest
from pydantic import BaseModel, ValidationError

from wynd_chat.gateway.rest import models

MODELS = [getattr(models, name) for name in models.__all__]


@pytest.mark.parametrize("model", MODELS, ids=models.__all__)
def test_every_model_is_described(model: type[BaseModel]) -> None:
    assert inspect.getdoc(model)


@pytest.mark.parametrize(
    ("model", "value"),
    [
        (models.NewRoom, {"name": "dev", "private": 1}),
        (models.NewRoom, {"name": "dev", "more": 1}),
        (models.NewRoom, {"name": "dev", "key": ""}),
        (models.RoomPatchBody, {"slow_s": 21601}),
        (models.RoomPatchBody, {"slow_s": "1"}),
        (models.NewMessage, {"text": None}),
        (models.NewMessage, {"kind": "system"}),
        (models.NewMessage, {"reply_to": 2**53}),
        (models.NewMessage, {"files": ["f"] * 101}),
        (models.ReadMarks, {"rooms": {"dev": 2**53}}),
        (models.ReadMarks, {"rooms": {str(number): 1 for number in range(1001)}}),
        (models.MePatch, {"prefs": {"sound": True}}),
        (models.CommandText, {"text": 1}),
    ],
)
def test_what_is_taken_is_strict(model: type[BaseModel], value: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(value)


def test_what_is_given_may_grow() -> None:
    status = {"users": 0, "status": "online", "version": "1", "uptime_s": 1, "rooms": 1, "new": 1}
    assert models.Status.model_validate(status).model_dump()["new"] == 1
