"""What one value may be: plain functions from what a source wrote to what the program uses.

Sources write texts (environment, flags) or TOML values; both are taken. Each function raises
`ValueError` for what it cannot use; the sentence that users read is made in `loading`, from what
the key expects.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wynd_chat.domain.durations import parse_duration
from wynd_chat.domain.errors import ChatError
from wynd_chat.domain.names import parse_room_name

__all__ = [
    "Name",
    "as_bool",
    "as_count",
    "as_duration",
    "as_endpoint",
    "as_list",
    "as_networks",
    "as_optional_port",
    "as_origin",
    "as_origins",
    "as_password_min",
    "as_path",
    "as_port",
    "as_storage_url",
    "as_switch",
    "as_token",
    "as_url",
    "split_endpoint",
]

OFF = ("off", "none", "")
PASSWORD_MIN_LOWEST = 8  # what OWASP allows beside a second factor; below 15 the start warns
PASSWORD_MIN_HIGHEST = 128  # a longer minimum locks people out
UNITS = {"": 1, "b": 1, "kib": 1024, "mib": 1024**2, "gib": 1024**3}
SIZE = re.compile(r"(\d+)\s*([a-z]*)", re.ASCII)
TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+", re.ASCII)  # RFC 6750, section 2.1
ORIGIN = re.compile(r"https?://(\*\.)?[a-z0-9.-]+(:\d{1,5})?|https?://\[[0-9a-f:]+\](:\d{1,5})?")


@dataclass(frozen=True, slots=True)
class Name:
    """Take a text of one line and 1 to `longest` characters; a room's name by its own rules."""

    longest: int
    is_room: bool = False

    def __call__(self, value: Any) -> str:
        text = _text(value).strip()
        if self.is_room:
            try:
                return parse_room_name(text)
            except ChatError as error:
                raise ValueError(error.sentence) from None
        if not 1 <= len(text) <= self.longest or not text.isprintable():
            raise ValueError(text)
        return text


def as_bool(value: Any) -> bool:
    """Take true or false, also as "on", "off", "yes", "no", "1", "0"."""
    if isinstance(value, bool):
        return value
    word = _text(value).strip().lower()
    if word in ("true", "on", "yes", "1"):
        return True
    if word in ("false", "off", "no", "0"):
        return False
    raise ValueError(word)


def as_switch(value: Any) -> Any:
    """Take "auto", "on" or "off", where true is on and false is off."""
    if isinstance(value, bool):
        return "on" if value else "off"
    word = _text(value).strip().lower()
    return {"true": "on", "yes": "on", "false": "off", "no": "off"}.get(word, word)


def as_list(value: Any) -> Any:
    """Take a list of texts, or one text with commas; empty entries do not count."""
    entries = value.split(",") if isinstance(value, str) else value
    if not isinstance(entries, list | tuple):
        raise ValueError("no list")  # pydantic collects ValueError only
    return tuple(text for entry in entries if (text := _text(entry).strip()))


def as_networks(value: Any) -> tuple[str, ...]:
    """Take a list of addresses and networks, or "*" for every peer."""
    entries: tuple[str, ...] = as_list(value)
    for entry in entries:
        if entry != "*":
            ip_network(entry)
    return entries


