"""`wynd new`: the project runs and its test passes."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest

from tests.wynd.cli.programs import run_command, wynd_command
from wynd.cli.creating import TEMPLATES

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("template", sorted(TEMPLATES))
async def test_a_new_project_passes_its_test_and_serves(tmp_path: Path, template: str) -> None:
    made = await run_command(tmp_path, "new", "tea", "--template", template)
    assert made == (0, "Made tea. Start it with:\n  cd tea\n  python main.py\n", "")
    for command in (["test_main.py"], ["-m", "pytest", "-q", "-p", "no:cacheprovider"]):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *command),
            cwd=tmp_path / "tea",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()
        assert b"passed" in output
    async with wynd_command(tmp_path / "tea", "serve", "main:app", "--port", "0") as program:
        assert await program.port() > 0
        assert (await program.ends())[0] == 0


async def test_an_existing_name_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "tea").mkdir()
    assert await run_command(tmp_path, "new", "tea") == (1, "", "wynd: tea exists already\n")
    assert list((tmp_path / "tea").iterdir()) == []
