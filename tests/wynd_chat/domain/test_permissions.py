"""Who may do what, as tables: ranks, acting on others, writing."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.wynd_chat.domain.rows import a_member, a_room, a_user
from wynd_chat.domain.errors import ChatError
from wynd_chat.domain.models import RoomKind, RoomRole, ServerRole, UserKind
from wynd_chat.domain.permissions import (
    Rank,
    check_above,
    check_post,
    check_rank,
    rank_in,
    room_label,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

DEV = a_room("dev")
PRIVATE = a_room("ops", kind=RoomKind.PRIVATE)
DIRECT = a_room(None, kind=RoomKind.DM)
ALICE = a_user("Alice")
ADMIN = a_user("Root", role=ServerRole.ADMIN)
GUEST = a_user("Gil", kind=UserKind.GUEST)
BOT = a_user("Bot", kind=UserKind.BOT)
OWNER, OP, MEMBER = RoomRole.OWNER, RoomRole.OP, RoomRole.MEMBER
NOW = 1_000_000


@pytest.mark.parametrize("room", [DEV, PRIVATE], ids=["public", "private"])
@pytest.mark.parametrize(
    ("user", "role", "rank"),
    [
        (ALICE, None, Rank.NONE),
        (ALICE, MEMBER, Rank.MEMBER),
        (ALICE, OP, Rank.OP),
        (ALICE, OWNER, Rank.OWNER),
        (BOT, MEMBER, Rank.MEMBER),
        (GUEST, None, Rank.NONE),
        (GUEST, MEMBER, Rank.GUEST),
        (GUEST, OP, Rank.OP),
        (GUEST, OWNER, Rank.OWNER),
        (ADMIN, None, Rank.ADMIN),
        (ADMIN, MEMBER, Rank.ADMIN),
        (ADMIN, OWNER, Rank.ADMIN),
    ],
)
def test_ranks_in_rooms(user: Any, role: RoomRole | None, rank: Rank, room: Any) -> None:
    assert rank_in(user, None if role is None else a_member(user, room, role), room) is rank


@pytest.mark.parametrize("user", [ALICE, GUEST, ADMIN], ids=["account", "guest", "admin"])
def test_in_direct_conversations_both_are_members_and_admins_are_nobody(user: Any) -> None:
    assert rank_in(user, a_member(user, DIRECT), DIRECT) is Rank.MEMBER
    assert rank_in(user, a_member(user, DIRECT, OWNER), DIRECT) is Rank.MEMBER
    assert rank_in(user, None, DIRECT) is Rank.NONE


def refusal(code: str, sentence: str = "") -> AbstractContextManager[Any]:
    """Expect a `ChatError`; "" for none."""
    if not code:
        return nullcontext()
    return pytest.raises(ChatError, check=lambda error: error.code == code, match=sentence or None)


@pytest.mark.parametrize("rank", Rank)
@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (Rank.MEMBER, "^members only$"),
        (Rank.OP, "^only ops can do that$"),
        (Rank.OWNER, "^only owners can do that$"),
        (Rank.ADMIN, "^only admins can do that$"),
    ],
)
def test_a_rank_below_the_wanted_is_refused(rank: Rank, wanted: Rank, sentence: str) -> None:
    with refusal("forbidden" if rank < wanted else "", sentence):
        check_rank(rank, wanted)


@pytest.mark.parametrize("actor", Rank)
@pytest.mark.parametrize("target", Rank)
def test_acting_on_somebody_needs_a_rank_above_theirs(actor: Rank, target: Rank) -> None:
    with refusal("" if actor > target else "forbidden", "people below your role"):
        check_above(actor, target)


@dataclass(frozen=True)
class Case:
    """A try to write, and how it ends."""

    code: str
    sentence: str = ""
    room: Any = DEV
    user: Any = ALICE
    role: RoomRole | None = MEMBER
    silenced_until: int | None = None
    is_privileged: bool = False
    last_at: int | None = None
    retry_after: float | None = None


LOCKED = a_room("dev", locked=True)
SLOW = a_room("dev", slow_s=30)
ARCHIVED = a_room("dev", archived_at=5)
ALL_CLOSED = a_room("dev", locked=True, slow_s=30)

WRITING = [
    Case(""),
    Case("", user=GUEST),
    Case("", room=DIRECT),
    Case("not_found", "^no such room$", room=None),
    Case("not_member", "^you are not in #dev$", role=None),
    Case("not_member", "^you are not in this conversation$", room=DIRECT, role=None),
    Case("not_member", role=None, is_privileged=True, user=ADMIN),
    Case("forbidden", "^#dev is archived$", room=ARCHIVED),
    Case("forbidden", room=ARCHIVED, role=OWNER, is_privileged=True),
    # silence
    Case("silenced", "^you are silenced for 8m$", silenced_until=NOW + 480_000, retry_after=480.0),
    Case("silenced", "for 1s$", silenced_until=NOW + 1, retry_after=1.0),
    Case("silenced", role=OP, silenced_until=NOW + 1000, retry_after=1.0),
    Case("silenced", is_privileged=True, silenced_until=NOW + 1000, retry_after=1.0),
    Case("", silenced_until=NOW),
    Case("", silenced_until=NOW - 1),
    # lock
    Case("forbidden", "^only ops can write here$", room=LOCKED),
    Case("forbidden", room=LOCKED, user=GUEST),
    Case("", room=LOCKED, role=OP),
    Case("", room=LOCKED, role=OWNER),
    Case("", room=LOCKED, user=ADMIN, is_privileged=True),
    # slow mode
    Case("", room=SLOW),
    Case(
        "rate_limited",
        "^slow mode: one message per 30s$",
        room=SLOW,
        last_at=NOW - 20_000,
        retry_after=10.0,
    ),
    Case("rate_limited", room=SLOW, last_at=NOW - 29_900, retry_after=0.1),
    Case("", room=SLOW, last_at=NOW - 30_000),
    Case("", room=SLOW, last_at=NOW, role=OP),
    Case("", room=SLOW, last_at=NOW, is_privileged=True),
    Case("", room=DEV, last_at=NOW),
    # the order of judging
    Case("forbidden", "only ops can write", room=ALL_CLOSED, last_at=NOW),
    Case("silenced", room=ALL_CLOSED, silenced_until=NOW + 1000, last_at=NOW, retry_after=1.0),
]


@pytest.mark.parametrize(
    "case", WRITING, ids=[f"{n}-{case.code or 'may'}" for n, case in enumerate(WRITING)]
)
def test_who_may_write_now(case: Case) -> None:
    membership = None
    if case.role is not None and case.room is not None:
        membership = a_member(case.user, case.room, case.role, silenced_until=case.silenced_until)
    with refusal(case.code, case.sentence) as refused:
        check_post(
            case.room,
            membership,
            is_privileged=case.is_privileged,
            now=NOW,
            last_at=case.last_at,
        )
    if case.code:
        assert refused.value.retry_after == case.retry_after


def test_sentences_name_rooms_with_their_sign() -> None:
    assert room_label(DEV) == "#dev"
    assert room_label(DIRECT) == "this conversation"
