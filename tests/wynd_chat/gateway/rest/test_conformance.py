"""The OpenAPI document and the running server agree, whatever is sent.

Schemathesis makes requests from the document, such as fit it and such as do not, and holds every
answer to it: no failure of the server, only declared statuses, media types and bodies. What fits
is sent to rooms and users that are there. Bounded here; `--nightly` sends far more.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.wynd_chat.gateway.chat_kit import RunningChat, a_chat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from schemathesis import APIOperation, Case

EXAMPLES, EXAMPLES_NIGHTLY = 6, 300
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
THERE = {"room": ("dev", "lobby", "@Bob", "spare"), "user": ("Bob", "@alice"), "seq": (2, 3)}
# The rooms, and being in them, are needed to the end.
SPARED = {("DELETE", "/api/v1/rooms/{room}"), ("DELETE", "/api/v1/rooms/{room}/members/{user}")}


class Server:
    """A chat in a thread of its own, since the requests block."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._is_ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._main)
        self.url = ""
        self.document: dict[str, Any] = {}
        self.token = ""

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        self._is_ready.wait(20)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)

    def _main(self) -> None:
        try:
            self._loop.run_until_complete(self._run())
        except BaseException as error:
            self._failure = error
        finally:
            self._loop.close()
            self._is_ready.set()

    async def _run(self) -> None:
        limits = {"rooms_per_user_max": 10_000}
        async with a_chat(self._data, limits=limits) as chat:
            await self._fill(chat)
            self.url = chat.chat.local_url
            self.document = (await chat.client.get("/api/openapi.json")).json()
            self._is_ready.set()
            await self._stop.wait()

    async def _fill(self, chat: RunningChat) -> None:
        alice, bob = await chat.account("Alice"), await chat.account("Bob")
        await chat.room(alice, "dev", bob)
        await chat.room(bob, "spare")
        await alice.say("dev", "one", "two", "three")
        assert alice.token is not None
        self.token = alice.token


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a chat that answers requests of this thread."""
    made = Server(tmp_path_factory.mktemp("chat"))
    made.start()
    yield made
    made.stop()


def operations_of(server: Server) -> list[APIOperation[Any, Any, Any, Any]]:
    """Return all operations of the document."""
    schema = schemathesis.openapi.from_dict(server.document)
    found = [one.ok() for one in schema.get_all_operations() if isinstance(one, Ok)]
    assert len(found) == sum(len(methods) for methods in server.document["paths"].values())
    return found


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_the_document_is_what_the_server_does(
    server: Server,
    mode: GenerationMode,
    subtests: pytest.Subtests,
    request: pytest.FixtureRequest,
) -> None:
    is_nightly = request.config.getoption("--nightly")
    for operation in operations_of(server):
        name = (operation.method.upper(), operation.path)
        with subtests.test(" ".join(name)):
            run(server, operation, mode, EXAMPLES_NIGHTLY if is_nightly else EXAMPLES)


def run(
    server: Server, operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, examples: int
) -> None:
    """Send requests of one operation."""
    cases = operation.as_strategy(generation_mode=mode)
    is_spared = (operation.method.upper(), operation.path) in SPARED
    checks = [*CHECKS, negative_data_rejection] if mode is GenerationMode.NEGATIVE else CHECKS

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases, data=st.data())
    def send(case: Case[Any], data: st.DataObject) -> None:
        if mode is GenerationMode.POSITIVE and not is_spared:
            for parameter, values in THERE.items():
                if parameter in case.path_parameters:
                    case.path_parameters[parameter] = data.draw(st.sampled_from(values))
        headers = {"Authorization": f"Bearer {server.token}"}
        answer = case.call(base_url=server.url, headers=headers)
        # No operation was asked: an address of more than 16 KiB, or with a line break.
        has_break = any("\n" in str(value) for value in case.path_parameters.values())
        if answer.status_code == 431 or (answer.status_code == 404 and has_break):
            return
        case.validate_response(answer, checks=checks)

    try:
        send()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE  # it has nothing that could be wrong
