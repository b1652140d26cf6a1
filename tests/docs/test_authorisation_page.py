"""docs/reference/authorisation.md is what the tested table says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_of_the_authorisation_table_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "tools" / "authorisation_page.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
