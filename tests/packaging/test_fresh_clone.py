"""The README's promise: on a fresh clone `make run` sets everything up and the chat talks."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.support import (
    HAS_CARGO,
    ROOT,
    Machine,
    hold_conversation,
    lasting_port,
    wait_until_listening,
)

# From nothing: an environment with every tool, and the native engine with all its crates.
pytestmark = [pytest.mark.timeout(1800), pytest.mark.slow]
# What the Makefile and its tools call; a machine without Rust has just these.
PROGRAMS = ("make", "sh", "env", "awk", "cat", "ls", "tr", "rm")


@pytest.mark.parametrize(
    "cargo",
    [
        pytest.param(True, id="with cargo", marks=pytest.mark.nightly),
        pytest.param(False, id="without cargo"),
    ],
)
def test_make_run_on_a_fresh_clone(cargo: bool, machine: Machine) -> None:
    if cargo and not HAS_CARGO:
        pytest.skip("cargo is not in PATH")
    clone, port = clone_of_the_tree(machine.home / "clone"), lasting_port()
    log = machine.home / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["make", "run", f"PORT={port}", f"PLAIN_PORT={lasting_port()}"],
            cwd=clone,
            env=environment_of(machine, cargo=cargo),
            stdout=output,
            stderr=output,
            text=True,
            start_new_session=True,
        )
    try:
        wait_until_listening(port, process, log, patience_s=1200)
        hold_conversation(f"ws://localhost:{port}/ws")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(timeout=30)
    said = log.read_text()
    assert f"npx wscat -c ws://localhost:{port}/ws" in said
    assert ("WebSockets run on wsproto" in said) is not cargo
    assert (clone / "var" / "chat.sqlite3").exists()
    assert ("cargo is not in PATH" in said) is not cargo


def clone_of_the_tree(target: Path) -> Path:
    """Copy what git knows or would take, changes included."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def environment_of(machine: Machine, *, cargo: bool) -> dict[str, str]:
    """Return the machine's environment with a PATH of just what is needed."""
    environment = machine.environment(cargo=cargo)
    for name in ("CARGO_TARGET_DIR", "PYO3_PYTHON", "MAKEFLAGS", "MAKELEVEL", "VIRTUAL_ENV"):
        environment.pop(name, None)
    if cargo:
        return environment
    programs = machine.home / "bin"
    programs.mkdir()
    for name in PROGRAMS:
        found = shutil.which(name)
        assert found, f"{name} is missing on this machine"
        (programs / name).symlink_to(found)
    (programs / "python3").symlink_to(Path(sys.executable).resolve())
    return {**environment, "PATH": str(programs)}
