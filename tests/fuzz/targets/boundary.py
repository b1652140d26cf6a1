"""The protocol of the native module: any call, any argument, any order.

The input chooses one of two: both ends of the protocol, and the session of `wynd.http`. Then every
few bytes are a call. Where the native module is not built, nothing is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.conftest import NATIVE_IS_BUILT
from tests.fuzz.calling import CODES, SENTENCES, anything, arguments, called, refuse
from tests.fuzz.drawing import Draw
from wynd.http.opening import accepting

if TYPE_CHECKING or NATIVE_IS_BUILT:
    from wynd import _engine

__all__ = ["check"]

CALLS_MAX = 80
INFLATING_BYTES_MAX = 1024 * 1024  # of windows and tables, beside the message itself


def check(data: bytes) -> None:
    """Fail where the native module panics, raises anything undeclared, or breaks a bound."""
    if not NATIVE_IS_BUILT:
        return
    draw = Draw(data)
    (_try_protocols, _try_session)[draw.number(1)](draw)


# Both ends of the protocol

_END_CALLS = (
    *("receive_data", "send_text", "send_binary", "send_ping", "send_pong", "send_close"),
    *("fail", "handshake_request", "handshake_response"),
)


def _try_protocols(draw: Draw) -> None:
    most = draw.one_of((0, 1, 100, 2**20, 2**64 - 1))
    offer = draw.one_of(
        (None, "permessage-deflate", "permessage-deflate; server_max_window_bits=9")
    )
    server = _engine.ServerProtocol(
        message_bytes_max=most, extensions=offer, level=draw.number(255)
    )
    client = _engine.ClientProtocol(message_bytes_max=most)
    ends: tuple[Any, Any] = (client, server)
    wire = [b"", b""]  # what the other end has sent
    for _ in range(CALLS_MAX):
        if draw.is_done:
            break
        side, step = draw.number(1), draw.number(7)
        end = ends[side]
        if step == 0:
            size = draw.number(2**16)
            _check_told(called(end.receive_data, wire[side][:size]), most)
            wire[side] = wire[side][size:]
        elif step == 1:
            called(end.receive_data, draw.sized(255))
        elif step == 2:
            called(getattr(end, draw.one_of(_END_CALLS), refuse), *arguments(draw))
        elif step == 3:
            _call_function(draw)
        else:
            sent = called(getattr(end, _END_CALLS[step - 3]), _content(draw, step == 4))
            wire[1 - side] += sent or b""
    assert {server.state, client.state} <= {
        *("open", "close_sent", "close_received", "closed", "failing", "failed")
    }
    assert server.buffered <= most + INFLATING_BYTES_MAX
    server.fail()


def _content(draw: Draw, is_text: bool) -> str | bytes:
    size = draw.one_of((0, 1, 125, 126, 5000, 70_000))
    return "\u00e9" * size if is_text else draw.take(2) * size


def _check_told(events: Any, bytes_max: int) -> None:
    for kind, *fields in events or ():
        if kind == "text":
            assert len(fields[0].encode()) <= bytes_max
        elif kind == "binary":
            assert len(fields[0]) <= bytes_max
        elif kind in ("ping", "pong"):
            assert len(fields[0]) <= 125
        elif kind == "failed":
            assert fields[0] in (1002, 1007, 1008, 1009)
        else:
            assert kind == "close"


def _call_function(draw: Draw) -> None:
    session = _engine.ServerSession(message_bytes_max=1)
    functions = (_engine.encode_frame, _engine.mask, _engine.is_origin_allowed, session.judge)
    function: Any = draw.one_of(functions)
    if draw.flag():
        called(function, *arguments(draw))
    elif function is _engine.mask:
        key, data, offset = draw.take(4).ljust(4), draw.sized(100), draw.number(2**64 - 1)
        assert function(key, function(key, data, offset=offset), offset=offset) == data
    elif function == session.judge:
        accepted, _, refusal = function(draw.sized(255), head_bytes_max=draw.number(255))
        assert (accepted is None) == refusal.startswith(b"HTTP/1.1 4")


# The session of `wynd.http`


def _try_session(draw: Draw) -> None:
    most = draw.one_of((1, 100, 2**20, 2**64 - 1))
    session = _engine.ServerSession(message_bytes_max=most, messages_max=draw.number(40))
    client = _engine.ClientProtocol()
    if most > 1:
        _shake_hands(session, client)
    answers = 0
    for _ in range(CALLS_MAX):
        if draw.is_done:
            break
        step = draw.number(9)
        if step == 0:
            called(session.receive, draw.sized(255))
        elif step == 1:
            frame = called(client.send_text, draw.text(200) * draw.one_of((1, 30)))
            for event in called(session.receive, frame or b"") or ():
                assert set(event) in ({"type", "text"}, {"type", "bytes"})
        elif step == 2:
            called(session.receive, called(client.send_ping, draw.sized(125)) or b"")
        elif step == 3:
            called(session.receive_from, bytearray(draw.sized(255)), draw.number(300))
        elif step == 4:
            message = {"type": draw.one_of(("websocket.send", "x", None)), "text": anything(draw)}
            called(session.send, message, draw.flag())
        elif step == 5:
            message = {"type": "websocket.send", "bytes": anything(draw)}
            called(session.send, message, draw.flag())
        elif step == 6:
            answers += len(session.take())
        elif step == 7:
            session.choke(draw.flag())
        elif step == 8:
            called(session.close, draw.one_of(CODES), draw.one_of(SENTENCES))
        else:
            name = draw.one_of(("receive", "receive_from", "send", "ping", "close", "choke"))
            called(getattr(session, name), *arguments(draw))
    assert 0 <= session.flags < 16
    assert session.ending is None or session.flags & 4
    session.answer_end()
    assert session.flags & 1 == 0


def _shake_hands(session: _engine.ServerSession, client: _engine.ClientProtocol) -> None:
    """Agree on compression."""
    request = client.handshake_request(compression=True)
    key, extensions, _ = session.judge(request, deflates=True)
    assert key is not None
    client.handshake_response(accepting(key, (), {}, (), extensions))
    assert client.compressed
