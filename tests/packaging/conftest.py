"""Builds sdist and wheel once for all packaging tests, the wheel from the unpacked sdist."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.packaging.support import HAS_CARGO, ROOT, Machine, build

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """The machine that builds."""
    return Machine(tmp_path_factory.mktemp("builder"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A fresh machine."""
    return Machine(tmp_path)


@pytest.fixture(scope="session")
def sdist(builder: Machine) -> Path:
    """The source distribution of the tree under test."""
    result = build(ROOT, builder.home, "sdist", builder.environment(cargo=HAS_CARGO))
    assert result.returncode == 0, result.stdout + result.stderr
    return next(builder.home.glob("pywynd-*.tar.gz"))


@pytest.fixture
def unpacked(sdist: Path, tmp_path: Path) -> Path:
    """A copy of the unpacked sdist that the test may change."""
    return unpack(sdist, tmp_path / "source")


@pytest.fixture(scope="session")
def wheel(sdist: Path, builder: Machine) -> Path:
    """A wheel with the native module, built from the sdist alone."""
    if not HAS_CARGO:
        pytest.skip("cargo is not in PATH: no native wheel can be built")
    source = unpack(sdist, builder.home / "source")
    environment = {**builder.environment(cargo=True), "WYND_REQUIRE_NATIVE": "1"}
    result = build(source, builder.home, "wheel", environment)
    assert result.returncode == 0, result.stdout + result.stderr
    return next(builder.home.glob("pywynd-*.whl"))


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack an sdist and return its only folder."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return next(folder.iterdir())
