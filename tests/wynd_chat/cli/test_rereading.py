"""Settings that change while the server runs: taken over, named, or refused as a whole."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from wynd_chat.cli.rereading import reread
from wynd_chat.settings import Settings, load

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Chat:
    """A server that has settings."""

    settings: Settings


@pytest.fixture
def chat(caplog: pytest.LogCaptureFixture) -> Iterator[Chat]:
    """A server with the defaults; the log is as before afterwards."""
    handlers = list(logging.getLogger().handlers)
    levels = {name: logging.getLogger(name).level for name in ("wynd", "wynd_chat")}
    yield Chat(load())
    logging.getLogger().handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def test_what_can_change_is_taken_over_and_the_rest_named(
    chat: Chat, caplog: pytest.LogCaptureFixture
) -> None:
    reread(chat, lambda: load({"auth.guests": "off", "server.port": 4000}))
    assert chat.settings.auth.guests == "off"
    assert chat.settings.server.port == 3000
    assert "settings: changed auth.guests" in caplog.messages
    assert "settings: a restart is needed for server.port" in caplog.messages


def test_settings_that_cannot_be_used_change_nothing(
    chat: Chat, caplog: pytest.LogCaptureFixture
) -> None:
    before = chat.settings
    reread(chat, lambda: load({"auth.guests": "off", "server.port": "x"}))
    assert chat.settings is before
    assert caplog.messages == [
        "settings: flag --port: server.port must be a port, 0 to 65535, not 'x'",
        "settings: nothing was changed",
    ]


def test_unchanged_settings_and_unsafe_ones_are_told(
    chat: Chat, caplog: pytest.LogCaptureFixture
) -> None:
    reread(chat, load)
    assert "settings: read again, nothing has changed" in caplog.messages
    reread(chat, lambda: load({"auth.password_min": 8}))
    assert any(text.startswith("UNSAFE: auth.password_min is 8") for text in caplog.messages)


def test_whoever_asked_is_told_what_became_of_them(chat: Chat) -> None:
    done = reread(chat, lambda: load({"auth.guests": "off", "server.port": 4000}))
    assert (done.applied, done.waiting, done.problems) == (("auth.guests",), ("server.port",), ())
    wrong = reread(chat, lambda: load({"server.port": "x"}))
    assert wrong.problems == ("flag --port: server.port must be a port, 0 to 65535, not 'x'",)
