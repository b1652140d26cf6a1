"""The contract of `wynd_chat.ports.store.Store`: rows come back as they were put.

Users, rooms, memberships, logins, bans, codes, uploads; what replaces what, and what goes along.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.contracts.chat_stores import (
    ALICE,
    BOB,
    CAROL,
    DEV,
    LOBBY,
    a_ban,
    a_direct_room,
    a_message,
    a_session,
    a_upload,
    an_answer,
    an_invite,
    author,
    joined,
)
from tests.wynd_chat.domain.rows import a_member, a_room, a_user
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.events import (
    Author,
    Joined,
    LeaveHow,
    Left,
    Message,
)
from wynd_chat.domain.models import (
    History,
    LinkCode,
    Notify,
    RoomKind,
    RoomRole,
    UploadState,
    UploadToken,
    UserKind,
)
from wynd_chat.ports.store import ABOVE_ALL, DELETED_USER

if TYPE_CHECKING:
    from wynd_chat.ports.store import Store, Transaction


# users


async def test_a_user_comes_back_as_it_was_put(store: Store) -> None:
    dora = a_user("Dora", password_hash="$argon2id$", away="", prefs={"ids": True, "joins": False})
    await store.write(lambda tx: tx.put_user(dora))
    assert await store.read(lambda snapshot: snapshot.user(dora.id)) == dora
    assert await store.read(lambda snapshot: snapshot.user_by_key("dora")) == dora
    assert await store.read(lambda snapshot: snapshot.user("u_nobody")) is None


async def test_putting_a_user_again_replaces_the_row(store: Store) -> None:
    renamed = replace(ALICE, name="Alicia", name_key="alicia", name_skeleton="alicia", away="lunch")
    await store.write(lambda tx: tx.put_user(renamed))
    assert await store.read(lambda snapshot: snapshot.user(ALICE.id)) == renamed
    assert await store.read(lambda snapshot: snapshot.user_by_key("alice")) is None


async def test_a_name_is_given_once_whatever_its_case(store: Store) -> None:
    other = a_user("ALICE", id="u_other")
    with pytest.raises(ChatError) as caught:
        await store.write(lambda tx: tx.put_user(other))
    assert caught.value.code is ErrorCode.NAME_TAKEN
    assert await store.read(lambda snapshot: snapshot.user("u_other")) is None


async def test_a_work_can_try_another_name_after_a_refusal(store: Store) -> None:
    def work(tx: Transaction) -> str:
        try:
            tx.put_user(a_user("alice", id="u_other"))
        except ChatError:
            tx.put_user(a_user("Alice2", id="u_other"))
        return "done"

    assert await store.write(work) == "done"
    assert await store.read(lambda snapshot: snapshot.user_by_key("alice2")) is not None


async def test_the_names_of_those_who_have_gone_are_free(store: Store) -> None:
    gone = replace(CAROL, name_key=None, name_skeleton=None)
    await store.write(lambda tx: tx.put_user(gone))
    await store.write(lambda tx: tx.put_user(replace(BOB, name_key=None, name_skeleton=None)))
    await store.write(lambda tx: tx.put_user(a_user("Carol", id="u_carol2")))
    found = await store.read(lambda snapshot: snapshot.user_by_key("carol"))
    assert found is not None
    assert found.id == "u_carol2"


async def test_users_are_listed_by_key_without_guests(store: Store) -> None:
    names = ("zoe", "Bob2", "Ärne", "_x", "b%b")

    def work(tx: Transaction) -> None:
        for name in names:
            tx.put_user(a_user(name))
        tx.put_user(a_user("Bobot", UserKind.BOT))

    await store.write(work)

    def shown(**how: Any) -> Any:
        return store.read(lambda snapshot: [u.name for u in snapshot.list_users(**how)])

    assert await shown(limit=10) == ["_x", "Alice", "b%b", "Bob", "Bob2", "Bobot", "zoe", "Ärne"]
    assert await shown(limit=2, after_key="alice") == ["b%b", "Bob"]
    assert await shown(limit=10, prefix_key="bob", after_key="bob") == ["Bob2", "Bobot"]
    assert await shown(limit=10, prefix_key="b%") == ["b%b"]
    assert await shown(limit=10, prefix_key="_") == ["_x"]
    assert await shown(limit=0) == []
    assert await shown(limit=-1) == []
    assert await store.read(lambda snapshot: snapshot.count_users()) == 8


async def test_several_users_are_found_at_once(store: Store) -> None:
    wanted = [ALICE.id, "u_nobody", CAROL.id, ALICE.id]
    assert await store.read(lambda s: s.users(wanted)) == {ALICE.id: ALICE, CAROL.id: CAROL}
    assert await store.read(lambda s: s.users([])) == {}
    many = [*(f"u_{number}" for number in range(1_500)), BOB.id]
    assert await store.read(lambda s: s.users(many)) == {BOB.id: BOB}


async def test_names_that_look_alike_are_found_by_skeleton(store: Store) -> None:
    twin = a_user("AIice", name_skeleton="alice")
    await store.write(lambda tx: tx.put_user(twin))
    alike = await store.read(lambda snapshot: snapshot.users_by_skeleton("alice"))
    assert [user.name for user in alike] == ["AIice", "Alice"]


async def test_a_dropped_user_takes_everything_but_messages_along(store: Store) -> None:
    def fill(tx: Transaction) -> None:
        tx.put_session(a_session("token"))
        tx.put_ignore(ALICE.id, BOB.id)
        tx.put_ignore(BOB.id, ALICE.id)
        tx.put_ban(a_ban("1", user_id=ALICE.id))
        tx.put_ban(a_ban("2", by_id=ALICE.id))
        tx.put_upload(a_upload())
        tx.put_invite(an_invite(owner_id=ALICE.id))
        tx.put_idempotent_answer(an_answer())
        tx.append(DEV.id, joined(ALICE), 1)
        tx.append(DEV.id, Left(author(BOB), LeaveHow.KICK, author(ALICE), "spam"), 2)
        tx.append(DEV.id, joined(BOB), 3)
        tx.post(a_message("mine", mentions=(BOB.id,), cid="1"))
        tx.post(a_message("his", BOB, cid="1"))

    await store.write(fill)
    await store.write(lambda tx: tx.drop_user(ALICE.id))
    nobody = Author(None, DELETED_USER, UserKind.HUMAN)

    def check(tx: Transaction) -> None:
        assert tx.user(ALICE.id) is None
        assert tx.user_by_key("alice") is None
        assert tx.session("token") is None
        assert tx.ignored_by(BOB.id) == frozenset()
        assert tx.member_ids(DEV.id) == {BOB.id}
        assert tx.rooms_of(ALICE.id) == []
        assert [(ban.id, ban.by_id) for ban in tx.bans(DEV.id)] == [("2", None)]
        assert (upload := tx.upload("f_cat.png")) is not None
        assert upload.owner_id is None
        assert tx.invite("code") is None
        assert tx.idempotent_answer(ALICE.id, "key") is None
        assert (room := tx.room(DEV.id)) is not None
        assert room.created_by is None
        assert [event.body for event in tx.events_after(DEV.id, 0, 3).events] == [
            Joined(nobody),
            Left(author(BOB), LeaveHow.KICK, nobody, "spam"),
            joined(BOB),
        ]
        mine, his = (event.body for event in tx.messages(DEV.id, limit=9))
        assert isinstance(mine, Message)
        assert isinstance(his, Message)
        assert (mine.author, mine.text, mine.cid) == (nobody, "mine", "1")
        assert his.author == author(BOB)
        assert tx.message_by_cid(ALICE.id, "1") is None
        assert tx.last_message_at(DEV.id, ALICE.id) is None

    await store.write(check)
    await store.write(lambda tx: tx.drop_user(ALICE.id))  # twice is once
    await store.write(lambda tx: tx.put_user(ALICE))


# rooms


async def test_a_room_comes_back_as_it_was_put(store: Store) -> None:
    ops = a_room(
        "ops",
        RoomKind.PRIVATE,
        topic="Café ☕",
        history=History.SINCE_JOIN,
        key_hash="$argon2id$",
        locked=True,
        slow_s=30,
        retention_days=7,
        archive_public=True,
        created_by=ALICE.id,
        created_at=123_456_789_012,
        archived_at=5,
    )
    await store.write(lambda tx: tx.put_room(ops))
    assert await store.read(lambda snapshot: snapshot.room(ops.id)) == ops
    assert await store.read(lambda snapshot: snapshot.room_by_key("ops")) == ops
    assert await store.read(lambda snapshot: snapshot.room_by_key("OPS")) is None


async def test_putting_a_room_again_keeps_its_numbers(store: Store) -> None:
    await store.post(a_message())
    changed = replace(DEV, topic="new", last_seq=99, min_seq=50)
    await store.write(lambda tx: tx.put_room(changed))
    room = await store.read(lambda snapshot: snapshot.room(DEV.id))
    assert room == replace(DEV, topic="new", last_seq=1, min_seq=1)


@pytest.mark.parametrize("is_direct", [False, True])
async def test_a_room_of_the_same_name_or_pair_is_a_conflict(store: Store, is_direct: bool) -> None:
    first = a_direct_room(ALICE, BOB) if is_direct else DEV
    await store.write(lambda tx: tx.put_room(first))
    with pytest.raises(ChatError) as caught:
        await store.write(lambda tx: tx.put_room(replace(first, id="r_other")))
    assert caught.value.code is ErrorCode.CONFLICT


async def test_a_direct_conversation_is_found_by_its_pair_and_stays_one(store: Store) -> None:
    direct = a_direct_room(ALICE, BOB)
    alone = a_direct_room(ALICE, ALICE)
    await store.write(lambda tx: tx.put_room(direct))
    await store.write(lambda tx: tx.put_room(alone))
    assert direct.dm_key is not None
    found = await store.read(lambda snapshot: snapshot.direct_room(direct.dm_key or ""))
    assert found == direct
    with pytest.raises(ValueError, match="direct conversation"):
        await store.write(lambda tx: tx.put_room(replace(direct, kind=RoomKind.PRIVATE)))


async def test_only_public_rooms_in_use_are_listed(store: Store) -> None:
    def work(tx: Transaction) -> None:
        tx.put_room(a_room("ops", RoomKind.PRIVATE))
        tx.put_room(a_room("old", archived_at=1))
        tx.put_room(a_direct_room(ALICE, BOB))
        tx.put_room(a_room("zoo"))

    await store.write(work)

    def shown(**how: Any) -> Any:
        return store.read(lambda snapshot: [room.name for room in snapshot.list_rooms(**how)])

    assert await shown() == ["dev", "lobby", "zoo"]
    assert await shown(after_key="dev", limit=1) == ["lobby"]
    assert await shown(limit=0) == []


async def test_rooms_that_a_user_created_are_counted_without_conversations(store: Store) -> None:
    def work(tx: Transaction) -> None:
        tx.put_room(a_room("a", created_by=BOB.id, created_at=10))
        tx.put_room(a_room("b", created_by=BOB.id, created_at=20))
        tx.put_room(replace(a_direct_room(ALICE, BOB), created_by=BOB.id, created_at=20))

    await store.write(work)
    assert await store.read(lambda s: s.count_rooms_created(BOB.id, 0)) == 2
    assert await store.read(lambda s: s.count_rooms_created(BOB.id, 20)) == 1
    assert await store.read(lambda s: s.count_rooms_created(BOB.id, 21)) == 0


# memberships


async def test_joining_twice_is_one_membership_and_leaving_twice_no_error(store: Store) -> None:
    first = a_member(CAROL, DEV)
    second = replace(first, role=RoomRole.OP, read_seq=3, notify=Notify.HIDDEN, silenced_until=9)

    def work(tx: Transaction) -> None:
        tx.put_membership(first)
        tx.put_membership(second)
        assert tx.membership(DEV.id, CAROL.id) == second
        assert [user.id for user, _ in tx.members(DEV.id)] == [ALICE.id, BOB.id, CAROL.id]
        tx.drop_membership(DEV.id, CAROL.id)
        tx.drop_membership(DEV.id, CAROL.id)
        tx.drop_membership("r_none", CAROL.id)

    await store.write(work)
    assert await store.read(lambda s: s.membership(DEV.id, CAROL.id)) is None
    assert await store.read(lambda s: s.member_ids(DEV.id)) == {ALICE.id, BOB.id}


async def test_members_and_rooms_of_a_user_come_in_order(store: Store) -> None:
    members = await store.read(lambda s: s.members(LOBBY.id, after_key=ALICE.id, limit=1))
    assert members == [(BOB, a_member(BOB, LOBBY))]
    assert await store.read(lambda s: s.members(LOBBY.id, limit=0)) == []
    rooms = await store.read(lambda s: s.rooms_of(ALICE.id))
    assert rooms == [(DEV, a_member(ALICE, DEV, RoomRole.OWNER)), (LOBBY, a_member(ALICE, LOBBY))]


async def test_the_read_marker_only_rises_and_never_passes_the_head(store: Store) -> None:
    for number in range(5):
        await store.post(a_message(str(number)))

    def raised(seq: int) -> Any:
        return store.write(lambda tx: tx.raise_read(DEV.id, BOB.id, seq))

    assert [await raised(seq) for seq in (3, 2, 0, -7, 4, 99, ABOVE_ALL)] == [3, 3, 3, 3, 4, 5, 5]
    with pytest.raises(ChatError) as caught:
        await store.write(lambda tx: tx.raise_read(DEV.id, CAROL.id, 1))
    assert caught.value.code is ErrorCode.NOT_MEMBER


# the rest


async def test_logins_are_kept_and_ended(store: Store) -> None:
    first, second = a_session("a", created_at=2), a_session("b", created_at=1, expires_at=99)

    def work(tx: Transaction) -> None:
        tx.put_session(first)
        tx.put_session(second)
        tx.put_session(replace(first, last_seen_at=50))

    await store.write(work)
    assert await store.read(lambda s: s.session("b")) == second
    own = await store.read(lambda s: s.sessions_of(ALICE.id))
    assert own == [second, replace(first, last_seen_at=50)]
    await store.write(lambda tx: tx.drop_session("a"))
    await store.write(lambda tx: tx.drop_session("a"))
    assert await store.read(lambda s: s.session("a")) is None


async def test_bans_of_room_and_server_are_apart(store: Store) -> None:
    everybody = a_ban("1", at=9)
    server = a_ban("2", room_id=None, ip_net="10.0.0.0/8", by_id=ALICE.id, until=77)
    bob = a_ban("3", user_id=BOB.id, at=1)

    def work(tx: Transaction) -> None:
        for ban in (everybody, server, bob):
            tx.put_ban(ban)

    await store.write(work)
    assert await store.read(lambda s: s.bans(DEV.id)) == [bob, everybody]
    assert await store.read(lambda s: s.bans(None)) == [server]
    await store.write(lambda tx: tx.drop_ban("1"))
    await store.write(lambda tx: tx.drop_ban("none"))
    assert await store.read(lambda s: s.bans(DEV.id)) == [bob]


async def test_codes_are_kept_counted_down_and_dropped(store: Store) -> None:
    invite = an_invite(owner_id=ALICE.id)
    link = LinkCode(code_hash="code", owner_id=None, target="c_1", uses_left=1, expires_at=9)
    token = UploadToken(
        code_hash="code", owner_id=ALICE.id, target=DEV.id, uses_left=1, expires_at=9
    )

    def put(tx: Transaction) -> None:
        tx.put_invite(invite)
        tx.put_invite(replace(invite, uses_left=24))
        tx.put_link_code(link)
        tx.put_link_code(replace(link, owner_id=BOB.id))
        tx.put_upload_token(token)

    await store.write(put)
    assert await store.read(lambda s: s.invite("code")) == replace(invite, uses_left=24)
    assert await store.read(lambda s: s.link_code("code")) == replace(link, owner_id=BOB.id)
    assert await store.read(lambda s: s.upload_token("code")) == token

    def drop(tx: Transaction) -> None:
        for _ in range(2):
            tx.drop_invite("code")
            tx.drop_link_code("code")
            tx.drop_upload_token("code")

    await store.write(drop)
    assert await store.read(lambda s: (s.invite("code"), s.link_code("code"))) == (None, None)
    assert await store.read(lambda s: s.upload_token("code")) is None


async def test_ignoring_twice_is_once(store: Store) -> None:
    def work(tx: Transaction) -> None:
        tx.put_ignore(ALICE.id, BOB.id)
        tx.put_ignore(ALICE.id, BOB.id)
        tx.put_ignore(ALICE.id, CAROL.id)
        tx.drop_ignore(ALICE.id, CAROL.id)
        tx.drop_ignore(ALICE.id, CAROL.id)

    await store.write(work)
    assert await store.read(lambda s: s.ignored_by(ALICE.id)) == {BOB.id}
    assert await store.read(lambda s: s.ignored_by(BOB.id)) == frozenset()


async def test_answers_are_kept_for_a_while(store: Store) -> None:
    await store.write(lambda tx: tx.put_idempotent_answer(an_answer("old", 5)))
    await store.write(lambda tx: tx.put_idempotent_answer(an_answer("new", 6)))
    assert await store.read(lambda s: s.idempotent_answer(ALICE.id, "old")) == an_answer("old", 5)
    await store.write(lambda tx: tx.drop_idempotent_answers(6))
    assert await store.read(lambda s: s.idempotent_answer(ALICE.id, "old")) is None
    assert await store.read(lambda s: s.idempotent_answer(ALICE.id, "new")) == an_answer("new", 6)
    assert await store.read(lambda s: s.idempotent_answer(BOB.id, "new")) is None


async def test_uploads_are_found_by_owner_age_and_content(store: Store) -> None:
    def work(tx: Transaction) -> None:
        tx.put_upload(a_upload("b", created_at=10))
        tx.put_upload(a_upload("a", created_at=20))
        tx.put_upload(a_upload("c", BOB, created_at=5, w=None, h=None))
        tx.put_upload(a_upload("d", state=UploadState.GONE, created_at=1))

    await store.write(work)
    own = await store.read(lambda s: s.uploads_of(ALICE.id, 10))
    assert [upload.name for upload in own] == ["b", "a"]
    stale = await store.read(lambda s: s.stale_uploads(20))
    assert [upload.name for upload in stale] == ["c", "b"]
    assert await store.read(lambda s: s.is_content_used("hash of b"))
    assert not await store.read(lambda s: s.is_content_used("hash of d"))
    assert not await store.read(lambda s: s.is_content_used("hash of nothing"))


async def test_values_of_the_database_are_replaced(store: Store) -> None:
    assert await store.read(lambda s: s.meta("color")) is None
    await store.write(lambda tx: tx.put_meta("color", "red"))
    await store.write(lambda tx: tx.put_meta("color", ""))
    assert await store.read(lambda s: s.meta("color")) == ""
