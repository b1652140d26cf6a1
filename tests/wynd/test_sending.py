"""The common case of a send: the native base of a handle and its plain twin hand over the same."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.wynd.recording import RecordingEngine
from wynd.engines.base import Opcode
from wynd.limits import Limits
from wynd.registry import Registry
from wynd.sending import HandleBase, PlainHandleBase
from wynd.testing import FakeClock


def kind(base: Any) -> Any:
    """Return a handle on `base` that records what the common case leaves to it."""

    class Handle(base):  # type: ignore[misc]
        """As little of a handle as can send."""

        def __init__(self, _registry: Registry, _key: int, *_others: object) -> None:
            self.left: list[tuple[int, object]] = []

        def _send(self, opcode: int, message: object) -> Any:
            self.left.append((opcode, message))
            return "waits"

    return Handle


# Where the native module is not built, both are the plain one.
@pytest.fixture(params=[HandleBase, PlainHandleBase], ids=["public", "plain"])
async def handle(request: pytest.FixtureRequest) -> Any:
    """A handle over an engine that is not the native one."""
    limits = Limits()
    loop = asyncio.get_running_loop()
    registry = Registry(RecordingEngine(limits), limits, loop, FakeClock())
    return kind(request.param)(registry, 7, "what a subclass takes")


async def test_over_another_engine_every_send_is_left_to_the_handle(handle: Any) -> None:
    assert handle.send_text("a") == "waits"
    assert handle.send_binary(b"b") == "waits"
    assert handle.send_text(message="c") == "waits"
    assert handle.left == [(Opcode.TEXT, "a"), (Opcode.BINARY, b"b"), (Opcode.TEXT, "c")]


async def test_key_and_whether_messages_are_taken_are_shown(handle: Any) -> None:
    assert (handle._key, handle._takes_messages) == (7, True)
    handle._refuse_messages()
    assert not handle._takes_messages


@pytest.mark.parametrize("arguments", [(), ("a", "b")])
async def test_a_send_takes_one_message(handle: Any, arguments: tuple[str, ...]) -> None:
    with pytest.raises(TypeError):
        handle.send_text(*arguments)
    with pytest.raises(TypeError):
        handle.send_text(text="a")
    assert handle.left == []
