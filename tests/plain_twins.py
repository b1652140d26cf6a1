"""Pytest plugin: the plain twins stand in for the classes of the native module.

    pytest -p tests.plain_twins tests/wynd tests/contracts

Handles, lanes, messages, completed sends and steps are then Python's, over the same engines; a test
that tells the two apart shows that a twin lies.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from pathlib import Path

REPLACED = ("BinaryMessage", "Completed", "HandleBase", "LaneBase", "TextMessage")


def _leave_out_native_classes() -> None:
    """Load the native module without the classes that have a twin; `wynd` then takes the twins."""
    folder = Path(__file__).resolve().parents[1] / "src" / "wynd"
    finder = importlib.machinery.PathFinder.find_spec("_engine", [str(folder)])
    if finder is None or finder.loader is None:
        return
    spec = importlib.util.spec_from_file_location("wynd._engine", finder.origin)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in REPLACED:
        delattr(module, name)
    sys.modules["wynd._engine"] = module


assert "wynd" not in sys.modules, "the plugin must be loaded before wynd: use -p"
_leave_out_native_classes()

from wynd import dispatch, sending  # noqa: E402 - only now do they take the twins

dispatch.USE_QUICK_PATH = False
assert sending.HandleBase is sending.PlainHandleBase
