"""How the log looks: one line per event, for people (text) or for programs (JSON).

Decides the form, and that nothing in it can harm a terminal or give a secret away. What is logged
is decided where it happens; message texts never are.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from wynd_chat.domain.text import escape_for_log

if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["JsonFormatter", "TextFormatter", "configure", "without_secrets"]

OURS = ("wynd", "wynd_chat")  # at the level that is set; everything else from warnings on
LINE_CHARS_MAX = 16_000  # a longer line is cut; journals and shippers cut theirs earlier or later
HIDDEN = "***"

# What a stray address, header or exception may hold: credentials, and paths that are one.
_SECRETS = re.compile(
    r"""(?ix)
      (?P<bearer>\bbearer[\s.]+)[\w.~+/=-]{8,}
    | (?P<cookie>\bwynd_chat=)[\w.~+/=-]+
    | (?P<query>[?&](?:access_)?token=)[^&\s"']+
    | (?P<path>/(?:claim|join|u)/)[\w-]{6,}
    | (?P<url>\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@/]+(?=@)
    | (?P<hash>\$argon2id?\$)\S+
    """
)


def without_secrets(text: str) -> str:
    """Return a text with tokens, cookies, one-time paths, passwords of URLs and hashes hidden.

    A net below the rule that none is ever logged: exceptions and third-party code do not know it.
    """
    return _SECRETS.sub(lambda match: f"{match[match.lastgroup or 0]}{HIDDEN}", text)


class TextFormatter(logging.Formatter):
    """`2026-11-23T19:24:05.123Z INFO wynd_chat.gateway [c_8x] open`, exceptions in the same line.

    A record's `conn` (given by `extra={"conn": ...}`) is the connection's id.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, without control characters."""
        conn = _conn(record)
        where = f" [{conn}]" if conn else ""
        text = f"{_time(record)} {record.levelname} {record.name}{where} {_message(record)}"
        exception = _exception(record, self)
        return _cut(text if exception is None else f"{text} | {exception}")


class JsonFormatter(logging.Formatter):
    """One JSON object: `at level logger message`, and `conn`, `exception` where there are any."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of ASCII."""
        entry = {
            "at": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _cut(_message(record)),
        }
        conn = _conn(record)
        if conn:
            entry["conn"] = conn
        exception = _exception(record, self)
        if exception is not None:
            entry["exception"] = _cut(exception)
        return json.dumps(entry)


def configure(
    form: Literal["text", "json"] = "text", level: str = "info", stream: TextIO | None = None
) -> None:
    """Send the log to `stream` (standard error), replacing what was set before.

    Args:
        form: "text" or "json".
        level: From which weight on our own loggers speak: "debug", "info", "warning", "error".
        stream: Where to.
    """
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        if getattr(old, "is_of_wynd_chat", False):
            root.removeHandler(old)
            old.close()
    handler.is_of_wynd_chat = True  # type: ignore[attr-defined]
    root.addHandler(handler)
    for name in OURS:
        logging.getLogger(name).setLevel(level.upper())


def _message(record: logging.LogRecord) -> str:
    return escape_for_log(without_secrets(record.getMessage()))


def _exception(record: logging.LogRecord, formatter: logging.Formatter) -> str | None:
    """Return the traceback in one line."""
    if record.exc_info and not record.exc_text:
        record.exc_text = formatter.formatException(record.exc_info)
    return escape_for_log(without_secrets(record.exc_text)) if record.exc_text else None


def _conn(record: logging.LogRecord) -> str:
    return escape_for_log(str(getattr(record, "conn", "")))


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def _cut(text: str) -> str:
    return text if len(text) <= LINE_CHARS_MAX else f"{text[:LINE_CHARS_MAX]}… (cut)"
