"""Calls with arguments of any type, and what they may raise: for the targets of the boundary."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from wynd import ConnectionClosed, Prepared

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fuzz.drawing import Draw

__all__ = ["CODES", "DECLARED", "SENTENCES", "Planted", "anything", "arguments", "called", "refuse"]

SENTENCES = ("", "bye", "x" * 123, "x" * 124, "\u00e9" * 70, "\ud800")
CODES = (1000, 1001, 1005, 1006, 999, 3000, 4999, 5000, 0, 65_535)


class Planted(Exception):
    """What callables given to the engine raise."""


# What calls may raise: wrong types and values at the call, a connection or engine that ended, the
# system, and what a callable given to the engine raised. A panic is none of these.
DECLARED = (TypeError, ValueError, OverflowError, ConnectionClosed, RuntimeError, OSError, Planted)


def called(call: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """Return what a call returns, None for what it may refuse."""
    try:
        return call(*given, **named)
    except DECLARED:
        return None


class _Hostile:
    """An object whose every conversion raises."""

    def __index__(self) -> int:
        raise Planted

    def __float__(self) -> float:
        raise Planted

    def __iter__(self) -> Any:
        raise Planted

    def __len__(self) -> int:
        raise Planted


def refuse(*given: object, **named: object) -> Any:
    raise Planted


def anything(draw: Draw) -> Any:
    """Return an argument of any type."""
    kind = draw.number(31)
    if kind < 8:
        return draw.number(2**16)
    if kind < 12:
        return draw.sized(200)
    if kind < 16:
        return draw.text(200)
    return _VALUES[kind - 16]()


_VALUES: tuple[Callable[[], Any], ...] = (
    lambda: None,
    lambda: True,
    lambda: -1,
    lambda: 2**64 - 1,
    lambda: 2**64,
    lambda: math.nan,
    lambda: math.inf,
    lambda: [("a", "b"), ("", "\r\n")],
    lambda: ["chat", "\ud800"],
    lambda: {"type": "websocket.send", "text": "x"},
    lambda: bytearray(b"\x81\x80abcd"),
    lambda: memoryview(b"0123456789")[::2],
    lambda: Prepared("prepared"),
    lambda: Prepared(b"x" * 5000),
    lambda: refuse,
    _Hostile,
)


def arguments(draw: Draw) -> list[Any]:
    return [anything(draw) for _ in range(draw.number(4))]
