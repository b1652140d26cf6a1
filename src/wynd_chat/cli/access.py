"""`wynd-chat invite` and `wynd-chat token`: links for people, tokens for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wynd_chat.adapters.clock import SystemClock, SystemTokens
from wynd_chat.cli.options import ConfigOption, DataOption, on_store, settings_of
from wynd_chat.cli.output import Failure, say, table, time_text, warn
from wynd_chat.cli.rooms import find_room
from wynd_chat.cli.users import NameArgument, find_user, new_session
from wynd_chat.domain.models import Invite, InviteKind, Session
from wynd_chat.domain.text import clean_line
from wynd_chat.services.accounts import hash_of

if TYPE_CHECKING:
    from wynd_chat.ports.store import Snapshot, Transaction
    from wynd_chat.settings import Settings

__all__ = ["base_url", "invite", "token"]

DAY_MS = 86_400_000
LABEL_CHARS_MAX = 64


def base_url(settings: Settings) -> str:
    """Return how links begin: as set, else as the chat is reached from this machine."""
    if settings.server.public_url is not None:
        return settings.server.public_url
    return f"http://localhost:{settings.server.port}"


def invite(
    room: Annotated[
        str | None,
        typer.Option("--room", help="The room it leads to; the lobby.", show_default=False),
    ] = None,
    uses: Annotated[int, typer.Option("--uses", min=1, max=10_000, help="How often.")] = 25,
    days: Annotated[int, typer.Option("--days", min=1, max=365, help="How long.")] = 7,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Print a link with which people make an account and join."""
    settings = settings_of(data, config)
    code, now = SystemTokens().secret(), SystemClock().now_ms()

    def work(tx: Transaction) -> None:
        target = None if room is None else find_room(tx, room).id
        tx.put_invite(
            Invite(
                code_hash=hash_of(code),
                kind=InviteKind.REGISTER,
                owner_id=None,
                target=target,
                uses_left=uses,
                expires_at=now + days * DAY_MS,
            )
        )

    on_store(settings, lambda store: store.write(work))
    say(f"{base_url(settings)}/join/{code}")
    warn(f"works {uses} times, until {time_text(now + days * DAY_MS)} UTC")


def token(
    name: NameArgument,
    label: Annotated[str, typer.Option("--label", help="What it is for.")] = "wynd-chat token",
    days: Annotated[
        int | None,
        typer.Option("--days", min=1, max=3650, help="How long; for ever.", show_default=False),
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="List tokens and logins instead.")] = False,
    revoke: Annotated[
        str | None,
        typer.Option("--revoke", help="End those with this label instead.", show_default=False),
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Print a new token with which a program acts as a user; it is shown once."""
    settings = settings_of(data, config)
    if show:
        _list(settings, name)
        return
    if revoke is not None:
        _revoke(settings, name, clean_line(revoke))
        return
    cleaned = clean_line(label)
    if not 1 <= len(cleaned) <= LABEL_CHARS_MAX:
        raise Failure(f"a label has 1 to {LABEL_CHARS_MAX} characters")
    secret, now = SystemTokens().secret(), SystemClock().now_ms()
    ends = None if days is None else now + days * DAY_MS

    def work(tx: Transaction) -> None:
        tx.put_session(new_session(find_user(tx, name), secret, cleaned, now, ends))

    on_store(settings, lambda store: store.write(work))
    say(secret)


def _list(settings: Settings, name: str) -> None:
    def work(snapshot: Snapshot) -> list[Session]:
        return snapshot.sessions_of(find_user(snapshot, name).id)

    table(
        ("label", "kind", "made", "last seen", "ends"),
        (
            (
                session.label,
                session.kind,
                time_text(session.created_at),
                time_text(session.last_seen_at),
                time_text(session.expires_at),
            )
            for session in on_store(settings, lambda store: store.read(work))
        ),
    )


def _revoke(settings: Settings, name: str, label: str) -> None:
    def work(tx: Transaction) -> int:
        found = [one for one in tx.sessions_of(find_user(tx, name).id) if one.label == label]
        for session in found:
            tx.drop_session(session.token_hash)
        return len(found)

    count = on_store(settings, lambda store: store.write(work))
    if count == 0:
        raise Failure(
            f"nothing has the label {label}; see wynd-chat token {clean_line(name)} --list"
        )
    say(f"Ended {count}")
