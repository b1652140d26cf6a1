"""Writes what `wynd` and `wynd-chat` are made of, as one CycloneDX document (`make sbom`).

Three sources in one list, which no single generator covers: crates (Cargo.lock, licences from
THIRD_PARTY_LICENSES.txt), Python packages that users get (the requirements of pyproject.toml and
what those require, as installed here and pinned in constraints.txt), and files of others that the
page carries (the tables of their README.md). The same tree gives the same bytes: there is no serial
number, and no time unless SOURCE_DATE_EPOCH is set.

Scope: `required` is always inside, `optional` comes with an extra, `excluded` only builds or tests.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
import tomllib
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["document", "main", "render"]

ROOT = Path(__file__).resolve().parent.parent
SPECIFICATION = "1.6"
EXTRAS = ("chat", "fast")
PAGE = ROOT / "src" / "wynd_chat" / "web"
# What others wrote and the page carries: the folder, and the file that a row's package is in.
VENDORED = ((PAGE / "page" / "vendor", "preact.js"), (PAGE / "api", "swagger-ui-bundle.js"))
_BUNDLED = re.compile(r"^\| (@?[a-z][\w./-]*) \| ([0-9][\w.]*) \| ([\w.-]+) \|$", re.MULTILINE)
_COPIED = re.compile(r"npm package `([^`]+)` ([0-9][\w.]*), ([\w.-]+)")
_LINKED = re.compile(r"^([\w-]+) ([0-9]\S*): (.+)$", re.MULTILINE)

Component = dict[str, Any]


def main(arguments: list[str] | None = None) -> int:
    """Write the document to a file, or to standard output."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, help="the file; without it standard output")
    options = parser.parse_args(arguments)
    text = render(document(os.environ.get("SOURCE_DATE_EPOCH")))
    if options.output is None:
        sys.stdout.write(text)
        return 0
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text, encoding="utf-8")
    print(f"{options.output}: {text.count('bom-ref') - 1} components")
    return 0


