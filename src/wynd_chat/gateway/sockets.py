"""`Sockets`: the chat's handlers on wynd: from connections to clients and back.

The main listener has both faces, the plain one only text; both lead to the same rooms.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from wynd import (
    BinaryMessage,
    CloseEvent,
    ConnectionHandle,
    HandlerError,
    Limits,
    TextMessage,
    Wynd,
)
from wynd_chat.domain.errors import ChatError, ErrorCode
from wynd_chat.domain.presence import Face
from wynd_chat.gateway.admission import FACES, Admission, credential_of
from wynd_chat.gateway.json_client import JsonClient
from wynd_chat.gateway.text_client import TextClient
from wynd_chat.observability.metrics import Metrics
from wynd_chat.ports.store import StoreFailure
from wynd_chat.wire.close_codes import CloseCode, closing
from wynd_chat.wire.json_face import Hello, HelloLimits, encode_hello

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wynd import Request
    from wynd_chat.domain.limits import ChatLimits
    from wynd_chat.gateway.admission import Credential
    from wynd_chat.gateway.calls import Router
    from wynd_chat.gateway.client import Client
    from wynd_chat.gateway.doorman import Doorman
    from wynd_chat.gateway.hub import Hub
    from wynd_chat.services.bundle import Services

__all__ = ["Sockets", "library_limits"]

log = logging.getLogger("wynd_chat.gateway")

PING_S = 25  # chat.v1 §5.5, rule 7
FEATURES = ("rooms", "upload", "memberships")


def library_limits(limits: ChatLimits) -> Limits:
    """Return the library's limits, as the chat's say (chat.md 5.5 and 6)."""
    return Limits(
        handshake_timeout_s=limits.handshake_timeout_s,
        head_bytes_max=limits.head_bytes_max,
        head_fields_max=limits.head_fields_max,
        message_bytes_max=limits.frame_bytes_max,
        outbox_bytes_soft=min(Limits().outbox_bytes_soft, limits.outbox_bytes_max),
        outbox_bytes_hard=limits.outbox_bytes_max,
        connections_max=limits.connections_max,
        connections_per_address_max=limits.connections_per_address_max,
        # rooms of the library: one per room of the user, and that of all JSON clients
        rooms_per_connection_max=2 * limits.rooms_per_user_max + 1000,
    )


class Sockets:
    """Both listeners' handlers."""

    def __init__(
        self,
        services: Services,
        hub: Hub,
        router: Router,
        doorman: Doorman,
        admission: Admission,
        *,
        metrics: Metrics | None = None,
        server_name: str,
        version: str,
        lobby: str,
        origins: str | Sequence[str] = "same-host",
        base_url: Callable[[Request], str],
        plain_base_url: Callable[[Request], str] | None = None,
    ) -> None:
        self._services = services
        self._hub = hub
        self._router = router
        self._doorman = doorman
        self._metrics = metrics or Metrics()
        self._names = (server_name, version)
        self._lobby = lobby
        self._base_url = base_url
        self._plain_base_url = plain_base_url or base_url
        self._numbers = 0
        limits = library_limits(services.limits)
        self.main = Wynd(limits=limits, origins=origins)
        """Both faces; mounted at `/ws` and `/`."""
        self.plain = Wynd(limits=replace(limits), origins=origins)
        """The text face only; listens by itself."""
        self.main.on_request(admission.judge)
        self.plain.on_request(admission.judge_plain)
        for wynd in (self.main, self.plain):
            hub.serve(wynd)
            wynd.on_text(self._text)
            wynd.on_binary(self._binary)
            wynd.on_disconnect(self._closed)
            wynd.on_error(self._failed)
        self.main.on_open(self._opened_main)
        self.plain.on_open(self._opened_plain)

    def hello(self, client: Client) -> str:
        """Return the first frame of a JSON client."""
        limits = self._services.limits
        return encode_hello(
            Hello(
                server_name=self._names[0],
                server_version=self._names[1],
                epoch=self._services.histories.epoch,
                conn=f"c_{client.number}",
                user=client.user,
                are_guests_allowed=self._doorman.are_guests_allowed(),
                lobby=self._lobby,
                ping_s=PING_S,
                features=FEATURES,
                limits=HelloLimits(
                    text=limits.message_chars_max,
                    burst=int(limits.messages_burst),
                    per_second=limits.messages_per_second,
                    upload=limits.upload_bytes_max,
                ),
            )
        )

    # Handlers

    async def _opened_main(self, handle: ConnectionHandle) -> None:
        await self._opened(handle, self.main, FACES.get(handle.subprotocol or "", Face.TEXT))

    async def _opened_plain(self, handle: ConnectionHandle) -> None:
        await self._opened(handle, self.plain, Face.TEXT)

    async def _opened(self, handle: ConnectionHandle, wynd: Wynd, face: Face) -> None:
        self._numbers += 1
        request = handle.request
        make = JsonClient if face is Face.JSON else TextClient
        client = make(
            self._numbers,
            wynd,
            handle,
            request.client.host,
            self._services.clock.monotonic(),
            self._hub,
            self._router,
            self._doorman,
        )
        is_plain = wynd is self.plain  # a port without page and API
        client.base_url = (self._plain_base_url if is_plain else self._base_url)(request)
        handle.data["client"] = client
        self._hub.opened(client)
        self._metrics.opened(face.value)
        log.info("client %d: opened, %s face", client.number, face.value)
        credential = credential_of(request, takes_query=self._doorman.takes_query_tokens())
        if isinstance(client, TextClient):
            client.greet()
        if credential is not None:
            try:
                if not await self._resumed(client, credential):
                    return
            except StoreFailure as error:  # without an end it would wait for its hello
                self._doorman.failure_of(error, client)
                handle.close(*closing(CloseCode.OVERLOAD, retry_after_s=1.0))
                return
        if isinstance(client, JsonClient):
            client.send(self.hello(client))

    async def _resumed(self, client: JsonClient | TextClient, credential: Credential) -> bool:
        """Let a connection be whose credential it brought; return False where it ends instead."""
        try:
            user, session = await self._doorman.resume(credential.token)
        except ChatError as error:
            if error.code is ErrorCode.BANNED:
                client.removed(error.sentence)
                client.handle.close(CloseCode.REMOVED, CloseCode.REMOVED.reason)
                return False
            if credential.source != "cookie":  # an expired one counts as none
                client.handle.close(CloseCode.UNAUTHORIZED, CloseCode.UNAUTHORIZED.reason)
                return False
        else:
            await client.become(user, session.token_hash)
        return True

    async def _text(self, message: TextMessage, handle: ConnectionHandle) -> None:
        client: Client | None = handle.data.get("client")
        if client is not None:
            client.active_at = self._services.clock.monotonic()
            await client.frame(message.data)
            if (seconds := self._services.rate_limits.rest(client.number)) > 0.0:
                await self._services.clock.sleep(seconds)  # a flood waits in its socket

    async def _binary(self, message: BinaryMessage, handle: ConnectionHandle) -> None:
        client: Client | None = handle.data.get("client")
        if client is not None:
            client.binary()
            if (seconds := self._services.rate_limits.rest(client.number)) > 0.0:
                await self._services.clock.sleep(seconds)  # a flood waits in its socket

    async def _closed(self, event: CloseEvent, handle: ConnectionHandle) -> None:
        client: Client | None = handle.data.pop("client", None)
        if client is not None:
            log.info("client %d: closed, code %d", client.number, event.code)
            self._metrics.closed(client.face.value, event.sent or event.code)
            self._hub.closed(client)
            await self._router.terminals.left(client.number)
            await self._doorman.left(client)

    async def _failed(self, error: HandlerError) -> None:
        self._doorman.failure_of(error.exception, error.handle or "a handler")
