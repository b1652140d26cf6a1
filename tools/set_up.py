"""Makes a virtual environment with the library, its tools and, where cargo exists, the engine.

Runs on the standard library of any Python >= 3.11; everything lands in the project's folder. What
is up to date is left alone: stamp files hold a digest of what each step was made from.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NO_CARGO = (
    "cargo is not in PATH: set up without the native module, wynd runs on the portable engine"
)


def main() -> int:
    """Bring one environment up to date; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", default=".venv", help="folder of the environment")
    parser.add_argument("--group", default="dev", help="dependency group of pyproject.toml")
    options = parser.parse_args()
    venv = ROOT / options.venv
    try:
        make_venv(venv)
        install_dependencies(venv, options.group)
        install_library(venv)
    except subprocess.CalledProcessError as error:
        print(f"set-up failed: {' '.join(map(str, error.cmd[1:]))}", file=sys.stderr)
        return 1
    return 0


def make_venv(venv: Path) -> None:
    """Create the environment unless its Python runs."""
    python = venv / "bin" / "python"
    if python.exists() and subprocess.run([python, "-c", ""], check=False).returncode == 0:
        return
    say(f"creating {venv.name} with Python {sys.version.split()[0]}")
    run([sys.executable, "-m", "venv", "--clear", venv])


def install_dependencies(venv: Path, group: str) -> None:
    """Install the pinned tools when pyproject.toml or constraints.txt changed."""
    stamp = venv / ".wynd-dependencies"
    digest = digest_of([ROOT / "pyproject.toml", ROOT / "constraints.txt"])
    if is_current(stamp, digest):
        return
    say(f"installing dependencies into {venv.name}")
    pip(venv, "--upgrade", "pip")  # dependency groups need pip 25.1
    pip(venv, "--group", group)
    stamp.write_text(digest)
    (venv / ".wynd-library").unlink(missing_ok=True)


def install_library(venv: Path) -> None:
    """Install wynd in place; build the native module when something it is made from changed."""
    has_cargo = shutil.which("cargo") is not None
    required = os.environ.get("WYND_REQUIRE_NATIVE") or ("1" if has_cargo else "0")
    stamp = venv / ".wynd-library"
    if not is_current(stamp, library_digest(has_cargo, required)):
        if has_cargo:
            say("building the native engine (a minute or two the first time)")
        environment = {**os.environ, "WYND_REQUIRE_NATIVE": required}
        pip(venv, "--no-build-isolation", "--editable", ".[fast,chat]", environment=environment)
        stamp.write_text(library_digest(has_cargo, required))  # cargo may have written its lock
    if not has_cargo and not any((ROOT / "src" / "wynd").glob("_engine.*.so")):
        say(NO_CARGO)


def library_digest(has_cargo: bool, required: str) -> str:
    """Digest everything the installed library and its native module depend on."""
    sources = [ROOT / name for name in ("pyproject.toml", "setup.py", "Cargo.toml", "Cargo.lock")]
    if has_cargo:
        crates = ROOT / "crates"
        sources += [path for path in crates.rglob("*") if path.suffix in (".rs", ".toml")]
    return digest_of(sources) + f" cargo={has_cargo} required={required}"


def digest_of(paths: list[Path]) -> str:
    """Return one digest over names and contents; a missing file counts as such."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        content = path.read_bytes() if path.exists() else b"missing"
        digest.update(f"{path.relative_to(ROOT)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def is_current(stamp: Path, digest: str) -> bool:
    """Tell whether the step that wrote `stamp` was done from the same sources."""
    return stamp.exists() and stamp.read_text() == digest


def pip(venv: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
    """Run `pip install` with the pinned versions."""
    command: list[str | Path] = [venv / "bin" / "python", "-m", "pip", "install", "--quiet"]
    command += ["--disable-pip-version-check", "--constraint", "constraints.txt", *arguments]
    run(command, environment)


def run(command: list[str | Path], environment: dict[str, str] | None = None) -> None:
    """Run one command in the project's folder; a failure raises."""
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def say(text: str) -> None:
    """Print one line at once, in order with what pip and cargo print."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
