"""The targets by name, and where their inputs lie.

A target is a module of `targets` with `check(data: bytes) -> None`, which raises where a promise is
broken. `corpus/TARGET` and `crashes/TARGET` are committed: what reaches new code, and what failed
once. The test `test_targets` runs all of it, without a fuzzer.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ROOT",
    "TARGETS",
    "WORK",
    "check_of",
    "corpus_of",
    "crashes_of",
    "inputs_of",
    "program_of",
]

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
WORK = ROOT / "build" / "fuzz-python"
TARGETS = (
    *("command_json", "text_line", "multipart", "names_texts"),
    *("request", "boundary", "engine"),
)


def check_of(target: str) -> Callable[[bytes], None]:
    """Return the check of a target; its module is imported now."""
    module = importlib.import_module(f"tests.fuzz.targets.{target}")
    check: Callable[[bytes], None] = module.check
    return check


def corpus_of(target: str) -> Path:
    """Return the folder of inputs that reach something each."""
    return HERE / "corpus" / target


def crashes_of(target: str) -> Path:
    """Return the folder of inputs that failed once."""
    return HERE / "crashes" / target


def program_of(target: str) -> Path:
    """Return the program that fuzzes a target; a run writes it."""
    return WORK / target / "fuzz"


def inputs_of(folder: Path) -> list[Path]:
    """Return the inputs of a folder, which need not be there."""
    return sorted(path for path in folder.glob("*") if path.is_file())
