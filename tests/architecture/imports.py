"""Reads a source tree with `ast` and says which imports break the tables of `layers`.

Imports inside functions and under TYPE_CHECKING count; relative ones are resolved; `from package
import name` is the submodule where one exists. Nothing of the tree is executed.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Rules:
    """The tables of one tree; see `layers` for what each says."""

    layers: dict[str, tuple[str, ...]]
    type_only: dict[tuple[str, str], str] = field(default_factory=dict)
    banned: dict[str, tuple[str, ...]] = field(default_factory=dict)
    third_party: dict[str, tuple[str, ...]] = field(default_factory=dict)
    public_names_only: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Import:
    """One imported module, by its full name, and where it stands."""

    target: str
    name: str | None
    line: int
    is_type_only: bool


class Tree:
    """The modules below one source folder, such as `src`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        files = sorted([*root.rglob("*.py"), *root.rglob("*.pyi")])
        self.files = {self._name_of(path): path for path in files}
        self.packages = {path.name for path in root.iterdir() if path.is_dir()}

    def _name_of(self, path: Path) -> str:
        return ".".join(path.relative_to(self.root).with_suffix("").parts)

    def is_ours(self, name: str) -> bool:
        """Tell whether a module's name lies in one of the tree's packages."""
        return name.partition(".")[0] in self.packages

    def resolve(self, name: str) -> str:
        """Return the name a table uses: a package stands for its own `__init__`."""
        package = f"{name}.__init__"
        is_package = package in self.files or (self.root / name.replace(".", "/")).is_dir()
        return package if is_package and name not in self.files else name

    def exported(self, module: str) -> set[str]:
        """Return the names in `__all__` of a module, without importing it."""
        for node in ast.parse(self.files[module].read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and "__all__" in map(_target_name, node.targets):
                return set(ast.literal_eval(node.value))
        return set()


def violations(tree: Tree, rules: Rules) -> list[str]:
    """Return one sentence per broken rule: file, layer, target and remedy."""
    found: list[str] = []
    for module, path in tree.files.items():
        layer = layer_of(module, rules.layers)
        where = path.relative_to(tree.root).as_posix()
        if layer is None:
            found.append(f"{where} is in no layer; give it a row in LAYERS")
            continue
        for item in imports_of(module, path, tree):
            problem = _judge(item, layer, tree, rules)
            if problem:
                found.append(f"{where}:{item.line} (layer {layer}) {problem}")
    return list(dict.fromkeys(found))  # one sentence for several names of one module


def layer_of(module: str, layers: dict[str, tuple[str, ...]]) -> str | None:
    """Return the longest prefix of `module` among the layers, or None."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        prefix = ".".join(parts[:length])
        if prefix in layers:
            return prefix
    return None


def _judge(item: Import, layer: str, tree: Tree, rules: Rules) -> str | None:
    if not tree.is_ours(item.target):
        return _judge_foreign(item, layer, rules)
    target = layer_of(item.target, rules.layers)
    allowed = rules.layers[layer]
    if target is None:
        return f"imports {item.target}, which is in no layer; give it a row in LAYERS"
    is_allowed = target == layer or any(
        target == entry or target.startswith(f"{entry}.") for entry in allowed
    )
    if not is_allowed and not (item.is_type_only and (layer, target) in rules.type_only):
        return (
            f"imports {item.target}, but may import only {', '.join(allowed) or 'nothing of ours'};"
            " move the code to the layer that may, or turn the dependency round"
        )
    public = rules.public_names_only.get(layer, ())
    if item.target in public and item.name not in tree.exported(item.target):
        return (
            f"imports {item.name} from {item.target}, which is not in its __all__; make it public"
        )
    return None


def _judge_foreign(item: Import, layer: str, rules: Rules) -> str | None:
    package = item.target.partition(".")[0]
    if package in rules.banned.get(layer, ()) and not item.is_type_only:
        return f"imports {item.target}, which this layer must not know; take it as an argument"
    is_standard = package in sys.stdlib_module_names
    if not is_standard and package not in rules.third_party.get(layer, ()):
        return f"imports {item.target}, a dependency this layer has no row for in THIRD_PARTY"
    return None


def imports_of(module: str, path: Path, tree: Tree) -> list[Import]:
    """Return every import of a file, in order of appearance in the syntax tree."""
    syntax = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    type_only = _type_only_nodes(syntax)
    found: list[Import] = []
    for node in ast.walk(syntax):
        is_type_only = id(node) in type_only or path.suffix == ".pyi"
        for target, name in _targets(node, module, tree):
            line = getattr(node, "lineno", 0)
            found.append(Import(tree.resolve(target), name, line, is_type_only))
    return found


def _targets(node: ast.AST, module: str, tree: Tree) -> list[tuple[str, str | None]]:
    """Return (module, imported name) of one node; empty for anything but an import."""
    if isinstance(node, ast.Import):
        return [(alias.name, None) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = _base_of(node, module)
        return [_submodule_or_name(base, alias.name, tree) for alias in node.names]
    if isinstance(node, ast.Call) and _is_import_call(node):
        argument = node.args[0]
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            return [(argument.value, None)]
    return []


def _base_of(node: ast.ImportFrom, module: str) -> str:
    """Resolve the dots of a relative import."""
    if node.level == 0:
        return node.module or ""
    package = module.split(".")[: -node.level]
    return ".".join([*package, *([node.module] if node.module else [])])


def _submodule_or_name(base: str, name: str, tree: Tree) -> tuple[str, str | None]:
    submodule = f"{base}.{name}"
    is_module = submodule in tree.files or f"{submodule}.__init__" in tree.files
    return (submodule, None) if is_module else (base, name)


def _is_import_call(node: ast.Call) -> bool:
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    return name in ("import_module", "__import__") and bool(node.args)


def _type_only_nodes(syntax: ast.Module) -> set[int]:
    """Return the ids of all nodes below `if TYPE_CHECKING:`."""
    found: set[int] = set()
    for node in ast.walk(syntax):
        if isinstance(node, ast.If) and _target_name(node.test) == "TYPE_CHECKING":
            found.update(id(child) for part in node.body for child in ast.walk(part))
    return found


def _target_name(node: ast.AST) -> str:
    return str(getattr(node, "attr", getattr(node, "id", "")))
