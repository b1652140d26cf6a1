"""What all tests share: the engines to run over, `--nightly`, and the Hypothesis profiles.

`engine` gives each test that asks for it the names "native" and "portable", one after the other.
"""

from __future__ import annotations

import importlib.util
import os

import pytest
from hypothesis import settings

ENGINES = ("native", "portable")
NATIVE_IS_BUILT = importlib.util.find_spec("wynd._engine") is not None
NATIVE_IS_REQUIRED = os.environ.get("WYND_REQUIRE_NATIVE") == "1"

# Deadlines stay off: a busy machine must not decide a result; pytest-timeout ends what hangs.
settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=200, deadline=None, derandomize=True)
settings.register_profile("nightly", max_examples=5_000, deadline=None)
NIGHTLY_PROPERTY_S = 900.0  # for so many examples, beside other tests on two cores


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this suite."""
    group = parser.getgroup("wynd")
    group.addoption("--nightly", action="store_true", help="also run the tests marked nightly")
    group.addoption("--seed", type=int, help="replay this seed of tests/simulation")
    group.addoption("--engine", choices=ENGINES, help="run over this engine only")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the Hypothesis profile: HYPOTHESIS_PROFILE, else nightly or dev."""
    default = "nightly" if config.getoption("--nightly") else "dev"
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", default))


def pytest_report_header(config: pytest.Config) -> str:
    """Say which engines the suite runs over."""
    if config.getoption("--engine"):
        return f"engines: {config.getoption('--engine')} only, as asked"
    return (
        "engines: native, portable" if NATIVE_IS_BUILT else "engines: portable (native not built)"
    )


@pytest.hookimpl(trylast=True)  # once Hypothesis has marked its tests
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out nightly tests and the other engine, as the options say; give long forms time."""
    only = config.getoption("--engine")
    other = [item for item in items if only is not None and engine_of(item) not in (None, only)]
    if other:
        config.hook.pytest_deselected(items=other)
        items[:] = [item for item in items if item not in set(other)]
    if config.getoption("--nightly"):
        for item in items:
            is_property = item.get_closest_marker("hypothesis") is not None
            if is_property and item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(NIGHTLY_PROPERTY_S))
        return
    for item in items:
        if item.get_closest_marker("nightly") is not None:
            item.add_marker(pytest.mark.skip(reason="runs with --nightly (make nightly)"))


def engine_of(item: pytest.Item) -> str | None:
    """Return the engine a test was parametrised with, or None."""
    call = getattr(item, "callspec", None)
    name = None if call is None else call.params.get("engine")
    return name if name in ENGINES else None


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Return the name of the engine to test; each test that asks for it runs over both."""
    name = str(request.param)
    if name == "native":
        require_native()
    return name


@pytest.fixture
def native_engine() -> None:
    """Skip the test where the native module is not built; an error where it must be."""
    require_native()


@pytest.fixture(scope="session")
def is_nightly(pytestconfig: pytest.Config) -> bool:
    """Tell whether the long forms are asked for."""
    return bool(pytestconfig.getoption("--nightly"))


def require_native() -> None:
    """Skip, or fail under WYND_REQUIRE_NATIVE=1, when the native module is not built."""
    if NATIVE_IS_BUILT:
        return
    if NATIVE_IS_REQUIRED:
        pytest.fail("WYND_REQUIRE_NATIVE=1, but wynd._engine is not built; run `make build`")
    pytest.skip("the native module is not built (no cargo when the library was installed)")
