"""The reply to sync: whole or `gap`, within its size, with cids for their author only."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tests.wynd_chat.wire.strategies import EVENTS
from wynd_chat.domain.events import Author, Event, Joined, Message, MessageKind
from wynd_chat.domain.models import RoomKind, UserKind
from wynd_chat.wire.json_face import event_object
from wynd_chat.wire.json_sync import SyncRefused, SyncRoom, encode_sync

BOB = Author("u_B", "Bob", UserKind.HUMAN)


def room(
    name: str,
    events: list[Event] | None,
    *,
    kind: RoomKind = RoomKind.PUBLIC,
    head: int = 44,
    read: int = 40,
    peer: Author | None = None,
) -> SyncRoom:
    return SyncRoom(room_shown=name, kind=kind, head=head, read=read, events=events, peer=peer)


def message(seq: int, text: str, author: str = "u_A") -> Event:
    who = Author(author, "Alice", UserKind.HUMAN)
    body = Message(id=f"m_{seq}", author=who, kind=MessageKind.TEXT, text=text, cid=f"c{seq}")
    return Event("r_1", seq, 0, body)


def test_each_kind_of_room_has_its_entry() -> None:
    events = [Event("r_1", 44, 0, Joined(BOB))]
    rooms: list[SyncRoom | SyncRefused] = [
        room("lobby", events),
        room("dev", None, head=9001, read=7),
        room("r_2", [], kind=RoomKind.DM, peer=BOB),
        SyncRefused("secret"),
    ]
    reply = encode_sync(2, "9f2c", rooms, viewer_id="u_A")
    assert json.loads(reply.frame) == {
        "re": 2,
        "ok": True,
        "epoch": "9f2c",
        "rooms": [
            {
                "room": "lobby",
                "kind": "public",
                "head": 44,
                "read": 40,
                "events": [event_object(events[0], "lobby", with_cid=False)],
            },
            {"room": "dev", "kind": "public", "head": 9001, "read": 7, "gap": True},
            {
                "room": "r_2",
                "kind": "dm",
                "with": {"id": "u_B", "name": "Bob", "kind": "human"},
                "head": 44,
                "read": 40,
                "events": [],
            },
            {"room": "secret", "error": "not_member"},
        ],
    }
    assert reply.gap_count == 1


def test_no_rooms_is_a_reply_too() -> None:
    reply = encode_sync("x", "e", [], viewer_id="u_A")
    assert json.loads(reply.frame) == {"re": "x", "ok": True, "epoch": "e", "rooms": []}


def test_cids_go_to_their_author_only() -> None:
    rooms = [room("dev", [message(1, "mine"), message(2, "theirs", "u_B")])]
    events = json.loads(encode_sync(1, "e", rooms, viewer_id="u_A").frame)["rooms"][0]["events"]
    assert [event.get("cid") for event in events] == ["c1", None]


def test_a_room_that_does_not_fit_has_a_gap_and_the_next_may_fit() -> None:
    rooms = [
        room("big", [message(n, "x" * 8000) for n in range(70)]),
        room("small", [message(1, "hi")]),
    ]
    reply = encode_sync(1, "e", rooms, viewer_id="u_A")
    big, small = json.loads(reply.frame)["rooms"]
    assert big == {"room": "big", "kind": "public", "head": 44, "read": 40, "gap": True}
    assert len(small["events"]) == 1
    assert reply.gap_count == 1
    assert len(reply.frame.encode()) <= 512 * 1024


@given(
    st.lists(st.lists(EVENTS, max_size=4) | st.none(), max_size=5),
    st.integers(0, 4000),
)
def test_events_are_whole_or_not_there(lists: list[list[Event] | None], bytes_max: int) -> None:
    rooms = [room(f"room{n}", events) for n, events in enumerate(lists)]
    bare = len(encode_sync(1, "e", [room(r.room_shown, None) for r in rooms], viewer_id="").frame)
    reply = encode_sync(1, "e", rooms, viewer_id="u_A", bytes_max=bytes_max)
    entries = json.loads(reply.frame)["rooms"]
    assert len(reply.frame.encode()) <= max(bytes_max, bare)
    assert reply.gap_count == sum("gap" in entry for entry in entries)
    for entry, events in zip(entries, lists, strict=True):
        if events is None or "gap" in entry:
            assert "events" not in entry
        else:
            assert [event["seq"] for event in entry["events"]] == [event.seq for event in events]
