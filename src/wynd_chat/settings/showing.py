"""What `wynd-chat config` prints: settings in force, defaults as TOML, environment names.

Plain texts, secrets masked. Knows where values came from by `Loaded`, nothing of the terminal.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from wynd_chat.settings.keys import KEYS, SECTIONS
from wynd_chat.settings.loading import value_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wynd_chat.settings.keys import Key
    from wynd_chat.settings.loading import Loaded

__all__ = ["MASK", "Row", "default_toml", "explain", "masked", "variables"]

MASK = "********"
WIDTH = 96


@dataclass(frozen=True, slots=True)
class Row:
    """One key as `config show` prints it."""

    key: str
    value: str
    """As TOML, masked; "off" where nothing is set."""
    source: str


def masked(key: Key, value: Any) -> Any:
    """Return a value as people may see it: of a database's URL only the password is hidden."""
    if not key.is_secret or value is None:
        return value
    if key.name == "storage.url":
        parts = urlsplit(str(value))
        if parts.password is None and not parts.query:
            return value
        user = f"{parts.username or ''}:{MASK}@" if parts.password is not None else ""
        if not user and parts.username:
            user = f"{parts.username}@"
        host = parts.netloc.rpartition("@")[2]
        query = MASK if parts.query else ""  # libpq takes passwords there too
        return urlunsplit((parts.scheme, user + host, parts.path, query, ""))
    return MASK


def explain(loaded: Loaded) -> list[Row]:
    """Return every key with its value, masked, and its source, in the order of the sections."""
    return [
        Row(name, _toml(masked(key, value_of(loaded.settings, name))), loaded.source(name))
        for name, key in KEYS.items()
    ]


def default_toml() -> str:
    """Return a TOML file of all keys with their defaults, commented out, with what they do."""
    lines = [
        "# Settings of wynd-chat. Every line is the default; take away the # to change one.",
        "# Flags and environment variables (wynd-chat config env) go before this file.",
    ]
    for section in SECTIONS:
        lines += ["", f"[{section}]"]
        for key in _keys_of(section):
            lines += _comment(key)
            lines.append(f"# {key.name.partition('.')[2]} = {_toml(key.default)}")
    return "\n".join(lines) + "\n"


def variables() -> list[tuple[str, str, str]]:
    """Return (name of the variable, default, what it does) of every key."""
    found = []
    for key in KEYS.values():
        found.append((key.variable, _plain(key.default), key.description))
        if key.is_secret:
            found.append((f"{key.variable}_FILE", "", f"A file that holds {key.name}."))
    return found


def _keys_of(section: str) -> Iterator[Key]:
    return (key for key in KEYS.values() if key.name.startswith(f"{section}."))


def _comment(key: Key) -> list[str]:
    restart = "" if key.is_live else " Takes a restart."
    text = f"{key.description} Must be {key.expects}.{restart}".strip()
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ")


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    text = _toml(value)
    return text[1:-1] if text.startswith('"') else text


def _toml(value: Any) -> str:
    """Return a value as TOML; None, which TOML lacks, as "off"."""
    if value is None:
        return '"off"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(entry) for entry in value)}]"
    text = str(value) if isinstance(value, Path) else value
    return '"' + "".join(_ESCAPES.get(char, char) for char in text) + '"'


_ESCAPES = {'"': '\\"', "\\": "\\\\", **{chr(code): f"\\u{code:04x}" for code in (*range(32), 127)}}
