"""What a bug of the native engine does to a server: the module is built to panic on request.

No panic may end the process, and none may reach an application as anything but one exception. Each
scenario is a process of its own, `faulty.py`; the module is built once, into a temporary folder.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCENARIO_S = 60

pytestmark = [
    pytest.mark.nightly,  # it builds the module a second time
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo is not in PATH"),
]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the library and a module that panics on request."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "faults"
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target), "PYO3_PYTHON": sys.executable}
    build = ["cargo", "build", "--quiet", "-p", "wynd-python", "--features", "fault-injection"]
    subprocess.run(build, cwd=ROOT, env=environment, check=True)
    folder = tmp_path_factory.mktemp("faulty")
    ignored = shutil.ignore_patterns("_engine.*.so", "__pycache__")
    shutil.copytree(ROOT / "src" / "wynd", folder / "wynd", ignore=ignored)
    built = next(path for path in (target / "debug").glob("lib_engine.*") if path.suffix != ".d")
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    shutil.copy(built, folder / "wynd" / f"_engine{suffix}")
    return folder


def run(faulty: Path, scenario: str, point: str) -> dict[str, Any]:
    """Run a scenario; return what it told. Its process must end by itself, in order."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.native.faulty", scenario, point],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(faulty)},
        capture_output=True,
        text=True,
        timeout=SCENARIO_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def reports(told: dict[str, Any], point: str) -> list[str]:
    """Return what was logged of a panic at `point`."""
    return [text for text in told["log"] if f"injected at {point}" in text]


@pytest.mark.parametrize("point", ["poll", "flush", "tell", "settle", "handle"])
def test_a_panic_in_a_turn_ends_the_connections_once_and_the_server_serves_on(
    faulty: Path, point: str
) -> None:
    told = run(faulty, "serve", point)
    assert told["first"] == "closed"
    assert told["closed"] == [1006, 1000]  # `on_close` once each: the first, then the second
    assert told["second"] == "b"
    [report] = reports(told, point)
    assert "ERROR wynd.dispatch" in report
    assert "WyndError('the native engine met a bug and closed its connections" in report


def test_a_panic_in_a_send_is_an_exception_of_the_handler_and_ends_the_connections(
    faulty: Path,
) -> None:
    told = run(faulty, "serve", "push")
    # What it sends after that finds the connection closed, which is another matter.
    [raised] = [text for text in told["raised"] if not text.startswith("ConnectionClosed")]
    assert raised.startswith("RuntimeError: the native engine met a bug")
    assert told["first"] == "closed"
    assert told["closed"] == [1006, 1000]
    assert told["second"] == "b"
    # Once for the handler that got it, once for the engine.
    assert len(reports(told, "push")) == 2


@pytest.mark.parametrize("point", ["poll", "flush"])
@pytest.mark.parametrize("scenario", ["lose", "lose_hosted"])
def test_a_server_whose_engine_cannot_recover_stops_and_says_why(
    faulty: Path, scenario: str, point: str
) -> None:
    told = run(faulty, scenario, point)
    assert told["first"] == "closed"
    assert told["closed"] == [1006]
    assert told["listen"].startswith("WyndError: the native engine met a bug")
    assert len(reports(told, point)) == 1


@pytest.mark.parametrize("point", ["client", "session"])
def test_a_panic_in_an_object_that_stands_alone_is_raised_and_poisons_nothing(
    faulty: Path, point: str
) -> None:
    told = run(faulty, "alone", point)
    assert told["raised"] == f"PanicException: injected at {point}"
    assert told["after"] == "[]"


def test_a_panic_when_an_object_ends_is_unraisable_and_changes_nothing(faulty: Path) -> None:
    told = run(faulty, "drop", "drop")
    assert (told["first"], told["second"]) == ("hi", "still")
    [text] = told["unraisable"]
    assert "injected at drop" in text
