"""What `wynd.http.hosting` relies on in uvicorn. A version that breaks this breaks here first."""

from __future__ import annotations

import inspect
from importlib.metadata import requires
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

PROTOCOLS = [H11Protocol, HttpToolsProtocol]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_constructor_takes_what_hosting_gives(protocol: Any) -> None:
    parameters = inspect.signature(protocol).parameters
    assert list(parameters) == ["config", "server_state", "app_state", "_loop"]
    assert parameters["_loop"].default is None


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_protocol_has_what_hosting_overrides_and_calls(protocol: Any) -> None:
    assert list(inspect.signature(protocol.on_response_complete).parameters) == ["self"]
    assert list(inspect.signature(protocol.shutdown).parameters) == ["self"]
    assert "self.timeout_keep_alive = config.timeout_keep_alive" in inspect.getsource(protocol)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_moment_of_an_answers_end_is_looked_up_on_the_instance(protocol: Any) -> None:
    assert "on_response=self.on_response_complete" in inspect.getsource(protocol)


def test_the_state_is_shared_by_all_connections() -> None:
    state = ServerState()
    assert (state.connections, state.tasks, state.default_headers) == (set(), set(), [])


def test_the_configuration_loads_protocols_and_lifespan() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Answer nothing."""

    config = uvicorn.Config(app, log_config=None, proxy_headers=False)
    assert not config.loaded
    config.load()
    assert config.loaded_app is app
    assert config.http_protocol_class in PROTOCOLS
    for name in ("startup", "shutdown"):
        assert inspect.iscoroutinefunction(getattr(config.lifespan_class, name))
    lifespan = config.lifespan_class(config)
    assert (lifespan.should_exit, lifespan.state) == (False, {})


def test_the_version_is_bounded() -> None:
    wanted = [one for one in requires("pywynd") or [] if one.startswith("uvicorn")]
    assert wanted == ["uvicorn<1,>=0.53"]
