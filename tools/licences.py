"""Collects the licences of every crate that is linked into the native module.

Reads `cargo metadata` and the crates' own source folders and writes THIRD_PARTY_LICENSES.txt,
which wheel and sdist carry. With --check it only compares, and fails when the file is out of date.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "THIRD_PARTY_LICENSES.txt"
MODULE = "wynd-python"
# The platforms of the native engine. What is linked differs a little between them; all are named.
PLATFORMS = (
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
)
FILE_PREFIXES = ("licen", "copying", "notice", "copyright", "unlicense")
HEADER = """\
Licences of the third-party code that the native module of wynd (wynd._engine) is linked from.
Made by tools/licences.py; do not edit. Each text stands once, below the crates it belongs to.

The Rust standard library is linked too: Copyright (c) The Rust Project contributors,
MIT OR Apache-2.0; both texts are below.
"""


@dataclass(frozen=True, order=True)
class Crate:
    """One linked crate: what the file says about it, and where its sources lie."""

    name: str
    version: str
    licence: str
    folder: Path

    def texts(self) -> list[str]:
        """Return the licence texts of the crate's folder, in order of file name."""
        names = [path for path in self.folder.iterdir() if path.is_file()]
        found = [path for path in sorted(names) if path.name.lower().startswith(FILE_PREFIXES)]
        return [normalised(path.read_text(encoding="utf-8")) for path in found]


def main() -> int:
    """Write or compare the file; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, do not write")
    options = parser.parse_args()
    crates = linked_crates(cargo_metadata(is_locked=options.check))
    text = render(crates)
    if not options.check:
        TARGET.write_text(text, encoding="utf-8")
        print(f"{TARGET.name}: {len(crates)} crates")
        return 0
    if TARGET.exists() and TARGET.read_text(encoding="utf-8") == text:
        return 0
    print(f"{TARGET.name} is out of date; run `make licences`", file=sys.stderr)
    return 1


def cargo_metadata(*, is_locked: bool) -> dict[str, Any]:
    """Return the dependency graph of the workspace for our platforms."""
    command = ["cargo", "metadata", "--format-version", "1", *(["--locked"] if is_locked else [])]
    for platform in PLATFORMS:
        command += ["--filter-platform", platform]
    result = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    metadata: dict[str, Any] = json.loads(result.stdout)
    return metadata


def linked_crates(metadata: dict[str, Any]) -> list[Crate]:
    """Return the registry crates reachable from our module, macros and build scripts left out.

    Raises:
        SystemExit: a crate whose folder holds no licence text; its text must be found by hand.
    """
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    waiting = [key for key, package in packages.items() if package["name"] == MODULE]
    seen: set[str] = set()
    while waiting:
        key = waiting.pop()
        if key in seen or is_macro(packages[key]):
            continue
        seen.add(key)
        waiting += [edge["pkg"] for edge in nodes[key]["deps"] if is_linked(edge)]
    ours = set(metadata["workspace_members"])
    crates = sorted(crate_of(packages[key]) for key in seen - ours)
    bare = [crate.name for crate in crates if not crate.texts()]
    if bare:
        raise SystemExit(f"no licence text in the sources of {', '.join(bare)}")
    return crates


def is_macro(package: dict[str, Any]) -> bool:
    """Tell whether a package runs in the compiler and is not linked."""
    return any("proc-macro" in target["kind"] for target in package["targets"])


def is_linked(edge: dict[str, Any]) -> bool:
    """Tell whether a dependency is more than a build or test dependency."""
    return any(kind["kind"] is None for kind in edge["dep_kinds"])


def crate_of(package: dict[str, Any]) -> Crate:
    """Pick what is needed out of cargo's description of a package."""
    licence = package["license"] or f"see {package['license_file']}"
    folder = Path(package["manifest_path"]).parent
    return Crate(package["name"], package["version"], licence, folder)


def render(crates: list[Crate]) -> str:
    """Return the whole file: the list of crates, then each distinct text with its owners."""
    owners: dict[str, list[str]] = {}
    for crate in crates:
        for text in crate.texts():
            owners.setdefault(text, []).append(f"{crate.name} {crate.version}")
    parts = [HEADER, "\n".join(f"{c.name} {c.version}: {c.licence}" for c in crates) + "\n"]
    rule = "-" * 100
    parts += [f"{rule}\n{', '.join(names)}\n\n{text}\n" for text, names in owners.items()]
    return "\n".join(parts)


def normalised(text: str) -> str:
    """Strip what differs between copies of one text: line ends, trailing blanks, outer lines."""
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


if __name__ == "__main__":
    sys.exit(main())
