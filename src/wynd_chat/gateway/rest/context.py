"""`Context`: what every endpoint of the API stands on; one per application.

`context_of(request)` finds it. Decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from wynd_chat.gateway.calls import Router
    from wynd_chat.gateway.doorman import Doorman
    from wynd_chat.gateway.rest.idempotency import Answers
    from wynd_chat.gateway.rest.origins import Origins
    from wynd_chat.services.bundle import Services

__all__ = ["Context", "context_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What endpoints use."""

    router: Router
    """Runs commands and takes messages."""
    doorman: Doorman
    """Knows who somebody is, and what is told of failures."""
    origins: Origins
    """Which pages may write with a cookie."""
    base_url: Callable[[Request], str]
    """Where a request reached the server, without a slash at the end."""
    answers: Answers
    """Answers to POSTs with an `Idempotency-Key`."""
    version: str
    """Of this program."""
    started_at: float
    """Monotonic seconds."""

    @property
    def services(self) -> Services:
        """The use cases."""
        return self.router.services


def context_of(request: Request) -> Context:
    """Return the context of the application that a request came to."""
    return cast("Context", request.app.state.context)
