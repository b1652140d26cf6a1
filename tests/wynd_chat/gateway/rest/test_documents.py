"""The documents, the viewer and its vendored files."""

from __future__ import annotations

import hashlib
import json
import re
from importlib import resources
from typing import TYPE_CHECKING

import pytest

from tests.wynd_chat.gateway.chat_kit import RunningChat, a_chat
from wynd_chat import __version__
from wynd_chat.gateway.rest.documents import VIEWER_FILES
from wynd_chat.web.assets import CONTENT_SECURITY_POLICY
from wynd_chat.wire.schemas import asyncapi_document

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = resources.files("wynd_chat") / "web" / "api"
METHODS = {"get", "put", "post", "patch", "delete"}


async def test_the_openapi_document_stands_alone(chat: RunningChat) -> None:
    document = (await chat.stranger().get("/api/openapi.json")).json()
    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"] == __version__
    assert document["servers"] == [{"url": chat.chat.local_url}]
    schemas = document["components"]["schemas"]
    text = json.dumps(document)
    used = set(re.findall(r"#/components/schemas/([\w.-]+)", text))
    assert used - schemas.keys() == set()
    assert schemas.keys() - used == set()
    assert "HTTPValidationError" not in text
    assert document["components"]["securitySchemes"].keys() == {"bearer", "cookie"}


async def test_every_operation_is_described_with_its_refusals(chat: RunningChat) -> None:
    document = (await chat.stranger().get("/api/openapi.json")).json()
    ids = []
    api = [one for one in document["paths"].items() if one[0].startswith("/api/")]
    for path, operations in api:
        assert operations.keys() <= METHODS
        for method, operation in operations.items():
            name = f"{method} {path}"
            ids.append(operation["operationId"])
            assert operation["summary"], name
            assert operation["description"], name
            statuses = operation["responses"].keys()
            assert {"400", "500", "503"} <= statuses, name
            assert ("401" in statuses) or "security" not in operation, name
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"], name
            keyed = any(one["name"] == "Idempotency-Key" for one in operation.get("parameters", ()))
            assert keyed == (method == "post"), name
    assert len(set(ids)) == len(ids)


async def test_the_asyncapi_document_is_that_of_the_face(chat: RunningChat) -> None:
    document = (await chat.stranger().get("/api/asyncapi.json")).json()
    expected = asyncapi_document(chat.chat.local_url, __version__)
    assert document == json.loads(json.dumps(expected))


async def test_the_documents_say_where_the_server_is_reached(tmp_path: Path) -> None:
    public = {"public_url": "https://example.org/chat"}
    async with a_chat(tmp_path, server=public) as chat:
        openapi = (await chat.stranger().get("/api/openapi.json")).json()
        assert openapi["servers"] == [{"url": "https://example.org/chat"}]
        asyncapi = (await chat.stranger().get("/api/asyncapi.json")).json()
        assert asyncapi["servers"]["chat"]["host"] == "example.org"


async def test_the_viewer_comes_from_here_under_the_pages_policy(chat: RunningChat) -> None:
    page = await chat.stranger().get("/api/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bon\w+=|style=", page.text)
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert {one for one in sources if ":" in one} == {"data:,"}  # nothing from elsewhere
    for name in VIEWER_FILES:
        assert f"docs/{name}" in sources
        got = await chat.client.get(page.url.join(f"docs/{name}"))
        assert got.content == (FOLDER / name).read_bytes()
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        assert got.headers["content-type"].startswith(kind)
        again = await chat.client.get(got.url, headers={"if-none-match": got.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["README.md", "SHA256SUMS", "..%2Fassets.py", "x.js", "%00"])
async def test_other_files_are_not_served(chat: RunningChat, name: str) -> None:
    assert (await chat.stranger().get(f"/api/docs/{name}")).status_code == 404


def test_vendored_files_are_those_that_were_taken() -> None:
    sums = (FOLDER / "SHA256SUMS").read_text(encoding="ascii").split()
    taken = dict(zip(sums[1::2], sums[::2], strict=True))
    ours = {"README.md", "SHA256SUMS", "init.js"}
    assert {entry.name for entry in FOLDER.iterdir()} == taken.keys() | ours
    for name, digest in taken.items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest, name
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "swagger-ui-dist` 5.35.0" in readme