def render(bom: Component) -> str:
    """Return the document as text, the same for the same tree."""
    return json.dumps(bom, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def document(epoch: str | None = None) -> Component:
    """Return the document.

    Args:
        epoch: Seconds since 1970 as which it is dated, None: it is not.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ours = component("library", project["name"], project["version"], "pypi", project["license"])
    crates, edges = crates_of(ROOT / "Cargo.lock")
    packages, more = packages_of(project)
    vendored = list(vendored_files())
    components = sorted([*crates, *packages, *vendored], key=lambda one: str(one["bom-ref"]))
    edges |= more
    edges[ours["bom-ref"]] = direct(project, packages, crates, vendored)
    dated = {} if epoch is None else {"timestamp": datetime.fromtimestamp(int(epoch), UTC)}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "version": 1,
        "metadata": {"component": ours} | {key: at.isoformat() for key, at in dated.items()},
        "components": components,
        "dependencies": [
            {"ref": ref, "dependsOn": sorted(set(needs))} for ref, needs in sorted(edges.items())
        ],
    }


def component(kind: str, name: str, version: str, index: str, licence: str) -> Component:
    """Return one component; its package URL is also what others refer to it by."""
    group, _, short = name.rpartition("/")
    path = f"{quote(group, safe='')}/{short}" if group else short
    url = f"pkg:{index}/{path}@{quote(version, safe='')}"
    made: Component = {"type": kind, "bom-ref": url, "name": short, "version": version}
    made |= {"purl": url} | ({"group": group} if group else {})
    return made | ({"licenses": [licence_of(licence)]} if licence else {})


def licence_of(text: str) -> Component:
    """Return a licence: an SPDX expression, or the name that somebody gave it."""
    is_expression = re.fullmatch(r"[\w.+() -]+", text) and not re.search(r"\b(License|of)\b", text)
    words = re.sub(r"\s*/\s*", " OR ", text)  # how crates wrote it before SPDX
    is_expression = is_expression or "/" in text
    return {"expression": words} if is_expression else {"license": {"name": text}}


# Crates


def crates_of(lock: Path) -> tuple[list[Component], dict[str, list[str]]]:
    """Return all locked crates, ours too, and what each of all requires, by reference."""
    packages = tomllib.loads(lock.read_text(encoding="utf-8"))["package"]
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]
    licence = workspace["package"]["license"]
    texts = (ROOT / "THIRD_PARTY_LICENSES.txt").read_text(encoding="utf-8")
    linked = {(name, version): licence for name, version, licence in _LINKED.findall(texts)}
    refs = {(one["name"], one["version"]): crate_ref(one) for one in packages}
    newest = {name: ref for (name, _), ref in sorted(refs.items())}
    found, edges = [], {}
    for package in packages:
        key = (package["name"], package["version"])
        needs = [need.split(" ") for need in package.get("dependencies", [])]
        edges[refs[key]] = [
            refs[need[0], need[1]] if need[1:] else newest[need[0]] for need in needs
        ]
        is_ours = "source" not in package
        made = component("library", *key, "cargo", licence if is_ours else linked.get(key, ""))
        made["scope"] = "required" if is_ours or key in linked else "excluded"
        if "checksum" in package:
            made["hashes"] = [{"alg": "SHA-256", "content": package["checksum"]}]
        found.append(made)
    return found, edges


def crate_ref(package: Component) -> str:
    """Return how a crate is referred to."""
    return str(component("library", package["name"], package["version"], "cargo", "")["bom-ref"])


# Python packages


def packages_of(project: Component) -> tuple[list[Component], dict[str, list[str]]]:
    """Return what users get with and without extras, and what each package requires."""
    pins = dict(pinned(ROOT / "constraints.txt"))
    always = closure(project["dependencies"])
    extras = project["optional-dependencies"]
    everything = closure(
        [*project["dependencies"], *(one for name in EXTRAS for one in extras[name])]
    )
    found, edges = [], {}
    for name, needs in everything.items():
        if name not in pins:
            raise SystemExit(
                f"{name} is required but not in constraints.txt; run `make constraints`"
            )
        made = component("library", name, pins[name], "pypi", python_licence(name))
        made["scope"] = "required" if name in always else "optional"
        found.append(made)
        edges[made["bom-ref"]] = [f"pkg:pypi/{need}@{quote(pins[need], safe='')}" for need in needs]
    return found, edges


def pinned(constraints: Path) -> Iterator[tuple[str, str]]:
    """Yield names and versions."""
    for line in constraints.read_text(encoding="utf-8").splitlines():
        name, is_pin, version = line.partition("==")
        if is_pin and not line.startswith("#"):
            yield canonicalize_name(name), version.strip()


def closure(requirements: Iterable[str]) -> dict[str, list[str]]:
    """Return what these and theirs require here, by name."""
    found: dict[str, list[str]] = {}
    extras_of: dict[str, set[str]] = {}
    waiting = [Requirement(one) for one in requirements]
    while waiting:
        wanted = waiting.pop()
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        name = str(canonicalize_name(wanted.name))
        seen = extras_of.setdefault(name, set())
        if name in found and wanted.extras <= seen:
            continue
        seen |= wanted.extras
        needs = list(required_by(name, seen))
        found[name] = sorted({str(canonicalize_name(need.name)) for need in needs})
        waiting += needs
    return found


def required_by(name: str, extras: set[str]) -> Iterator[Requirement]:
    """Yield what an installed package requires here, with these extras of it."""
    for text in metadata.requires(name) or ():
        need = Requirement(text)
        marker = need.marker
        if marker is None or any(marker.evaluate({"extra": one}) for one in (*extras, "")):
            need.marker = None
            yield need


def python_licence(name: str) -> str:
    """Return the licence that an installed package says it has."""
    said = metadata.metadata(name)
    for field in ("License-Expression", "License"):
        text = next(iter(said.get_all(field) or ()), "").strip()
        if text and "\n" not in text:
            return text
    names = [
        one.rpartition(" :: ")[2] for one in said.get_all("Classifier") or () if "Licen" in one
    ]
    return " and ".join(sorted(names))


# Files of others


def vendored_files() -> Iterator[Component]:
    """Yield what the page carries, with the digest of the file it is in."""
    for folder, file in VENDORED:
        notes = (folder / "README.md").read_text(encoding="utf-8")
        rows = _BUNDLED.findall(notes) + _COPIED.findall(notes)
        if not rows:
            raise SystemExit(f"{folder.name}/README.md names no package and version")
        path = (folder / file).relative_to(ROOT / "src")
        digest = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        for name, version, licence in rows:
            made = component("library", name, version, "npm", licence)
            made["scope"] = "required"
            made["evidence"] = {"occurrences": [{"location": path.as_posix()}]}
            made["properties"] = [{"name": f"sha256 of {path.name}", "value": digest}]
            yield made


def direct(project: Component, *lists: list[Component]) -> list[str]:
    """Return what the distribution itself requires: packages, our module, vendored files."""
    extras = project["optional-dependencies"]
    texts = [*project["dependencies"], *(one for name in EXTRAS for one in extras[name])]
    names = {str(canonicalize_name(Requirement(text).name)) for text in texts} | {"wynd-python"}
    return [
        one["bom-ref"]
        for one in (one for components in lists for one in components)
        if one["name"] in names or one["bom-ref"].startswith("pkg:npm/")
    ]


if __name__ == "__main__":
    sys.exit(main())
