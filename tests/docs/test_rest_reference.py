"""docs/reference/rest.md is what the chat's OpenAPI document says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_reference_of_the_api_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "tools" / "rest_reference.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
