"""Sending to many: `to(room)`, `broadcast`.

One publish is one command to the engine, whatever the number of members; membership and fan-out
live there. `Prepared` and `Policy`, which engines need too, come from `engines.base`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wynd.engines.base import Opcode, Policy, Prepared
from wynd.errors import LimitExceeded
from wynd.sent import Sent

if TYPE_CHECKING:
    from wynd.engines.base import Payload
    from wynd.limits import Limits
    from wynd.registry import Registry

__all__ = ["Audience", "Policy", "Prepared", "check_room"]


def check_room(room: str, limits: Limits) -> None:
    """Refuse what is no room name.

    Raises:
        TypeError: not a str.
        LimitExceeded: longer than `Limits.room_name_bytes_max` bytes as UTF-8.
        ValueError: a lone surrogate.
    """
    if not isinstance(room, str):
        raise TypeError(f"a room's name must be a str, not {type(room).__name__}")
    try:
        size = len(room) if room.isascii() else len(room.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise ValueError("a room's name holds a lone surrogate") from error
    if size > limits.room_name_bytes_max:
        raise LimitExceeded("room_name_bytes_max", limits.room_name_bytes_max)


def text_payload(message: str | Prepared) -> Payload:
    """Return `message` if it may go out as text.

    Raises:
        TypeError: anything but a str or a `Prepared` made from one.
    """
    if isinstance(message, str):
        return message
    if isinstance(message, Prepared) and message.opcode is Opcode.TEXT:
        return message
    if isinstance(message, Prepared):
        raise TypeError("this Prepared holds bytes; send it as binary")
    raise TypeError(f"text must be a str, not {type(message).__name__}; encode bytes as binary")


def binary_payload(message: bytes | bytearray | memoryview | Prepared) -> Payload:
    """Return `message` as bytes, or as the `Prepared` it is, if it may go out as binary.

    Raises:
        TypeError: anything but bytes-like data or a `Prepared` made from it.
    """
    if isinstance(message, bytes):
        return message
    if isinstance(message, (bytearray, memoryview)):
        return bytes(message)
    if isinstance(message, Prepared) and message.opcode is Opcode.BINARY:
        return message
    if isinstance(message, Prepared):
        raise TypeError("this Prepared holds a str; send it as text")
    raise TypeError(f"binary data must be bytes-like, not {type(message).__name__}")


class Audience:
    """Who a message goes to: the members of a room, or every open connection.

    Returned by `handle.to(room)`, `handle.broadcast`, `wynd.to(room)` and `wynd.broadcast`. From a
    handle, `text` and `binary` leave out that connection, `emit_text` and `emit_binary` include
    it; from `wynd` they are the same. A room nobody is in, or a sender who is no member, is no
    error. Publishing never waits: the room's policy decides about members that do not keep up,
    so the returned `Sent` is already done.
    """

    __slots__ = ("_registry", "_room", "_sender")

    def __init__(self, registry: Registry, room: str | None, sender: int | None) -> None:
        if room is not None:
            check_room(room, registry.limits)
        self._registry = registry
        self._room = room
        self._sender = sender

    def text(
        self, message: str | Prepared, *, key: str | None = None, droppable: bool = False
    ) -> Sent[None]:
        """Send a text to all but the sender.

        `key` names the value under `Policy.latest`: a newer message replaces an unsent one of the
        same key. `droppable` messages may be dropped for a slow member even where the policy
        would close it.

        Raises:
            TypeError: not a str or a text `Prepared`.
            ValueError: the str holds a lone surrogate.
        """
        return self._publish(Opcode.TEXT, text_payload(message), self._sender, key, droppable)

    def binary(
        self,
        message: bytes | bytearray | memoryview | Prepared,
        *,
        key: str | None = None,
        droppable: bool = False,
    ) -> Sent[None]:
        """Send bytes to all but the sender; see `text`.

        Raises:
            TypeError: not bytes-like or a binary `Prepared`.
        """
        return self._publish(Opcode.BINARY, binary_payload(message), self._sender, key, droppable)

    def emit_text(
        self, message: str | Prepared, *, key: str | None = None, droppable: bool = False
    ) -> Sent[None]:
        """Send a text to all, the sender included; see `text`."""
        return self._publish(Opcode.TEXT, text_payload(message), None, key, droppable)

    def emit_binary(
        self,
        message: bytes | bytearray | memoryview | Prepared,
        *,
        key: str | None = None,
        droppable: bool = False,
    ) -> Sent[None]:
        """Send bytes to all, the sender included; see `binary`."""
        return self._publish(Opcode.BINARY, binary_payload(message), None, key, droppable)

    def _publish(
        self,
        opcode: Opcode,
        payload: Payload,
        exclude: int | None,
        key: str | None,
        droppable: bool,
    ) -> Sent[None]:
        registry = self._registry
        registry.engine.publish(
            self._room, opcode, payload, exclude=exclude, key=key, droppable=droppable
        )
        return Sent.completed() if registry.on_loop_thread() else Sent.off_loop()
