"""The page's files as they are served: nothing missing, nothing inline, small, under one hash."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

import pytest

from wynd_chat.web import Assets, load_assets
from wynd_chat.web.assets import CONTENT_SECURITY_POLICY, PAGE_HEADERS

PAGE = Path(__file__).parents[3] / "src" / "wynd_chat" / "web" / "page"
MODULES = sorted(path for path in PAGE.glob("*.js"))
TRANSFER_BYTES_MAX = 120_000
IMPORT = re.compile(r"""(?:^import|^export) [^;]*?from "([^"]+)";""", re.MULTILINE)


@pytest.fixture(scope="module")
def assets() -> Assets:
    return load_assets()


def test_every_address_in_the_pages_is_a_file_of_this_version(assets: Assets) -> None:
    for page in (assets.index, assets.basic):
        found = re.findall(r'(?:href|src)="(assets/[^"]+)"', page.body.decode())
        assert len(found) >= 2
        for address in found:
            _, version, path = address.split("/", 2)
            assert assets.find(version, path) is not None, address
    assert b"{{" not in assets.index.body + assets.basic.body


def test_a_file_is_not_served_under_another_versions_name(assets: Assets) -> None:
    assert assets.find("0" * 16, "main.js") is None
    assert assets.find(assets.hash, "../assets.py") is None
    assert assets.find(assets.hash, "index.html") is None


def reached_from(start: str) -> set[str]:
    reached = {start}
    todo = [start]
    while todo:
        source = (PAGE / todo.pop()).read_text(encoding="utf-8")
        for target in IMPORT.findall(source):
            path = target.removeprefix("./")
            if path not in reached:
                reached.add(path)
                todo.append(path)
    return reached


def test_what_the_start_needs_is_preloaded_so_that_it_takes_one_turn(assets: Assets) -> None:
    page = assets.index.body.decode()
    first = reached_from("main.js")
    later = reached_from("shell.js") - first
    for path in first:
        assert path in assets.files
        assert f'modulepreload" href="assets/{assets.hash}/{path}">' in page
    for path in later:  # what the gate does not need comes behind it
        assert f'modulepreload" href="assets/{assets.hash}/{path}" fetchpriority="low">' in page
    assert {"log.js", "composer.js", "rows.js"} <= later
    assert "dialogs.js" not in first | later
    assert page.count("modulepreload") == len(first | later)


def test_every_module_is_used() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in MODULES)
    used = set(re.findall(r"""(?:from |import\()"\./([^"]+)\"""", sources))
    assert {path.name for path in MODULES} - used == {"main.js", "basic.js"}


def test_the_page_is_small_enough(assets: Assets) -> None:
    page = assets.index.body.decode()
    paths = set(re.findall(rf'"assets/{assets.hash}/([^"]+)"', page))
    sizes = [len(assets.files[path].gzipped or assets.files[path].body) for path in paths]
    assert sum(sizes) + len(gzip.compress(assets.index.body)) < TRANSFER_BYTES_MAX


def test_compressed_forms_are_the_same_files(assets: Assets) -> None:
    for asset in assets.files.values():
        if asset.gzipped is not None:
            assert gzip.decompress(asset.gzipped) == asset.body
            assert len(asset.gzipped) < len(asset.body)


def test_types_and_vendored_hash_files_are_not_served(assets: Assets) -> None:
    assert not [path for path in assets.files if path.endswith((".d.ts", ".sha256", ".html"))]
    assert assets.files["main.js"].media_type == "text/javascript; charset=utf-8"
    assert assets.files["style.css"].media_type == "text/css; charset=utf-8"
    assert "vendor/LICENSES.txt" in assets.files


@pytest.mark.parametrize("name", ["index.html", "basic.html"])
def test_no_script_or_style_stands_in_a_page(name: str) -> None:
    text = (PAGE / name).read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)", text) == []
    assert re.findall(r"<style|\bstyle=|\son[a-z]+=|javascript:", text) == []
    assert re.findall(r'(?:href|src)="(?:/|https?:)', text) == [], "addresses must be relative"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_modules_build_nodes_and_never_markup(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    banned = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|Function\("
    assert re.findall(banned, text) == []
    assert "setHTML" not in text
    assert "dangerouslySetInnerHTML" not in text
    assert text.startswith("// @ts-check\n/**\n * "), "says what it decides"
    assert len(text.splitlines()) <= 600
    if path.name != "main.js":
        assert not re.search(r"export default", text)


def test_imports_are_relative_and_exist() -> None:
    for path in MODULES:
        for target in IMPORT.findall(path.read_text(encoding="utf-8")):
            assert target.startswith("./"), f"{path.name}: {target}"
            assert (PAGE / target).exists(), f"{path.name}: {target}"


def test_vendored_code_is_what_it_says() -> None:
    vendored = PAGE / "vendor" / "preact.js"
    told = (PAGE / "vendor" / "preact.js.sha256").read_text(encoding="utf-8").split()[0]
    assert hashlib.sha256(vendored.read_bytes()).hexdigest() == told
    banner = vendored.read_text(encoding="utf-8").splitlines()[0]
    notes = (PAGE / "vendor" / "README.md").read_text(encoding="utf-8")
    licences = (PAGE / "vendor" / "LICENSES.txt").read_text(encoding="utf-8")
    for package in ("preact", "@preact/signals", "@preact/signals-core", "htm"):
        version = re.search(rf"\| {re.escape(package)} \| ([0-9.]+) \|", notes)
        assert version is not None
        assert f"{package} {version[1]}" in banner
        assert re.search(rf"^  {re.escape(package)} +{re.escape(version[1])} ", licences, re.M)


def test_the_content_policy_is_the_specified_one() -> None:
    assert CONTENT_SECURITY_POLICY == (
        "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
        "connect-src 'self'; frame-ancestors 'none'; form-action 'self'; object-src 'none'; "
        "base-uri 'none'"
    )
    assert PAGE_HEADERS["content-security-policy"] == CONTENT_SECURITY_POLICY
