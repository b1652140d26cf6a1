"""What one connection of the portable engine costs while nothing happens."""

from __future__ import annotations

from typing import Any

from wynd.engines.outbox import Ledger
from wynd.engines.peer import Peer, State
from wynd.request import Request


async def send(event: Any) -> None:
    """Stand for a host's `send`."""


def test_an_idle_connection_owns_no_queue_set_or_task() -> None:
    request = Request.from_head(b"GET / HTTP/1.1", ("192.0.2.1", 1), False)
    peer = Peer(1, request, send, Ledger())
    assert peer.state is State.REQUESTED
    assert not hasattr(peer, "__dict__")
    owned = {name for name in Peer.__slots__ if getattr(peer, name) is not None}
    heavy = (list, dict, set, tuple)
    assert not any(isinstance(getattr(peer, name), heavy) for name in owned)
    assert {"inbox", "rooms", "writer", "rate", "early"} & owned == set()
