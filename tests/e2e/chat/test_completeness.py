"""The set of transcripts is complete: every command that the server runs, and every error code."""

from __future__ import annotations

import re

from tests.e2e.chat.test_transcripts import FOLDER
from wynd_chat.domain.commands import COMMANDS, Group, find
from wynd_chat.domain.errors import ErrorCode
from wynd_chat.gateway.commands import HANDLERS

# Codes that no WebSocket face can provoke, and where they are tested.
ELSEWHERE: dict[ErrorCode, str] = {
    ErrorCode.CONFLICT: "an Idempotency-Key with another request: gateway/rest/test_idempotency.py",
    ErrorCode.EXPIRED: "an invitation that has ended: services/test_rooms.py",
}
# Commands whose transcripts come with what they do: moderation, uploads.
LATER = frozenset(
    spec.name for spec in COMMANDS if spec.group in (Group.MODERATION, Group.SERVER)
) | {"upload"}


def texts(face: str) -> str:
    """Return all transcripts of a folder as one text."""
    return "\n".join(path.read_text(encoding="utf-8") for path in FOLDER.glob(f"{face}/*.chat"))


def commands_in(text: str) -> set[str]:
    """Return the names of the commands that clients send."""
    words = re.findall(r"> \"? *(?:\\t)*/([A-Za-z]+)", text)
    words += re.findall(r'"type":"command","room":"[^"]*","text":" ?/([A-Za-z]+)', text)
    return {spec.name for word in words if (spec := find(word)) is not None}


def test_every_command_is_typed_in_a_transcript_of_the_text_face() -> None:
    assert sorted(set(HANDLERS) - LATER - commands_in(texts("text"))) == []


def test_every_command_is_sent_in_a_transcript_of_the_json_face() -> None:
    assert sorted(set(HANDLERS) - LATER - commands_in(texts("json"))) == []


def test_every_error_code_is_met_in_a_transcript() -> None:
    text = texts("text") + texts("json")
    met = set(re.findall(r"\[([a-z_]+)\]$", text, re.MULTILINE))
    met |= set(re.findall(r'"code":"([a-z_]+)"', text))
    assert sorted({code.value for code in ErrorCode} - met - set(ELSEWHERE)) == []


def test_codes_that_are_elsewhere_are_nowhere_here() -> None:
    text = texts("text") + texts("json")
    assert [code for code in ELSEWHERE if f"[{code}]" in text or f'"code":"{code}"' in text] == []
