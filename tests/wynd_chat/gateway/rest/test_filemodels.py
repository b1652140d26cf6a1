"""Objects of uploads: what the server answers is what the document says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.wynd_chat.adapters.files.contents import PNG
from wynd_chat.gateway.rest.filemodels import UploadedFile, UploadedFiles

if TYPE_CHECKING:
    from tests.wynd_chat.gateway.chat_kit import RunningChat


async def test_answers_fit_their_models(chat: RunningChat) -> None:
    alice = await chat.account("Alice")
    one = await alice.call("PUT", "/uploads/cat.png", content=PNG)
    assert UploadedFile.model_validate(one.json()).w == 640
    two = await alice.call("POST", "/uploads", files={"f": ("a.txt", b"hello")})
    assert UploadedFiles.model_validate(two.json()).files[0].name == "a.txt"
