"""What the wire's property tests draw: users, events with hostile texts, requests."""

from __future__ import annotations

from hypothesis import strategies as st

from wynd_chat.domain.events import (
    Author,
    Event,
    FileInfo,
    Joined,
    LeaveHow,
    Left,
    Message,
    MessageKind,
    RoleChanged,
    TopicChanged,
)
from wynd_chat.domain.models import Room, RoomKind, RoomRole, ServerRole, User, UserKind
from wynd_chat.wire.requests import (
    FILES_MAX,
    SYNC_LIMIT_MAX,
    Auth,
    Command,
    Commands,
    Name,
    Read,
    Request,
    Send,
    Sync,
)
from wynd_chat.wire.strict_json import INTEGER_MAX

# Pieces that terminals and line readers trip over, beside any text at all.
TRAPS = st.sampled_from(
    [
        "\n", "\r", "\r\n", "\x85", "\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\x1e", "\t",
        "\x1b[31m", "\x1b]0;title\x07", "\x1bP1$r\x1b\\", "\x1b", "\x9b2J", "\x9d0;x\x9c",
        "\x00", "\x07", "\x08", "\x7f", "\x90", "\u202e", "\u2066", "\u2069", "\u061c", "\u200e",
        "Bob: I quit", "* Bob waves", "-- server", "[from Bob] hi", "Error: no [internal]", "  | ",
    ]
)  # fmt: skip
HOSTILE = st.lists(TRAPS | st.text(max_size=8), max_size=8).map("".join)
LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
IDS = st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=1, max_size=8)

AUTHORS = st.builds(
    Author, st.none() | IDS.map("u_{}".format), HOSTILE, st.sampled_from(list(UserKind))
)
TIMES = st.integers(-1, 2**63)
FILES = st.builds(
    FileInfo,
    IDS.map("f_{}".format),
    HOSTILE,
    st.sampled_from(["image/png", "text/plain"]),
    st.integers(0, 2**40),
    st.none() | st.integers(1, 9000),
    st.none() | st.integers(1, 9000),
)
MESSAGES = st.builds(
    Message,
    id=IDS.map("m_{}".format),
    author=AUTHORS,
    kind=st.sampled_from(list(MessageKind)),
    text=HOSTILE,
    mentions=st.lists(IDS.map("u_{}".format), max_size=3).map(tuple),
    files=st.lists(FILES, max_size=3).map(tuple),
    reply_to=st.none() | st.integers(1, 1000),
    edited_at=st.none() | TIMES,
    is_deleted=st.booleans(),
    cid=st.none() | LINE.filter(bool),
    is_hidden=st.sampled_from([False, False, False, True]),
)
BODIES = (
    MESSAGES
    | st.builds(TopicChanged, AUTHORS, HOSTILE)
    | st.builds(Joined, AUTHORS)
    | st.builds(Left, AUTHORS, st.sampled_from(list(LeaveHow)), st.none() | AUTHORS, HOSTILE)
    | st.builds(
        RoleChanged,
        AUTHORS,
        st.sampled_from(list(RoomRole)),
        AUTHORS,
        st.none() | st.just(0) | TIMES,
    )
)
EVENTS = st.builds(Event, st.just("r_1"), st.integers(1, INTEGER_MAX), TIMES, BODIES)
MESSAGE_EVENTS = st.builds(Event, st.just("r_1"), st.integers(1, INTEGER_MAX), TIMES, MESSAGES)
ROOMS = st.builds(
    Room,
    id=st.just("r_1"),
    kind=st.sampled_from(list(RoomKind)),
    name=st.sampled_from(["dev", "ops", None]),
    name_key=st.none(),
    topic=HOSTILE,
    created_by=st.none(),
    created_at=st.just(0),
)
USERS = st.builds(
    User,
    id=IDS.map("u_{}".format),
    name=HOSTILE,
    name_key=st.none(),
    name_skeleton=st.none(),
    kind=st.sampled_from(list(UserKind)),
    role=st.sampled_from(list(ServerRole)),
    away=st.none() | HOSTILE,
    created_at=TIMES,
    last_seen_at=TIMES,
)

REQUEST_IDS = st.none() | st.integers(-INTEGER_MAX, INTEGER_MAX) | st.text("aé😀", max_size=16)
SHORT = LINE.filter(bool)
SEQS = st.integers(0, INTEGER_MAX)
VISIBLE = LINE.map("x{}".format)
REQUESTS_OF_CLIENTS: st.SearchStrategy[Request] = st.one_of(
    st.builds(Auth, REQUEST_IDS, SHORT),
    st.builds(Name, REQUEST_IDS, LINE),
    st.builds(
        Sync,
        REQUEST_IDS,
        IDS,
        st.dictionaries(SHORT, SEQS, max_size=5),
        st.integers(1, SYNC_LIMIT_MAX),
    ),
    st.builds(
        Send,
        REQUEST_IDS,
        SHORT,
        st.none() | st.text("abé", min_size=1, max_size=32),
        VISIBLE,
        st.sampled_from([MessageKind.TEXT, MessageKind.ME]),
        st.lists(IDS, unique=True, max_size=FILES_MAX).map(tuple),
        st.none() | st.integers(1, INTEGER_MAX),
    ),
    st.builds(Read, REQUEST_IDS, SHORT, SEQS),
    st.builds(Command, REQUEST_IDS, SHORT, VISIBLE.map("/{}".format).map(str.strip)),
    st.builds(Commands, REQUEST_IDS),
)
