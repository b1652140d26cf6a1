"""Reads the sources: what must not stand in them, and what must stand beside them.

Exceptions are literals here, each with its reason, so that a new one shows in review.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
MODULES = sorted(path for path in SOURCE.rglob("*.py"))
NAMES = [path.relative_to(SOURCE).as_posix() for path in MODULES]

# Modules that may read wall time.
CLOCK_MODULES: dict[str, str] = {
    "wynd/http/hosting.py": "the Date field of every answer",
    "wynd_chat/adapters/clock.py": "the chat's clock; everything else is given it",
}
WALL_CLOCKS = {
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "localtime"),
    ("time", "gmtime"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
}

# Modules without a test file of their own.
WITHOUT_TEST: dict[str, str] = {
    "wynd/__init__.py": "only names; tests/architecture/test_exports.py reads them",
    "wynd/engines/__init__.py": "a docstring",
    "wynd/cli/__init__.py": "a docstring",
    "wynd/cli/failure.py": "one exception without code",
    "wynd/http/__init__.py": "only names; tests/architecture/test_exports.py reads them",
    "wynd/http/hosts.py": "an interface and values; test_portable.py and test_serving.py use them",
    "wynd_chat/adapters/__init__.py": "a docstring",
    "wynd_chat/adapters/backup/__init__.py": "a docstring",
    "wynd_chat/adapters/broker/__init__.py": "a docstring",
    "wynd_chat/adapters/files/__init__.py": "a docstring",
    "wynd_chat/adapters/store/__init__.py": "a docstring",
    "wynd_chat/adapters/store/migrations/__init__.py": "a docstring",
    "wynd_chat/adapters/store/migrations/versions/__init__.py": "a docstring",
    "wynd_chat/cli/__init__.py": "a docstring",
    "wynd_chat/domain/__init__.py": "a docstring",
    "wynd_chat/gateway/__init__.py": "a docstring",
    "wynd_chat/gateway/commands/__init__.py": (
        "only names; `calls` finds them by the table of commands"
    ),
    "wynd_chat/gateway/forms/__init__.py": "only a name",
    "wynd_chat/gateway/rest/__init__.py": "only a name",
    "wynd_chat/observability/__init__.py": "a docstring",
    "wynd_chat/ports/__init__.py": "a docstring",
    "wynd_chat/ports/broker.py": "an interface; tests of its adapter and of the feed use it",
    "wynd_chat/ports/clock.py": "interfaces; tests of their adapters use them",
    "wynd_chat/ports/files.py": (
        "an interface and values; tests/contracts/test_chat_files.py holds all to it"
    ),
    "wynd_chat/ports/passwords.py": "an interface; tests of its adapter use it",
    "wynd_chat/ports/backups.py": "one value without code",
    "wynd_chat/ports/rereading.py": "one value without code",
    "wynd_chat/ports/store.py": (
        "an interface and values; tests/contracts/test_chat_store*.py hold every store to it"
    ),
    "wynd_chat/services/__init__.py": "a docstring",
    "wynd_chat/services/bundle.py": "one value without code",
    "wynd_chat/settings/__init__.py": "only names",
    "wynd_chat/web/__init__.py": "only names",
    "wynd_chat/wire/__init__.py": "a docstring",
    "wynd_chat/assembly.py": "one constructor call; tests/wynd_chat/test_app.py opens all of it",
    "wynd_chat/ports/faults.py": "an interface, and one that does nothing; test_messaging.py",
    "wynd_chat/ports/outlet.py": "an interface and values; every test of services reads them",
    "wynd_chat/gateway/rest/context.py": "a value that every test of the API uses",
}
# Rust files that ARCHITECTURE.md need not name.
UNNAMED_RUST = {"lib.rs": "the crate itself, named by its folder"}


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_the_library_does_not_print(path: Path) -> None:
    calls = [node for node in ast.walk(parse(path)) if isinstance(node, ast.Call)]
    printing = [node.lineno for node in calls if getattr(node.func, "id", "") == "print"]
    assert printing == []


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_wall_time_is_read_in_clock_modules_only(path: Path) -> None:
    if path.relative_to(SOURCE).as_posix() in CLOCK_MODULES:
        return
    reads = [
        node.lineno
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Attribute) and (last_name(node.value), node.attr) in WALL_CLOCKS
    ]
    assert reads == []


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_every_module_begins_with_what_it_decides(path: Path) -> None:
    assert ast.get_docstring(parse(path))


@pytest.mark.parametrize("name", NAMES)
def test_every_module_has_a_test_file(name: str) -> None:
    folder, _, file = name.rpartition("/")
    test = ROOT / "tests" / folder / f"test_{file.lstrip('_')}"
    if name in WITHOUT_TEST:
        assert not test.exists(), f"{name} has a test now; take it off WITHOUT_TEST"
    else:
        assert test.exists(), f"write {test.relative_to(ROOT)}, or say why not in WITHOUT_TEST"


def test_the_exceptions_name_existing_modules() -> None:
    assert (WITHOUT_TEST.keys() | CLOCK_MODULES.keys()) - set(NAMES) == set()


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith("__init__.py")])
def test_architecture_names_every_module(name: str) -> None:
    folder, _, file = name.rpartition("/")
    if name.startswith("wynd_chat/"):
        assert file in files_by_folder().get(f"{folder}/", ()), (
            f"the row of {folder}/ in ARCHITECTURE.md does not name {file}"
        )
        return
    short = name.removeprefix("wynd/")
    assert short in architecture(), f"ARCHITECTURE.md does not name {short}"


def test_architecture_names_no_module_of_the_chat_that_is_not_there() -> None:
    named = {f"{folder}{file}" for folder, files in files_by_folder().items() for file in files}
    assert named - set(NAMES) == set()


def test_architecture_names_every_file_of_the_crates() -> None:
    files = {path.name for path in (ROOT / "crates").glob("*/src/*.rs")} - UNNAMED_RUST.keys()
    assert sorted(name for name in files if name not in architecture()) == []


def architecture() -> str:
    """Return the text of ARCHITECTURE.md."""
    return (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def files_by_folder() -> dict[str, set[str]]:
    """Return folder of the chat → the modules that its row of ARCHITECTURE.md names."""
    rows = re.findall(r"^\| `(wynd_chat/[\w/]*)` \| (.*)$", architecture(), re.MULTILINE)
    return {folder: set(re.findall(r"`(\w+\.py)`", row)) for folder, row in rows}


def parse(path: Path) -> ast.Module:
    """Parse one source file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def last_name(node: ast.expr) -> str:
    """Return `c` of `a.b.c`."""
    return str(getattr(node, "attr", getattr(node, "id", "")))
