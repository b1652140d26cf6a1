"""The systemd unit: what the specification asks for, quoted as systemd reads it."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from wynd_chat.cli.unit import notify, unit_text

SPECIFIED = (
    "Type=notify",
    "ExecReload=/bin/kill -HUP $MAINPID",
    "Restart=on-failure",
    "LimitNOFILE=1048576",
    "StateDirectory=wynd-chat",
    "DynamicUser=yes",
    "ProtectSystem=strict",
)


def test_everything_of_the_specification_is_in_it() -> None:
    lines = unit_text(["/usr/bin/wynd-chat"]).splitlines()
    assert [line for line in SPECIFIED if line not in lines] == []
    assert "ExecStart=/usr/bin/wynd-chat serve" in lines
    assert "WantedBy=multi-user.target" in lines


def test_for_one_user_there_is_no_other_user() -> None:
    text = unit_text(["/home/me/bin/wynd-chat"], is_user=True)
    assert "DynamicUser" not in text
    assert "ProtectHome" not in text
    assert "WantedBy=default.target" in text


def test_a_data_directory_of_its_own_is_served_as_its_owner() -> None:
    text = unit_text(["/usr/bin/wynd-chat"], data=Path("/srv/chat"), owner="chat")
    assert "ExecStart=/usr/bin/wynd-chat serve --data /srv/chat\n" in text
    assert "User=chat\n" in text
    assert "ReadWritePaths=/srv/chat\n" in text
    assert "DynamicUser" not in text


def test_odd_paths_are_quoted() -> None:
    text = unit_text(["/opt/my chat/50%/wynd$chat", 'a"b\\c$d'])
    assert 'ExecStart="/opt/my chat/50%%/wynd$chat" "a\\"b\\\\c$$d" serve\n' in text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such sockets")
def test_notices_go_to_the_named_socket(tmp_path: Path) -> None:
    assert notify("READY=1", {}) is False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "s"))
        assert notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "s")}) is True
        assert manager.recv(100) == b"READY=1"
    with pytest.raises(OSError, match=r"."):
        notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "missing")})


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract names")
def test_an_abstract_socket_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("")  # the system draws a name
        name = manager.getsockname().decode().replace("\0", "@", 1)
        assert notify("READY=1", {"NOTIFY_SOCKET": name}) is True
        assert manager.recv(100) == b"READY=1"
