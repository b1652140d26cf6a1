"""Forms with files, cut anywhere and built to hurt: parts as they are, or a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.gateway.rest.multipart import boundary_of, read_parts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Parts = list[tuple[str, str | None, bytes]]
FORM = (
    b'--xyz\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
    b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\nfirst\r\n--xyzz\r\n\r\n"
    b'--xyz\r\nContent-Disposition: form-data; name="file"; filename=""\r\n\r\n\r\n'
    b"--xyz--\r\n"
)
READ: Parts = [
    ("note", None, b"hello"),
    ("file", "a.txt", b"first\r\n--xyzz\r\n"),
    ("file", "", b""),
]


async def parts_of(
    body: bytes, *, piece: int = 1 << 20, parts: int = 32, head: int = 1000
) -> Parts:
    """Return the parts of a body that comes in pieces."""

    async def stream() -> AsyncIterator[bytes]:
        for at in range(0, len(body), piece):
            yield body[at : at + piece]

    found = []
    reader = read_parts(stream(), b"xyz", parts_max=parts, head_bytes_max=head)
    async for part in reader:
        data = b"".join([chunk async for chunk in part.chunks])
        found.append((part.name, part.file_name, data))
    return found


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 64, 1 << 20])
async def test_a_form_is_the_same_however_it_is_cut(piece: int) -> None:
    assert await parts_of(FORM, piece=piece) == READ


async def test_every_form_that_ends_too_early_is_refused() -> None:
    for cut in range(len(FORM) - 4):
        with pytest.raises(ChatError) as caught:
            await parts_of(FORM[:cut])
        assert caught.value.code is ErrorCode.BAD_REQUEST


def part(head: bytes, body: bytes = b"x") -> bytes:
    """Return a form of one part."""
    return b"--xyz\r\n" + head + b"\r\n\r\n" + body + b"\r\n--xyz--\r\n"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", ErrorCode.BAD_REQUEST),
        (b"nonsense", ErrorCode.BAD_REQUEST),
        (b"--abc\r\n\r\n--abc--", ErrorCode.BAD_REQUEST),
        (part(b"X-Nothing: 1"), ErrorCode.BAD_REQUEST),
        (part(b"Content-Disposition: attachment; name=a"), ErrorCode.BAD_REQUEST),
        (part(b"no colon"), ErrorCode.BAD_REQUEST),
        (part(b": empty"), ErrorCode.BAD_REQUEST),
        (part(b"Content-Disposition: form-data; name=a\r\nX: " + b"y" * 2000), ErrorCode.TOO_LARGE),
        (part(b"X" * 2000 + b": 1"), ErrorCode.TOO_LARGE),
        (
            part(
                b"Content-Disposition: form-data; name=a\r\n"
                + b"A: bbb\r\n" * 4
                + b"C: "
                + b"d" * 999
            ),
            ErrorCode.TOO_LARGE,
        ),
    ],
)
async def test_forms_that_are_none_are_refused(body: bytes, code: ErrorCode) -> None:
    for piece in (1, 1 << 20):
        with pytest.raises(ChatError) as caught:
            await parts_of(body, piece=piece)
        assert caught.value.code is code, caught.value


@pytest.mark.parametrize("piece", [100, 1 << 20])
async def test_a_head_may_be_as_long_as_is_allowed(piece: int) -> None:
    name = "x" * 9000
    form = part(b'Content-Disposition: form-data; name="f"; filename="' + name.encode() + b'"')
    assert await parts_of(form, piece=piece, head=10_000) == [("f", name, b"x")]
    with pytest.raises(ChatError) as caught:
        await parts_of(form, piece=piece, head=9000)
    assert caught.value.code is ErrorCode.TOO_LARGE


async def test_too_many_parts_are_refused() -> None:
    one = b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'
    assert len(await parts_of(one * 32 + b"--xyz--\r\n")) == 32
    with pytest.raises(ChatError) as caught:
        await parts_of(one * 33 + b"--xyz--\r\n")
    assert caught.value.code is ErrorCode.TOO_LARGE


async def test_names_are_data() -> None:
    for raw, shown in (
        (b"../../etc/passwd", "../../etc/passwd"),
        (b"a;b.txt", "a;b.txt"),
        ("grüße.txt".encode(), "grüße.txt"),
        (b"\xff.txt", "\ufffd.txt"),
    ):
        head = b'Content-Disposition: form-data; name="f"; filename="' + raw + b'"'
        assert await parts_of(part(head)) == [("f", shown, b"x")]


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/mixed; boundary=xyz",
    ],
)
def test_other_bodies_are_unsupported(content_type: str) -> None:
    with pytest.raises(ChatError) as caught:
        boundary_of(content_type)
    assert caught.value.code is ErrorCode.UNSUPPORTED


@pytest.mark.parametrize("boundary", ["", "; boundary=", f"; boundary={'x' * 71}"])
def test_boundaries_are_bounded(boundary: str) -> None:
    with pytest.raises(ChatError) as caught:
        boundary_of(f"multipart/form-data{boundary}")
    assert caught.value.code is ErrorCode.BAD_REQUEST


def test_a_boundary_may_be_quoted() -> None:
    assert boundary_of('Multipart/Form-Data; boundary="a b"') == b"a b"
