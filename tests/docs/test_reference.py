"""Every public name, exception, limit and close code is on a page of `docs/reference/`."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette

import wynd
import wynd.http
import wynd.testing
from tests.docs.pages import DOCS, name_of, rows_of
from wynd.codes import TOO_SLOW, sentence_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REFERENCE = DOCS / "reference"
PAGES = sorted(REFERENCE.glob("*.md"))
PACKAGES = {"": wynd, "testing": wynd.testing, "http": wynd.http}
"""A page describes the names of one: `testing.md` and `http.md` those of theirs."""
NAMES = [
    f"{package}.{name}".removeprefix(".")
    for package, module in PACKAGES.items()
    for name in module.__all__
]

# Attributes that a base gives, and that its own documentation describes.
INHERITED = (Exception, int, tuple, object, enum.Enum, enum.IntEnum, Starlette)

UNITS = {"KiB": 1024, "MiB": 1024 * 1024, "s": 1, "": 1}


def _resolve(name: str) -> object:
    package, _, bare = name.rpartition(".")
    return getattr(PACKAGES[package], bare)


def _public_members(cls: type) -> Iterator[str]:
    """The public attributes of a class, without those of bases that are not ours."""
    names = set(dir(cls)) | set(getattr(cls, "__annotations__", {}))
    names |= set(_documented_attributes(cls))
    foreign = {name for base in INHERITED if base in cls.__mro__ for name in dir(base)}
    yield from sorted(name for name in names - foreign if not name.startswith("_"))


def _documented_attributes(cls: type) -> list[str]:
    """The names of the docstring's `Attributes:` section."""
    _, _, section = (inspect.getdoc(cls) or "").partition("Attributes:\n")
    section = section.split("\n\n", maxsplit=1)[0]
    return re.findall(r"^ {4}(\w+):", section, flags=re.MULTILINE)


def _section(name: str) -> tuple[Path, str]:
    """Return the page and text under the heading of a class or function."""
    package, _, bare = name.rpartition(".")
    heading = re.compile(rf"^## `{re.escape(bare)}`\n", re.MULTILINE)
    for page in PAGES:
        if (page.stem if page.stem in PACKAGES else "") != package:
            continue
        text = page.read_text(encoding="utf-8")
        match = heading.search(text)
        if match:
            return page, text[match.end() :].split("\n## ", maxsplit=1)[0]
    raise AssertionError(f"no page of docs/reference has the heading ## `{name}`")


def _code_in(text: str) -> str:
    """Return what stands in code spans and code blocks."""
    blocks = re.findall(r"```\w*\n(.*?)```", text, flags=re.DOTALL)
    spans = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return "\n".join(blocks + spans)


def _says(code: str, word: str) -> bool:
    return re.search(rf"(?<![\w]){re.escape(word)}(?!\w)", code) is not None


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_has_a_section(name: str) -> None:
    _section(name)


@pytest.mark.parametrize("name", [name for name in NAMES if inspect.isclass(_resolve(name))])
def test_every_public_attribute_is_described(name: str) -> None:
    page, text = _section(name)
    code = _code_in(text)
    cls = _resolve(name)
    assert isinstance(cls, type)
    missing = [member for member in _public_members(cls) if not _says(code, member)]
    assert missing == [], f"{name_of(page)}, section {name}"


@pytest.mark.parametrize("name", [name for name in NAMES if callable(_resolve(name))])
def test_every_parameter_is_named(name: str) -> None:
    page, text = _section(name)
    code = _code_in(text)
    target = _resolve(name)
    functions = [target] if inspect.isfunction(target) else []
    if inspect.isclass(target):
        functions = [
            function
            for member, function in inspect.getmembers(target, inspect.isfunction)
            if not member.startswith("_") and function.__module__.startswith("wynd")
        ]
    missing = {
        f"{function.__name__}({parameter})"
        for function in functions
        for parameter in inspect.signature(function).parameters
        if parameter != "self" and not _says(code, parameter)
    }
    assert missing == set(), f"{name_of(page)}, section {name}"


def test_the_constructor_of_wynd_is_shown_as_it_is() -> None:
    _, text = _section("Wynd")
    shown = " ".join(text.split("`Wynd(")[1].split(")`")[0].split())
    parameters = inspect.signature(wynd.Wynd).parameters.values()
    expected = [f"{p.name}={p.default!r}".replace("'", '"') for p in parameters]
    assert shown == "*, " + ", ".join(expected)


def test_the_table_of_limits_is_the_code() -> None:
    rows = rows_of(REFERENCE / "limits.md", "Field")
    shown = {row[0].strip("`"): row[1] for row in rows}
    defaults = {field.name: field.default for field in dataclasses.fields(wynd.Limits)}
    assert list(shown) == list(defaults)
    for name, text in shown.items():
        if text == "`None`":
            assert defaults[name] is None, name
            continue
        number, _, unit = text.partition(" ")
        assert defaults[name] == float(number) * UNITS[unit], name
        assert name.endswith("_s") == (unit == "s"), name


def test_the_table_of_close_codes_is_the_code() -> None:
    rows = rows_of(REFERENCE / "codes.md", "Code")
    shown = {int(row[0]): (row[1].strip("`"), row[2].strip("`")) for row in rows}
    assert shown == {int(code): (code.name, sentence_of(code)) for code in wynd.CloseCode}
    for code, _, _, cause, remedy in rows:
        assert cause, code
        assert remedy, code
    page = (REFERENCE / "codes.md").read_text(encoding="utf-8")
    assert TOO_SLOW in page


ERRORS = [
    name
    for name in wynd.__all__
    if isinstance(cls := getattr(wynd, name), type) and issubclass(cls, wynd.WyndError)
]


@pytest.mark.parametrize("name", [name for name in ERRORS if name not in ("WyndError", "Reject")])
def test_every_exception_has_cause_and_remedy(name: str) -> None:
    _, text = _section(name)
    assert "**Cause:**" in text
    assert "**Remedy:**" in text


def test_every_section_is_about_a_name_that_exists() -> None:
    known = {name.rpartition(".")[2] for name in NAMES} | {"Headers", "on_request", "WyndProtocol"}
    for page in PAGES:
        headings = re.findall(r"^## `(\w+)`$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert set(headings) <= known, name_of(page)
