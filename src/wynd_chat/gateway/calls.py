"""`Router`: from a line that begins with a slash to the use case it names, for every face.

A handler takes a `Call` and returns an `Outcome`: the lines that the text face prints and the
object that programs read. Which commands there are is `domain.commands`; what they do is in
`gateway/commands`.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from wynd_chat.domain.commands import COMMANDS, Who, did_you_mean, may_run, parse, split
from wynd_chat.domain.errors import ChatError, ErrorCode, UsageError
from wynd_chat.domain.events import MessageKind
from wynd_chat.domain.permissions import Rank, check_rank
from wynd_chat.gateway.terminals import Terminals
from wynd_chat.observability.metrics import Metrics
from wynd_chat.wire import json_face, text_face

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

    from wynd_chat.domain.commands import CommandSpec
    from wynd_chat.domain.models import Room, User
    from wynd_chat.gateway.control import Control
    from wynd_chat.gateway.hub import Hub
    from wynd_chat.ports.store import Posted
    from wynd_chat.services.bundle import Services
    from wynd_chat.wire.close_codes import CloseCode

__all__ = ["Call", "Caller", "Mode", "Outcome", "Router"]

T = TypeVar("T")

DAY_MS = 24 * 3600 * 1000
CLOSE_S = 5.0  # what is under way when the server ends; a commit takes some milliseconds
_RANKS = {Who.OP: Rank.OP, Who.OWNER: Rank.OWNER}


class Mode(StrEnum):
    """Through what a command comes."""

    TEXT = "text"
    JSON = "json"
    REST = "rest"


class Caller(Protocol):
    """Whoever runs commands: a client, or a REST request.

    Attributes:
        number: Of the connection; 0 for REST.
        user: Who it is, None without a name.
        token_hash: Its login, if any.
        address: The peer's address.
    """

    number: int
    user: User | None
    token_hash: str | None
    address: str
    farewell: str | None
    base_url: str
    """Where this caller reaches the server, without a slash at the end."""

    @property
    def mode(self) -> Mode:
        """Through what it calls."""

    @property
    def current(self) -> Room | None:
        """Where it writes, if it has such a room."""

    @property
    def rooms(self) -> Mapping[str, Room]:
        """Rooms that it is shown events of, by id; may be empty."""

    @property
    def known_rooms(self) -> Mapping[str, Room]:
        """Rooms that its user is known to be in, by id; may be empty."""

    async def become(self, user: User, token_hash: str | None = None) -> None:
        """Be somebody from now on."""

    def move_to(self, room: Room) -> None:
        """Make a room the current one, where there is such a thing."""


@dataclass(slots=True)
class Outcome:
    """What a command came to."""

    lines: list[str] = field(default_factory=list)
    """What the text face prints, one frame each."""
    result: dict[str, Any] = field(default_factory=dict)
    """What programs read."""
    is_goodbye: bool = False
    """Whether the connection ends now."""
    closing: CloseCode | None = None
    """With which code it ends after the reply, where its login does."""


@dataclass(slots=True)
class Call:
    """One command under way."""

    router: Router
    caller: Caller
    spec: CommandSpec
    words: list[str]
    """The arguments; as many as the command has, or fewer."""
    rest: str
    """All of them as typed."""
    at: Room | None
    typed: str = ""
    """The command's word as typed: a name or an alias."""

    @property
    def services(self) -> Services:
        """The use cases."""
        return self.router.services

    @property
    def hub(self) -> Hub:
        """Who is connected."""
        return self.router.hub

    @property
    def user(self) -> User:
        """Who calls; the router made sure that there is a name."""
        assert self.caller.user is not None
        return self.caller.user

    @property
    def room(self) -> Room:
        """Where the command is to run.

        Raises:
            ChatError: `bad_request` where a program named none.
        """
        if self.at is None:
            raise ChatError(ErrorCode.BAD_REQUEST, "name a room")
        return self.at

    def word(self, index: int) -> str:
        """Return an argument, or "" where it was left out."""
        return self.words[index] if index < len(self.words) else ""

    def usage(self) -> UsageError:
        """Return the error of arguments that do not fit."""
        return UsageError(self.spec.syntax)


