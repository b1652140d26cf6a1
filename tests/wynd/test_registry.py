"""The registry answers who is connected, and on which thread a call came."""

from __future__ import annotations

import asyncio
import threading

from tests.wynd.recording import RecordingEngine, request
from wynd.handle import ConnectionHandle
from wynd.limits import Limits
from wynd.registry import Registry


async def test_clients_are_those_let_through_and_not_closed() -> None:
    registry = Registry(RecordingEngine(), Limits(), asyncio.get_running_loop())
    first, second = (ConnectionHandle(registry, n, n, request(), None) for n in (1, 2))
    assert registry.clients() == []
    first._note_open()
    second._note_open()
    assert registry.clients() == [first, second]
    assert first.clients() == [first, second]
    first._note_closed(None, 1006)
    assert registry.clients() == [second]


async def test_it_knows_its_thread() -> None:
    registry = Registry(RecordingEngine(), Limits(), asyncio.get_running_loop())
    assert registry.on_loop_thread()
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(registry.on_loop_thread()))
    thread.start()
    thread.join()
    assert answers == [False]
