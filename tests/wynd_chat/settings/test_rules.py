"""Who may come in by default, and which settings are called unsafe."""

from __future__ import annotations

import pytest

from wynd_chat.settings.loading import load
from wynd_chat.settings.rules import (
    guests_allowed,
    is_private_address,
    registration_mode,
    unsafe,
)


@pytest.mark.parametrize(
    ("address", "is_private"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("172.31.255.255", True),
        ("192.168.1.5", True),
        ("169.254.1.1", True),
        ("fd00::1", True),
        ("fe80::1%eth0", True),
        ("::ffff:10.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("172.32.0.1", False),
        ("8.8.8.8", False),
        ("100.64.0.1", False),
        ("::ffff:8.8.8.8", False),
        ("2001:db8::1", False),
        ("chat.example.org", False),
        ("", False),
    ],
)
def test_only_loopback_and_private_networks_are_private(address: str, is_private: bool) -> None:
    assert is_private_address(address) is is_private


@pytest.mark.parametrize(
    ("guests", "addresses", "allowed"),
    [
        ("auto", ["127.0.0.1", "::1"], True),
        ("auto", ["127.0.0.1", "192.168.1.5"], True),
        ("auto", ["127.0.0.1", "8.8.8.8"], False),
        ("auto", ["0.0.0.0"], False),
        ("auto", ["::"], False),
        ("auto", [], False),
        ("on", ["0.0.0.0"], True),
        ("off", ["127.0.0.1"], False),
    ],
)
def test_guests_may_come_in_where_the_rule_says_so(
    guests: str, addresses: list[str], allowed: bool
) -> None:
    settings = load({"auth.guests": guests})
    assert guests_allowed(settings, addresses) is allowed


@pytest.mark.parametrize(
    ("registration", "has_guests", "mode"),
    [
        ("auto", True, "open"),
        ("auto", False, "invite"),
        ("open", False, "open"),
        ("closed", True, "closed"),
    ],
)
def test_registration_follows_guests(registration: str, has_guests: bool, mode: str) -> None:
    settings = load({"auth.registration": registration})
    assert registration_mode(settings, has_guests=has_guests) == mode


def test_the_defaults_are_safe() -> None:
    assert unsafe(load()) == []


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"SERVER__HOST": "0.0.0.0"}, "without TLS"),
        ({"SERVER__HOST": "0.0.0.0", "AUTH__GUESTS": "on"}, "auth.guests is on"),
        ({"SERVER__HOST": "0.0.0.0", "AUTH__REGISTRATION": "open"}, "anybody may register"),
        ({"SERVER__PUBLIC_URL": "https://chat.example.org"}, "set auth.guests to on or off"),
        ({"SERVER__ORIGINS": "*"}, 'server.origins is "*"'),
        ({"SERVER__TRUSTED_PROXIES": "*"}, 'server.trusted_proxies is "*"'),
        ({"AUTH__PASSWORD_MIN": "8"}, "auth.password_min is 8"),
        ({"AUTH__QUERY_TOKENS": "true"}, "auth.query_tokens is on"),
        ({"STORAGE__URL": "memory:"}, "nothing is kept"),
        ({"METRICS__LISTEN": "0.0.0.0:9100"}, "metrics.token is not set"),
    ],
)
def test_an_unsafe_setting_has_its_sentence(environ: dict[str, str], words: str) -> None:
    settings = load({}, {f"WYND_CHAT__{name}": value for name, value in environ.items()})
    assert any(words in sentence for sentence in unsafe(settings))


def test_a_chat_behind_a_proxy_with_its_mind_made_up_is_safe() -> None:
    environ = {
        "WYND_CHAT__SERVER__HOST": "0.0.0.0",
        "WYND_CHAT__SERVER__PUBLIC_URL": "https://chat.example.org",
        "WYND_CHAT__SERVER__TRUSTED_PROXIES": "10.0.0.0/8",
        "WYND_CHAT__METRICS__LISTEN": "0.0.0.0:9100",
        "WYND_CHAT__METRICS__TOKEN": "0123456789abcdef0123",
    }
    assert unsafe(load({}, environ)) == []