class Router:
    """Runs commands and takes messages."""

    def __init__(
        self,
        services: Services,
        hub: Hub,
        handlers: Mapping[str, Callable[[Call], Awaitable[Outcome]]],
        check_guests: Callable[[], None],
        *,
        is_strict: bool,
        metrics: Metrics | None = None,
    ) -> None:
        self.services = services
        self.hub = hub
        self.check_guests = check_guests
        """Refuses guests where they are off."""
        self.is_strict = is_strict
        self.control: Control | None = None
        """The running server, for administrators; set by the composition root."""
        self.metrics = metrics or Metrics()
        self.terminals = Terminals(services, hub)
        """Logins that belong to one connection."""
        self._handlers = handlers
        self._room_ids: dict[str, str] = {}
        self._under_way: set[asyncio.Task[Any]] = set()

    @property
    def commands(self) -> tuple[CommandSpec, ...]:
        """The commands that this server runs, in the order of help."""
        return tuple(spec for spec in COMMANDS if spec.name in self._handlers)

    def command_objects(self) -> list[dict[str, Any]]:
        """Return the registry as programs read it."""
        return [json_face.command_object(spec) for spec in self.commands]

    async def allowed(self, caller: Caller) -> list[CommandSpec]:
        """Return the commands a caller may run where it is."""
        rank = Rank.NONE
        if caller.user is not None and caller.current is not None:
            rank = await self.services.rooms.rank(caller.user, caller.current)
        return [spec for spec in self.commands if may_run(spec, caller.user, rank)]

    async def run(self, caller: Caller, line: str, *, room: Room | None = None) -> Outcome:
        """Run one command line.

        Args:
            caller: Who calls.
            line: Begins with a slash.
            room: Where it is to run; by default the caller's current room.

        Raises:
            ChatError: refused, with the sentence the user reads.
        """
        user = caller.user
        self.services.rate_limits.command(caller.number if user is None else user.id)
        invocation = parse(line)
        spec = invocation.spec
        handler = None if spec is None else self._handlers.get(spec.name)
        if spec is None or handler is None:
            return await self._unknown(caller, invocation.word)
        at = room or caller.current
        await self._check_who(user, spec, at)
        words = split(invocation.rest, max(1, len(spec.arguments)))
        if not spec.arguments:
            words = []
        if len(words) < sum(argument.required for argument in spec.arguments):
            raise UsageError(spec.syntax)
        call = Call(self, caller, spec, words, invocation.rest, at, invocation.word)
        return await self.whole(self._carry_out(call, handler))

    async def _carry_out(
        self, call: Call, handler: Callable[[Call], Awaitable[Outcome]]
    ) -> Outcome:
        client = self.hub.clients.get(call.caller.number)
        with nullcontext() if client is None else self.hub.acting(client):
            return await handler(call)

    async def whole(self, steps: Coroutine[Any, Any, T]) -> T:
        """Carry something out to its end, also where whoever asked for it is gone meanwhile.

        What is committed has to be told to others, and the library cancels a handler some seconds
        after its connection's end.
        """
        task = asyncio.get_running_loop().create_task(steps)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Let what is under way come to its end, for some seconds."""
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=CLOSE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def say(
        self,
        caller: Caller,
        user: User,
        room: Room,
        text: str,
        *,
        kind: MessageKind = MessageKind.TEXT,
        cid: str | None = None,
        file_ids: tuple[str, ...] = (),
        reply_to: int | None = None,
    ) -> Posted:
        """Post a message of a caller.

        Raises:
            ChatError: refused.
        """
        services = self.services
        services.rate_limits.message(user.id)
        if room.is_direct:
            await self._check_direct(user, room)
        message_id = services.tokens.new_id("m_")
        client = self.hub.clients.get(caller.number)
        if client is not None:
            self.hub.begin_post(message_id, client)
        began = services.clock.monotonic()
        posted: Posted | None = None
        try:
            posted = await services.messaging.post(
                user,
                room,
                text,
                message_id=message_id,
                kind=kind,
                cid=cid,
                file_ids=file_ids,
                reply_to=reply_to,
            )
        finally:
            self.hub.end_post(message_id, posted)
        self.metrics.committed(services.clock.monotonic() - began)
        if not posted.is_duplicate:
            self.metrics.posted(caller.mode.value, kind.value)
        return posted

    async def away_lines(self, user: User, posted: Posted) -> list[str]:
        """Return what tells a sender that the other side of a conversation is away, at times."""
        if not posted.room.is_direct:
            return []
        peer = await self.services.rooms.peer(user, posted.room)
        if peer.away is None or not self.hub.may_say_away(user.id, peer.id):
            return []
        return [text_face.away_line(peer.name, peer.away)]

    async def room(self, caller: Caller, user: User, ref: str) -> Room:
        """Return the room a caller names: `dev`, `#dev`, `r_…` or `@Bob`.

        Raises:
            ChatError: `not_found`, `not_online`.
        """
        room_id = ref if ref.startswith("r_") else self._room_ids.get(ref)
        known = None if room_id is None else caller.known_rooms.get(room_id)
        if known is not None:
            return known
        finding = self.services.rooms.find(user, ref)
        room = await (self.whole(finding) if ref.startswith("@") else finding)  # it may open one
        if room.name is not None and room.name == ref:
            self._room_ids[ref] = room.id  # a room's name never changes
        return room

    async def _check_direct(self, user: User, room: Room) -> None:
        peer = await self.services.rooms.peer(user, room)
        self.services.rooms.check_reachable(peer)
        is_new = user.is_guest or user.created_at > self.services.clock.now_ms() - DAY_MS
        if is_new and not await self.services.messaging.has_written(user, room):
            self.services.rate_limits.new_direct(user.id)

    async def _check_who(self, user: User | None, spec: CommandSpec, room: Room | None) -> None:
        if spec.who is Who.ANYONE:
            return
        if user is None:
            raise ChatError(ErrorCode.UNAUTHORIZED, text_face.NAME_FIRST)
        if spec.who is Who.ACCOUNT and user.is_guest:
            raise ChatError(ErrorCode.FORBIDDEN, "only accounts can do that, use /register")
        if spec.who is Who.ADMIN and not user.is_admin:
            raise ChatError(ErrorCode.FORBIDDEN, "only admins can do that")
        wanted = _RANKS.get(spec.who)
        if wanted is not None and room is not None:
            check_rank(await self.services.rooms.rank(user, room), wanted)

    async def _unknown(self, caller: Caller, word: str) -> Outcome:
        if caller.mode is not Mode.TEXT:
            raise ChatError(ErrorCode.NOT_FOUND, text_face.UNKNOWN_COMMAND)
        lines = [text_face.UNKNOWN_COMMAND]
        if not self.is_strict and word:
            allowed = await self.allowed(caller)
            names = [name for spec in allowed for name in (spec.name, *spec.aliases)]
            meant = did_you_mean(word, names)
            if meant is not None:
                lines.append(text_face.did_you_mean(meant))
        return Outcome(lines)
