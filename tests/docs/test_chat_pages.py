"""The tables of the chat's reference pages are made from its code, and nothing is left out."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import DOCS, name_of, rows_of

if importlib.util.find_spec("fastapi") is None:
    pytest.skip("the packages of the chat are not installed", allow_module_level=True)

from tools.chat_pages import PAGES, effective_keys, render, sent_codes
from tools.schema_tables import fields_of, type_text
from wynd_chat.cli.program import run
from wynd_chat.domain.errors import ErrorCode
from wynd_chat.domain.limits import ChatLimits
from wynd_chat.gateway.commands import HANDLERS
from wynd_chat.settings import KEYS
from wynd_chat.wire.close_codes import CloseCode
from wynd_chat.wire.requests import REQUESTS
from wynd_chat.wire.schemas import EVENT_TYPES, NOTICE_TYPES

if TYPE_CHECKING:
    from pathlib import Path

REFERENCE = DOCS / "reference"
COMMANDS = (REFERENCE / "chat-commands.md").read_text(encoding="utf-8")
FACE = (REFERENCE / "json-face.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_page_is_made_from_the_code(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert render(text) == text, "run `make fix`"


def test_a_page_without_a_place_for_a_table_is_an_error() -> None:
    with pytest.raises(ValueError, match="no place for a table"):
        render("# a page")


def test_a_table_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError, match="there is no table tea; known are commands"):
        render("<!-- made by tools/chat_pages.py: tea -->\n<!-- /made -->")


def test_tables_are_renewed_and_the_text_around_them_stays() -> None:
    made = render(
        "before\n<!-- made by tools/chat_pages.py: errors -->\nstale words\n<!-- /made -->\nafter"
    )
    assert made.startswith("before\n<!-- made")
    assert made.endswith("<!-- /made -->\nafter")
    assert "stale words" not in made
    assert "| `rate_limited` | 429 | yes |" in made


@pytest.mark.parametrize("name", HANDLERS)
def test_every_command_that_runs_is_described(name: str) -> None:
    assert re.search(rf"^\| `/{name}[ `]", COMMANDS, re.MULTILINE)


def test_every_command_of_the_program_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    names = re.findall(r"^│ ([a-z][a-z-]+) {2,}", capsys.readouterr().out, re.MULTILINE)
    assert len(names) > 5
    for name in names:
        assert re.search(rf"^### `wynd-chat {name}\b", COMMANDS, re.MULTILINE), name


def test_every_setting_is_described() -> None:
    text = (REFERENCE / "chat-settings.md").read_text(encoding="utf-8")
    sections = re.split(r"^### `\[(\w+)\]`\n", text, flags=re.MULTILINE)
    shown = {
        f"{section}.{key}"
        for section, body in zip(sections[1::2], sections[2::2], strict=True)
        for key in re.findall(r"^\| `(\w+)` ", body, re.MULTILINE)
    }
    assert shown == set(KEYS)
    assert {f"limits.{field.name}" for field in dataclasses.fields(ChatLimits)} <= shown


def test_settings_that_are_read_are_told_from_those_that_are_not() -> None:
    known = effective_keys()
    assert {"server.port", "auth.guests", "limits.messages_burst", "storage.data"} <= known
    # Editing is for a later version.
    assert "rooms.edit_window" not in known


def test_every_code_is_described() -> None:
    page = REFERENCE / "chat-codes.md"
    assert [row[0].strip("`") for row in rows_of(page, "Code")] == [
        *(code.value for code in ErrorCode),
        *(str(int(code)) for code in CloseCode),
    ]


def test_codes_that_nothing_sends_are_marked() -> None:
    assert CloseCode.SLOW_CONSUMER in sent_codes()
    for row in rows_of(REFERENCE / "chat-codes.md", "Code"):
        if row[0].isdecimal():
            is_sent = CloseCode(int(row[0])) in sent_codes()
            assert ("does not send it" in row[2]) is not is_sent


@pytest.mark.parametrize("name", [*REQUESTS, *EVENT_TYPES, *NOTICE_TYPES])
def test_every_frame_is_described(name: str) -> None:
    assert f"### `{name}`\n" in FACE


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "integer"}, "integer"),
        ({"const": True}, "`true`"),
        ({"enum": ["a", "b", None]}, "`a`, `b`"),
        ({"enum": list(ErrorCode)}, "[code](chat-codes.md#error-codes)"),
        ({"$ref": "#/components/schemas/User"}, "[User](#user)"),
        ({"type": ["string", "null"]}, "string or null"),
        ({"type": "array", "items": {"type": "string"}}, "list of string"),
        (
            {"type": "object", "additionalProperties": {"type": "integer"}},
            "object of integer by name",
        ),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, "object: `a` string"),
        ({}, "value"),
    ],
)
def test_types_in_words(schema: dict[str, object], text: str) -> None:
    assert type_text(schema) == text


def test_fields_that_may_be_left_out_are_told_from_others() -> None:
    schema = {
        "properties": {"a": {"type": "integer", "minimum": 1, "maximum": 5}, "b": {}, "id": {}},
        "required": ["a"],
    }
    assert fields_of(schema, besides={"id"})[2:] == [
        "| `a` | integer |  | 1 to 5. |",
        "| `b` | value | yes |  |",
        "",
    ]
    assert fields_of({"properties": {}}) == []
