"""Files over HTTP: uploading as a form, raw, or by a one-time link; and reading, in ranges.

Bodies stream both ways. What a browser may do with a file is decided here by header fields: only a
short list is shown inside a page, and nothing of it can run (chat.md 10).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Request, Response
from starlette.responses import PlainTextResponse, StreamingResponse

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.events import MessageKind
from wynd_chat.domain.files import served_type
from wynd_chat.gateway.rest.answers import answer, matches
from wynd_chat.gateway.rest.context import context_of
from wynd_chat.gateway.rest.filemodels import UploadedFile, UploadedFiles
from wynd_chat.gateway.rest.idempotency import digest_of
from wynd_chat.gateway.rest.identity import Known
from wynd_chat.gateway.rest.multipart import boundary_of, read_parts
from wynd_chat.gateway.rest.problems import problem, refusals
from wynd_chat.gateway.rest.ranges import Unsatisfiable, parse_ranges
from wynd_chat.services.files import DiskFull

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from wynd_chat.domain.models import Upload
    from wynd_chat.gateway.rest.context import Context
    from wynd_chat.gateway.rest.identity import RestCaller

__all__ = ["router"]

log = logging.getLogger("wynd_chat.rest")

router = APIRouter(tags=["Files"])

STILL_S = 60.0  # an upload from which nothing comes for so long is given up
FIELD_BYTES_MAX = 64 * 1024  # of all fields that are no files; nobody reads them
POLICY = "sandbox; default-src 'none'"
REVALIDATE = "private, no-cache"  # rights may end: may be kept, is asked about each time
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_TAKING = (
    ErrorCode.NOT_FOUND,  # a line end in the name: no such address
    ErrorCode.UNAUTHORIZED,
    ErrorCode.FORBIDDEN,
    ErrorCode.BANNED,
    ErrorCode.TOO_LARGE,
    ErrorCode.UNSUPPORTED,
    ErrorCode.RATE_LIMITED,
)
_FULL: dict[int | str, dict[str, Any]] = {
    507: {
        "description": "Too little disk is free (`unavailable`)",
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        },
    }
}
FileName = Annotated[str, Path(description="What the file is called; percent-encoded.")]


@router.put(
    "/api/v1/uploads/{name:path}",
    summary="Upload a file",
    status_code=201,
    response_model=UploadedFile,
    responses=refusals(*_TAKING) | _FULL,
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/octet-stream": _BINARY}}
    },
)
async def put_upload(request: Request, caller: Known, name: FileName) -> Response:
    """Take a file in as the raw body; name its id in `files` of a message within an hour."""
    files = context_of(request).services.files
    try:
        upload = await files.receive(caller.me, name, _body(request), size=_length(request))
    except DiskFull as error:
        return problem(error, status=error.status)
    return answer(_uploaded(caller, upload), 201, headers={"location": _path(upload)})


_FORM = {
    "type": "object",
    "properties": {"file": {"type": "array", "items": {"type": "string", "format": "binary"}}},
}


@router.post(
    "/api/v1/uploads",
    summary="Upload files as a form",
    status_code=201,
    response_model=UploadedFiles,
    responses=refusals(*_TAKING, ErrorCode.CONFLICT) | _FULL,
    openapi_extra={
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}
    },
)
async def post_uploads(request: Request, caller: Known) -> Response:
    """Take the files of a form in; `id` and `url` are the first one's."""
    context = context_of(request)
    boundary = boundary_of(request.headers.get("content-type", ""))

    async def work() -> Response:
        try:
            return answer(await _received(context, request, caller, boundary), 201)
        except DiskFull as error:
            return problem(error, status=error.status)

    key = request.headers.get("idempotency-key")
    if key is None:
        return await work()
    # The body is not held, so a repetition is known by its address and length.
    digest = digest_of("POST", request.url.path, request.headers.get("content-length", "").encode())
    return await context.answers.once(caller.me, key, digest, work)


