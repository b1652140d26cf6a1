"""Schemas and AsyncAPI: what encoders write and what the decoder takes is what is described."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wynd_chat.wire.strategies import AUTHORS, EVENTS, REQUESTS_OF_CLIENTS, ROOMS, USERS
from wynd_chat.domain.commands import COMMANDS
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.events import Author, Event
from wynd_chat.domain.models import Room, RoomKind, User, UserKind
from wynd_chat.wire.json_face import (
    Hello,
    HelloLimits,
    Malformed,
    author_object,
    command_object,
    decode,
    encode_error,
    encode_event,
    encode_hello,
    encode_presence,
    encode_reply,
    encode_tick,
    user_object,
)
from wynd_chat.wire.json_rooms import encode_entered, encode_exited
from wynd_chat.wire.json_sync import SyncRefused, SyncRoom, encode_sync
from wynd_chat.wire.requests import REQUESTS, Request, encode_request
from wynd_chat.wire.schemas import (
    EVENT_TYPES,
    NOTICE_TYPES,
    SCHEMAS,
    asyncapi_document,
    schema_of,
)
from wynd_chat.wire.times import time_text


def closed(schema: Any) -> Any:
    """Return a schema whose objects have no fields but those described."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {key: closed(value) for key, value in schema.items()}
    if copy.get("type") == "object" and "properties" in copy:
        copy["additionalProperties"] = False
    return copy


VALIDATORS = {name: jsonschema_rs.validator_for(closed(schema_of(name))) for name in SCHEMAS}


def assert_described(frame: str, name: str) -> None:
    VALIDATORS[name].validate(json.loads(frame))


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_one(name: str) -> None:
    jsonschema_rs.meta.validate(schema_of(name))


@given(EVENTS, st.booleans())
def test_events_are_as_described(event: Event, with_cid: bool) -> None:
    frame = encode_event(event, "dev", with_cid=with_cid)
    name = json.loads(frame)["type"]
    assert name in EVENT_TYPES
    assert_described(frame, name)
    assert_described(frame, "Event")


@given(AUTHORS, st.sampled_from(["online", "away", "offline"]), st.none() | st.text())
def test_notices_are_as_described(user: Author, state: str, text: str | None) -> None:
    assert_described(encode_presence(user, state, text), "presence")
    assert_described(encode_tick(0, {"dev": 0, "lobby": 44}), "tick")
    assert_described(encode_tick(0, {}, {"dev": 312}), "tick")


@given(ROOMS, st.none() | AUTHORS)
def test_memberships_are_as_described(room: Room, peer: Author | None) -> None:
    assert set(NOTICE_TYPES) == {"presence", "tick", "entered", "exited"}
    assert_described(encode_entered(room, room.last_seq, peer), "entered")
    assert_described(encode_exited(room), "exited")


@given(st.none() | USERS, st.booleans())
def test_hello_is_as_described(user: User | None, are_guests_allowed: bool) -> None:
    hello = Hello(
        server_name="Acme",
        server_version="1",
        epoch="9f2c",
        conn="c_8x",
        user=user,
        are_guests_allowed=are_guests_allowed,
        lobby="lobby",
        ping_s=25,
        features=("rooms",),
        limits=HelloLimits(8000, 10, 2.5, 26_214_400),
    )
    assert_described(encode_hello(hello), "hello")


@given(USERS)
def test_replies_are_as_described(user: User) -> None:
    shown = user_object(user)
    replies = {
        "auth": encode_reply(1, user=shown),
        "name": encode_reply("a", user=shown, token="t"),
        "send": encode_reply(3, room="dev", seq=42, at=time_text(0), dup=True),
        "read": encode_reply(4, seq=0),
        "command": encode_reply(5, result={"topic": "hi"}, lines=["Topic of #dev: hi"]),
        "commands": encode_reply(6, commands=[command_object(spec) for spec in COMMANDS]),
    }
    for name, frame in replies.items():
        assert_described(frame, f"{name}Reply")
    assert {*replies, "sync"} == set(REQUESTS)


