"""The broker of one process: every subscriber is woken, and none can keep the others asleep."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from wynd_chat.adapters.broker.memory import MemoryBroker

if TYPE_CHECKING:
    import pytest

    from wynd_chat.ports.broker import Broker


def test_every_subscriber_hears_every_publish_in_order() -> None:
    broker: Broker = MemoryBroker()
    first: list[tuple[str, int]] = []
    second: list[tuple[str, int]] = []
    broker.subscribe(lambda room_id, seq: first.append((room_id, seq)))
    broker.publish("r_1", 1)
    broker.subscribe(lambda room_id, seq: second.append((room_id, seq)))
    broker.publish("r_1", 2)
    broker.publish("r_2", 1)
    assert first == [("r_1", 1), ("r_1", 2), ("r_2", 1)]
    assert second == [("r_1", 2), ("r_2", 1)]


def test_publishing_without_subscribers_is_no_error() -> None:
    MemoryBroker().publish("r_1", 1)


def test_a_subscriber_that_fails_is_logged_and_others_are_woken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = MemoryBroker()
    heard: list[int] = []

    def fail(room_id: str, seq: int) -> None:
        raise RuntimeError("broken")

    broker.subscribe(fail)
    broker.subscribe(lambda _, seq: heard.append(seq))
    with caplog.at_level(logging.ERROR, "wynd_chat.broker"):
        broker.publish("r_1", 7)
    assert heard == [7]
    assert "r_1 at 7" in caplog.text


def test_a_subscriber_may_publish_and_subscribe_while_it_is_woken() -> None:
    broker = MemoryBroker()
    heard: list[tuple[str, int]] = []

    def wake_up(room_id: str, seq: int) -> None:
        heard.append((room_id, seq))
        if seq == 1:
            broker.subscribe(lambda *_: None)
            broker.publish(room_id, 2)

    broker.subscribe(wake_up)
    broker.publish("r_1", 1)
    assert heard == [("r_1", 1), ("r_1", 2)]
