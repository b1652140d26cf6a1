"""What the library exports: `__all__` is sorted, its names exist, and nothing else looks public."""

from __future__ import annotations

import importlib
import types
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
MODULES = sorted(
    ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    for path in (SOURCE / "wynd").rglob("*.py")
    if path.name != "__init__.py"
)
NATIVE_ONLY = {
    "wynd.engines.native": "imports wynd._engine",
    "wynd.http.websocket": "imports wynd._engine",
}


def load(name: str) -> types.ModuleType:
    """Import a module; skip where it needs the native module and that is not built."""
    if name in NATIVE_ONLY:
        pytest.importorskip(
            "wynd._engine", reason=f"{name} {NATIVE_ONLY[name]}, which is not built"
        )
    return importlib.import_module(name)


def order(name: str) -> tuple[int, str]:
    """Sort as ruff does: constants, classes, functions."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


@pytest.mark.parametrize("name", ["wynd", *MODULES])
def test_all_is_sorted_and_its_names_exist(name: str) -> None:
    module = load(name)
    exported = list(module.__all__)
    assert exported == sorted(exported, key=order)
    assert len(set(exported)) == len(exported)
    assert [entry for entry in exported if not hasattr(module, entry)] == []


def test_the_package_shows_its_public_names_only() -> None:
    wynd = load("wynd")
    visible = {
        name
        for name, value in vars(wynd).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert visible - {"annotations"} <= set(wynd.__all__)


def test_every_public_name_has_a_docstring() -> None:
    wynd = load("wynd")
    classes = {name: getattr(wynd, name) for name in wynd.__all__}
    bare = [name for name, value in classes.items() if callable(value) and not value.__doc__]
    assert bare == []
