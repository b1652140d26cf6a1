"""SIGHUP and the handlers it may meet; whole servers are in `tests/e2e/test_tls_signals.py`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from tests.waiting import eventually
from wynd.errors import CertificateError
from wynd.reloading import ReloadSignal

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP on this system")


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """Begin with the default and leave what was there."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def hang_up() -> None:
    """Send the signal to this process."""
    os.kill(os.getpid(), signal.SIGHUP)


async def test_each_signal_reloads_once_and_removal_puts_back_the_default(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reloads: list[int] = []
    reloading = ReloadSignal(lambda: reloads.append(1))
    loop = asyncio.get_running_loop()
    with caplog.at_level(logging.INFO, "wynd"):
        reloading.install(loop)
        reloading.install(loop)
        hang_up()
        await eventually(lambda: len(reloads) == 1)
        hang_up()
        await eventually(lambda: len(reloads) == 2)
    assert caplog.messages == ["SIGHUP: the certificate files were read again"] * 2
    reloading.remove()
    reloading.remove()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


async def test_a_failed_reload_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise CertificateError("key file k is encrypted")

    reloading = ReloadSignal(fail)
    reloading.install(asyncio.get_running_loop())
    hang_up()
    await eventually(lambda: caplog.records)
    reloading.remove()
    assert caplog.messages == [
        "SIGHUP: the certificates stay as they were: key file k is encrypted"
    ]
    assert caplog.records[0].exc_info is None


async def test_a_process_that_ignores_hang_ups_reloads_and_ignores_them_again() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    reloads: list[int] = []
    reloading = ReloadSignal(lambda: reloads.append(1))
    reloading.install(asyncio.get_running_loop())
    hang_up()
    await eventually(lambda: reloads)
    reloading.remove()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


async def test_the_application_s_own_handler_stays() -> None:
    caught: list[int] = []

    def own(number: int, frame: object) -> None:
        caught.append(number)

    signal.signal(signal.SIGHUP, own)
    reloads: list[int] = []
    reloading = ReloadSignal(lambda: reloads.append(1))
    reloading.install(asyncio.get_running_loop())
    hang_up()
    await eventually(lambda: caught)
    assert reloads == []
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    reloading.install(asyncio.get_running_loop())
    signal.signal(signal.SIGHUP, own)  # set while the server runs
    reloading.remove()
    assert signal.getsignal(signal.SIGHUP) == own


def test_a_loop_on_another_thread_changes_no_handler() -> None:
    async def install() -> None:
        reloading = ReloadSignal(lambda: None)
        reloading.install(asyncio.get_running_loop())
        reloading.remove()

    thread = threading.Thread(target=asyncio.run, args=(install(),))
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
