"""Requests of the JSON face: one table for decoder and schemas, and the client's side of it."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from hypothesis import given

from tests.wynd_chat.wire.strategies import REQUESTS_OF_CLIENTS
from wynd_chat.wire.json_face import decode
from wynd_chat.wire.requests import REQUESTS, Auth, Commands, Request, Send, encode_request


@given(REQUESTS_OF_CLIENTS)
def test_a_request_comes_back_as_it_was_sent(request: Request) -> None:
    assert decode(encode_request(request)) == request


def test_a_frame_has_no_more_than_it_needs() -> None:
    assert encode_request(Commands(None)) == '{"type":"commands"}'
    assert json.loads(encode_request(Send(1, "dev", text="hé"))) == {
        "type": "send",
        "id": 1,
        "room": "dev",
        "text": "hé",
    }
    assert encode_request(Auth(0, "t")) == '{"type":"auth","id":0,"token":"t"}'


@pytest.mark.parametrize("name", REQUESTS)
def test_the_table_names_the_fields_of_its_class(name: str) -> None:
    entry = REQUESTS[name]
    parts = {part.name for part in fields(entry.build)}  # type: ignore[arg-type]
    assert parts == {"id", *(field.name for field in entry.fields)}


@pytest.mark.parametrize("name", REQUESTS)
def test_every_type_and_field_is_described(name: str) -> None:
    assert REQUESTS[name].summary
    for field in REQUESTS[name].fields:
        assert field.schema["description"]
