"""Where settings come from, in which order, and what is said about those that cannot be used."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from wynd_chat.domain.limits import ChatLimits
from wynd_chat.settings.keys import KEYS
from wynd_chat.settings.loading import SettingsError, load, load_traced, reloaded
from wynd_chat.settings.model import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT = "message_chars_max"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An empty data directory."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def write(folder: Path, text: str) -> Path:
    """Write the settings file of a data directory."""
    path = folder / "wynd-chat.toml"
    path.write_text(text, encoding="utf-8")
    return path


def sentences(
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    config_path: Path | None = None,
) -> list[str]:
    """Return what is said about settings that cannot be used."""
    with pytest.raises(SettingsError) as refused:
        load(flags, environ, config_path)
    return list(refused.value.sentences)


def test_without_anything_the_defaults_hold() -> None:
    settings = load()
    assert settings.server.host == ("localhost",)
    assert (settings.server.port, settings.server.plain_port) == (3000, None)
    assert (settings.auth.guests, settings.auth.registration) == ("auto", "auto")
    assert settings.auth.password_min == 15
    assert (settings.rooms.lobby, settings.rooms.create) == ("lobby", "all")
    assert settings.rooms.edit_window == 24 * 3600
    assert settings.text.strict_tutorial is False
    assert (settings.backup.every, settings.backup.keep) == (None, 7)
    assert (settings.metrics.listen, settings.metrics.token) == (None, None)
    assert settings.log.format == "text"
    assert settings.limits == ChatLimits()
    assert settings.storage.directory.name == "wynd-chat"
    assert settings.storage.database_url.endswith("/wynd-chat/chat.sqlite3")


def test_flags_go_before_environment_before_file_before_defaults(data: Path) -> None:
    write(data, '[server]\nport = 1\nplain_port = 2\nname = "file"\n[log]\nformat = "json"\n')
    environ = {"WYND_CHAT__SERVER__PORT": "11", "WYND_CHAT__SERVER__PLAIN_PORT": "12"}
    loaded = load_traced({"server.port": 21, "storage.data": data}, environ)
    server = loaded.settings.server
    assert (server.port, server.plain_port, server.name) == (21, 12, "file")
    assert loaded.source("server.port") == "flag --port"
    assert loaded.source("server.plain_port") == "environment WYND_CHAT__SERVER__PLAIN_PORT"
    assert loaded.source("server.name") == str(data / "wynd-chat.toml")
    assert loaded.source("server.host") == "default"
    assert loaded.config_path == data / "wynd-chat.toml"


def test_the_file_that_is_named_is_read_instead_of_the_one_beside_the_data(
    data: Path, tmp_path: Path
) -> None:
    write(data, "[server]\nport = 1\n")
    other = tmp_path / "other.toml"
    other.write_text("[server]\nport = 2\n")
    assert load({"storage.data": data}, {}, other).server.port == 2


def test_the_data_directory_is_where_the_service_manager_says(data: Path) -> None:
    loaded = load_traced({}, {"STATE_DIRECTORY": f"{data}:/somewhere/else"})
    assert loaded.settings.storage.data == data
    assert loaded.source("storage.data") == "STATE_DIRECTORY"


@pytest.mark.parametrize("nothing", ["", "off"])
def test_an_empty_data_directory_is_the_default_one(nothing: str) -> None:
    assert load({}, {"WYND_CHAT__STORAGE__DATA": nothing}).storage.directory.name == "wynd-chat"


def test_home_is_understood_in_paths() -> None:
    assert load({}, {"WYND_CHAT__STORAGE__DATA": "~/chat"}).storage.data == Path.home() / "chat"


def test_texts_become_values() -> None:
    environ = {
        "WYND_CHAT__SERVER__HOST": "127.0.0.1, ::1",
        "WYND_CHAT__SERVER__PUBLIC_URL": "https://chat.example.org/",
        "WYND_CHAT__TEXT__STRICT_TUTORIAL": "on",
        "WYND_CHAT__BACKUP__EVERY": "24h",
        "WYND_CHAT__ROOMS__EDIT_WINDOW": "off",
        f"WYND_CHAT__LIMITS__{LIMIT.upper()}": "4 KiB",
        "WYND_CHAT__METRICS__LISTEN": "9100",
        "WYND_CHAT__AUTH__GUESTS": "true",
    }
    settings = load({}, environ)
    assert settings.server.host == ("127.0.0.1", "::1")
    assert settings.server.public_url == "https://chat.example.org"
    assert settings.text.strict_tutorial is True
    assert settings.backup.every == 86_400
    assert settings.rooms.edit_window is None
    assert getattr(settings.limits, LIMIT) == 4096
    assert settings.metrics.listen == "localhost:9100"
    assert settings.auth.guests == "on"


def test_toml_has_values_of_its_own(data: Path) -> None:
    path = write(
        data,
        '[server]\norigins = ["https://a.example", "https://*.b.example"]\n'
        f"[auth]\nguests = false\n[limits]\n{LIMIT} = 100\n[backup]\nevery = 3600\n",
    )
    settings = load({}, {}, path)
    assert settings.server.origins == ("https://a.example", "https://*.b.example")
    assert settings.auth.guests == "off"
    assert getattr(settings.limits, LIMIT) == 100
    assert settings.backup.every == 3600


# What cannot be used


def test_everything_wrong_is_told_at_once_with_source_key_and_remedy(data: Path) -> None:
    path = write(data, '[server]\nname = ""\nprot = 1\n')
    said = sentences(
        {"server.port": "99999"},
        {"WYND_CHAT__AUTH__GUESTS": "maybe", "WYND_CHAT__LOG__FROMAT": "json"},
        path,
    )
    assert sorted(said) == sorted(
        [
            "environment WYND_CHAT__LOG__FROMAT is no setting; "
            "did you mean WYND_CHAT__LOG__FORMAT?",
            f"{path}: server.prot is no setting; did you mean server.port?",
            "flag --port: server.port must be a port, 0 to 65535, not '99999'",
            f"{path}: server.name must be a text of 1 to 64 characters, not ''",
            'environment WYND_CHAT__AUTH__GUESTS: auth.guests must be "auto", "on" or "off", '
            "not 'maybe'",
        ]
    )


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        ("port = 1", "port is no setting; did you mean server.port?"),
        ("[sever]\nport = 1", "sever is no setting; did you mean server?"),
        ("server = 1", "server is a section; write [server] and keys below it"),
        ("[[server]]\nport = 1", "server is a section; write [server] and keys below it"),
        ("[zzzzz]", "zzzzz is no setting; see wynd-chat config default"),
        ("[server]\nport = true", "server.port must be a port, 0 to 65535, not True"),
        ("[server]\nport = 1.5", "server.port must be a port, 0 to 65535, not 1.5"),
        ("[server]\nport = [1]", "server.port must be a port, 0 to 65535, not [1]"),
        ("[server]\nport = 1979-05-27", "server.port must be a port, 0 to 65535, not datetime"),
        ("[server]\nhost = 5", "server.host must be an address or a list of addresses, not 5"),
        ("[server]\nhost = [5]", "server.host must be an address or a list of addresses, not [5]"),
        ("[server.port]\nx = 1", "server.port must be a port, 0 to 65535, not {'x': 1}"),
        ("[backup]\nkeep = 0", "backup.keep must be a whole number above 0, not 0"),
        ("[log]\nformat = true", 'log.format must be "text" or "json", not True'),
        (f"[limits]\n{LIMIT} = 0", f"limits.{LIMIT} must be a whole number above 0, not 0"),
        (f'[limits]\n{LIMIT} = "x"', f"limits.{LIMIT} must be a whole number above 0, not 'x'"),
        (f"[limits]\n{LIMIT} = true", f"limits.{LIMIT} must be a whole number above 0, not True"),
        (f"[limits]\n{LIMIT} = [1]", f"limits.{LIMIT} must be a whole number above 0, not [1]"),
        ("[limits]\nmesage_chars_max = 1", "did you mean limits.message_chars_max?"),
        ('[broker]\nurl = "redis://x"', "broker.url must be"),
    ],
)
def test_a_file_with_something_wrong_is_refused(data: Path, toml: str, sentence: str) -> None:
    path = write(data, toml)
    (said,) = sentences({}, {}, path)
    assert said.startswith(f"{path}: ")
    assert sentence in said


def test_limits_that_contradict_each_other_are_told_in_their_own_words() -> None:
    (said,) = sentences({}, {"WYND_CHAT__LIMITS__MESSAGE_CHARS_MAX": "20000"})
    assert said == (
        "environment WYND_CHAT__LIMITS__MESSAGE_CHARS_MAX: limits.message_chars_max (20000) may "
        "need 80000 bytes, more than frame_bytes_max (65536); lower it"
    )


def test_limits_that_fit_together_may_both_be_raised(data: Path) -> None:
    path = write(data, "[limits]\nframe_bytes_max = 131072\n")
    environ = {"WYND_CHAT__LIMITS__MESSAGE_CHARS_MAX": "20000"}
    assert load({}, environ, path).limits.message_chars_max == 20_000


def test_a_limit_may_be_switched_off_where_it_can() -> None:
    environ = {"WYND_CHAT__LIMITS__CONNECTIONS_PER_ADDRESS_MAX": "off"}
    assert load({}, environ).limits.connections_per_address_max is None
    (said,) = sentences({}, {"WYND_CHAT__LIMITS__CONNECTIONS_MAX": "off"})
    assert said.endswith("limits.connections_max must be a whole number above 0, not 'off'")


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "0", "x"])
def test_a_rate_is_a_number_above_zero(value: str) -> None:
    (said,) = sentences({}, {"WYND_CHAT__LIMITS__MESSAGES_PER_SECOND": value})
    assert said.endswith(f"limits.messages_per_second must be a number above 0, not {value!r}")


@pytest.mark.parametrize("content", [b"[server", b"\xff\xfe", b"a = " + b"[" * 5000])
def test_a_file_that_is_no_toml_is_refused(data: Path, content: bytes) -> None:
    path = data / "wynd-chat.toml"
    path.write_bytes(content)
    (said,) = sentences({"storage.data": data})
    assert said.startswith(f"{path} is no valid TOML: ")


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    path = tmp_path / "missing.toml"
    (said,) = sentences({}, {}, path)
    assert said == f"{path}: No such file or directory; name a readable file with --config"


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no /dev/zero")
def test_endless_files_are_refused() -> None:
    zero = Path("/dev/zero")
    assert sentences({}, {}, zero) == ["/dev/zero is over 1 MiB; that is no settings file"]
    (said,) = sentences({}, {"WYND_CHAT__METRICS__TOKEN_FILE": "/dev/zero"})
    assert said.endswith("/dev/zero is too long for a secret")


def test_names_that_container_platforms_set_are_not_ours() -> None:
    environ = {"WYND_CHAT_PORT": "tcp://10.0.0.1:3000", "WYND_CHAT_SERVICE_HOST": "10.0.0.1"}
    assert load({}, environ).server.port == 3000


def test_a_variable_in_small_letters_is_told() -> None:
    (said,) = sentences({}, {"wynd_chat__server__port": "1"})
    assert said.startswith("environment wynd_chat__server__port is no setting")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("server.public_url", "ftp://x"),
        ("server.public_url", "https://user:password@x"),
        ("server.public_url", "https://x/?q"),
        ("server.public_url", "https://x:99999"),
        ("server.public_url", "https://"),
        ("server.public_url", "https://a b"),
        ("server.origins", "example.org"),
        ("server.origins", "https://example.org/"),
        ("server.origins", "null"),
        ("server.origins", "*, https://a.example"),
        ("server.trusted_proxies", "proxy.example"),
        ("server.trusted_proxies", "10.0.0.1/8"),
        ("server.plain_port", "-1"),
        ("server.name", "a\nb"),
        ("server.name", "x" * 65),
        ("storage.url", "mysql://x/y"),
        ("storage.url", "sqlite:///"),
        ("storage.url", "postgresql://host"),
        ("storage.data", "a\0b"),
        ("auth.password_min", "7"),
        ("auth.password_min", "1000"),
        ("auth.query_tokens", "perhaps"),
        ("rooms.lobby", "two words"),
        ("rooms.edit_window", "soon"),
        ("rooms.edit_window", "99999w"),
        ("uploads.origin", "https://x/path"),
        ("backup.every", "-1h"),
        ("metrics.listen", "host:port"),
        ("metrics.listen", "::1:9100"),
        ("metrics.listen", "[x]:9100"),
        ("metrics.token", "short"),
        ("metrics.token", "with white space in it"),
    ],
)
def test_a_value_out_of_bounds_is_refused(name: str, value: str) -> None:
    variable = KEYS[name].variable
    (said,) = sentences({}, {variable: value})
    assert said.startswith(f"environment {variable}: {name} must be {KEYS[name].expects}")


# Secrets


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("0123456789abcdef0123\n")
    loaded = load_traced({}, {"WYND_CHAT__METRICS__TOKEN_FILE": str(path)})
    assert loaded.settings.metrics.token == "0123456789abcdef0123"
    assert loaded.source("metrics.token") == "environment WYND_CHAT__METRICS__TOKEN_FILE"


def test_a_secret_that_is_set_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("0123456789abcdef0123")
    environ = {
        "WYND_CHAT__METRICS__TOKEN": "0123456789abcdef0123",
        "WYND_CHAT__METRICS__TOKEN_FILE": str(path),
    }
    (said,) = sentences({}, environ)
    assert "also set by WYND_CHAT__METRICS__TOKEN; remove one of them" in said


def test_a_secrets_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    (said,) = sentences({}, {"WYND_CHAT__METRICS__TOKEN_FILE": str(missing)})
    assert said.endswith(f"{missing}: No such file or directory; make it readable")
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe" * 20)
    (said,) = sentences({}, {"WYND_CHAT__METRICS__TOKEN_FILE": str(binary)})
    assert said.endswith("is no UTF-8 text; write it anew")


def test_only_secrets_come_from_files() -> None:
    (said,) = sentences({}, {"WYND_CHAT__SERVER__PORT_FILE": os.devnull})
    assert said.endswith("server.port is no secret; set WYND_CHAT__SERVER__PORT instead")


def test_no_secret_is_in_what_is_said_or_printed(tmp_path: Path) -> None:
    secret = "hunter2 hunter2"
    environ = {
        "WYND_CHAT__METRICS__TOKEN": secret,
        "WYND_CHAT__STORAGE__URL": f"mysql://me:{secret}@host/name",
    }
    assert not any("hunter2" in sentence for sentence in sentences({}, environ))
    settings = load({}, {"WYND_CHAT__METRICS__TOKEN": "hunter2hunter2hunter2"})
    assert "hunter2" not in f"{settings!r} {settings} {settings.metrics!r}"


# Changes while the server runs


def test_what_can_change_live_is_taken_over_and_the_rest_is_named() -> None:
    running = load({}, {})
    fresh = load(
        {},
        {
            "WYND_CHAT__LOG__FORMAT": "json",
            "WYND_CHAT__AUTH__GUESTS": "off",
            "WYND_CHAT__SERVER__PORT": "4000",
            f"WYND_CHAT__LIMITS__{LIMIT.upper()}": "100",
        },
    )
    result = reloaded(running, fresh)
    assert result.applied == ("auth.guests", "log.format")
    assert result.waiting == ("server.port", f"limits.{LIMIT}")
    assert result.settings.log.format == "json"
    assert result.settings.auth.guests == "off"
    assert result.settings.limits == ChatLimits()
    assert result.settings.server.port == 3000
    assert running.log.format == "text"


def test_unchanged_settings_change_nothing() -> None:
    result = reloaded(load({}, {}), load({}, {}))
    assert (result.applied, result.waiting) == ((), ())
    assert result.settings == load({}, {})


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().server.port = 1
