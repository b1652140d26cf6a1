"""Messages over HTTP: posting, repeating, reading pages and single ones."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.wynd_chat.gateway.rest.refusals_kit import assert_refused
from wynd_chat.domain.models import History, RoomKind

if TYPE_CHECKING:
    import httpx

    from tests.wynd_chat.gateway.chat_kit import RunningChat, Visitor

PLAIN = {"content-type": "text/plain"}


async def test_a_message_is_posted_and_read_as_on_the_json_face(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    await chat.room(alice, "dev", bob)
    posted = await alice.post(
        "/rooms/dev/messages", {"text": "hi @Bob"}, headers={"idempotency-key": "k1"}
    )
    assert posted.status_code == 201
    seq, at = posted.json()["seq"], posted.json()["at"]
    assert posted.json() == {"room": "dev", "seq": seq, "at": at}
    own = await alice.client.get(
        str(posted.url.join(posted.headers["location"])),
        headers={"authorization": f"Bearer {alice.token}"},
    )
    message = {
        "type": "message",
        "room": "dev",
        "seq": seq,
        "at": at,
        "from": {"id": alice.user.id, "name": "Alice", "kind": "human"},
        "kind": "text",
        "text": "hi @Bob",
        "mentions": [bob.user.id],
        "files": [],
    }
    assert own.json() == message | {"cid": "k1"}
    assert (await bob.get(f"/rooms/dev/messages/{seq}")).json() == message  # not the cid


async def test_text_is_literal_and_keeps_its_lines(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    texts = ["/topic none", "//x", "a\nb  ", "<script>", "‮abc", "{}"]
    seqs = await alice.say("lobby", *texts)
    got = [(await alice.get(f"/rooms/lobby/messages/{seq}")).json()["text"] for seq in seqs]
    assert got == texts


async def test_plain_text_is_a_message(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    for content in (b"hello\n", b"hello\r\n", b"hello"):
        answer = await alice.post("/rooms/lobby/messages", content=content, headers=PLAIN)
        seq = answer.json()["seq"]
        assert (await alice.get(f"/rooms/lobby/messages/{seq}")).json()["text"] == "hello"


@pytest.mark.parametrize(
    ("content", "media", "detail"),
    [
        (b"\xff", "text/plain", "the body is not UTF-8"),
        (b"  \n", "text/plain", "a message needs a text or a file"),
        (b"", "text/plain", "a message needs a text or a file"),
        (b'{"text":" "}', "application/json", "a message needs a text or a file"),
        (b"{}", "application/json", "a message needs a text or a file"),
        (b"", "application/json", "not valid JSON at character 1"),
        (b"[]", "application/json", "a body is one JSON object"),
        (b'{"text":NaN}', "application/json", "NaN is no JSON"),
        (b'{"text":"a","text":"b"}', "application/json", "a key stands twice in one object"),
        (b'{"text":"\\ud800"}', "application/json", "half a surrogate pair is no text"),
        (b'{"text":"\xff"}', "application/json", "the body is not UTF-8"),
        (b'{"text":1}', "application/json", "body.text must be a string"),
        (b'{"txt":"a"}', "application/json", "body.txt is not known here"),
        (b'{"text":"a","kind":"file"}', "application/json", None),
        (b'{"text":"a","reply_to":0}', "application/json", "body.reply_to must be at least 1"),
        (b'{"text":"a","reply_to":"1"}', "application/json", "body.reply_to must be an integer"),
    ],
)
async def test_what_is_no_message_is_refused(
    chat: RunningChat, content: bytes, media: str, detail: str | None
) -> None:
    alice = await chat.account("Alice")
    answer = await alice.post(
        "/rooms/lobby/messages", content=content, headers={"content-type": media}
    )
    assert_refused(answer, "bad_request", detail)
    assert (await alice.get("/rooms/lobby/messages")).json()["messages"] == []


@pytest.mark.parametrize("media", ["application/x-www-form-urlencoded", "text/html", None])
async def test_other_kinds_of_body_are_unsupported(chat: RunningChat, media: str | None) -> None:
    alice = await chat.account("Alice")
    headers = {} if media is None else {"content-type": media}
    answer = await alice.post("/rooms/lobby/messages", content=b"hi", headers=headers)
    assert_refused(answer, "unsupported")


async def test_a_key_posts_once_however_often_it_comes(chat: RunningChat) -> None:
    alice = await chat.account("Alice")

    async def post() -> httpx.Response:
        return await alice.post(
            "/rooms/lobby/messages", {"text": "once"}, headers={"idempotency-key": "k"}
        )

    answers = await asyncio.gather(*(post() for _ in range(16)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["seq"] for answer in answers}) == 1
    assert sum("dup" not in answer.json() for answer in answers) == 1
    page = (await alice.get("/rooms/lobby/messages")).json()
    assert [one["text"] for one in page["messages"]] == ["once"]
    too_long = await alice.post(
        "/rooms/lobby/messages", {"text": "x"}, headers={"idempotency-key": "k" * 65}
    )
    assert_refused(too_long, "bad_request", "a cid has 1 to 64 bytes")


async def test_writing_to_a_name_opens_a_conversation(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    assert_refused(await alice.get("/rooms/@Bob/messages"), "not_found")  # reading opens none
    answer = await alice.post("/rooms/@bob/messages", {"text": "psst"})
    room = answer.json()["room"]
    assert room.startswith("r_")
    for ref in (room, "@Alice"):
        page = (await bob.get(f"/rooms/{ref}/messages")).json()
        assert [(one["room"], one["text"]) for one in page["messages"]] == [(room, "psst")]


async def pages(visitor: Visitor, query: str) -> tuple[list[int], bool, bool, int]:
    """Return a page: its seqs, whether there is more on either side, the head."""
    answer = await visitor.get(f"/rooms/dev/messages{query}")
    assert answer.status_code == 200, answer.text
    page = answer.json()
    seqs = [one["seq"] for one in page["messages"]]
    return seqs, page["has_before"], page["has_after"], page["head"]


async def test_pages_are_what_was_asked_for(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    await chat.room(alice, "dev")  # its joining is seq 1
    await alice.say("dev", *(str(number) for number in range(2, 12)))  # 2 to 11
    for query, expected in {
        "": ([*range(2, 12)], False, False, 11),
        "?limit=3": ([9, 10, 11], True, False, 11),
        "?limit=3&before=9": ([6, 7, 8], True, True, 11),
        "?limit=3&before=5": ([2, 3, 4], False, True, 11),
        "?limit=3&before=2": ([], False, True, 11),
        "?limit=3&before=0": ([], False, True, 11),
        "?limit=3&after=2": ([3, 4, 5], True, True, 11),
        "?limit=3&after=0": ([2, 3, 4], False, True, 11),
        "?limit=3&after=8": ([9, 10, 11], True, False, 11),
        "?limit=3&after=11": ([], True, False, 11),
        "?limit=3&after=9007199254740991": ([], True, False, 11),
        "?limit=4&around=6": ([4, 5, 6, 7], True, True, 11),
        "?limit=1&around=6": ([6], True, True, 11),
        "?limit=4&around=2": ([2, 3, 4, 5], False, True, 11),
    }.items():
        assert await pages(alice, query) == expected, query


async def test_links_lead_to_every_message_in_both_directions(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    await chat.room(alice, "dev")
    await alice.say("dev", *"abcdefg")
    headers = {"authorization": f"Bearer {alice.token}"}
    for start, relation, expected in (("", "prev", "gfedcba"), ("?after=0", "next", "abcdefg")):
        url: str | None = f"/api/v1/rooms/dev/messages{start}{'&' if start else '?'}limit=2"
        found: list[str] = []
        while url is not None:
            answer = await alice.client.get(url, headers=headers)
            texts = [one["text"] for one in answer.json()["messages"]]
            found += texts if relation == "next" else texts[::-1]
            link = answer.links.get(relation)
            url = None if link is None else str(answer.url.join(link["url"]))
        assert "".join(found) == expected


async def test_pages_below_the_head_are_revalidated(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    await chat.room(alice, "dev", bob)
    await alice.say("dev", *"abc")
    newest = await alice.get("/rooms/dev/messages")
    assert "etag" not in newest.headers
    assert newest.headers["cache-control"] == "no-store"
    first = await alice.get("/rooms/dev/messages?before=5")
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    await alice.say("dev", "d")  # another head, the same page
    for known in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        again = await alice.get("/rooms/dev/messages?before=5", headers={"if-none-match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    changed = await alice.get("/rooms/dev/messages?before=5", headers={"if-none-match": '"x"'})
    assert changed.status_code == 200
    other = await bob.get("/rooms/dev/messages?before=5")
    await chat.services.accounts.ignore(bob.user, "Alice")
    hidden = await bob.get(
        "/rooms/dev/messages?before=5", headers={"if-none-match": other.headers["etag"]}
    )
    assert hidden.status_code == 200  # it shows something else now
    assert [(one["text"], one["hidden"]) for one in hidden.json()["messages"]] == [("", True)] * 2


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("before=1&after=1", "use one of before, after and around"),
        ("limit=0", "query.limit must be at least 1"),
        ("limit=201", "query.limit must be at most 200"),
        ("limit=x", "query.limit must be an integer"),
        ("before=-1", "query.before must be at least 0"),
        ("after=1.5", "query.after must be an integer"),
        ("around=9007199254740992", "query.around must be at most 9007199254740991"),
        ("around=" + "9" * 5000, None),
    ],
)
async def test_impossible_pages_are_refused(
    chat: RunningChat, query: str, detail: str | None
) -> None:
    alice = await chat.account("Alice")
    assert_refused(await alice.get(f"/rooms/lobby/messages?{query}"), "bad_request", detail)


async def test_who_joined_later_reads_what_the_room_shows(chat: RunningChat) -> None:
    alice, bob, carol = [await chat.account(name) for name in ("Alice", "Bob", "Carol")]
    room = await chat.room(alice, "dev")
    await chat.change(room, history=History.SINCE_JOIN)
    (early,) = await alice.say("dev", "before Bob")
    await chat.services.rooms.join(bob.user, "dev")
    (late,) = await alice.say("dev", "after Bob")
    assert (await pages(bob, "?around=1"))[:2] == ([late], False)
    assert_refused(await bob.get(f"/rooms/dev/messages/{early}"), "not_found")
    assert_refused(await carol.get("/rooms/dev/messages"), "not_member")
    await chat.change(room, kind=RoomKind.PRIVATE)
    for path in ("messages", f"messages/{late}"):
        assert_refused(await carol.get(f"/rooms/dev/{path}"), "not_found", "there is no room #dev")


async def test_a_seq_of_another_event_is_no_message(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    await chat.room(alice, "dev")
    for seq in (1, 2, 9007199254740991):
        assert_refused(
            await alice.get(f"/rooms/dev/messages/{seq}"),
            "not_found",
            f"there is no message {seq}",
        )
    for wrong in ("0", "-1", "x"):
        assert_refused(await alice.get(f"/rooms/dev/messages/{wrong}"), "bad_request")
