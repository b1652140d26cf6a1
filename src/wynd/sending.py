"""`HandleBase`: the sends of a connection's handle, where most of an application's time goes.

The native module has a `HandleBase` of its own, which sends a str or bytes without a Python frame;
where it is built, that one is used, and the class here, which behaves alike, is its plain twin.
What is out of the ordinary is `ConnectionHandle._send`'s and `_sent`'s in both.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from wynd.engines.base import Opcode

if TYPE_CHECKING:
    from wynd.engines.base import Prepared
    from wynd.registry import Registry
    from wynd.sent import Sent

__all__ = ["HandleBase"]


class HandleBase:
    """What `ConnectionHandle` is built on: key, sends, and whether they are taken."""

    __slots__ = ("_key", "_takes_messages")

    _key: int
    _takes_messages: bool

    def __new__(cls, registry: Registry, key: int, *_others: Any) -> HandleBase:
        """Make a handle that takes messages."""
        made = super().__new__(cls)
        made._key = key
        made._takes_messages = True
        return made

    def _refuse_messages(self) -> None:
        self._takes_messages = False

    def send_text(self, message: str | Prepared) -> Sent[None]:
        """Send one text message.

        Done at once while less than `Limits.outbox_bytes_soft` is unsent, else when the outbox
        has fallen below half of it. Not awaiting still sends.

        Raises:
            TypeError: not a str or a text `Prepared`.
            ValueError: the str holds a lone surrogate.
        """
        return self._send(Opcode.TEXT, message)

    def send_binary(self, message: bytes | bytearray | memoryview | Prepared) -> Sent[None]:
        """Send one binary message; see `send_text`.

        Raises:
            TypeError: not bytes-like or a binary `Prepared`.
        """
        return self._send(Opcode.BINARY, message)

    def _send(self, opcode: int, message: Any) -> Sent[None]:
        raise NotImplementedError


PlainHandleBase: type[HandleBase] = HandleBase
if not TYPE_CHECKING:
    with suppress(ImportError):  # a machine without the native module uses the twin
        from wynd._engine import HandleBase
