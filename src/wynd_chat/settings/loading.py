"""`load`: flags > environment > TOML file > defaults, and one sentence for each thing wrong.

Decides where values come from and how what is wrong is told: which source, which key, what to
write instead. What a value must be stands at the models. Reads files, never `os.environ`: the
environment is an argument.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
from pydantic import ValidationError

from wynd_chat.domain.limits import ChatLimits
from wynd_chat.settings.keys import ENV_PREFIX, KEYS, SECTIONS, Key, limit_value
from wynd_chat.settings.model import Settings
from wynd_chat.settings.parsing import as_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "CONFIG_NAME",
    "Loaded",
    "Reloaded",
    "SettingsError",
    "load",
    "load_traced",
    "reloaded",
    "value_of",
]

CONFIG_NAME = "wynd-chat.toml"
FILE_SUFFIX = "_FILE"
SECRET_BYTES_MAX = 64 * 1024  # a secret's file is short; the wrong file may be endless
CONFIG_BYTES_MAX = 1024 * 1024
DEFAULT_SOURCE = "default"
LIMIT_NAMES = tuple(field.name for field in fields(ChatLimits))


class SettingsError(Exception):
    """Settings that cannot be used.

    Attributes:
        sentences: One for each thing that is wrong: source, key, remedy. Never a secret.
    """

    def __init__(self, sentences: Iterable[str]) -> None:
        self.sentences: tuple[str, ...] = tuple(sentences)
        super().__init__("\n".join(self.sentences))


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and where each came from."""

    settings: Settings
    sources: Mapping[str, str]
    """By key: "flag --port", "environment WYND_CHAT__SERVER__PORT", a file; else the default."""
    config_path: Path | None
    """The TOML file that was read; None: there is none."""

    def source(self, name: str) -> str:
        """Return where a key's value came from."""
        return self.sources.get(name, DEFAULT_SOURCE)


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What became of new settings for a running server."""

    settings: Settings
    """The running ones with what can change live taken over."""
    applied: tuple[str, ...]
    """Keys that changed and were taken over."""
    waiting: tuple[str, ...]
    """Keys that changed and need a restart."""


@dataclass(frozen=True, slots=True)
class _Entry:
    value: Any
    source: str


def load(
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    config_path: Path | None = None,
) -> Settings:
    """Return the settings in force; `load_traced` also says where each came from.

    Args:
        flags: Values of the command line by key ("server.port"); those not given are left out.
        environ: The environment, `os.environ` of the program. None: an empty one.
        config_path: The TOML file; None: `wynd-chat.toml` in the data directory, if it is there.

    Raises:
        SettingsError: anything unknown, contradictory or unusable, all of it at once.
    """
    return load_traced(flags, environ, config_path).settings


def load_traced(
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    config_path: Path | None = None,
) -> Loaded:
    """Return the settings in force and the source of each. Arguments and errors as in `load`."""
    variables = environ or {}
    problems: list[str] = []
    from_flags = _from_flags(flags or {})
    from_environment = _from_environment(variables, problems)
    above_file = {**from_environment, **from_flags}
    folder = _data_directory(above_file, variables)
    path = config_path if config_path is not None else _default_file(folder, problems)
    from_file = {} if path is None else _from_file(path, problems)
    entries = {**from_file, **above_file}
    if (given := entries.get("storage.data")) is None or _path_of(given) is None:
        source = "STATE_DIRECTORY" if variables.get("STATE_DIRECTORY") else DEFAULT_SOURCE
        entries["storage.data"] = _Entry(folder, source)
    settings = _build(entries, problems)
    if problems or settings is None:
        raise SettingsError(problems)
    sources = {name: entry.source for name, entry in entries.items()}
    return Loaded(settings, sources, path)


def reloaded(running: Settings, fresh: Settings) -> Reloaded:
    """Take over from `fresh` what a running server can change.

    Returns:
        The new settings, and the keys that changed: taken over, and waiting for a restart.
    """
    changed = [name for name in KEYS if value_of(running, name) != value_of(fresh, name)]
    applied = tuple(name for name in changed if KEYS[name].is_live)
    sections: dict[str, Any] = {}
    for section in SECTIONS:
        names = [name.partition(".")[2] for name in applied if name.startswith(f"{section}.")]
        held, new = getattr(running, section), getattr(fresh, section)
        values = {name: getattr(new, name) for name in names}
        if values:
            sections[section] = held.model_copy(update=values)
    waiting = tuple(name for name in changed if not KEYS[name].is_live)
    return Reloaded(running.model_copy(update=sections), applied, waiting)


def value_of(settings: Settings, name: str) -> Any:
    """Return the value of a key."""
    section, _, field = name.partition(".")
    return getattr(getattr(settings, section), field)


def _data_directory(entries: Mapping[str, _Entry], environ: Mapping[str, str]) -> Path:
    """Return where the data is, as far as flags and environment say; files come later."""
    entry = entries.get("storage.data")
    named = None if entry is None else _path_of(entry)
    if named is not None:
        return named
    state = environ.get("STATE_DIRECTORY", "").partition(":")[0]  # systemd may name several
    if state:
        return Path(state)
    return Path(platformdirs.user_data_dir("wynd-chat", appauthor=False))


def _path_of(entry: _Entry) -> Path | None:
    try:
        return as_path(entry.value)
    except ValueError:  # told when all values are judged
        return Path()


def _default_file(folder: Path, problems: list[str]) -> Path | None:
    path = folder / CONFIG_NAME
    try:
        return path if path.exists() else None
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        problems.append(f"{path}: {reason}; give access to it, or name another folder with --data")
        return None


def _from_flags(flags: Mapping[str, Any]) -> dict[str, _Entry]:
    """Name the flags; an unknown key is a mistake of ours."""
    entries = {}
    for name, value in flags.items():
        key = KEYS[name]
        entries[name] = _Entry(value, f"flag {key.flag or name}")
    return entries


def _from_environment(environ: Mapping[str, str], problems: list[str]) -> dict[str, _Entry]:
    """Read `WYND_CHAT__SECTION__KEY` and `..._FILE`.

    Only the prefix with two underscores is ours: container platforms set WYND_CHAT_PORT and the
    like for a service of this name.
    """
    by_variable = {key.variable: key for key in KEYS.values()}
    entries: dict[str, _Entry] = {}
    for variable in sorted(environ):
        if not variable.upper().startswith(ENV_PREFIX):
            continue
        value: str | None = environ[variable]
        key = by_variable.get(variable)
        source = f"environment {variable}"
        if key is None and variable.endswith(FILE_SUFFIX):
            key = by_variable.get(variable.removesuffix(FILE_SUFFIX))
            if key is not None:
                value = _secret_from(Path(environ[variable]), key, variable, problems)
        if key is None:
            problems.append(_unknown(source, variable, list(by_variable)))
        elif key.name in entries:
            problems.append(
                f"{source}: {key.name} is also set by {key.variable}; remove one of them"
            )
        elif value is not None:
            entries[key.name] = _Entry(value, source)
    return entries


def _secret_from(path: Path, key: Key, variable: str, problems: list[str]) -> str | None:
    """Read a secret's file, without the line end that editors add."""
    if not key.is_secret:
        problems.append(
            f"environment {variable}: {key.name} is no secret; set {key.variable} instead"
        )
        return None
    try:
        with path.open("rb") as file:
            content = file.read(SECRET_BYTES_MAX + 1)
        if len(content) > SECRET_BYTES_MAX:
            problems.append(f"environment {variable}: {path} is too long for a secret")
            return None
        return content.decode().rstrip("\r\n")
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        problems.append(f"environment {variable}: {path}: {reason}; make it readable")
    except UnicodeDecodeError:
        problems.append(f"environment {variable}: {path} is no UTF-8 text; write it anew")
    return None


