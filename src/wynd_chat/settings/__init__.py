"""Settings of the chat server: `load` makes a frozen `Settings`; the rest explains and judges it.

Parts: `parsing` (one value), `model` (what can be set), `keys` (all of it as a table), `loading`
(sources and errors), `rules` (what follows), `showing` (for people).
"""

from __future__ import annotations

from wynd_chat.settings.keys import KEYS, Key
from wynd_chat.settings.loading import (
    Loaded,
    Reloaded,
    SettingsError,
    load,
    load_traced,
    reloaded,
)
from wynd_chat.settings.model import EPHEMERAL_URL, Settings
from wynd_chat.settings.rules import guests_allowed, registration_mode, unsafe
from wynd_chat.settings.showing import default_toml, explain, masked, variables

__all__ = [
    "EPHEMERAL_URL",
    "KEYS",
    "Key",
    "Loaded",
    "Reloaded",
    "Settings",
    "SettingsError",
    "default_toml",
    "explain",
    "guests_allowed",
    "load",
    "load_traced",
    "masked",
    "registration_mode",
    "reloaded",
    "unsafe",
    "variables",
]
