"""Bodies: bounded before they are read, strict JSON, and each POST with a key once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from fastapi import Response

from tests.wynd_chat.gateway.chat_kit import RunningChat, api_of
from tests.wynd_chat.gateway.rest.refusals_kit import assert_refused
from wynd_chat.gateway.rest.bodies import BODY_BYTES_MAX, api_router

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


JSON = {"content-type": "application/json"}


async def test_a_body_too_large_is_refused_before_it_is_read(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    host, port = chat.chat.listeners.addresses[0]
    reader, writer = await asyncio.open_connection(host, port)
    head = (
        f"POST /api/v1/rooms HTTP/1.1\r\nhost: {host}:{port}\r\nauthorization: Bearer "
        f"{alice.token}\r\ncontent-type: application/json\r\n"
        f"content-length: {BODY_BYTES_MAX + 1}\r\n\r\n"
    )
    writer.write(head.encode())  # and not one byte of the body
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), 10)
    assert answer.startswith(b"HTTP/1.1 413 ")
    writer.close()


async def test_a_body_without_length_is_bounded_too(chat: RunningChat) -> None:
    alice = await chat.account("Alice")

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(BODY_BYTES_MAX // 1024 + 2):
            yield b" " * 1024

    answer = await alice.post("/rooms", content=endless(), headers=JSON)
    assert_refused(answer, "too_large", "a body has at most 131072 bytes")


async def test_a_body_as_large_as_may_be_is_read(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    body = b'{"name":"dev"}'
    padded = body + b" " * (BODY_BYTES_MAX - len(body))
    assert (await alice.post("/rooms", content=padded, headers=JSON)).status_code == 201
    # the longest message there is, in its longest form
    text = b'{"text":"' + b"\\ud83d\\ude00" * 8000 + b'"}'
    posted = await alice.post("/rooms/dev/messages", content=text, headers=JSON)
    assert posted.status_code == 201


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"{", "not valid JSON at character 2"),
        (b"null", "a body is one JSON object"),
        (b'{"name":1e999}', "a number is too long or too large"),
        (b'{"a":' * 1000 + b"1" + b"}" * 1000, "values nest at most 16 deep"),
        (b"[" * 100_000, "values nest at most 16 deep"),
        (b'{"name":"a","name":"b"}', "a key stands twice in one object"),
        (b'\xff\xfe{"name":"a"}', "the body is not UTF-8"),
        (b'{"name":"\\udc00"}', "half a surrogate pair is no text"),
        (b'{"name":true}', "body.name must be a string"),
        (b'{"name":["a"]}', "body.name must be a string"),
        (b'{"name":"a","private":"yes"}', "body.private must be true or false"),
        (b'{"name":"a","private":1}', "body.private must be true or false"),
        (b'{"name":"a","owner":"me"}', "body.owner is not known here"),
        (b"{}", "body.name is missing"),
        (b"", "body is missing"),
    ],
)
async def test_what_does_not_fit_is_refused_with_what_to_change(
    chat: RunningChat, content: bytes, detail: str
) -> None:
    alice = await chat.account("Alice")
    answer = await alice.post("/rooms", content=content, headers=JSON)
    assert_refused(answer, "bad_request", detail)
    assert [one["room"] for one in (await alice.get("/rooms")).json()["rooms"]] == ["lobby"]


async def test_every_field_that_does_not_fit_is_named_and_no_input_quoted(
    chat: RunningChat,
) -> None:
    alice = await chat.account("Alice")
    answer = await alice.post("/rooms", {"topic": ["secret"], "private": "secret"})
    problem = assert_refused(answer, "bad_request")
    assert problem["errors"] == [
        {"field": "body.name", "message": "is missing"},
        {"field": "body.topic", "message": "must be a string"},
        {"field": "body.private", "message": "must be true or false"},
    ]
    assert "secret" not in answer.text
    many = await alice.post("/rooms", {f"field{number}": 1 for number in range(5000)})
    assert len(assert_refused(many, "bad_request")["errors"]) == 20


@pytest.mark.parametrize("media", [None, "text/plain", "application/xml", "application/json5"])
async def test_other_media_are_unsupported(chat: RunningChat, media: str | None) -> None:
    alice = await chat.account("Alice")
    headers = {} if media is None else {"content-type": media}
    answer = await alice.post("/rooms", content=b'{"name":"dev"}', headers=headers)
    assert_refused(answer, "unsupported")


async def test_media_have_parameters_and_any_case(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    answer = await alice.post("/rooms", content=b'{"name":"dev"}', headers=headers)
    assert answer.status_code == 201


async def test_keys_are_of_one_user(chat: RunningChat) -> None:
    alice, bob = await chat.account("Alice"), await chat.account("Bob")
    key = {"idempotency-key": "k"}
    first = await alice.post("/rooms", {"name": "a"}, headers=key)
    again = await alice.post("/rooms", {"name": "a"}, headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["location"] == first.headers["location"] == "rooms/a"
    assert again.headers["content-type"] == "application/json"
    assert (await bob.post("/rooms", {"name": "b"}, headers=key)).json()["room"] == "b"
    assert_refused(await alice.post("/rooms", {"name": "c"}, headers=key), "conflict")
    assert_refused(await alice.post("/rooms/a/invites", headers=key), "conflict")
    for wrong in ("", "k" * 65):
        refused = await alice.post("/rooms", {"name": "d"}, headers={"idempotency-key": wrong})
        assert_refused(refused, "bad_request", "an Idempotency-Key has 1 to 64 bytes")


async def test_a_refusal_is_not_kept(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    key = {"idempotency-key": "k"}
    chat.store.failure = None
    refused = await alice.post("/rooms", {"name": "two words"}, headers=key)
    assert_refused(refused, "bad_name")
    assert (await alice.post("/rooms", {"name": "dev"}, headers=key)).status_code == 201


async def test_a_stranger_has_no_keys(chat: RunningChat) -> None:
    answer = await chat.stranger().post("/rooms", {"name": "dev"}, headers={"idempotency-key": "k"})
    assert_refused(answer, "unauthorized")


async def test_answers_with_secrets_are_not_stored(chat: RunningChat) -> None:
    api = api_of(chat)
    router = api_router("Test", has_secrets=True)

    @router.post("/secrets", status_code=201)
    async def secret() -> Response:
        return Response(b'{"token":"s3cr3t"}', 201)

    api.include_router(router)
    alice = await chat.account("Alice")
    key = {"idempotency-key": "k"}
    assert (await alice.post("/secrets", headers=key)).json() == {"token": "s3cr3t"}
    assert_refused(await alice.post("/secrets", headers=key), "conflict")
    kept = await chat.store.read(lambda snapshot: snapshot.idempotent_answer(alice.user.id, "k"))
    assert (kept.status, kept.body) == (201, "")


async def test_copies_that_race_make_one_room(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    key = {"idempotency-key": "k"}
    answers = await asyncio.gather(
        *(alice.post("/rooms", {"name": "dev"}, headers=key) for _ in range(16))
    )
    assert {(one.status_code, one.content) for one in answers} == {(201, answers[0].content)}
    assert len((await alice.get("/rooms")).json()["rooms"]) == 2
