"""The runner of transcripts has teeth: what did not happen as written fails, with its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.chat.hosts import InLoop
from tests.e2e.chat.script import Values, parse
from tests.e2e.chat.stage import Stage, TranscriptError

if TYPE_CHECKING:
    from pathlib import Path

WELCOMED = "Alice enters\nBob enters\nAlice < Bob joined the chat\n"


async def play(text: str, folder: Path) -> None:
    """Run a transcript."""
    file = folder / "one.chat"
    file.write_text(text, encoding="utf-8")
    script = parse(file)
    host = InLoop(folder, script.settings)
    await host.start()
    try:
        await Stage(host, "/ws").play(script)
    finally:
        await host.stop()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Bob > hi\nAlice < Bob: ho\n", r'line 5: .*\n.*expected "Bob: ho", but got "Bob: hi"'),
        ("Bob > hi\n", r"at the end\n.*Alice got more"),
        ("Bob > hi\nsilence\nAlice < Bob: hi\n", r"line 5: silence\n.*Alice got more"),
        ("Bob > hi\nBob closes\nAlice closes\n", "Alice got more"),
        ("Bob > /quit\nBob is closed 1000\n", "before the end"),
        ("Bob > /quit\nBob < Goodbye!\nBob is closed 1001\n", "expected 1001, but got 1000"),
        ("Carol > hi\n", "Carol is not connected"),
        ("Bob > /users\nBob < Online users: $one\n", "expected"),
        ("Bob > /name $unknown\n", "KeyError"),
        ("Eve is refused 400 by /ws\n", "Eve was let in"),
        ("Bob connects by json\nBob < {}\n", "expected {}"),
    ],
)
async def test_what_differs_fails_with_its_line(text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(TranscriptError, match=complaint):
        await play(WELCOMED + text, tmp_path)


def test_what_is_no_step_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "one.chat"
    file.write_text("# a comment\nAlice enters\nAlice dances\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"one\.chat:3: no step: 'Alice dances'"):
        parse(file)


def test_placeholders_are_the_same_wherever_they_stand() -> None:
    values = Values()
    assert values.fits({"id": "$id", "text": "by $who"}, {"id": 7, "text": "by Bob"})
    assert values.fits("$who and $_", "Bob and Carol")
    assert not values.fits("$who", "Carol")
    assert not values.fits({"id": "$id"}, {"id": "7"})
    assert not values.fits({"id": "$id"}, {"id": 7, "more": 1})
    assert not values.fits(1, True)
    assert values.fits("$$5 and (.*)", "$5 and (.*)")
    assert values.fill({"$who": ["$id", "@$who"]}) == {"Bob": [7, "@Bob"]}


def test_what_does_not_fit_is_not_remembered() -> None:
    values = Values()
    assert not values.fits({"a": "$x", "b": 1}, {"a": 5, "b": 2})
    assert values.fits("$x", 6)
