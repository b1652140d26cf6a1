"""Where to listen: contradicting arguments are refused at the call."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from wynd.listening import asking, listener_options, refuse_second_listen


def options(**changes: Any) -> Any:
    """Return the options of `listen(**changes)`."""
    arguments = {"port": None, "host": "localhost", "sock": None, "uds": None, "reuse_port": False}
    return listener_options(**{**arguments, **changes})


def test_exactly_one_of_port_sock_and_uds() -> None:
    assert options(port=0).port == 0
    assert options(uds="x.sock").uds == "x.sock"
    with socket.socket() as sock:
        assert options(sock=sock).sock is sock
        with pytest.raises(TypeError, match="exactly one"):
            options(port=1, sock=sock)
    with pytest.raises(TypeError, match="exactly one"):
        options()


@pytest.mark.parametrize("port", ["80", 1.5, True])
def test_a_port_is_an_int(port: Any) -> None:
    with pytest.raises(TypeError, match="port"):
        options(port=port)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_is_within_its_range(port: int) -> None:
    with pytest.raises(ValueError, match="65535"):
        options(port=port)


def test_asking_changes_only_that() -> None:
    assert asking(options(port=5)).asks
    assert asking(options(port=5)).port == 5


def test_a_second_listen_on_the_same_address_is_refused_despite_reuse_port() -> None:
    taken = (("127.0.0.1", 8080), "/run/x.sock")
    with pytest.raises(OSError, match=r"127\.0\.0\.1:8080"):
        refuse_second_listen(options(port=8080, reuse_port=True), taken)
    refuse_second_listen(options(port=8081, reuse_port=True), taken)
    refuse_second_listen(options(port=0, reuse_port=True), taken)
    refuse_second_listen(options(port=8080), taken)  # the operating system refuses that one
