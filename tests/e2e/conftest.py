"""Lets the helpers' assertions show what differed, as those of the tests do."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.e2e.processes", "tests.e2e.wscat")
