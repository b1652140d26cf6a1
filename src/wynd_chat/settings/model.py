"""`Settings`: what can be set, section by section, with defaults, and what each value must be.

One frozen value. Knows no file and no environment (`loading` does), and prints nothing (`showing`
does). Numbers of the `limits` section are `domain.limits.ChatLimits`, with their reasons there.
"""

from __future__ import annotations

from pathlib import Path  # pydantic reads annotations when the program runs
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from wynd_chat.domain.limits import ChatLimits
from wynd_chat.settings.parsing import (
    Name,
    as_bool,
    as_count,
    as_duration,
    as_endpoint,
    as_list,
    as_networks,
    as_optional_port,
    as_origin,
    as_origins,
    as_password_min,
    as_path,
    as_port,
    as_storage_url,
    as_switch,
    as_token,
    as_url,
)

__all__ = [
    "EPHEMERAL_URL",
    "AuthSettings",
    "BackupSettings",
    "BrokerSettings",
    "LogSettings",
    "MetricsSettings",
    "RoomsSettings",
    "ServerSettings",
    "Settings",
    "StorageSettings",
    "TextSettings",
    "UploadsSettings",
]

EPHEMERAL_URL = "memory:"  # `storage.url` of a chat that keeps nothing

DAY_S = 86_400


def _key(
    default: Any,
    description: str,
    expects: str,
    *,
    flag: str | None = None,
    is_live: bool = False,
    is_secret: bool = False,
) -> Any:
    """Declare one key.

    Args:
        default: What it is when nobody sets it.
        description: What it does, for `config default` and the reference.
        expects: What its value must be, as the end of "must be ...".
        flag: The option of the command line that sets it.
        is_live: Whether a running server can take over a change.
        is_secret: Whether it is never shown, and may come from a file (`..._FILE`).
    """
    return Field(
        default=default,
        description=description,
        json_schema_extra={
            "expects": expects,
            "flag": flag,
            "is_live": is_live,
            "is_secret": is_secret,
        },
    )


