"""Request heads as scopes, and answers as bytes."""

from __future__ import annotations

from typing import Any

import pytest

from wynd.http.opening import accepting, denying, head_of, offered_in, scope_of

HEAD = b"GET /a%20b?x=1&y HTTP/1.1\r\nHost: a\r\nX-Odd:\t v w \r\nx-odd: \xe9\r\n\r\n"


def test_a_head_is_target_and_fields_in_order() -> None:
    assert head_of(HEAD) == (
        b"/a%20b?x=1&y",
        [(b"host", b"a"), (b"x-odd", b"v w"), (b"x-odd", b"\xe9")],
    )


@pytest.mark.parametrize(
    ("values", "offered"),
    [([], []), ([b"a"], ["a"]), ([b"a, b", b"c"], ["a", "b", "c"]), ([b" ,a,, "], ["a"])],
)
def test_subprotocols_are_one_list_over_all_fields(values: list[bytes], offered: list[str]) -> None:
    assert offered_in([(b"sec-websocket-protocol", value) for value in values]) == offered


def test_the_state_of_the_lifespan_is_copied() -> None:
    state = {"a": 1}
    options: dict[str, Any] = {"root_path": "", "asgi_version": "3.0", "client": None}
    scope = scope_of(b"/", [], **options, secure=True, server=None, state=state)
    scope["state"]["b"] = 2
    assert (scope["scheme"], scope["query_string"], state) == ("wss", b"", {"a": 1})


def test_an_answer_has_the_defaults_and_the_applications_fields() -> None:
    message = {"type": "websocket.accept", "headers": [(b"X-One", b"1")], "subprotocol": None}
    assert accepting(b"key=", [], message, [(b"server", b"s")]) == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: key=\r\nserver: s\r\nX-One: 1\r\n\r\n"
    )


def test_a_refusal_frames_its_body_by_itself() -> None:
    given = [(b"Content-Length", b"9"), (b"Transfer-Encoding", b"chunked"), (b"X-A", b"b")]
    answer = denying(429, given, b"slow down", [(b"date", b"now")])
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == b"slow down"
    assert head.split(b"\r\n") == [
        b"HTTP/1.1 429 Too Many Requests",
        b"X-A: b",
        b"date: now",
        b"content-length: 9",
        b"connection: close",
        b"content-type: text/plain; charset=utf-8",
    ]


@pytest.mark.parametrize(
    ("status", "headers"),
    [(101, []), (99, []), (403, [(b"a b", b"")]), (403, [(b"a", b"b\r\nc: d")])],
)
def test_a_malformed_refusal_is_a_valueerror(status: int, headers: Any) -> None:
    with pytest.raises(ValueError, match=r"no field name|control|status"):
        denying(status, headers, b"")
