"""Every transcript of `transcripts/`, at every door it is written for; the server logs no error."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.e2e.chat.hosts import InLoop
from tests.e2e.chat.script import parse
from tests.e2e.chat.stage import Stage

FOLDER = Path(__file__).with_name("transcripts")
FAULTS = ("a fault", "the store fails")
RUNS = [
    (path.relative_to(FOLDER).as_posix(), door)
    for path in sorted(FOLDER.rglob("*.chat"))
    for door in parse(path).doors
]


@pytest.mark.parametrize(("name", "door"), RUNS)
async def test_the_server_speaks_as_written(
    name: str, door: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script = parse(FOLDER / name)
    host = InLoop(tmp_path, script.settings)
    await host.start()
    try:
        await Stage(host, door).play(script)
    finally:
        await host.stop()
    is_faulty = any(step.verb == "given" and step.rest in FAULTS for step in script.steps)
    errors = [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]
    assert bool(errors) is is_faulty, errors
