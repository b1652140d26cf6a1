"""`python -m bench.run` from end to end, in its smallest form: the floor and ours."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.pages import LATEST
from bench.servers import SERVERS

ROOT = Path(__file__).parents[2]
OURS = "wynd async, asyncio"

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="pins processes and reads /proc"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="compiles the load generator"),
    pytest.mark.timeout(150),
]


def run(to: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.run", "--no-install", "--rounds", "1"]
    command += ["--seconds", "0.2", "--connections", "50", "--only", OURS, "--to", str(to)]
    pages_before = LATEST.read_bytes()
    done = subprocess.run(
        [*command, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert LATEST.read_bytes() == pages_before
    document: dict[str, Any] = json.loads(to.read_text(encoding="utf-8"))
    return document


def test_one_row_of_the_floor_and_ours(tmp_path: Path) -> None:
    pytest.importorskip("wynd._engine", reason="the native module is not built")
    found = run(tmp_path / "run.json", "--no-extras", "--rows", "echo-1-64")
    assert found["failures"] == []
    assert [cell["row"] for cell in found["ratios"]] == ["echo-1-64"]
    assert found["ratios"][0]["ratio"] > 0
    assert found["about"]["versions"]["pywynd"]


@pytest.mark.nightly
def test_all_rows_fairness_and_idle_of_ours(tmp_path: Path) -> None:
    pytest.importorskip("wynd._engine", reason="the native module is not built")
    found = run(tmp_path / "run.json", "--idle-connections", "300", "--extra-seconds", "0.5")
    assert found["failures"] == []
    assert len(found["ratios"]) == 8
    assert found["idle"]["async"]["connections"] == 300
    assert found["fairness"]["latency_ms"]["beside a greedy one"]["unanswered"] == 0


def test_unknown_servers_and_rows_are_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.run", "--no-install", "--to", str(tmp_path / "x")]
    for option in ("--only", "--rows"):
        done = subprocess.run(
            [*command, option, "nobody"], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 1
        assert f"nothing is left to measure; see {option}" in done.stderr


def test_every_variant_of_ours_is_there() -> None:
    names = {server.name for server in SERVERS}
    for shape in ("def", "async", "closures"):
        for loop in ("asyncio", "uvloop"):
            assert {f"wynd {shape}, {loop}", f"wynd portable {shape}, {loop}"} <= names
            assert f"wynd under uvicorn, {loop}" in names
