"""`Control`: how a stop is told, counted down and called off, with time in hand."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.wynd_chat.kit import Kit, a_kit
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.events import Message
from wynd_chat.gateway.control import Control
from wynd_chat.ports.backups import BackupMade
from wynd_chat.ports.rereading import Reread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def kit() -> AsyncIterator[Kit]:
    """Return services over memory."""
    async with a_kit() as made:
        yield made


@pytest.fixture
def stopped() -> list[int]:
    """Return with which codes the server was ended."""
    return []


async def backup() -> BackupMade:
    """Make a backup that takes as long as a turn of the loop."""
    await asyncio.sleep(0)
    return BackupMade("chat.tar", 3, 0)


@pytest.fixture
def control(kit: Kit, stopped: list[int]) -> Control:
    """Return what is tested."""
    return Control(
        cast("Any", kit),
        cast("Any", SimpleNamespace(clients={})),
        version="1",
        reread=lambda: Reread(("a",)),
        stop=stopped.append,
        sizes=lambda: (1, 2),
        backup=backup,
    )


async def said(kit: Kit) -> list[str]:
    """Return what was said in the lobby."""
    events = await kit.store.read(lambda s: s.messages(kit.lobby.id, limit=50))
    return [event.body.text for event in events if isinstance(event.body, Message)]


async def test_a_stop_comes_when_it_was_said(
    kit: Kit, control: Control, stopped: list[int]
) -> None:
    await control.stop_after(600, "moving")
    assert await said(kit) == ["The server stops in 10m: moving"]
    await kit.clock.advance(599)
    assert stopped == []
    await kit.clock.advance(1)
    assert stopped == [1001]


async def test_another_stop_counts_instead(kit: Kit, control: Control, stopped: list[int]) -> None:
    await control.stop_after(60, "soon")
    await control.stop_after(600, "later")
    await kit.clock.advance(599)
    assert stopped == []
    await kit.clock.advance(1)
    assert stopped == [1001]


async def test_a_stop_is_called_off(kit: Kit, control: Control, stopped: list[int]) -> None:
    with pytest.raises(ChatError) as refused:
        await control.keep_running("why?")
    assert refused.value.code is ErrorCode.NOT_FOUND
    await control.stop_after(60, "soon")
    await control.keep_running("never mind")
    await kit.clock.advance(600)
    assert stopped == []
    assert (await said(kit))[-1] == "The server goes on: never mind"


async def test_settings_are_read_by_whoever_knows_them(control: Control) -> None:
    assert control.reread() == Reread(("a",))


async def test_one_backup_is_made_at_a_time(control: Control) -> None:
    first = asyncio.ensure_future(control.backup())
    await asyncio.sleep(0)
    with pytest.raises(ChatError, match="being made already"):
        await control.backup()
    assert (await first).name == "chat.tar"
    assert (await control.backup()).size == 3
