"""The log: one line per event, no control characters, no secrets."""

from __future__ import annotations

import io
import json
import logging
import re
from typing import TYPE_CHECKING

import pytest

from wynd_chat.observability.logs import configure, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger("wynd_chat.test")
TOKEN = "tK9v-0aZ_b7Qm3XcV5nB1pL8sD2fG4hJ6kR0wE9yU1i"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the log goes; the loggers are as before afterwards."""
    levels = {name: logging.getLogger(name).level for name in ("wynd", "wynd_chat")}
    handlers = list(logging.getLogger().handlers)
    yield io.StringIO()
    logging.getLogger().handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def test_a_text_line_has_time_level_logger_connection_and_message(stream: io.StringIO) -> None:
    configure("text", "info", stream)
    log.info("open from %s", "127.0.0.1", extra={"conn": "c_8x"})
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO wynd_chat\.test \[c_8x\] "
        r"open from 127\.0\.0\.1\n",
        stream.getvalue(),
    )


def test_a_json_line_has_the_same(stream: io.StringIO) -> None:
    configure("json", "info", stream)
    log.warning("odd: %d", 5, extra={"conn": "c_8x"})
    entry = json.loads(stream.getvalue())
    assert entry.pop("at").endswith("Z")
    assert entry == {
        "level": "warning",
        "logger": "wynd_chat.test",
        "message": "odd: 5",
        "conn": "c_8x",
    }


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_exception_is_in_the_same_line(stream: io.StringIO, form: str) -> None:
    configure(form, "info", stream)  # type: ignore[arg-type]
    try:
        raise RuntimeError("first\nsecond")
    except RuntimeError:
        log.exception("it failed")
    assert stream.getvalue().count("\n") == 1
    assert "it failed" in stream.getvalue()
    assert "RuntimeError: first" in stream.getvalue()


@pytest.mark.parametrize("form", ["text", "json"])
def test_nothing_that_is_logged_can_move_a_cursor_or_begin_a_line(
    stream: io.StringIO, form: str
) -> None:
    configure(form, "info", stream)  # type: ignore[arg-type]
    every = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x202E, 0x2066]))
    separators = "\u0085\u2028\u2029"
    log.info("path %s", f"{every}{separators}\x1b[2J", extra={"conn": every})
    try:
        raise ValueError(every)
    except ValueError:
        log.exception("bad")
    lines = stream.getvalue().split("\n")
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)


SECRETS = [
    f"Authorization: Bearer {TOKEN}",
    f"offered bearer.{TOKEN}, chat.v1.json",
    f"Cookie: __Host-wynd_chat={TOKEN}",
    f"Cookie: wynd_chat={TOKEN}; x=y",
    f"GET /ws?token={TOKEN} HTTP/1.1",
    f"GET /ws?a=1&access_token={TOKEN}",
    f"GET /claim/{TOKEN}",
    f"GET /join/{TOKEN} HTTP/1.1",
    f"PUT /u/{TOKEN}/cat.png",
    f"cannot connect to postgresql://chat:{TOKEN}@db/chat",
    f"row ('$argon2id$v=19$m=19456,t=2,p=1$abc${TOKEN}')",
]


@pytest.mark.parametrize("text", SECRETS)
@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_are_hidden_wherever_they_come_from(
    stream: io.StringIO, form: str, text: str
) -> None:
    configure(form, "info", stream)  # type: ignore[arg-type]
    log.info("%s", text)
    try:
        raise RuntimeError(text)
    except RuntimeError:
        log.exception("failed")
    assert TOKEN not in stream.getvalue()
    assert "***" in stream.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "connection 5 open from ('127.0.0.1', 5000)",
        "GET /api/v1/rooms/dev/messages?before=42 HTTP/1.1",
        "room #join is full",
        "http://localhost:3000/ws",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert without_secrets(text) == text


def test_levels_hold_for_our_own_loggers(stream: io.StringIO) -> None:
    configure("text", "warning", stream)
    log.info("not this")
    logging.getLogger("somebody.else").info("nor this")
    logging.getLogger("somebody.else").warning("but this")
    assert "this" in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


def test_configuring_again_replaces_what_was_set(stream: io.StringIO) -> None:
    configure("text", "info", stream)
    configure("json", "debug", stream)
    log.debug("once")
    assert json.loads(stream.getvalue())["message"] == "once"


def test_an_endless_message_is_cut(stream: io.StringIO) -> None:
    configure("text", "info", stream)
    log.info("x" * 1_000_000)
    assert len(stream.getvalue()) < 17_000
