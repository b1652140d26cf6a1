"""`python -m bench.web` in its smallest form, and what its load generator counts."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from bench.webload import answers_in, frame_of, frames_in, text_of
from bench.webtable import web_table

ROOT = Path(__file__).parents[2]


def test_whole_frames_are_counted_and_taken() -> None:
    small, large = bytes((0x81, 3)) + b"abc", bytes((0x82, 126, 1, 0)) + bytes(256)
    ping = bytes((0x89, 0))
    got = bytearray(small + ping + large + small[:-1])
    assert frames_in(got) == 2
    assert got == small[:-1]
    got += b"c"
    assert frames_in(got) == 1
    assert got == b""


def test_whole_answers_are_counted_and_taken() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    got = bytearray(answer * 2 + answer[:-1])
    assert answers_in(got) == 2
    assert got == answer[:-1]
    with pytest.raises(SystemExit, match="500"):
        answers_in(bytearray(b"HTTP/1.1 500 Internal\r\ncontent-length: 0\r\n\r\n"))


def test_a_deflated_frame_holds_its_text() -> None:
    text = text_of(4096)
    assert len(text) == 4096
    frame = frame_of(text, is_deflated=True)
    assert frame[0] == 0xC1
    assert frame[1] == 0x80 | 126
    inflated = zlib.decompressobj(wbits=-15).decompress(frame[8:] + b"\0\0\xff\xff")
    assert inflated == text


def test_the_table_says_whether_a_target_held() -> None:
    document: dict[str, Any] = {
        "about": {
            "date": "2026-01-01",
            "processor": "p",
            "kernel": "k",
            "pinning": "i",
            "quick": False,
            "rounds": 2,
            "seconds": 1.0,
            "versions": {"a": "1"},
        },
        "comparisons": [
            {
                "key": "get",
                "title": "GET",
                "yardstick": "uvicorn",
                "most": 1.05,
                "samples": {
                    "uvicorn": [{"cpu_us": 10.0, "rate": 1}, {"cpu_us": 20.0, "rate": 1}],
                    "wynd serve": [{"cpu_us": 9.0, "rate": 1}, {"cpu_us": 20.0, "rate": 1}],
                },
                "failures": {"other": "is | not\nthere"},
            }
        ],
    }
    table = web_table(document)
    assert "| wynd serve | 14.50 | 0.95 (0.90–1.00) | 1 |" in table
    assert "| other | is / not there |" in table
    assert table.endswith("Wanted: at most 1.05 for each of ours; holds.")
    document["comparisons"][0]["samples"]["wynd serve"] = [{"cpu_us": 12.0, "rate": 1}] * 2
    document["comparisons"][0]["samples"]["uvicorn"] = [{"cpu_us": 10.0, "rate": 1}] * 2
    assert web_table(document).endswith("**falls short**: 1.20.")
    document["comparisons"][0]["most"] = None
    wanted = "Wanted: the best of ours not above uvicorn; "
    assert web_table(document).endswith(f"{wanted}**falls short**: 1.20.")
    document["comparisons"][0]["samples"]["wynd def"] = [{"cpu_us": 9.0, "rate": 1}] * 2
    assert web_table(document).endswith(f"{wanted}holds.")


@pytest.mark.skipif(sys.platform != "linux", reason="pins processes and reads /proc")
@pytest.mark.skipif(shutil.which("cc") is None, reason="compiles the load generator")
@pytest.mark.timeout(150)
def test_a_short_run_over_tls_has_figures(tmp_path: Path) -> None:
    pytest.importorskip("wynd._engine", reason="the native module is not built")
    to = tmp_path / "web.json"
    command = [sys.executable, "-m", "bench.web", "--no-install", "--rounds", "1", "--to", str(to)]
    done = subprocess.run(
        [*command, "--seconds", "0.2", "--only", "post-tls"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(to.read_text(encoding="utf-8"))["comparisons"]
    assert found["failures"] == {}
    assert all(sample["cpu_us"] > 0 for taken in found["samples"].values() for sample in taken)