def as_count(value: Any) -> int:
    """Take a whole number; texts may have a unit of bytes such as "25 MiB"."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = SIZE.fullmatch(_text(value).strip().lower())
    if match is None or match[2] not in UNITS:
        raise ValueError(f"{value!r} is no whole number")
    return int(match[1]) * UNITS[match[2]]


def as_port(value: Any) -> int:
    """Take a port, 0 to 65535."""
    port = as_count(value)
    if not 0 <= port <= 65535:
        raise ValueError(port)
    return port


def as_optional_port(value: Any) -> int | None:
    """Take a port, or None for "off"."""
    return None if _is_off(value) else as_port(value)


def as_password_min(value: Any) -> int:
    """Take the least length of a password."""
    length = as_count(value)
    if not PASSWORD_MIN_LOWEST <= length <= PASSWORD_MIN_HIGHEST:
        raise ValueError(length)
    return length


def as_duration(value: Any) -> int | None:
    """Take seconds, "30s" to "1w", or None for "off"."""
    if _is_off(value):
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        if value <= 0:
            raise ValueError(value)
        return value
    text = _text(value).strip()
    try:
        return parse_duration(f"{text}s" if text.isdecimal() else text)
    except ChatError as error:
        raise ValueError(error.sentence) from None


def as_url(value: Any) -> str | None:
    """Take an http or https URL, without the slash at its end, or None for "off"."""
    if _is_off(value):
        return None
    text = _text(value).strip().rstrip("/")
    parts = urlsplit(text)
    has_extra = parts.query or parts.fragment or "@" in parts.netloc
    if parts.scheme not in ("http", "https") or not parts.hostname or has_extra:
        raise ValueError(text)
    _ = parts.port  # raises for what is no port
    if not text.isprintable() or " " in text:
        raise ValueError(text)
    return text


def as_origin(value: Any) -> str | None:
    """Take one origin (scheme, host, port), or None for "off"."""
    return None if _is_off(value) else _origin(_text(value).strip())


def as_origins(value: Any) -> tuple[str, ...]:
    """Take a list of origins; "*" alone allows every page, `https://*.example.org` its subdomains.

    "same-host" is the default's own name and means an empty list.
    """
    entries: tuple[str, ...] = as_list(value)
    if entries in (("same-host",), ("*",)):
        return () if entries == ("same-host",) else entries
    return tuple(_origin(entry) for entry in entries)


def as_storage_url(value: Any) -> str | None:
    """Take `sqlite:///PATH`, `postgresql://...` or `memory:`; None for the default."""
    if _is_off(value):
        return None
    text = _text(value).strip()
    is_file = text.startswith("sqlite:///") and len(text) > len("sqlite:///")
    is_server = text.startswith(("postgresql://", "postgres://")) and bool(urlsplit(text).path)
    if text != "memory:" and not is_file and not is_server:
        raise ValueError("no database")
    return text


def as_path(value: Any) -> Path | None:
    """Take a folder, `~` expanded, or None for "off"."""
    if _is_off(value):
        return None
    text = str(value) if isinstance(value, Path) else _text(value)
    if "\0" in text:
        raise ValueError("no path")
    return Path(text).expanduser()


def as_token(value: Any) -> str | None:
    """Take a secret that a header can carry, or None for "off"."""
    if _is_off(value):
        return None
    text = _text(value)
    if not 16 <= len(text) <= 256 or not TOKEN.fullmatch(text):
        raise ValueError("no token")
    return text


def as_endpoint(value: Any) -> str | None:
    """Take "HOST:PORT" or a port of localhost, or None for "off"."""
    if _is_off(value):
        return None
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)
    text = text.strip()
    if text.isdecimal():
        text = f"localhost:{text}"
    split_endpoint(text)
    return text


def split_endpoint(endpoint: str) -> tuple[str, int]:
    """Return host and port of "HOST:PORT"; an IPv6 address stands in brackets.

    Raises:
        ValueError: it is none.
    """
    host, colon, port = endpoint.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = str(ip_address(host[1:-1]))
    elif ":" in host:
        raise ValueError(f"{endpoint!r} is no HOST:PORT; an IPv6 address needs brackets")
    if not colon or not host or not port.isdecimal():
        raise ValueError(f"{endpoint!r} is no HOST:PORT")
    return host, as_port(port)


def _origin(text: str) -> str:
    lowered = text.lower()
    if not ORIGIN.fullmatch(lowered):
        raise ValueError(text)
    _ = urlsplit(lowered.replace("*.", "", 1)).port
    return lowered


def _is_off(value: Any) -> bool:
    return (
        value is None or value is False or (isinstance(value, str) and value.strip().lower() in OFF)
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("no text")  # pydantic collects ValueError only
    return value
