"""Backups by the clock: none skipped, none twice, the newest kept, failures told and repeated."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from tests.wynd_chat.adapters.backup.chats import make_chat, names_in
from tests.wynd_chat.observability.clocks import HandClock, settle
from wynd_chat.adapters.backup.backups import backup_name
from wynd_chat.adapters.backup.schedule import BackupSchedule

if TYPE_CHECKING:
    from pathlib import Path

DAY_S = 86_400.0
NOW_S = 1_795_917_600.0  # 2026-11-29T02:00:00Z


class Fixture:
    """A schedule over a chat, and its clock."""

    def __init__(self, data: Path, folder: Path) -> None:
        self.folder = folder
        self.clock = HandClock(NOW_S)
        self.schedule = BackupSchedule(
            data,
            folder,
            every_s=DAY_S,
            keep=2,
            program="x",
            database=data / "chat.sqlite3",
            clock=self.clock,
        )

    async def wait_until_asleep(self) -> None:
        """Wait until it waits for time; what it does before takes a thread."""
        async with asyncio.timeout(15):
            while not self.clock.has_sleepers:  # noqa: ASYNC110  # a thread is working
                await asyncio.sleep(0.005)

    async def pass_hours(self, hours: int) -> None:
        """Let time pass, hour by hour."""
        for _ in range(hours):
            await self.wait_until_asleep()
            await self.clock.advance(3600)
        await self.wait_until_asleep()

    def count(self) -> int:
        """Return how many backups there are."""
        return len(names_in(self.folder)) if self.folder.exists() else 0


@pytest.fixture
async def made(tmp_path: Path) -> Fixture:
    """A schedule over a small chat that is not running."""
    await (await make_chat(tmp_path / "data", messages=1)).close()
    return Fixture(tmp_path / "data", tmp_path / "out")


async def test_the_first_is_made_at_once_then_one_a_day_and_two_are_kept(made: Fixture) -> None:
    made.schedule.start()
    await made.wait_until_asleep()
    assert made.count() == 1
    await made.pass_hours(23)
    assert made.count() == 1
    await made.pass_hours(1)
    assert made.count() == 2
    await made.pass_hours(48)
    assert names_in(made.folder) == [
        backup_name(int((NOW_S + days * DAY_S) * 1000)) for days in (2, 3)
    ]
    await made.schedule.close()


async def test_a_restart_does_not_repeat_one(made: Fixture) -> None:
    made.folder.mkdir()
    (made.folder / backup_name(int((NOW_S - 20 * 3600) * 1000))).touch()
    made.schedule.start()
    await made.pass_hours(3)
    assert made.count() == 1
    await made.pass_hours(1)
    assert made.count() == 2
    await made.schedule.close()


async def test_one_from_the_future_does_not_put_the_next_one_off(made: Fixture) -> None:
    made.folder.mkdir()
    (made.folder / backup_name(int((NOW_S + 900 * DAY_S) * 1000))).touch()
    made.schedule.start()
    async with asyncio.timeout(15):
        while made.count() < 2:  # noqa: ASYNC110  # a thread is working
            await asyncio.sleep(0.005)
    await made.schedule.close()


async def test_a_failure_is_told_and_tried_again_within_the_hour(
    made: Fixture, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "out").write_text("a file in the way")
    with caplog.at_level(logging.INFO, "wynd_chat.backup"):
        made.schedule.start()
        await made.wait_until_asleep()
        assert "no backup was made" in caplog.text
        (tmp_path / "out").unlink()
        await made.clock.advance(3600)
        await made.wait_until_asleep()
    assert made.count() == 1
    await made.schedule.close()


async def test_closing_waits_for_what_is_being_written(made: Fixture) -> None:
    made.schedule.start()
    await settle()
    await made.schedule.close()
    await made.schedule.close()
    if made.folder.exists():
        assert all(name.endswith(".tar") and name[0] != "." for name in names_in(made.folder))
