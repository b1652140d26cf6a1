"""What is inside (SBOM), whether any of it has known flaws (audit), and warnings as errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from tests.packaging.support import ROOT
from tools import audit, sbom
from tools.own_tools import NotInstalled, python_with

if TYPE_CHECKING:
    from pathlib import Path

# Tools are installed on demand the first time; advisories are asked for over the network.
pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]

VALIDATOR = "cyclonedx-python-lib[json-validation]==11.12.0"
VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read())
sys.exit(str(fault) if fault else 0)
"""
FLAWED = {  # a flaw of each that was published years ago
    "requirements.txt": "jinja2==2.10\n",
    "bad.py": "import subprocess\nsubprocess.run('ls ' + input(), shell=True)\n",
}


@pytest.fixture(scope="module")
def bom() -> dict[str, Any]:
    """The document of this tree."""
    return sbom.document()


# Audit


def test_the_status_tells_found_from_not_asked_from_clean(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def clean() -> list[str]:
        return []

    def flawed() -> list[str]:
        return ["one 1.0: BAD-1", "two 2.0: BAD-2"]

    def unreachable() -> list[str]:
        raise audit.Unanswered("nobody is there")

    def missing() -> list[str]:
        raise NotInstalled("no such package")

    assert audit.audit({"a": clean, "b": clean}) == 0
    assert audit.audit({"a": clean, "b": unreachable}) == 3
    assert audit.audit({"a": missing, "b": clean}) == 3
    assert audit.audit({"a": unreachable, "b": flawed, "c": clean}) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[-5:] == [
        "a: NOT ASKED: nobody is there",
        "b: 2 found",
        "  one 1.0: BAD-1",
        "  two 2.0: BAD-2",
        "c: nothing known",
    ]


def test_pinned_packages_have_no_known_flaw(tmp_path: Path) -> None:
    flawed = tmp_path / "requirements.txt"
    flawed.write_text(FLAWED[flawed.name])
    try:
        assert any(line.startswith("jinja2 2.10: ") for line in audit.ask_pip_audit(flawed))
        assert audit.ask_pip_audit(ROOT / "constraints.txt") == []
    except (NotInstalled, audit.Unanswered) as error:
        pytest.skip(f"pip-audit: {error}")


def test_locked_crates_have_no_known_flaw() -> None:
    try:
        assert audit.ask_cargo_audit(ROOT / "Cargo.lock") == []
    except (NotInstalled, audit.Unanswered) as error:
        pytest.skip(f"cargo audit: {error}")


def test_sources_have_no_finding_of_high_severity(tmp_path: Path) -> None:
    flawed = tmp_path / "bad.py"
    flawed.write_text(FLAWED[flawed.name])
    try:
        (found,) = audit.ask_bandit(tmp_path)
        assert "bad.py:2: B602: " in found
        assert audit.ask_bandit(ROOT / "src") == []
    except (NotInstalled, audit.Unanswered) as error:
        pytest.skip(f"bandit: {error}")


def test_warnings_are_errors() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["tool"]["pytest"]["ini_options"]["filterwarnings"] == ["error"]


# SBOM


def test_it_fits_the_schema(bom: dict[str, Any]) -> None:
    try:
        python = python_with("cyclonedx", VALIDATOR)
    except NotInstalled as error:
        pytest.skip(f"the validator: {error}")
    for text, is_valid in ((sbom.render(bom), True), (sbom.render(bom | {"version": "x"}), False)):
        done = subprocess.run(
            [python, "-c", VALIDATE], input=text, capture_output=True, text=True, check=False
        )
        assert (done.returncode == 0) is is_valid, done.stderr


def test_the_same_tree_gives_the_same_bytes() -> None:
    def written(**variables: str) -> bytes:
        environment = {**os.environ, **variables}
        command = [sys.executable, "-m", "tools.sbom"]
        return subprocess.check_output(command, cwd=ROOT, env=environment)

    first = written(PYTHONHASHSEED="1")
    assert written(PYTHONHASHSEED="2") == first
    assert b"serialNumber" not in first
    assert b"timestamp" not in first
    dated = json.loads(written(SOURCE_DATE_EPOCH="86400"))
    assert dated["metadata"]["timestamp"] == "1970-01-02T00:00:00+00:00"


def test_it_names_what_is_linked_required_and_vendored(bom: dict[str, Any]) -> None:
    found = {one["purl"]: one for one in bom["components"]}
    names = {one["name"]: one for one in bom["components"] if one["scope"] != "excluded"}
    assert len(found) == len(bom["components"])
    assert {"ring", "rustls", "wynd-protocol", "starlette", "wsproto", "fastapi", "uvloop"} <= set(
        names
    )
    assert not {"pytest", "proptest", "ruff"} & set(names)
    assert found["pkg:npm/preact@11.2.0"]["licenses"] == [{"expression": "MIT"}]
    for name in ("signals", "signals-core", "htm", "swagger-ui-dist"):
        assert names[name]["version"]
        assert names[name]["licenses"]
    assert names["starlette"]["scope"] == "required"
    assert names["fastapi"]["scope"] == "optional"
    assert len(names["ring"]["hashes"][0]["content"]) == 64
    assert [name for name, one in names.items() if "licenses" not in one] == []


def test_every_reference_is_to_a_component(bom: dict[str, Any]) -> None:
    refs = {one["bom-ref"] for one in bom["components"]} | {bom["metadata"]["component"]["bom-ref"]}
    edges = {one["ref"]: set(one["dependsOn"]) for one in bom["dependencies"]}
    assert set(edges) <= refs
    assert set().union(*edges.values()) <= refs
    ours = edges["pkg:pypi/pywynd@0.1.0"]
    assert {"pkg:cargo/wynd-python@0.1.0", "pkg:npm/preact@11.2.0"} <= ours
    assert any(ref.startswith("pkg:pypi/uvicorn@") for ref in ours)


def test_a_name_of_several_words_is_no_expression() -> None:
    assert sbom.licence_of("MIT/Apache-2.0") == {"expression": "MIT OR Apache-2.0"}
    assert sbom.licence_of("Apache-2.0 WITH LLVM-exception OR MIT") == {
        "expression": "Apache-2.0 WITH LLVM-exception OR MIT"
    }
    assert sbom.licence_of("BSD License") == {"license": {"name": "BSD License"}}
