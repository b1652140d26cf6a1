"""Messages: pages of a room's past, single ones, and posting."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Request, Response
from pydantic import ValidationError

from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.events import MessageKind
from wynd_chat.gateway.rest import objects
from wynd_chat.gateway.rest.answers import answer, matches, weak_tag
from wynd_chat.gateway.rest.bodies import IDEMPOTENCY_KEY, BoundedRequest, api_router, media_type
from wynd_chat.gateway.rest.context import context_of
from wynd_chat.gateway.rest.identity import Known
from wynd_chat.gateway.rest.models import Message, MessagePage, NewMessage, PostedMessage
from wynd_chat.gateway.rest.parameters import (
    LIST_DEFAULT,
    Limit,
    ReachedRoom,
    SeenRoom,
)
from wynd_chat.gateway.rest.problems import refusals, validation_error
from wynd_chat.services.history import Page
from wynd_chat.wire.strict_json import INTEGER_MAX
from wynd_chat.wire.times import time_text

__all__ = ["router"]

router = api_router("Messages", takes_key_itself=True)

REVALIDATE = "private, no-cache"  # may be kept, and is asked about each time it is used
SeqQuery = Annotated[int | None, Query(ge=0, le=INTEGER_MAX)]
_NOT_SEEN = (ErrorCode.UNAUTHORIZED, ErrorCode.NOT_FOUND, ErrorCode.NOT_MEMBER)
_LINK = {"Link": {"description": "`prev` is older, `next` newer.", "schema": {"type": "string"}}}
_PAGE_HEADERS = _LINK | {
    "ETag": {
        "description": "Of pages wholly below `head`; tells what they show, `head` aside.",
        "schema": {"type": "string"},
    }
}


@router.get(
    "/rooms/{room}/messages",
    summary="Read a page of messages",
    response_model=MessagePage,
    responses=refusals(*_NOT_SEEN)
    | {
        200: {"headers": _PAGE_HEADERS},
        304: {"description": "What `If-None-Match` names is still so."},
    },
)
async def read_page(
    request: Request,
    room: SeenRoom,
    caller: Known,
    before: SeqQuery = None,
    after: SeqQuery = None,
    around: SeqQuery = None,
    limit: Limit = LIST_DEFAULT,
) -> Response:
    """Return the newest messages, or those before, after or around a seq; at most one of them.

    `around` counts its seq as newer. `head` is the room's newest seq; where the newest page ends
    below it, what follows are events that are no messages.
    """
    services = context_of(request).services
    page = await services.histories.page(
        caller.me, room, before=before, after=after, around=around, limit=limit
    )
    ignored = await services.accounts.ignored_ids(caller.me)
    value = {
        "messages": [objects.message(one, room, caller.me, ignored) for one in page.messages],
        "has_before": page.has_before,
        "has_after": page.has_after,
    }
    headers = _links(page, limit)
    if page.messages and page.messages[-1].seq < page.head:
        tag = weak_tag(value)
        headers |= {"etag": tag, "cache-control": REVALIDATE, "vary": "Authorization, Cookie"}
        if matches(request, tag):
            return Response(status_code=304, headers=headers)
    return answer(value | {"head": page.head}, headers=headers)


@router.get(
    "/rooms/{room}/messages/{seq}",
    summary="Read a message",
    response_model=Message,
    response_model_exclude_unset=True,
    responses=refusals(*_NOT_SEEN),
)
async def read_one(
    request: Request,
    room: SeenRoom,
    caller: Known,
    seq: Annotated[int, Path(ge=1, le=INTEGER_MAX)],
) -> Response:
    """Return one message; a seq of another event is `not_found`."""
    services = context_of(request).services
    event = await services.histories.message(caller.me, room, seq)
    ignored = await services.accounts.ignored_ids(caller.me)
    return answer(objects.message(event, room, caller.me, ignored))


_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/NewMessage"}},
        "text/plain": {
            "schema": {"type": "string", "minLength": 1},
            "example": "hello",
        },
    },
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The message's `cid`, 1 to 64 bytes: repeats post nothing.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 64},
}


@router.post(
    "/rooms/{room}/messages",
    summary="Post a message",
    status_code=201,
    response_model=PostedMessage,
    responses=refusals(
        *_NOT_SEEN,
        ErrorCode.UNSUPPORTED,
        ErrorCode.FORBIDDEN,
        ErrorCode.SILENCED,
        ErrorCode.NOT_ONLINE,
        ErrorCode.TOO_LARGE,
        ErrorCode.RATE_LIMITED,
    ),
    openapi_extra={"requestBody": _BODY, "parameters": [_KEY]},
)
async def post(request: Request, room: ReachedRoom, caller: Known) -> Response:
    """Post a message as JSON, or its bare text as `text/plain`, as `curl` does:

    `curl -H 'content-type: text/plain' -d 'hello' …/rooms/dev/messages`. Answered once it is on
    disk. Room, seq and time are the first message's where the `Idempotency-Key` was sent before.
    """
    new = await _read(request)
    posted = await context_of(request).router.say(
        caller,
        caller.me,
        room,
        new.text,
        kind=MessageKind(new.kind),
        cid=request.headers.get(IDEMPOTENCY_KEY),
        file_ids=tuple(new.files),
        reply_to=new.reply_to,
    )
    seq = posted.event.seq
    value = {"room": posted.room.shown, "seq": seq, "at": time_text(posted.event.at)}
    if posted.is_duplicate:
        value["dup"] = True
    return answer(value, 201, headers={"location": f"messages/{seq}"})


async def _read(request: Request) -> NewMessage:
    """Return the message of a request's body.

    Raises:
        ChatError: `unsupported`, `bad_request`.
        RequestValidationError: fields that do not fit.
    """
    assert isinstance(request, BoundedRequest)
    kind = media_type(request)
    if kind == "text/plain":
        try:
            text = (await request.body()).decode()
        except UnicodeDecodeError:
            raise ChatError(ErrorCode.BAD_REQUEST, "the body is not UTF-8") from None
        new = NewMessage(text=text.rstrip("\r\n"), reply_to=None)
    elif kind == "application/json":
        try:
            new = NewMessage.model_validate(await request.json())
        except ValidationError as error:
            raise validation_error(error) from None
    else:
        raise ChatError(
            ErrorCode.UNSUPPORTED,
            "send JSON, or text with curl -H 'content-type: text/plain' -d TEXT",
        )
    if not new.files and not new.text.strip():
        raise ChatError(ErrorCode.BAD_REQUEST, "a message needs a text or a file")
    return new


def _links(page: Page, limit: int) -> dict[str, str]:
    """Return the `Link` field (RFC 8288); targets are relative, so that sub-paths work."""
    links = []
    if page.messages and page.has_before:
        links.append(f'<?before={page.messages[0].seq}&limit={limit}>; rel="prev"')
    if page.messages and page.has_after:
        links.append(f'<?after={page.messages[-1].seq}&limit={limit}>; rel="next"')
    return {"link": ", ".join(links)} if links else {}