class _Section(BaseModel):
    """What all sections have in common: frozen, no unknown keys, no secrets in `repr`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"  # a log line must not carry secrets

    __str__ = __repr__


class ServerSettings(_Section):
    """Where the chat listens, and how it is reached."""

    name: Annotated[str, BeforeValidator(Name(64))] = _key(
        "wynd-chat", "What clients show as the server's name.", "a text of 1 to 64 characters"
    )
    host: Annotated[tuple[str, ...], BeforeValidator(as_list)] = _key(
        ("localhost",),
        "Addresses or names to bind; localhost is 127.0.0.1 and, where it exists, ::1.",
        "an address or a list of addresses",
        flag="--host",
    )
    port: Annotated[int, BeforeValidator(as_port)] = _key(
        3000, "Port of page, WebSocket and API; 0 takes a free one.", "a port, 0 to 65535",
        flag="--port",
    )  # fmt: skip
    plain_port: Annotated[int | None, BeforeValidator(as_optional_port)] = _key(
        None,
        "A second port to the same rooms: WebSocket only, text face only, any path.",
        'a port, 0 to 65535, or "off"',
        flag="--plain-port",
    )
    public_url: Annotated[str | None, BeforeValidator(as_url)] = _key(
        None,
        "How people reach the chat, for links; without it links are built from each request.",
        "a URL such as https://chat.example.org",
        flag="--public-url",
    )
    origins: Annotated[tuple[str, ...], BeforeValidator(as_origins)] = _key(
        (),
        "Pages of other sites that may connect; without it only the chat's own.",
        "a list of origins such as https://example.org",
        flag="--origin",
    )
    trusted_proxies: Annotated[tuple[str, ...], BeforeValidator(as_networks)] = _key(
        (),
        "Addresses or networks whose X-Forwarded-* headers count.",
        "a list of addresses or networks such as 127.0.0.1 or 10.0.0.0/8",
        flag="--trusted-proxy",
    )


class StorageSettings(_Section):
    """Where rooms, messages and files are kept."""

    url: Annotated[str | None, BeforeValidator(as_storage_url)] = _key(
        None,
        "The database: SQLite in the data directory, or postgresql://user:password@host/name.",
        "sqlite:///PATH, postgresql://... or memory:",
        is_secret=True,
    )
    data: Annotated[Path | None, BeforeValidator(as_path)] = _key(
        None,
        "The data directory; $STATE_DIRECTORY or the user's data directory when not set.",
        "a folder",
        flag="--data",
    )

    @property
    def is_ephemeral(self) -> bool:
        """Whether nothing is kept when the server ends."""
        return self.url == EPHEMERAL_URL

    @property
    def directory(self) -> Path:
        """The data directory. `load` has put one there; without one that is a mistake of ours."""
        if self.data is None:
            raise RuntimeError("these settings were not made by load(), so they name no folder")
        return self.data

    @property
    def database_url(self) -> str:
        """The database, with the default filled in."""
        return self.url or f"sqlite:///{self.directory / 'chat.sqlite3'}"


class BrokerSettings(_Section):
    """What wakes up other nodes."""

    url: Literal["memory"] = _key(
        "memory", "One node needs none.", '"memory": this version serves from one node'
    )


class AuthSettings(_Section):
    """Who may come in."""

    guests: Annotated[Literal["auto", "on", "off"], BeforeValidator(as_switch)] = _key(
        "auto",
        "Whether a name is enough; auto: on where only loopback and private addresses are bound.",
        '"auto", "on" or "off"',
        flag="--guests",
        is_live=True,
    )
    registration: Literal["auto", "open", "invite", "closed"] = _key(
        "auto",
        "Who may make an account; auto: open where guests are on, else invite.",
        '"auto", "open", "invite" or "closed"',
        flag="--registration",
        is_live=True,
    )
    password_min: Annotated[int, BeforeValidator(as_password_min)] = _key(
        15, "Characters a new password has at least.", "a whole number from 8 to 128", is_live=True
    )
    query_tokens: Annotated[bool, BeforeValidator(as_bool)] = _key(
        False,
        "Whether a token in the address (?token=) is accepted; addresses end up in logs.",
        "true or false",
        is_live=True,
    )


class RoomsSettings(_Section):
    """Rooms."""

    lobby: Annotated[str, BeforeValidator(Name(32, is_room=True))] = _key(
        "lobby", "The room that everybody is in.", "the name of a room"
    )
    create: Literal["all", "accounts", "admins"] = _key(
        "all", "Who may make rooms.", '"all", "accounts" or "admins"'
    )
    edit_window: Annotated[int | None, BeforeValidator(as_duration)] = _key(
        DAY_S,
        "How long people may edit and delete what they said; off: for ever.",
        'a time such as "24h", or "off"',
    )


class TextSettings(_Section):
    """The plain-text face."""

    strict_tutorial: Annotated[bool, BeforeValidator(as_bool)] = _key(
        False,
        "Whether the text face says exactly what the tutorial's server says and nothing more.",
        "true or false",
        flag="--strict-tutorial",
    )


class UploadsSettings(_Section):
    """Files; how many and how big is in `limits`."""

    origin: Annotated[str | None, BeforeValidator(as_origin)] = _key(
        None,
        "Another origin that files are served from, so that none can act as the chat.",
        "an origin such as https://files.example.org",
    )


class BackupSettings(_Section):
    """Backups that the server makes by itself."""

    every: Annotated[int | None, BeforeValidator(as_duration)] = _key(
        None, "How often; off: never.", 'a time such as "24h", or "off"'
    )
    keep: Annotated[int, BeforeValidator(as_count), Field(ge=1, le=10_000)] = _key(
        7, "How many are kept; older ones go.", "a whole number above 0"
    )
    to: Annotated[Path | None, BeforeValidator(as_path)] = _key(
        None, "Where they go; the folder backups in the data directory when not set.", "a folder"
    )  # fmt: skip


class MetricsSettings(_Section):
    """Where /metrics is."""

    listen: Annotated[str | None, BeforeValidator(as_endpoint)] = _key(
        None,
        "A listener of its own for /metrics, /healthz and /readyz.",
        'an address such as "127.0.0.1:9100", or "off"',
    )
    token: Annotated[str | None, BeforeValidator(as_token)] = _key(
        None,
        "With it /metrics is served on the public port too, to those who send it as Bearer token.",
        "16 to 256 letters, digits and ._~+/=-",
        is_secret=True,
        is_live=True,
    )


class LogSettings(_Section):
    """What is written to standard error."""

    format: Literal["text", "json"] = _key(
        "text", "One line per event, for people or for programs.", '"text" or "json"',
        flag="--log-format", is_live=True,
    )  # fmt: skip
    level: Literal["debug", "info", "warning", "error"] = _key(
        "info", "From which weight on.", '"debug", "info", "warning" or "error"',
        flag="--log-level", is_live=True,
    )  # fmt: skip


class Settings(_Section):
    """All settings of one server. Made by `load`; tests may build one from sections."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True
    )

    server: ServerSettings = ServerSettings()
    storage: StorageSettings = StorageSettings()
    broker: BrokerSettings = BrokerSettings()
    auth: AuthSettings = AuthSettings()
    rooms: RoomsSettings = RoomsSettings()
    text: TextSettings = TextSettings()
    limits: ChatLimits = ChatLimits()
    uploads: UploadsSettings = UploadsSettings()
    backup: BackupSettings = BackupSettings()
    metrics: MetricsSettings = MetricsSettings()
    log: LogSettings = LogSettings()