def _from_file(path: Path, problems: list[str]) -> dict[str, _Entry]:
    """Read a TOML file: one table per section."""
    try:
        with path.open("rb") as file:
            content = file.read(CONFIG_BYTES_MAX + 1)
        if len(content) > CONFIG_BYTES_MAX:
            problems.append(f"{path} is over 1 MiB; that is no settings file")
            return {}
        tables = tomllib.loads(content.decode())
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        problems.append(f"{path}: {reason}; name a readable file with --config")
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        problems.append(f"{path} is no valid TOML: {error}")
        return {}
    entries: dict[str, _Entry] = {}
    for section, table in tables.items():
        if section not in SECTIONS:
            problems.append(_unknown(str(path), section, [*SECTIONS, *KEYS]))
        elif not isinstance(table, dict):
            problems.append(f"{path}: {section} is a section; write [{section}] and keys below it")
        else:
            for name, value in table.items():
                full = f"{section}.{name}"
                if full in KEYS:
                    entries[full] = _Entry(value, str(path))
                else:
                    problems.append(_unknown(str(path), full, list(KEYS)))
    return entries


def _unknown(source: str, name: str, known: list[str]) -> str:
    near = [one for one in known if one.endswith(f".{name}")]
    near = near or difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    remedy = f"did you mean {near[0]}?" if near else "see wynd-chat config default"
    where = source if source.startswith("environment") else f"{source}: {name}"
    return f"{where} is no setting; {remedy}"


def _build(entries: Mapping[str, _Entry], problems: list[str]) -> Settings | None:
    sections: dict[str, dict[str, Any]] = {}
    limits: dict[str, _Entry] = {}
    for name, entry in entries.items():
        section, _, field = name.partition(".")
        if section == "limits":
            limits[field] = entry
        elif isinstance(entry.value, bool) and not _takes_bool(name):
            problems.append(_wrong(name, entry))
        else:
            sections.setdefault(section, {})[field] = entry.value
    built = _build_limits(limits, problems)
    try:
        return Settings.model_validate({**sections, "limits": built})
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False, include_input=False):
            name = ".".join(str(part) for part in detail["loc"][:2])
            problems.append(_wrong(name, entries[name]))
    return None


def _build_limits(entries: Mapping[str, _Entry], problems: list[str]) -> ChatLimits:
    values = {}
    for field, entry in entries.items():
        try:
            value = limit_value(field, entry.value)
            ChatLimits(**{field: value})
        except (TypeError, ValueError) as error:
            is_contradiction = str(error).startswith(tuple(f"{name} (" for name in LIMIT_NAMES))
            if not is_contradiction:
                problems.append(_wrong(f"limits.{field}", entry))
                continue
        values[field] = value  # contradictions are judged below, with all values
    try:
        return ChatLimits(**values)
    except ValueError as error:
        named = {one.source for field, one in entries.items() if f"{field} (" in str(error)}
        problems.append(f"{', '.join(sorted(named))}: limits.{error}")
    return ChatLimits()


def _takes_bool(name: str) -> bool:
    return "true" in KEYS[name].expects or '"off"' in KEYS[name].expects


def _wrong(name: str, entry: _Entry) -> str:
    key = KEYS[name]
    given = "what is set" if key.is_secret else f"not {_short(entry.value)}"
    joint = ", " if not key.is_secret else "; change "
    return f"{entry.source}: {name} must be {key.expects}{joint}{given}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
