"""The native wheel: what it holds, and that step 6 of the tutorial runs from it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.packaging.elf import Hardening, hardening_of
from tests.packaging.support import (
    ROOT,
    Machine,
    hold_conversation,
    install,
    running_chat,
    running_server,
)

# A build of the native module from nothing, and pip fetching four small packages.
pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]


def test_it_is_for_this_python_and_platform(wheel: Path) -> None:
    version = f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert wheel.name.startswith(f"pywynd-0.1.0-{version}-{version}-")
    assert not wheel.name.endswith("-any.whl")


def test_it_holds_types_native_module_and_licences(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        third_party = archive.read(licence(names, "THIRD_PARTY_LICENSES.txt")).decode()
        ours = archive.read(licence(names, "LICENSE")).decode()
    assert {"wynd/__init__.py", "wynd/py.typed", "wynd/_engine.pyi"} <= set(names)
    assert [name for name in names if name.startswith("wynd/_engine.cpython-")]
    assert "The wynd authors" in ours
    for crate in direct_dependencies():
        assert f"\n{crate} " in third_party, f"no licence of {crate}; run `make licences`"


def test_it_holds_nothing_but_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        folders = {name.partition("/")[0] for name in archive.namelist()}
    assert folders == {"wynd", "wynd_chat", "pywynd-0.1.0.dist-info"}


def test_it_holds_the_chat_s_page_and_migrations(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    chat = ROOT / "src" / "wynd_chat"
    data = [path for path in (chat / "web").rglob("*") if path.is_file()]
    data += (chat / "adapters" / "store" / "migrations").rglob("*.py")
    wanted = {path.relative_to(ROOT / "src").as_posix() for path in data}
    assert {name for name in wanted - names if "__pycache__" not in name} == set()


def test_the_chat_without_its_extra_says_what_to_install(wheel: Path, machine: Machine) -> None:
    environment = machine.environment(cargo=False)
    python = machine.make_venv()
    install(python, wheel, environment)
    command = [str(python), "-m", "wynd_chat"]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert said.returncode != 0
    assert "pip install 'pywynd[chat]'" in said.stderr
    assert len(said.stderr.strip().splitlines()) == 1


def test_the_chat_runs_from_it_in_a_clean_environment(wheel: Path, machine: Machine) -> None:
    environment = machine.environment(cargo=False)
    python = machine.make_venv()
    install(python, f"{wheel}[chat]", environment)
    with running_server(python, machine.home, environment) as chat:
        with urlopen(f"http://localhost:{chat.port}/", timeout=10) as page:
            assert b"main.js" in page.read()
        hold_conversation(f"ws://localhost:{chat.port}/ws")
    assert chat.process.returncode == 0


def test_it_holds_no_path_of_the_machine(wheel: Path, builder: Machine) -> None:
    paths = [f"{path}/".encode() for path in (ROOT, Path.home(), builder.home) if path != Path("/")]
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    found = [(name, path) for name, text in contents.items() for path in paths if path in text]
    assert found == []


@pytest.mark.skipif(sys.platform != "linux", reason="the module is no ELF file here")
def test_the_native_module_is_hard_to_exploit(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.startswith("wynd/_engine.cpython-"))
        module = archive.read(name)
    assert hardening_of(module) == Hardening(
        has_relro=True,
        binds_now=True,
        has_executable_stack=False,
        writes_text=False,
        searches_elsewhere=False,
    )
    # The parts in C notice a smashed stack; nothing in Rust imports this.
    assert b"__stack_chk_fail" in module


def test_step_6_runs_from_it_in_a_clean_environment(wheel: Path, machine: Machine) -> None:
    environment = machine.environment(cargo=False)
    python = machine.make_venv()
    install(python, wheel, environment)
    code = "import wynd, wynd._engine; print(wynd.__file__)"
    where = subprocess.check_output([python, "-c", code], env=environment, text=True)
    assert where.startswith(str(machine.home))
    with running_chat(python, machine.home, environment) as chat:
        hold_conversation(chat.url)
    assert chat.process.returncode == 0
    assert "portable" not in chat.log.read_text()
    assert "Alice: hi" in chat.log.read_text()


def licence(names: list[str], file: str) -> str:
    """Return the name of a licence file in the wheel's metadata."""
    return next(name for name in names if name.endswith(f".dist-info/licenses/{file}"))


def direct_dependencies() -> set[str]:
    """Return the crates of the registry that ours name as dependencies."""
    found: set[str] = set()
    for manifest in (ROOT / "crates").glob("*/Cargo.toml"):
        found |= tomllib.loads(manifest.read_text()).get("dependencies", {}).keys()
    return {name for name in found if not name.startswith("wynd-")}
