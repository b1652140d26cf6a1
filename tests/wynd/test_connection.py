"""Handlers with the wrong number of parameters are refused where they are registered."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from wynd.connection import Handlers, check_handler

BOTH = (("message", "handle"), ("message",))


def one(message: Any) -> None: ...


def two(message: Any, handle: Any) -> None: ...


def three(a: Any, b: Any, c: Any) -> None: ...


def starred(*arguments: Any) -> None: ...


def optional(message: Any, handle: Any = None) -> None: ...


class Callable:
    async def __call__(self, message: Any) -> None: ...

    def method(self, message: Any, handle: Any) -> None: ...


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (one, 1),
        (two, 2),
        (starred, 2),
        (optional, 2),
        (Callable(), 1),
        (Callable().method, 2),
        (functools.partial(three, 1), 2),
        (print, 2),
    ],
)
def test_the_number_of_arguments_is_found_out(function: Any, arguments: int) -> None:
    assert check_handler("on_text", function, *BOTH).arguments == arguments


@pytest.mark.parametrize("function", [three, lambda: None])
def test_the_wrong_number_is_refused_with_what_is_right(function: Any) -> None:
    with pytest.raises(TypeError, match=r"must take \(message, handle\) or \(message\)"):
        check_handler("on_text", function, *BOTH)


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(TypeError, match="on_text needs a function"):
        check_handler("on_text", "handler", *BOTH)  # type: ignore[arg-type]


def test_a_copy_of_handlers_is_independent() -> None:
    shared = Handlers(text=(check_handler("t", one, *BOTH),))
    own = shared.copy()
    own.text += (check_handler("t", two, *BOTH),)
    assert (len(shared.text), len(own.text)) == (1, 2)