@pytest.mark.parametrize("code", ErrorCode)
@pytest.mark.parametrize("retry_after", [None, 0.0, 1.5])
def test_refusals_are_as_described(code: ErrorCode, retry_after: float | None) -> None:
    error = ChatError(code, "a sentence", retry_after=retry_after)
    for request_id in (None, 1, "a"):
        assert_described(encode_error(request_id, error), "error")


@given(st.lists(EVENTS, max_size=3), AUTHORS)
def test_sync_is_as_described(events: list[Event], peer: Author) -> None:
    rooms: list[SyncRoom | SyncRefused] = [
        SyncRoom(room_shown="dev", kind=RoomKind.PUBLIC, head=9, read=0, events=events),
        SyncRoom(room_shown="ops", kind=RoomKind.PRIVATE, head=9, read=9, events=None),
        SyncRoom(room_shown="r_1", kind=RoomKind.DM, head=0, read=0, events=[], peer=peer),
        SyncRefused("secret"),
    ]
    assert_described(encode_sync(2, "e", rooms, viewer_id="u_A").frame, "syncReply")


def test_authors_are_no_users() -> None:
    author = author_object(Author("u_A", "Alice", UserKind.HUMAN))
    assert VALIDATORS["Author"].is_valid(author)
    assert not VALIDATORS["User"].is_valid(author)


@given(REQUESTS_OF_CLIENTS)
def test_what_clients_send_is_as_described(request_: Request) -> None:
    frame = encode_request(request_)
    assert_described(frame, f"{json.loads(frame)['type']}Request")


# Values that fit some fields and not others. No text near a limit in bytes, and no 1.0, which is
# an integer to a schema.
POOL = st.sampled_from(
    [None, True, -1, 0, 1, 500, 501, 1.5, "", " ", "x", "text", "me", "file", "/who", "//x", "a b",
     "x" * 65, "x" * 257, [], ["f_1"], ["f_1", "f_1"], ["f_1", 2], [""], list("abcdefghijk"), {},
     {"dev": 0}, {"dev": -1}, {"": 1}, {"dev": "1"}]
)  # fmt: skip


@given(st.data(), st.sampled_from(sorted(REQUESTS)))
def test_the_decoder_takes_exactly_what_is_described(data: st.DataObject, name: str) -> None:
    fields = [field.name for field in REQUESTS[name].fields]
    value: dict[str, Any] = {"type": name}
    for field in ("id", *fields):
        if data.draw(st.booleans(), f"has {field}"):
            value[field] = data.draw(POOL, field)
    try:
        decode(json.dumps(value))
        is_taken = True
    except Malformed:
        is_taken = False
    assert VALIDATORS[f"{name}Request"].is_valid(value) is is_taken


# The document


def references(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(references, value))
    if not isinstance(value, dict):
        return set()
    own = {value["$ref"]} if "$ref" in value else set()
    return own.union(*map(references, value.values()))


def test_the_document_refers_to_nothing_that_is_not_in_it() -> None:
    document = json.loads(json.dumps(asyncapi_document("http://localhost:3000", "1.2.0")))
    found = references(document)
    assert len(found) > 40
    for reference in found:
        place = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_the_document_describes_every_message_and_request() -> None:
    document = asyncapi_document("http://localhost:3000", "1.2.0")
    assert document["asyncapi"] == "3.0.0"
    assert document["info"]["version"] == "1.2.0"
    described = set(document["components"]["messages"])
    assert described >= {"hello", "error", *EVENT_TYPES, *NOTICE_TYPES}
    for name in REQUESTS:
        operation = document["operations"][name]
        assert operation["action"] == "receive"
        assert {f"{name}Request", f"{name}Reply"} <= described
    assert described == set(document["channels"]["chat"]["messages"])


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("http://localhost:3000", {"host": "localhost:3000", "protocol": "ws"}),
        ("https://example.org/", {"host": "example.org", "protocol": "wss"}),
        ("wss://[::1]:1/chat/", {"host": "[::1]:1", "protocol": "wss", "pathname": "/chat"}),
    ],
)
def test_the_document_says_where_the_server_is(url: str, server: dict[str, str]) -> None:
    assert asyncapi_document(url, "1")["servers"] == {"chat": server}


@pytest.mark.parametrize("url", ["", "localhost:3000", "ftp://x", "http://"])
def test_a_server_without_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        asyncapi_document(url, "1")