async def _received(
    context: Context, request: Request, caller: RestCaller, boundary: bytes
) -> dict[str, Any]:
    limits = context.services.limits
    length = _length(request)
    most = limits.upload_bytes_max * limits.files_per_message_max + FIELD_BYTES_MAX
    if length is not None and length > most:
        raise ChatError(ErrorCode.TOO_LARGE, "the form is too large, send fewer files")
    uploads: list[Upload] = []
    field_bytes = 0
    parts = read_parts(
        _body(request),
        boundary,
        parts_max=limits.upload_parts_max,
        head_bytes_max=limits.upload_part_head_bytes_max,
    )
    async for part in parts:
        if part.file_name is None:
            async for chunk in part.chunks:
                field_bytes += len(chunk)
                if field_bytes > FIELD_BYTES_MAX:
                    raise ChatError(ErrorCode.TOO_LARGE, "the form's fields are too long")
            continue
        if len(uploads) >= limits.files_per_message_max:
            sentence = f"at most {limits.files_per_message_max} files in one message"
            raise ChatError(ErrorCode.TOO_LARGE, sentence)
        uploads.append(await context.services.files.receive(caller.me, part.file_name, part.chunks))
    if not uploads:
        raise ChatError(ErrorCode.BAD_REQUEST, "the form has no file")
    files = [_uploaded(caller, upload) for upload in uploads]
    return {**files[0], "files": files}


@router.put(
    "/u/{code}/{name:path}",
    summary="Share a file by a one-time link",
    status_code=201,
    response_class=PlainTextResponse,
    responses=refusals(
        ErrorCode.EXPIRED,
        ErrorCode.BANNED,
        ErrorCode.NOT_MEMBER,
        ErrorCode.NOT_FOUND,
        ErrorCode.FORBIDDEN,
        ErrorCode.SILENCED,
        ErrorCode.TOO_LARGE,
        ErrorCode.RATE_LIMITED,
    )
    | _FULL,
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/octet-stream": _BINARY}}
    },
)
async def put_by_link(
    request: Request, code: Annotated[str, Path(max_length=200)], name: FileName
) -> Response:
    """Take a file in and post it, as whoever typed `/upload`: `curl -T FILE https://host/u/…/`."""
    context = context_of(request)
    services = context.services
    await services.server_bans.check_address("" if request.client is None else request.client.host)
    user, room, token = await services.files.take_link(code)
    try:
        upload = await services.files.receive(user, name, _body(request), size=_length(request))
        posted = await services.messaging.post(
            user, room, "", kind=MessageKind.FILE, file_ids=(upload.id,)
        )
    except BaseException as error:
        await asyncio.shield(services.files.give_back(token))
        if isinstance(error, DiskFull):
            return problem(error, status=error.status)
        raise
    where = f"#{room.name}" if room.name is not None else "the conversation"
    link = f"{context.base_url(request)}/{_path(upload)}"
    return PlainTextResponse(
        f"Shared {upload.name} in {where}: {link}\n",
        201,
        {"x-seq": str(posted.event.seq)},
    )


