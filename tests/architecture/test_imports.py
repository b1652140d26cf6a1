"""Every import of the library obeys the table; the checker itself is proven on a toy tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture import layers
from tests.architecture.imports import Rules, Tree, layer_of, violations

SOURCE = Path(__file__).parents[2] / "src"
RULES = Rules(
    layers.LAYERS,
    layers.TYPE_ONLY,
    layers.BANNED,
    layers.THIRD_PARTY,
    layers.PUBLIC_NAMES_ONLY,
)

TOY = {
    "wynd/__init__.py": '__all__ = ["Wynd"]\nfrom wynd.app import Wynd\n',
    "wynd/app.py": "from wynd import codes, dispatch\nclass Wynd: ...\n",
    "wynd/codes.py": "from enum import IntEnum\n",
    "wynd/dispatch.py": "from .engines import base\n",
    "wynd/engines/__init__.py": "",
    "wynd/engines/base.py": "from wynd.codes import X\n",
    "wynd/engines/native.py": "from wynd.engines.base import Engine\nimport wynd._engine\n",
    "wynd/_engine.pyi": "class Shard: ...\n",
    "wynd_chat/__init__.py": "",
    "wynd_chat/domain/__init__.py": "",
    "wynd_chat/domain/names.py": "import re\n",
    "wynd_chat/gateway/__init__.py": "",
    "wynd_chat/gateway/client.py": "from wynd import Wynd\nfrom wynd_chat.domain import names\n",
}

BROKEN = {
    "an upward import": ("wynd/codes.py", "from wynd.app import Wynd"),
    "an upward import by a relative name": ("wynd/engines/base.py", "from ..dispatch import run"),
    "an upward import inside a function": (
        "wynd/codes.py",
        "def late():\n    import wynd.dispatch\n",
    ),
    "an upward import for types": (
        "wynd/codes.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from wynd.app import Wynd\n",
    ),
    "an upward import by name": (
        "wynd/codes.py",
        "import importlib\nimportlib.import_module('wynd.app')",
    ),
    "asyncio in the domain": ("wynd_chat/domain/names.py", "import asyncio"),
    "the library in the domain": ("wynd_chat/domain/names.py", "from wynd import Wynd"),
    "a private module of the library": ("wynd_chat/gateway/client.py", "from wynd import dispatch"),
    "an engine in the chat": (
        "wynd_chat/gateway/client.py",
        "from wynd.engines.native import NativeEngine",
    ),
    "a name that is not public": ("wynd_chat/gateway/client.py", "from wynd import version_info"),
    "the package without a name": ("wynd_chat/gateway/client.py", "import wynd"),
    "a concrete engine below the application": (
        "wynd/dispatch.py",
        "from wynd.engines.native import NativeEngine",
    ),
    "the native module outside its engine": ("wynd/dispatch.py", "from wynd._engine import Shard"),
    "a dependency without a row": ("wynd/app.py", "import requests"),
    "a file in no layer": ("wynd/helpers.py", ""),
}


def test_every_import_obeys_the_table() -> None:
    found = violations(Tree(SOURCE), RULES)
    assert not found, "\n".join(found)


def test_layers_of_the_table_exist_in_each_others_rows() -> None:
    named = {entry for row in layers.LAYERS.values() for entry in row} - {"wynd_chat"}
    unknown = {entry for entry in named if layer_of(entry, layers.LAYERS) is None}
    assert unknown == set()


def test_type_only_exceptions_are_still_used() -> None:
    without = Rules(RULES.layers, {}, RULES.banned, RULES.third_party, RULES.public_names_only)
    broken = "\n".join(violations(Tree(SOURCE), without))
    phrases = [f"(layer {layer}) imports {target}," for layer, target in layers.TYPE_ONLY]
    assert [phrase for phrase in phrases if phrase not in broken] == []


def test_a_clean_toy_tree_passes(tmp_path: Path) -> None:
    assert violations(toy(tmp_path), RULES) == []


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_toy_tree_fails_once_and_names_the_file(case: str, tmp_path: Path) -> None:
    name, line = BROKEN[case]
    tree = toy(tmp_path, name, line)
    found = violations(tree, RULES)
    assert len(found) == 1, found
    assert found[0].startswith(name)


def test_the_longest_prefix_wins() -> None:
    table: dict[str, tuple[str, ...]] = {"a": (), "a.b": ()}
    assert layer_of("a.b.c", table) == "a.b"
    assert layer_of("a.bc", table) == "a"
    assert layer_of("b", table) is None


def toy(folder: Path, name: str | None = None, extra: str = "") -> Tree:
    """Write the toy tree, with one more line at the end of one file."""
    files = dict(TOY)
    if name is not None:
        files[name] = files.get(name, "") + extra + "\n"
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return Tree(folder)
