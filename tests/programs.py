"""Programs of the system that tests run: browsers, proxies, a database, `strace`.

A test asks for one by `program` and is skipped, with the reason, where there is none.
`python -m tests.programs`, which `make test` runs first, installs what is missing where that is
possible without asking: as root, with `apt-get`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["chromium_browser", "postgres_folder", "program"]

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
# The names of a program, by the package that has it.
PACKAGES = {
    "chromium": CHROMIUM,
    "nginx": ("nginx",),
    "caddy": ("caddy",),
    "haproxy": ("haproxy",),
    "strace": ("strace",),
}
POSTGRES_PROGRAMS = ("initdb", "postgres", "psql")
INSTALLED_WITHIN_S = 600.0


def program(*names: str) -> str:
    """Return the path of a program under one of its names; skip the test where there is none."""
    found = _find(names)
    if found is None:
        pytest.skip(f"{names[0]} is not installed; python -m tests.programs may do it")
    return found


@contextlib.asynccontextmanager
async def chromium_browser() -> AsyncIterator[Any]:
    """Start the system's Chromium without a window; skip the test where that is impossible."""
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("playwright is not installed")
    path = program(*CHROMIUM)
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--no-proxy-server"]
        )
        try:
            yield browser
        finally:
            await browser.close()


def postgres_folder() -> Path | None:
    """Return the folder of PostgreSQL's server programs; the newest, if there are several."""
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name)
    )
    in_path = shutil.which("initdb")
    folders = [*debian, *([Path(in_path).resolve().parent] if in_path else [])]
    complete = [f for f in folders if all((f / p).exists() for p in POSTGRES_PROGRAMS)]
    return complete[-1] if complete else None


def _find(names: tuple[str, ...]) -> str | None:
    # Servers are in a folder that is not in everybody's PATH.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    return next(filter(None, (shutil.which(name, path=path) for name in names)), None)


def install_missing() -> None:
    """Install what is not here, or say in one line what tests will be skipped for the lack of."""
    missing = [package for package, names in PACKAGES.items() if _find(names) is None]
    if postgres_folder() is None:
        missing.append("postgresql")
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"not installed, so their tests are skipped: {', '.join(missing)}")
        return
    print(f"installing for tests: {', '.join(missing)}", flush=True)
    has_new_lists = False
    for package in missing:  # one that cannot be had does not keep the others away
        error = _apt("install", "-y", "-q", package)
        if error and not has_new_lists:
            _apt("update", "-q")  # they may be missing or old
            has_new_lists = True
            error = _apt("install", "-y", "-q", package)
        if error:
            print(f"{package} cannot be installed, its tests are skipped: {error}")


def _apt(*arguments: str) -> str:
    """Run apt-get; return why it failed, empty if it did not."""
    try:
        done = subprocess.run(
            ["apt-get", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=INSTALLED_WITHIN_S,
            check=False,
            # Packaged servers are not started: tests start their own.
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"},
        )
    except (subprocess.SubprocessError, OSError) as error:
        return str(error)
    lines = done.stdout.strip().splitlines()
    return "" if done.returncode == 0 else (lines[-1] if lines else "apt-get says nothing")


if __name__ == "__main__":
    install_missing()
    sys.exit(0)
