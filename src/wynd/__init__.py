"""wynd: WebSocket servers with the programming model of the Rust library Wynd.

The layers, from the top: `app` (Wynd: registration, listen, stop) → `dispatch` and `stepping`
(events → handlers, in order per connection) → `connection` ← `handle` ← `rooms` (what handlers
register on and send with) → `engines.base` (one interface) ← `engines.native` (Rust) and
`engines.asgi` (portable). Leaves: `events`, `request`, `limits`, `compression`, `codes`, `errors`,
`tls`.
"""

from wynd.app import Statistics, Wynd
from wynd.codes import CloseCode
from wynd.compression import Compression
from wynd.connection import Connection
from wynd.engines.base import Policy, Prepared
from wynd.errors import (
    CertificateError,
    ConnectionClosed,
    EngineUnavailable,
    HandlerError,
    LimitExceeded,
    ProtocolError,
    Reject,
    WyndError,
)
from wynd.events import BinaryMessage, CloseEvent, ConnState, TextMessage
from wynd.handle import ConnectionHandle
from wynd.limits import Limits
from wynd.request import Accept, ClientInfo, Request, Response
from wynd.rooms import Audience
from wynd.sent import Sent
from wynd.tls import Tls

__all__ = [
    "Accept",
    "Audience",
    "BinaryMessage",
    "CertificateError",
    "ClientInfo",
    "CloseCode",
    "CloseEvent",
    "Compression",
    "ConnState",
    "Connection",
    "ConnectionClosed",
    "ConnectionHandle",
    "EngineUnavailable",
    "HandlerError",
    "LimitExceeded",
    "Limits",
    "Policy",
    "Prepared",
    "ProtocolError",
    "Reject",
    "Request",
    "Response",
    "Sent",
    "Statistics",
    "TextMessage",
    "Tls",
    "Wynd",
    "WyndError",
]
