"""Checks of refusals: that an answer is a problem of a code, in the one form that all have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wynd_chat.domain.errors import ErrorCode

if TYPE_CHECKING:
    import httpx

__all__ = ["assert_refused"]


def assert_refused(
    answer: httpx.Response, code: str, detail: str | None = None, *, status: int | None = None
) -> dict[str, Any]:
    """Assert that an answer is a problem of this code; return it."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    expected = ErrorCode(code)
    assert (problem["code"], problem["detail"]) == (code, detail or problem["detail"])
    assert answer.status_code == problem["status"] == (status or expected.status)
    assert problem["type"] == f"/api/errors/{code}"
    assert problem["title"]
    assert ("retry-after" in answer.headers) == (answer.status_code in (429, 503))
    if "retry-after" in answer.headers:
        assert int(answer.headers["retry-after"]) >= problem["retry_after"]
    return problem
