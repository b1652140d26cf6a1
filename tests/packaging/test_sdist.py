"""The sdist: it builds the native module by itself, and installs without Rust as well."""

from __future__ import annotations

import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.packaging.support import (
    HAS_CARGO,
    Machine,
    build,
    hold_conversation,
    install,
    running_chat,
)

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

# pip makes an isolated build environment and fetches what the library requires.
pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]
needs_cargo = pytest.mark.skipif(not HAS_CARGO, reason="cargo is not in PATH")


def test_it_carries_the_crates_their_lock_and_the_licences(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"Cargo.toml", "Cargo.lock", "LICENSE", "THIRD_PARTY_LICENSES.txt", "setup.py"}
    crates = ("wynd-protocol", "wynd-engine", "wynd-python")
    wanted |= {
        f"crates/{crate}/{file}" for crate in crates for file in ("Cargo.toml", "src/lib.rs")
    }
    assert wanted - names == set()
    assert [name for name in names if name.endswith(".so") or name.startswith("target/")] == []


def test_without_cargo_it_installs_and_runs_on_the_portable_engine(
    sdist: Path, machine: Machine
) -> None:
    environment = machine.environment(cargo=False)
    python = machine.make_venv()
    install(python, sdist, environment)
    with running_chat(python, machine.home, environment) as chat:
        hold_conversation(chat.url)
    assert chat.process.returncode == 0
    lines = chat.log.read_text().splitlines()
    assert len([line for line in lines if "portable engine" in line]) == 1, lines


def test_without_cargo_a_required_native_build_fails(
    unpacked: Path, machine: Machine, tmp_path: Path
) -> None:
    result = build_wheel(unpacked, machine, tmp_path, required="1", cargo=False)
    assert result.returncode != 0
    assert "can't find Rust compiler" in result.stdout + result.stderr


@needs_cargo
@pytest.mark.parametrize("required", ["1", "0"])
def test_a_broken_native_build(
    required: str, unpacked: Path, machine: Machine, tmp_path: Path
) -> None:
    """Fails where the native module is required; else gives a wheel without it."""
    source = unpacked / "crates" / "wynd-protocol" / "src" / "lib.rs"
    source.write_text(source.read_text() + '\ncompile_error!("broken on purpose");\n')
    result = build_wheel(unpacked, machine, tmp_path, required=required, cargo=True)
    assert "broken on purpose" in result.stdout + result.stderr
    if required == "1":
        assert result.returncode != 0
        return
    assert result.returncode == 0, result.stdout + result.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as archive:
        names = archive.namelist()
    assert "wynd/__init__.py" in names
    assert [name for name in names if name.endswith(".so")] == []


def test_a_wrong_value_of_the_variable_is_an_error(
    unpacked: Path, machine: Machine, tmp_path: Path
) -> None:
    result = build_wheel(unpacked, machine, tmp_path, required="yes", cargo=False)
    assert result.returncode != 0
    assert "set it to 1 or 0, or unset it" in result.stdout + result.stderr


def build_wheel(
    source: Path, machine: Machine, target: Path, *, required: str, cargo: bool
) -> subprocess.CompletedProcess[str]:
    """Build a wheel with WYND_REQUIRE_NATIVE set."""
    environment = {**machine.environment(cargo=cargo), "WYND_REQUIRE_NATIVE": required}
    return build(source, target, "wheel", environment)
