"""Every command and request, in every role and place, with exact codes (scorecard: row 39)."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import TYPE_CHECKING

import pytest

from tests.wynd_chat.gateway.authorisation import COLUMNS, Cell, read_table, tried
from tests.wynd_chat.gateway.chat_kit import a_chat
from wynd_chat.domain.errors import ErrorCode
from wynd_chat.gateway.commands import HANDLERS
from wynd_chat.ports.rereading import Reread

if TYPE_CHECKING:
    from pathlib import Path

CELLS = read_table()
ROWS = [(action, list(cells)) for action, cells in groupby(CELLS, key=lambda cell: cell.action)]
RIGHTS_THAT_ARE_NO_COMMANDS = ("GET /rooms/{room}/messages", "file of the room", "sync of the room")


@pytest.mark.parametrize(("action", "cells"), ROWS, ids=[action for action, _ in ROWS])
async def test_every_role_may_what_the_table_says(
    action: str, cells: list[Cell], tmp_path: Path
) -> None:
    async with a_chat(tmp_path) as chat:
        chat.chat.reread = Reread
        codes = await asyncio.gather(
            *(tried(chat, action, cell.column, number) for number, cell in enumerate(cells))
        )
    wrong = [
        f"{cell.column}: {code}, not {cell.expected}"
        for cell, code in zip(cells, codes, strict=True)
        if code != cell.expected
    ]
    assert not wrong, wrong


def test_every_command_is_in_the_table() -> None:
    words = {action.split(" ")[0] for action, _ in ROWS}
    assert {f"/{name}" for name in HANDLERS} <= words
    assert set(RIGHTS_THAT_ARE_NO_COMMANDS) <= {action for action, _ in ROWS}


def test_every_cell_is_a_code_and_every_row_is_whole() -> None:
    known = {"ok", *(code.value for code in ErrorCode)}
    assert {cell.expected for cell in CELLS} <= known
    assert len(CELLS) == len(ROWS) * len(COLUMNS) >= 1000


def test_strangers_learn_nothing_of_private_rooms_and_conversations() -> None:
    for cell in CELLS:
        is_hidden = cell.column in ("stranger private", "admin dm", "stranger dm")
        if is_hidden and ("{room}" in cell.action or cell.action.startswith("/")):
            assert cell.expected == "not_found", cell
