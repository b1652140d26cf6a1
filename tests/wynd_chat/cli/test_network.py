"""Addresses for people nearby, and links that phones can read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wynd_chat.cli import network
from wynd_chat.settings.rules import is_private_address

if TYPE_CHECKING:
    import pytest


def test_only_private_addresses_of_this_machine_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_of_interfaces", lambda: iter(["127.0.0.1", "192.168.1.5"]))
    monkeypatch.setattr(network, "_of_name", lambda: iter(["192.168.1.5", "8.8.8.8"]))
    monkeypatch.setattr(network, "_of_default_route", lambda: iter(["10.0.0.2", "169.254.0.9"]))
    assert network.lan_addresses() == ["192.168.1.5", "10.0.0.2"]


def test_the_machine_can_be_asked() -> None:
    for address in network.lan_addresses():
        assert is_private_address(address)
    assert "127.0.0.1" in list(network._of_interfaces()) or not network.SIOCGIFADDR


def test_a_link_becomes_a_square_that_a_terminal_shows() -> None:
    lines = network.qr_code("http://192.168.1.5:3000").split("\n")
    assert len({len(line) for line in lines}) == 1
    assert 10 <= len(lines) <= 40
    assert set("".join(lines)) <= set(" ▀▄█")
