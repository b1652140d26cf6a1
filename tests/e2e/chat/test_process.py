"""Transcripts against `python -m wynd_chat`, as anybody starts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.chat.hosts import Process
from tests.e2e.chat.script import DOORS, parse
from tests.e2e.chat.stage import Stage
from tests.e2e.chat.test_transcripts import FOLDER

if TYPE_CHECKING:
    from pathlib import Path

# Those that let no time pass and arrange no rows.
RUNS = [("text/tutorial.chat", door) for door in DOORS] + [
    ("text/endings.chat", "/ws"),
    ("text/strict.chat", "/ws"),
    ("process/restart.chat", "given"),
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("name", "door"), RUNS)
async def test_the_process_speaks_as_written(name: str, door: str, tmp_path: Path) -> None:
    script = parse(FOLDER / name)
    host = Process(tmp_path, script.settings)
    try:
        await host.start()
        await Stage(host, door).play(script)
        await host.stop()
    finally:
        await host.kill()
