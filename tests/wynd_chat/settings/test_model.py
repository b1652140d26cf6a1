"""The frozen values themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from wynd_chat.settings.model import EPHEMERAL_URL, Settings, StorageSettings


def test_the_database_is_in_the_data_directory_unless_named() -> None:
    assert (
        StorageSettings(data=Path("/srv/chat")).database_url == "sqlite:////srv/chat/chat.sqlite3"
    )
    assert StorageSettings(url="postgresql://h/n").database_url == "postgresql://h/n"


def test_an_ephemeral_chat_keeps_nothing() -> None:
    assert StorageSettings(url=EPHEMERAL_URL).is_ephemeral
    assert not StorageSettings().is_ephemeral


def test_settings_that_were_not_loaded_name_no_folder() -> None:
    with pytest.raises(RuntimeError, match="not made by load"):
        _ = Settings().storage.directory


def test_equal_settings_are_equal() -> None:
    assert Settings() == Settings()
