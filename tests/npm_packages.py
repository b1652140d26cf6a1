"""Tools from npm that tests use: installed once into the ignored folder `var/`, by exact version.

Where Node, npm or the registry is missing, the test that needs one is skipped and says why.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INSTALL_S = 180.0


def npm_package(name: str, version: str, *files: str) -> Path:
    """Return the folder of a package, installed if need be; skip the test if that is impossible.

    Args:
        name: Of the package.
        version: The exact one.
        files: What must be there for the package to count as installed, below its folder.
    """
    folder = ROOT / "var" / f"{name.replace('/', '-').lstrip('@')}-{version}"
    package = folder / "node_modules" / name
    if not _is_complete(package, files):
        _install(folder, f"{name}@{version}")
    if not _is_complete(package, files):
        pytest.skip(f"npm installed {name} {version} without {', '.join(files)}")
    return package


def find_node() -> str:
    """Return Node; skip the test where there is none."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed here")
    return node


def _is_complete(package: Path, files: tuple[str, ...]) -> bool:
    return all((package / file).exists() for file in ("package.json", *files))


def _install(folder: Path, package: str) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"{package} is not installed yet, and npm is not here to install it")
    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--prefix", str(folder), "--no-save", "--no-package-lock"]
    command += ["--no-audit", "--no-fund", "--ignore-scripts", package]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_S, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install {package} within {INSTALL_S:g} s")
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        pytest.skip(f"npm could not install {package}: {reason}")
