"""`attempt`: a call that may be refused, whose refusal is judged like any other result."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["attempt"]

E = TypeVar("E", bound=Exception)
P = ParamSpec("P")
T = TypeVar("T")


def attempt(refusal: type[E], call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T | E:
    """Return what a call returns, or the refusal it raises; anything else is a finding."""
    try:
        return call(*arguments, **named)
    except refusal as error:
        return error
