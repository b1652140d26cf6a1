"""Problems: one form for every refusal, and what the framework refuses is one too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.wynd_chat.gateway.rest.refusals_kit import assert_refused
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.gateway.rest.problems import TITLES, problem, refusals

if TYPE_CHECKING:
    from tests.wynd_chat.gateway.chat_kit import RunningChat


def test_the_example_of_the_specification_is_answered_so() -> None:
    answer = problem(ChatError(ErrorCode.RATE_LIMITED, "Slow down", retry_after=1.5))
    assert json.loads(bytes(answer.body)) == {
        "type": "/api/errors/rate_limited",
        "title": "Slow down",
        "status": 429,
        "detail": "Try again in 1.5 s",
        "code": "rate_limited",
        "retry_after": 1.5,
    }
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "2"


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_has_a_title_and_its_status(code: ErrorCode) -> None:
    answer = problem(ChatError(code, "why"))
    value: dict[str, Any] = json.loads(bytes(answer.body))
    assert value["title"] == TITLES[code]
    assert value["detail"] == "why"
    assert answer.status_code == value["status"] == code.status
    assert ("retry-after" in answer.headers) == (code.status in (429, 503))
    assert ("www-authenticate" in answer.headers) == (code.status == 401)
    assert "retry_after" not in value


def test_declarations_name_every_code_of_a_status_once() -> None:
    declared = refusals(ErrorCode.FORBIDDEN, ErrorCode.NOT_MEMBER, ErrorCode.FORBIDDEN)
    assert list(declared) == [400, 403, 500, 503]
    assert declared[403]["description"] == "Not allowed (`forbidden`), Not a member (`not_member`)"
    assert list(declared[403]["content"]) == ["application/problem+json"]


async def test_unknown_addresses_are_not_found(chat: RunningChat) -> None:
    stranger = chat.stranger()
    for path in (
        "/api",
        "/api/",
        "/api/v1",
        "/api/v2/rooms",
        "/rooms/",
        "/rooms/a/b/c",
        "/x%2Fy",
        "/a%0Ab",
    ):
        refused = await stranger.get(path)
        assert_refused(refused, "not_found", "there is nothing at this address")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/rooms", "GET, HEAD, POST"),
        ("POST", "/rooms/dev", "DELETE, GET, HEAD, PATCH"),
        ("GET", "/rooms/dev/commands", "POST"),
        ("HEAD", "/rooms/dev/commands", "POST"),
        ("OPTIONS", "/rooms", "GET, HEAD, POST"),
        ("TRACE", "/api/status", "GET, HEAD"),
        ("POST", "/api/openapi.json", "GET, HEAD"),
        ("GET", "/rooms/dev/members/me", "DELETE, PUT"),
    ],
)
async def test_other_methods_are_refused_with_those_there_are(
    chat: RunningChat, method: str, path: str, allowed: str
) -> None:
    answer = await chat.stranger().call(method, path)
    assert answer.headers["allow"] == allowed
    if method != "HEAD":
        assert_refused(answer, "unsupported", f"this address takes {allowed}", status=405)
    else:
        assert (answer.status_code, answer.content) == (405, b"")
