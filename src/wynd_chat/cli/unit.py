"""The systemd unit of the chat, as text; `deploy/wynd-chat.service` is what this makes by default.

`Type=notify`: the server says when it listens (`notify`). It runs as a user of its own, made for
it, which may write into its state directory and nowhere else.
"""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["UNIT_NAME", "notify", "unit_text"]

UNIT_NAME = "wynd-chat.service"
PLAIN_WORD = re.compile(r"[A-Za-z0-9_./:@+,=-]+")

HEAD = """\
[Unit]
Description=wynd-chat, a self-hosted chat server
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=2
TimeoutStopSec=40
LimitNOFILE=1048576
StateDirectory=wynd-chat
StateDirectoryMode=0700
UMask=0077
"""
SYSTEM_SANDBOX = """\
ProtectSystem=strict
ProtectHome=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
CapabilityBoundingSet=
RestrictNamespaces=yes
SystemCallFilter=@system-service
SystemCallArchitectures=native
"""
SANDBOX = """\
NoNewPrivileges=yes
PrivateTmp=yes
LockPersonality=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictRealtime=yes
RestrictSUIDSGID=yes
"""
TAIL = """\

[Install]
WantedBy={target}
"""


def unit_text(
    command: Sequence[str],
    *,
    is_user: bool = False,
    data: Path | None = None,
    owner: str | None = None,
) -> str:
    """Return the unit.

    Args:
        command: Program and arguments, the program by its full path.
        is_user: For the manager of one user, who is already somebody without rights.
        data: A data directory instead of the state directory.
        owner: Whose it is: the server runs as that user, since a user made for it (the default)
            has no rights there.
    """
    words = [*command[1:], "serve", *(() if data is None else ("--data", str(data)))]
    # systemd replaces variables in arguments, not in the program's path.
    line = [_quoted(command[0]), *(_quoted(word.replace("$", "$$")) for word in words)]
    text = HEAD.format(command=" ".join(line))
    if not is_user:
        text += "DynamicUser=yes\n" if owner is None else f"User={owner}\n"
        text += SYSTEM_SANDBOX
        if data is not None:
            text += f"ReadWritePaths={_quoted(str(data))}\n"
    return text + SANDBOX + TAIL.format(target="default.target" if is_user else "multi-user.target")


def notify(state: str, environ: Mapping[str, str]) -> bool:
    """Tell the service manager something ("READY=1"); return whether there is one (sd_notify(3)).

    Raises:
        OSError: it named a socket that takes nothing.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address or not hasattr(socket, "AF_UNIX"):
        return False
    if address.startswith("@"):
        address = f"\0{address[1:]}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.connect(address)
        channel.send(state.encode())
    return True


def _quoted(word: str) -> str:
    """Return a word as systemd reads it: `%` stands for itself, spaces do not split."""
    escaped = word.replace("%", "%%")
    if PLAIN_WORD.fullmatch(word):
        return escaped
    escaped = escaped.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
