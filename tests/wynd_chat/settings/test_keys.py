"""The table of settings: complete, named alike everywhere."""

from __future__ import annotations

from dataclasses import fields

import pytest

from wynd_chat.domain.limits import ChatLimits
from wynd_chat.settings.keys import KEYS, SECTIONS, limit_value

# What the specification lists; more may be there.
SPECIFIED = [
    "server.host",
    "server.port",
    "server.plain_port",
    "server.public_url",
    "server.origins",
    "server.trusted_proxies",
    "storage.url",
    "storage.data",
    "broker.url",
    "auth.guests",
    "auth.registration",
    "auth.password_min",
    "rooms.lobby",
    "rooms.create",
    "rooms.edit_window",
    "text.strict_tutorial",
    "backup.every",
    "backup.keep",
    "metrics.listen",
    "metrics.token",
    "log.format",
]


def test_every_key_of_the_specification_is_there() -> None:
    assert [name for name in SPECIFIED if name not in KEYS] == []


def test_every_limit_is_a_key() -> None:
    names = {name.removeprefix("limits.") for name in KEYS if name.startswith("limits.")}
    assert names == {field.name for field in fields(ChatLimits)}


def test_the_sections_are_those_of_the_keys() -> None:
    assert list(dict.fromkeys(name.partition(".")[0] for name in KEYS)) == list(SECTIONS)


def test_variables_are_named_after_section_and_key() -> None:
    assert KEYS["server.plain_port"].variable == "WYND_CHAT__SERVER__PLAIN_PORT"
    assert len({key.variable for key in KEYS.values()}) == len(KEYS)


def test_addresses_and_storage_need_a_restart_and_secrets_are_marked() -> None:
    waiting = {name for name, key in KEYS.items() if not key.is_live}
    assert {"server.host", "server.port", "storage.url", "storage.data", "broker.url"} <= waiting
    assert {name for name, key in KEYS.items() if key.is_secret} == {
        "storage.url",
        "metrics.token",
    }


@pytest.mark.parametrize("field", [field.name for field in fields(ChatLimits)])
def test_every_default_of_a_limit_can_be_written_as_text(field: str) -> None:
    default = getattr(ChatLimits(), field)
    assert limit_value(field, "off" if default is None else str(default)) == default
