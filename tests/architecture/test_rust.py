"""The Rust half of the architecture, read from Cargo.toml and the sources; needs no cargo."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.layers import CRATES, CRATES_BANNED

CRATES_FOLDER = Path(__file__).parents[2] / "crates"
WORKSPACE = CRATES_FOLDER.parent / "Cargo.toml"


def test_every_crate_has_a_row() -> None:
    members = tomllib.loads(WORKSPACE.read_text())["workspace"]["members"]
    assert sorted(Path(member).name for member in members) == sorted(CRATES)


@pytest.mark.parametrize("crate", CRATES)
def test_a_crate_depends_on_its_row_only(crate: str) -> None:
    dependencies = dependencies_of(crate)
    ours = {name for name in dependencies if name in CRATES}
    assert ours <= set(CRATES[crate]), f"{crate} may depend on {CRATES[crate]} of ours"
    banned = set(CRATES_BANNED[crate][0]) & dependencies
    assert not banned, f"{crate} must not depend on {sorted(banned)}"


@pytest.mark.parametrize("crate", CRATES)
def test_sources_name_no_banned_path(crate: str) -> None:
    for path in sorted((CRATES_FOLDER / crate / "src").rglob("*.rs")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            code = line.partition("//")[0]
            for banned in CRATES_BANNED[crate][1]:
                found = re.search(rf"\b{re.escape(banned)}", code)
                assert not found, f"{crate}/src/{path.name}:{number} names {banned}"


@pytest.mark.parametrize("crate", CRATES)
def test_a_crate_takes_the_lints_of_the_workspace(crate: str) -> None:
    assert manifest(crate)["lints"]["workspace"] is True


@pytest.mark.parametrize("crate", ["wynd-protocol", "wynd-engine"])
def test_clocks_and_threads_are_disallowed_methods(crate: str) -> None:
    settings = tomllib.loads((CRATES_FOLDER / crate / "clippy.toml").read_text())
    paths = {entry["path"] for entry in settings["disallowed-methods"]}
    assert {"std::time::Instant::now", "std::time::SystemTime::now", "std::thread::spawn"} <= paths


UNSAFE: dict[str, set[str]] = {
    "wynd-protocol": set(),
    "wynd-engine": set(),
    # CPython's C interface, and a message that is used again in its place.
    "wynd-python": {"raw", "messages"},
}


@pytest.mark.parametrize("crate", CRATES)
def test_unsafe_code_stands_in_named_modules_only(crate: str) -> None:
    sources = CRATES_FOLDER / crate / "src"
    root = (sources / "lib.rs").read_text()
    named = set(re.findall(r"^#\[allow\(unsafe_code\)\].*\nmod (\w+);", root, re.MULTILINE))
    assert named == UNSAFE[crate]
    assert f"#![{'deny' if named else 'forbid'}(unsafe_code)]" in root
    for path in sources.rglob("*.rs"):
        code = "\n".join(line.partition("//")[0] for line in path.read_text().splitlines())
        allows = path.name != "lib.rs" and "unsafe_code" in code
        assert not allows, f"{crate}/src/{path.name} allows what only lib.rs may allow"
        is_unsafe = re.search(r"\bunsafe\b", code) is not None
        assert is_unsafe == (path.stem in UNSAFE[crate]), f"{crate}/src/{path.name}"


def test_every_unsafe_block_must_say_why_it_is_sound() -> None:
    lints = tomllib.loads(WORKSPACE.read_text())["workspace"]["lints"]
    assert lints["clippy"]["undocumented_unsafe_blocks"] == "deny"
    assert lints["rust"]["unsafe_op_in_unsafe_fn"] == "deny"


def test_panics_on_request_are_in_no_build_but_a_tests() -> None:
    features = manifest("wynd-python")["features"]
    assert features == {"fault-injection": []}  # none is a default
    for name in ("setup.py", "Makefile", "pyproject.toml"):
        assert "fault-injection" not in (WORKSPACE.parent / name).read_text()


def test_the_fuzz_targets_are_no_part_of_the_workspace() -> None:
    fuzz = WORKSPACE.parent / "fuzz"
    assert "workspace" in tomllib.loads((fuzz / "Cargo.toml").read_text())
    packages = tomllib.loads((WORKSPACE.parent / "Cargo.lock").read_text())["package"]
    assert "libfuzzer-sys" not in {package["name"] for package in packages}


def test_a_panic_unwinds_to_the_edge() -> None:
    release = tomllib.loads(WORKSPACE.read_text())["profile"]["release"]
    assert release["panic"] == "unwind"
    assert release["debug"] is False


def manifest(crate: str) -> dict[str, Any]:
    """Return a crate's Cargo.toml."""
    return tomllib.loads((CRATES_FOLDER / crate / "Cargo.toml").read_text())


def dependencies_of(crate: str) -> set[str]:
    """Return the packages a crate is built from, tests left out; renamed ones by their package."""
    settings = manifest(crate)
    tables = [settings.get("dependencies", {}), settings.get("build-dependencies", {})]
    for target in settings.get("target", {}).values():
        tables += [target.get("dependencies", {}), target.get("build-dependencies", {})]
    found: set[str] = set()
    for name, value in (item for table in tables for item in table.items()):
        found.add(value.get("package", name) if isinstance(value, dict) else name)
    return found
