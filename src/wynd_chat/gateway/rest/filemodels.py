"""The API's objects of uploads; see `models`."""

from __future__ import annotations

from pydantic import Field

from wynd_chat.gateway.rest.models import FileInfo

__all__ = ["UploadedFile", "UploadedFiles"]


class UploadedFile(FileInfo):
    """A file that waits for its message."""

    url: str = Field(description="Where it is read; until it is posted, by its owner only.")


class UploadedFiles(UploadedFile):
    """The files of a form; `id`, `url` and the rest are the first one's."""

    files: list[UploadedFile]