@router.get(
    "/files/{file_id}/{name:path}",
    summary="Read a file",
    response_class=Response,
    responses=refusals(ErrorCode.UNAUTHORIZED, ErrorCode.NOT_FOUND, ErrorCode.NOT_MEMBER)
    | {
        200: {"content": {"*/*": _BINARY}, "description": "The file."},
        206: {"content": {"*/*": _BINARY}, "description": "The ranges asked for."},
        304: {"description": "What `If-None-Match` names is still so."},
        416: {"description": "No such range, or too many of them."},
    },
)
async def read_file(
    request: Request,
    caller: Known,
    file_id: Annotated[str, Path(max_length=64)],
    name: FileName,
) -> Response:
    """Return a file to whoever may read the message it came with; the name does not matter."""
    context = context_of(request)
    services = context.services
    upload = await services.files.readable(caller.me, file_id)
    tag = f'"{upload.sha256[:40]}"'
    kind, is_inline = served_type(upload.mime)
    headers = {
        "content-type": kind,
        "content-disposition": _disposition(upload.name, is_inline=is_inline),
        "content-security-policy": POLICY,
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "same-origin",
        "accept-ranges": "bytes",
        "cache-control": REVALIDATE,
        "vary": "Authorization, Cookie",
        "etag": tag,
    }
    if matches(request, tag):
        return Response(status_code=304, headers=headers)
    condition = request.headers.get("if-range")
    wanted = request.headers.get("range") if condition in (None, tag) else None
    try:
        ranges = parse_ranges(wanted, upload.size, services.limits.ranges_max)
    except Unsatisfiable:
        headers["content-range"] = f"bytes */{upload.size}"
        del headers["content-type"], headers["content-disposition"]
        return Response(status_code=416, headers=headers)
    return _file_response(request, context, upload, ranges, headers)


def _file_response(
    request: Request,
    context: Context,
    upload: Upload,
    ranges: Sequence[tuple[int, int]] | None,
    headers: dict[str, str],
) -> Response:
    """Return the whole file, one range of it, or several as `multipart/byteranges`."""
    content = context.services.files.content
    is_head = bool(request.scope.get("wynd_chat.is_head"))
    if ranges is None or len(ranges) == 1:
        start, length = (0, upload.size) if ranges is None else ranges[0]
        headers["content-length"] = str(length)
        if ranges is not None:
            headers["content-range"] = f"bytes {start}-{start + length - 1}/{upload.size}"
        status = 200 if ranges is None else 206
        if is_head:
            return Response(status_code=status, headers=headers)
        return StreamingResponse(content(upload, start, length), status, headers)
    boundary = secrets.token_hex(16)
    kind = headers["content-type"]
    heads = [
        f"\r\n--{boundary}\r\ncontent-type: {kind}\r\n"
        f"content-range: bytes {start}-{start + length - 1}/{upload.size}\r\n\r\n".encode()
        for start, length in ranges
    ]
    end = f"\r\n--{boundary}--\r\n".encode()
    headers["content-type"] = f"multipart/byteranges; boundary={boundary}"
    size = sum(map(len, heads)) + sum(length for _, length in ranges) + len(end)
    headers["content-length"] = str(size)
    if is_head:
        return Response(status_code=206, headers=headers)

    async def pieces() -> AsyncIterator[bytes]:
        for head, (start, length) in zip(heads, ranges, strict=True):
            yield head
            async for piece in content(upload, start, length):
                yield piece
        yield end

    return StreamingResponse(pieces(), 206, headers)


async def _body(request: Request) -> AsyncIterator[bytes]:
    """Yield a request's body as it comes.

    Raises:
        ChatError: `bad_request`: nothing came for too long, or the client went.
    """
    stream = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(STILL_S):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise ChatError(ErrorCode.BAD_REQUEST, "the upload stood still") from None
        if chunk is None:
            return
        if chunk:
            yield chunk


def _length(request: Request) -> int | None:
    text = request.headers.get("content-length", "")
    return int(text[:18]) if text.isdecimal() else None


def _path(upload: Upload) -> str:
    return f"files/{upload.id}/{quote(upload.name, safe='')}"


def _uploaded(caller: RestCaller, upload: Upload) -> dict[str, Any]:
    return {
        "id": upload.id,
        "url": f"{caller.base_url}/{_path(upload)}",
        "name": upload.name,
        "mime": upload.mime,
        "size": upload.size,
        "w": upload.w,
        "h": upload.h,
    }


def _disposition(name: str, *, is_inline: bool) -> str:
    """Return `Content-Disposition` (RFC 6266): for old clients in ASCII, for others as it is."""
    plain = "".join(one if " " <= one <= "~" and one not in '"\\%' else "_" for one in name)
    how = "inline" if is_inline else "attachment"
    return f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
