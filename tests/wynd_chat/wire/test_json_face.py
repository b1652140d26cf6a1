"""The JSON face: what each frame is, and which code each bad one gets."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wynd_chat.wire.strategies import EVENTS
from wynd_chat.domain.errors import ChatError, ErrorCode, UsageError
from wynd_chat.domain.events import (
    Author,
    Event,
    EventBody,
    FileInfo,
    Joined,
    LeaveHow,
    Left,
    Message,
    MessageKind,
    RoleChanged,
    TopicChanged,
)
from wynd_chat.domain.models import RoomRole, ServerRole, User, UserKind
from wynd_chat.wire.json_face import (
    Auth,
    Command,
    Commands,
    Hello,
    HelloLimits,
    Malformed,
    Name,
    Read,
    Request,
    Send,
    Sync,
    add_cid,
    decode,
    encode_error,
    encode_event,
    encode_hello,
    encode_presence,
    encode_reply,
    encode_tick,
    event_object,
    user_object,
)

BIG = "9" * 400
LONG_CID = "é" * 33

GOOD: dict[str, Request] = {
    '{"id":1,"type":"auth","token":"t"}': Auth(1, "t"),
    '{"id":"a","type":"name","name":"Alice"}': Name("a", "Alice"),
    '{"type":"name","name":""}': Name(None, ""),
    '{"id":2,"type":"sync","epoch":"9f2c","rooms":{"lobby":41,"dev":7},"limit":200}': Sync(
        2, "9f2c", {"lobby": 41, "dev": 7}, 200
    ),
    '{"id":null,"type":"sync","epoch":"","rooms":{}}': Sync(None, "", {}, 200),
    '{"id":3,"type":"send","room":"dev","cid":"01JD","text":"hello","reply_to":39,'
    '"files":["f_1"]}': Send(3, "dev", "01JD", "hello", MessageKind.TEXT, ("f_1",), 39),
    '{"type":"send","room":"@Bob","text":"/no command","kind":"me"}': Send(
        None, "@Bob", None, "/no command", MessageKind.ME
    ),
    '{"type":"send","room":"dev","files":["f_1"],"cid":null,"text":null,"kind":null,'
    '"reply_to":null}': Send(None, "dev", files=("f_1",)),
    '{"type":"send","room":"dev","text":"hi","kind":"text"}': Send(None, "dev", text="hi"),
    '{"id":4,"type":"read","room":"dev","seq":42}': Read(4, "dev", 42),
    '{"id":5,"type":"command","room":"dev","text":" /topic hi "}': Command(5, "dev", "/topic hi"),
    '{"id":6,"type":"commands","later":{"unknown":[1,2]}}': Commands(6),
    ' \n{"type":"commands"}\t': Commands(None),
}


@pytest.mark.parametrize(("frame", "request_"), GOOD.items())
def test_a_request_is_read(frame: str, request_: Request) -> None:
    assert decode(frame) == request_


# Frames that count towards close 4500: always bad_request, and never with an id.
MALFORMED = [
    "",
    " ",
    "hello",
    "/name Alice",
    "{",
    "}",
    "{}}",
    '{"type":"commands"',
    '{"type":"commands",}',
    "{'type':'commands'}",
    '{type:"commands"}',
    '{"type":"commands"} {"type":"commands"}',
    '\ufeff{"type":"commands"}',
    '{"type":"commands"}\0',
    '// x\n{"type":"commands"}',
    "null",
    "true",
    "1",
    '"commands"',
    "[]",
    '[{"type":"commands"}]',
    '{"type":"commands","id":1,"id":2}',
    '{"type":"send","type":"commands","id":1}',
    '{"id":1,"type":"sync","epoch":"e","rooms":{"dev":1,"dev":2}}',
    r'{"id":1,"type":"commands","a":1,"\u0061":2}',
    '{"id":NaN,"type":"commands"}',
    '{"id":1,"type":"commands","a":NaN}',
    '{"id":1,"type":"commands","a":Infinity}',
    '{"id":1,"type":"commands","a":-Infinity}',
    '{"id":1,"type":"commands","a":1e400}',
    '{"id":1,"type":"commands","a":' + BIG + "}",
    '{"id":1,"type":"commands","a":-' + BIG + "}",
    '{"id":1,"type":"commands","a":0.' + BIG + "}",
    '{"id":9007199254740992,"type":"commands"}',
    '{"id":1,"type":"commands","a":01}',
    '{"id":1,"type":"commands","a":+1}',
    '{"id":1,"type":"commands","a":0x10}',
    '{"id":1,"type":"commands","a":1.}',
    r'{"id":1,"type":"name","name":"\ud800"}',
    r'{"id":1,"type":"name","name":"\udc00\ud800"}',
    r'{"id":1,"type":"name","\uDFFF":1}',
    '{"id":1,"type":"name","name":"\ud83d"}',
    r'{"id":1,"type":"name","name":"\x41"}',
    r'{"id":1,"type":"name","name":"\u12"}',
    '{"id":1,"type":"name","name":"a\nb"}',
    '{"id":1,"type":"name","name":"a\x00b"}',
    '{"id":1,"type":"name","name":"a',
    '{"id":1,"type":"name","name":"a\\',
    '{"a":' * 17 + "1" + "}" * 17,
    "[" * 60_000,
    '{"a":' * 10_000,
    '{"id":1,"type":"commands","a":' + "[" * 16 + "]" * 16 + "}",
    "[" * 17 + '"' * 60_000,
    '{"id":1,"type":"name","name":"' + "a" * 65_536 + '"}',
    "{" + ",".join('"a":1' for _ in range(9_000)) + "}",
    '{"id":1.5,"type":"commands"}',
    '{"id":1.0,"type":"commands"}',
    '{"id":true,"type":"commands"}',
    '{"id":[1],"type":"commands"}',
    '{"id":{},"type":"commands"}',
    '{"id":"' + "a" * 65 + '","type":"commands"}',
    '{"id":"' + LONG_CID + '","type":"commands"}',
]
# A type is missing: the id is known.
TYPELESS = [
    '{"id":7}',
    '{"id":7,"type":null}',
    '{"id":7,"type":1}',
    '{"id":7,"type":["send"]}',
    '{"id":7,"Type":"send"}',
]
# Requests whose fields do not fit: they count nowhere.
UNFIT = [
    ("auth", "{}", "bad_request"),
    ("auth", '{"token":""}', "bad_request"),
    ("auth", '{"token":null}', "bad_request"),
    ("auth", '{"token":["t"]}', "bad_request"),
    ("auth", '{"token":"' + "t" * 1025 + '"}', "bad_request"),
    ("name", "{}", "bad_request"),
    ("name", '{"name":5}', "bad_request"),
    ("name", '{"name":{"__proto__":"x"}}', "bad_request"),
    ("sync", "{}", "bad_request"),
    ("sync", '{"rooms":{}}', "bad_request"),
    ("sync", '{"epoch":1,"rooms":{}}', "bad_request"),
    ("sync", '{"epoch":"e","rooms":[]}', "bad_request"),
    ("sync", '{"epoch":"e","rooms":{"dev":-1}}', "bad_request"),
    ("sync", '{"epoch":"e","rooms":{"dev":"1"}}', "bad_request"),
    ("sync", '{"epoch":"e","rooms":{"dev":1.0}}', "bad_request"),
    ("sync", '{"epoch":"e","rooms":{"dev":true}}', "bad_request"),
    ("sync", '{"epoch":"e","rooms":{"":1}}', "bad_request"),
    ("sync", r'{"epoch":"e","rooms":{"\u0000":1}}', "bad_request"),
    ("sync", '{"epoch":"e","rooms":{},"limit":0}', "bad_request"),
    ("sync", '{"epoch":"e","rooms":{},"limit":501}', "bad_request"),
    ("sync", '{"epoch":"e","rooms":{},"limit":"200"}', "bad_request"),
    ("send", '{"text":"x"}', "bad_request"),
    ("send", '{"room":"dev"}', "bad_request"),
    ("send", '{"room":"dev","text":""}', "bad_request"),
    ("send", '{"room":"dev","text":" \\n "}', "bad_request"),
    ("send", r'{"room":"dev","text":"\u0000"}', "bad_request"),
    ("send", '{"room":"dev","text":"","files":[]}', "bad_request"),
    ("send", '{"room":"dev","text":7}', "bad_request"),
    ("send", '{"room":"","text":"x"}', "bad_request"),
    ("send", '{"room":"' + "d" * 257 + '","text":"x"}', "bad_request"),
    ("send", '{"room":7,"text":"x"}', "bad_request"),
    ("send", '{"room":"dev","text":"x","cid":""}', "bad_request"),
    ("send", r'{"room":"dev","text":"x","cid":"\u0000"}', "bad_request"),
    ("send", '{"room":"dev","text":"x","cid":1}', "bad_request"),
    ("send", '{"room":"dev","text":"x","cid":"' + LONG_CID + '"}', "bad_request"),
    ("send", '{"room":"dev","text":"x","kind":1}', "bad_request"),
    ("send", '{"room":"dev","text":"x","kind":"file"}', "unsupported"),
    ("send", '{"room":"dev","text":"x","kind":"system"}', "unsupported"),
    ("send", '{"room":"dev","text":"x","files":"f_1"}', "bad_request"),
    ("send", '{"room":"dev","text":"x","files":[1]}', "bad_request"),
    ("send", '{"room":"dev","text":"x","files":[""]}', "bad_request"),
    ("send", '{"room":"dev","text":"x","files":["a","a"]}', "bad_request"),
    ("send", '{"room":"dev","files":' + json.dumps(list("abcdefghijk")) + "}", "bad_request"),
    ("send", '{"room":"dev","text":"x","reply_to":0}', "bad_request"),
    ("send", '{"room":"dev","text":"x","reply_to":"^"}', "bad_request"),
    ("read", '{"room":"dev"}', "bad_request"),
    ("read", '{"room":"dev","seq":-1}', "bad_request"),
    ("read", '{"room":"dev","seq":1e3}', "bad_request"),
    ("read", '{"room":"dev","seq":null}', "bad_request"),
    ("command", '{"room":"dev"}', "bad_request"),
    ("command", '{"text":"/who"}', "bad_request"),
    ("command", '{"room":"dev","text":5}', "bad_request"),
    ("command", '{"room":"dev","text":""}', "bad_request"),
    ("command", '{"room":"dev","text":"who"}', "bad_request"),
    ("command", '{"room":"dev","text":"//who"}', "bad_request"),
    ("", "{}", "unsupported"),
    ("SEND", '{"room":"dev","text":"x"}', "unsupported"),
    ("typing", '{"room":"dev","state":"active"}', "unsupported"),
    ("__proto__", "{}", "unsupported"),
    ("constructor", "{}", "unsupported"),
]


def refusal(frame: str) -> Malformed:
    """Return what a frame is refused with, which takes under 20 ms."""
    seconds = []
    for _ in range(3):  # the best counts: a collection of the whole test run may fall into one
        began = time.thread_time()
        with pytest.raises(Malformed) as caught:
            decode(frame)
        seconds.append(time.thread_time() - began)
    assert min(seconds) < 0.02
    reply = json.loads(encode_error(caught.value.request_id, caught.value))
    assert reply["error"]["code"] == caught.value.code
    return caught.value


def test_there_are_enough_hostile_frames() -> None:
    assert len({*MALFORMED, *TYPELESS}) >= 64


@pytest.mark.parametrize("frame", MALFORMED, ids=lambda frame: repr(frame[:40]))
def test_a_malformed_frame_is_refused_and_counts(frame: str) -> None:
    error = refusal(frame)
    assert (error.code, error.request_id, error.is_malformed) == ("bad_request", None, True)


@pytest.mark.parametrize("frame", TYPELESS)
def test_a_frame_without_type_is_refused_under_its_id(frame: str) -> None:
    error = refusal(frame)
    assert (error.code, error.request_id, error.is_malformed) == ("bad_request", 7, True)


@pytest.mark.parametrize(("kind", "fields", "code"), UNFIT)
def test_a_field_that_does_not_fit_is_refused_and_does_not_count(
    kind: str, fields: str, code: str
) -> None:
    rest = fields[1:-1]
    error = refusal(f'{{"id":"q","type":"{kind}"{"," if rest else ""}{rest}}}')
    assert (error.code, error.request_id, error.is_malformed) == (code, "q", False)


def test_a_refusal_says_which_field_and_what_it_takes() -> None:
    def sentence(frame: str) -> str:
        return refusal(frame).sentence

    assert sentence('{"type":"read","room":"dev"}') == "seq is missing"
    assert sentence('{"type":"read","room":"dev","seq":"4"}') == "seq must be an integer"
    assert sentence('{"type":"send","room":"dev"}') == "text is empty and there are no files"
    assert sentence('{"type":"x"}').startswith("unknown type, known are auth, command,")
    assert sentence('{"a"}') == "not valid JSON at character 5"


@given(st.text(max_size=200) | st.text('{}[]":,\\u0d8aidtypesendroom 1-.', max_size=80))
def test_any_text_is_a_request_or_refused(frame: str) -> None:
    codes = set()
    try:
        decode(frame)
    except Malformed as error:
        codes.add(error.code)
    assert codes <= {ErrorCode.BAD_REQUEST, ErrorCode.UNSUPPORTED}


# What the server sends

ALICE = Author("u_A", "Alice", UserKind.HUMAN)
BOB = Author("u_B", "Bob", UserKind.GUEST)
ALICE_OBJECT = {"id": "u_A", "name": "Alice", "kind": "human"}
BOB_OBJECT = {"id": "u_B", "name": "Bob", "kind": "guest"}
AT = 1_795_461_845_123
AT_TEXT = "2026-11-23T19:24:05.123Z"
MESSAGE = Message(id="m_1", author=ALICE, kind=MessageKind.TEXT, text="hello", cid="01JD")
MESSAGE_OBJECT: dict[str, Any] = {
    "type": "message",
    "from": ALICE_OBJECT,
    "kind": "text",
    "text": "hello",
    "mentions": [],
    "files": [],
}
FULL = Message(
    id="m_2",
    author=Author(None, "Deleted user", UserKind.HUMAN),
    kind=MessageKind.FILE,
    text="",
    mentions=("u_B",),
    files=(FileInfo("f_1", "cat.png", "image/png", 120_000, 640, None),),
    reply_to=39,
    edited_at=AT,
    is_deleted=True,
    is_hidden=True,
)
EVENT_OBJECTS: list[tuple[EventBody, dict[str, Any]]] = [
    (MESSAGE, MESSAGE_OBJECT | {"cid": "01JD"}),
    (
        FULL,
        {
            "type": "message",
            "from": {"id": None, "name": "Deleted user", "kind": "human"},
            "kind": "file",
            "text": "",
            "mentions": ["u_B"],
            "files": [
                {
                    "id": "f_1",
                    "name": "cat.png",
                    "mime": "image/png",
                    "size": 120_000,
                    "w": 640,
                    "h": None,
                }
            ],
            "reply_to": 39,
            "edited_at": AT_TEXT,
            "deleted": True,
            "hidden": True,
        },
    ),
    (TopicChanged(ALICE, "hi"), {"type": "topic", "from": ALICE_OBJECT, "topic": "hi"}),
    (Joined(BOB), {"type": "joined", "user": BOB_OBJECT}),
    (
        Left(BOB, LeaveHow.KICK, ALICE, "spam"),
        {"type": "left", "user": BOB_OBJECT, "how": "kick", "by": ALICE_OBJECT, "reason": "spam"},
    ),
    (
        Left(BOB, LeaveHow.LEAVE),
        {"type": "left", "user": BOB_OBJECT, "how": "leave", "by": None, "reason": ""},
    ),
    (
        RoleChanged(BOB, RoomRole.OP, ALICE),
        {"type": "role", "user": BOB_OBJECT, "role": "op", "by": ALICE_OBJECT},
    ),
    (
        RoleChanged(BOB, RoomRole.MEMBER, ALICE, AT),
        {
            "type": "role",
            "user": BOB_OBJECT,
            "role": "member",
            "by": ALICE_OBJECT,
            "silenced_until": AT_TEXT,
        },
    ),
    (
        RoleChanged(BOB, RoomRole.MEMBER, ALICE, AT, "too loud"),
        {
            "type": "role",
            "user": BOB_OBJECT,
            "role": "member",
            "by": ALICE_OBJECT,
            "silenced_until": AT_TEXT,
            "reason": "too loud",
        },
    ),
    (
        RoleChanged(BOB, RoomRole.MEMBER, ALICE, 0),
        {
            "type": "role",
            "user": BOB_OBJECT,
            "role": "member",
            "by": ALICE_OBJECT,
            "silenced_until": None,
        },
    ),
]


@pytest.mark.parametrize(("body", "wanted"), EVENT_OBJECTS)
def test_an_event_has_its_fields_and_no_others(body: EventBody, wanted: dict[str, Any]) -> None:
    frame = json.loads(encode_event(Event("r_1", 42, AT, body), "dev", with_cid=True))
    assert frame == {"room": "dev", "seq": 42, "at": AT_TEXT} | wanted


@pytest.mark.parametrize("cid", ["01JD", '"', "\\", "é€😀", "}", " "])
def test_a_frame_with_the_cid_added_is_the_frame_with_the_cid(cid: str) -> None:
    event = Event("r_1", 42, AT, replace(MESSAGE, cid=cid))
    frame = encode_event(event, "dev", with_cid=False)
    assert add_cid(frame, cid) == encode_event(event, "dev", with_cid=True)


def test_only_the_author_gets_the_cid() -> None:
    event = Event("r_1", 42, AT, MESSAGE)
    assert "cid" not in event_object(event, "dev", with_cid=False)


@given(EVENTS, st.booleans())
def test_every_event_can_be_encoded_in_one_line(event: Event, with_cid: bool) -> None:
    frame = encode_event(event, "dev", with_cid=with_cid)
    assert "\n" not in frame
    assert json.loads(frame) == event_object(event, "dev", with_cid=with_cid)


USER = User(
    id="u_A",
    name="Alice",
    name_key="alice",
    name_skeleton="alice",
    kind=UserKind.HUMAN,
    role=ServerRole.ADMIN,
    password_hash="$argon2id$secret",
    created_at=0,
    last_seen_at=0,
)
USER_OBJECT = {"id": "u_A", "name": "Alice", "kind": "human", "role": "admin"}


@pytest.mark.parametrize("user", [None, USER])
def test_the_server_says_hello(user: User | None) -> None:
    hello = Hello(
        server_name="Acme",
        server_version="1.2.0",
        epoch="9f2c",
        conn="c_8x",
        user=user,
        are_guests_allowed=True,
        lobby="lobby",
        ping_s=25,
        features=("rooms", "upload"),
        limits=HelloLimits(8000, 10, 2, 26_214_400),
    )
    assert json.loads(encode_hello(hello)) == {
        "type": "hello",
        "v": 1,
        "server": {"name": "Acme", "version": "1.2.0"},
        "epoch": "9f2c",
        "conn": "c_8x",
        "user": None if user is None else USER_OBJECT,
        "guests": True,
        "lobby": "lobby",
        "ping": 25,
        "features": ["rooms", "upload"],
        "limits": {
            "text": 8000,
            "frame": 65536,
            "burst": 10,
            "per_second": 2,
            "upload": 26_214_400,
        },
    }


def test_replies_are_as_in_the_protocol() -> None:
    assert user_object(USER) == USER_OBJECT
    assert encode_reply(4, seq=42) == '{"re":4,"ok":true,"seq":42}'
    assert encode_reply("a", room="dev", dup=True) == '{"re":"a","ok":true,"room":"dev","dup":true}'
    slow = ChatError(ErrorCode.RATE_LIMITED, "Slow down", retry_after=1.5)
    assert encode_error(7, slow) == (
        '{"re":7,"ok":false,"error":{"code":"rate_limited","message":"Slow down",'
        '"retry_after":1.5,"temporary":true}}'
    )
    assert encode_error(None, UsageError("/topic [TEXT|-]")) == (
        '{"re":null,"ok":false,"error":{"code":"bad_request",'
        '"message":"Usage: /topic [TEXT|-]","temporary":false}}'
    )


def test_notices_have_no_seq() -> None:
    assert json.loads(encode_presence(ALICE, "online")) == {
        "type": "presence",
        "user": ALICE_OBJECT,
        "state": "online",
    }
    assert json.loads(encode_presence(ALICE, "away", ""))["text"] == ""
    assert json.loads(encode_tick(AT, {"dev": 49})) == {
        "type": "tick",
        "at": AT_TEXT,
        "heads": {"dev": 49},
    }
    assert json.loads(encode_tick(AT, {}, {"dev": 312}))["online"] == {"dev": 312}
