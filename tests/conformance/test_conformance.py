"""The pack against both engines, and its frames against `WyndProtocol`, with and without TLS.

On the portable engine the host server shakes hands and frames; where its outcome differs, `HOST`
says which it is, and a difference that is gone is an error too.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.certificates import Authority
from tests.conformance.frames import FRAME_CASES, FrameCase
from tests.conformance.handshakes import HANDSHAKE_CASES, HandshakeCase
from tests.conformance.hosts import HOST
from tests.conformance.running import run_frames, run_handshake
from tests.conformance.wire import CLOSE, Server
from tests.conftest import require_native

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Path(__file__).with_name("echo_server.py")
# Group → cases it has at least; closing and server-started ones are in test_sending.py.
WANTED = {
    "masking": 3,
    "length": 14,
    "bits and opcodes": 8,
    "control frames": 8,
    "close codes": 14,
    "close": 5,
}
KINDS = ("native", "native, TLS", "portable", "portable, TLS")

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Return the engine, and whether TLS is spoken."""
    kind = str(request.param)
    if kind.startswith("native"):
        require_native()
    return kind


@pytest.fixture(scope="module")
def server(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server process of its own for each kind."""
    with running(kind, tmp_path_factory.mktemp("certificates")) as server:
        yield server


@pytest.fixture(scope="module", params=["asgi", "asgi, TLS"])
def asgi_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """An ASGI application, whose WebSockets `WyndProtocol` carries."""
    require_native()
    with running(str(request.param), tmp_path_factory.mktemp("certificates")) as server:
        yield server


@contextmanager
def running(kind: str, folder: Path) -> Iterator[Server]:
    authority = Authority(folder)
    authority.issue()
    served, _, tls = kind.partition(", ")
    arguments = [sys.executable, str(PROGRAM), served, *((str(folder),) if tls else ())]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            yield Server("127.0.0.1", port, tls=authority.client() if tls else None)
        finally:
            process.terminate()


def wanted(kind: str, group: str, name: str) -> str:
    return HOST.get((group, name), "") if kind.startswith("portable") else ""


@pytest.mark.parametrize("case", HANDSHAKE_CASES, ids=lambda case: f"{case.group}: {case.name}")
async def test_a_handshake_is_answered_as_it_must_be(
    kind: str, server: Server, case: HandshakeCase
) -> None:
    seen = await run_handshake(server, case)
    assert seen == wanted(kind, case.group, case.name), case.rule


@pytest.mark.parametrize("case", FRAME_CASES, ids=lambda case: f"{case.group}: {case.name}")
async def test_frames_are_answered_as_they_must_be(
    kind: str, server: Server, case: FrameCase
) -> None:
    seen = await run_frames(server, case)
    assert seen == wanted(kind, case.group, case.name), case.rule


@pytest.mark.parametrize(
    "case",
    [case for case in FRAME_CASES if not case.is_ours],  # those are limits of a Wynd
    ids=lambda case: f"{case.group}: {case.name}",
)
async def test_asgi_websockets_answer_alike(asgi_server: Server, case: FrameCase) -> None:
    assert await run_frames(asgi_server, case) == "", case.rule


def test_the_pack_is_as_large_as_it_says() -> None:
    assert len(FRAME_CASES) >= 60
    assert len([case for case in HANDSHAKE_CASES if case.group != "head"]) >= 30
    of_group = Counter(case.group for case in FRAME_CASES)
    for group, count in WANTED.items():
        assert of_group[group] >= count, group
    refused = [case for case in FRAME_CASES if case.deflate and case.expects[-1].opcode == CLOSE]
    assert len(refused) >= 10
    names = [(case.group, case.name) for case in FRAME_CASES]
    names += [(case.group, case.name) for case in HANDSHAKE_CASES]
    assert len(set(names)) == len(names)
    assert set(HOST) <= set(names)
