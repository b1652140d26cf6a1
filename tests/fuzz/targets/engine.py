"""The native engine under its Python boundary: any call, any argument, any order.

The input chooses one of two: an engine on socket pairs, and an application in the test kit, over
either engine. Then every few bytes are a call. Where the native module is not built, nothing is
done.
"""

from __future__ import annotations

import asyncio
import math
import os
import socket
import sys
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tests.conftest import NATIVE_IS_BUILT
from tests.fuzz.calling import CODES, DECLARED, SENTENCES, Planted, anything, arguments, called
from tests.fuzz.drawing import Draw, text_of
from wynd import Compression, ConnectionClosed, LimitExceeded, Limits, Policy, Prepared, Wynd
from wynd.testing import FakeClock, Refused, serve

if TYPE_CHECKING or NATIVE_IS_BUILT:
    from wynd import _engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from wynd import Connection
    from wynd.testing import Client, Server

__all__ = ["check"]

CALLS_MAX = 80
ADOPTED, LISTENING = 0, 1  # numbers of listeners
TURNS_MAX = 2000
PEERS_MAX = 8
ROOMS = ("a", "b", "", "x" * 300, "\u00e9")
PANIC = "met a bug"
REQUESTS = (
    b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc",
    b"POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    b"GET /a HTTP/1.0\r\n\r\n",
)


def check(data: bytes) -> None:
    """Fail where the engine panics, raises anything undeclared, or miscounts."""
    if not NATIVE_IS_BUILT:
        return
    draw = Draw(data)
    (_try_engine, _try_application)[draw.number(1)](draw)


# An engine on socket pairs

_COMMANDS = (
    *("send", "publish", "join", "leave", "admit", "ping", "close", "abort", "pause_reading"),
    *("resume_reading", "accept", "respond", "http_write", "http_done", "http_close", "http_pass"),
    *("buffered_bytes", "set_room_policy", "remove_listener", "expect_proxies", "use_certificates"),
    *("poll", "dispatch", "flush", "settle", "now", "turn_s", "statistics", "sockets", "fileno"),
)
_RECEIVERS = (
    *("requested", "opened", "received", "ponged", "drained", "closing", "closed"),
    *("handshake_lost", "failed"),
    *("http_opened", "http_data", "http_ended", "http_drained", "http_closed"),
)


class _Shop:
    """An engine, its peers, and what it told of them."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.seconds = 1000.0
        self.told: Counter[str] = Counter()
        self.opened: Counter[int] = Counter()
        self.closed: Counter[int] = Counter()
        self.keys: list[int] = []
        self.peers: list[tuple[socket.socket, Any]] = []
        self.is_ending = False
        self.engine = _engine.Engine(
            Limits(
                message_bytes_max=1000,
                outbox_bytes_soft=2000,
                outbox_bytes_hard=8000,
                rooms_per_connection_max=3,
                messages_per_second_max=draw.one_of((None, 2.0)),
            ),
            draw.one_of(("*", "same-host", ["http://localhost"])),
            ["chat"],
            seed=draw.number(255),
            schedule=lambda: None,
            clock=lambda: self.seconds,
            compression=draw.one_of((None, Compression(), Compression(mode="dedicated"))),
        )
        self.receivers = tuple(self._receiver(name) for name in _RECEIVERS)
        self.address = _listen(self.engine)

    def _receiver(self, name: str) -> Callable[..., object]:
        def receiver(*arguments: Any) -> None:
            self.told[name] += 1
            key = arguments[0]
            if name in ("opened", "http_opened", "requested") and key not in self.keys:
                self.keys.append(key)
            if name == "opened":
                self.opened[key] += 1
            elif name == "closed":
                self.closed[key] += 1
            elif name == "failed":
                assert PANIC not in arguments[2], arguments[2]
            if not self.is_ending:
                self._react(name, key)

        return receiver

    def _react(self, name: str, key: int) -> None:
        engine, draw = self.engine, self.draw
        what = draw.number(7)
        if what == 0:
            raise Planted
        if what == 1:
            called(engine.dispatch, self.receivers, 1.0)
        elif what == 2:
            called(engine.poll)
            called(engine.flush)
        elif what == 3:
            self.command()
        elif name == "requested":
            if draw.flag():
                called(engine.accept, key, draw.one_of((None, "chat")), [("X-A", "b")])
            else:
                called(engine.respond, key, 403, [("X-A", "b")], b"no")
        elif name == "received":
            called(engine.send, key, 1, "echo")
        elif name == "http_data":
            called(engine.http_write, key, b"HTTP/1.1 204 No Content\r\n\r\n", 1)
            called(engine.http_done, key)
        elif name == "http_ended":
            called(engine.http_close, key)

    def key(self) -> int:
        """Return a connection's key, or a wrong one."""
        if self.keys and self.draw.number(7):
            return self.draw.one_of(self.keys)
        return self.draw.number(2**64 - 1)

    def adopt(self) -> None:
        """Connect a peer, which asks for an upgrade."""
        if len(self.peers) >= PEERS_MAX:
            return
        if self.address and self.draw.flag():
            ours = socket.socket(socket.AF_UNIX)
            ours.connect(self.address)  # its key is told by `requested` or `http_opened`
            if self.draw.flag():
                ours.send(self.draw.one_of(REQUESTS))
        else:
            ours, theirs = socket.socketpair()
            theirs.setblocking(False)
            self.keys.append(self.engine.adopt(theirs.detach(), ADOPTED, self.draw.flag()))
        ours.setblocking(False)
        protocol = _engine.ClientProtocol(random=bytes)
        self.peers.append((ours, protocol))
        if self.draw.number(7):
            fields = self.draw.one_of(([], [("Origin", "http://evil")], [("Cookie", "a=b")]))
            ours.send(
                protocol.handshake_request(subprotocols=["chat"], headers=fields, compression=True)
            )

    def speak(self) -> None:
        """Let a peer send something, read, or go."""
        if not self.peers:
            return
        draw = self.draw
        sock, protocol = draw.one_of(self.peers)
        what = draw.number(15)
        with suppress(*DECLARED):
            if what == 0:
                sock.close()
            elif what == 1:
                sock.send(draw.sized(255))
            elif what == 2:
                protocol.handshake_response(sock.recv(65_536))
            elif what == 3:
                sock.send(protocol.send_close(draw.one_of(CODES), "bye"))
            elif what == 4:
                sock.send(draw.one_of(REQUESTS))
            elif what < 7:
                sock.send(protocol.send_ping(draw.sized(125)))
            elif what < 10:
                sock.send(protocol.send_binary(bytes(draw.number(1100))))
            else:
                sock.send(protocol.send_text(text_of(draw.sized(100))))

    def command(self) -> None:
        """Make a call that an application could make."""
        engine, draw, key = self.engine, self.draw, self.key()
        what = draw.number(15)
        if what < 3:
            called(engine.send, key, draw.number(3), "x" * draw.number(3000))
        elif what < 5:
            payload = Prepared("y" * draw.number(3000))
            room = draw.one_of((None, *ROOMS))
            called(engine.publish, room, 1, payload, exclude=key, key="k", droppable=draw.flag())
        elif what < 8:
            called(engine.join, key, draw.one_of(ROOMS))
        elif what == 8:
            called(engine.leave, key, draw.one_of(ROOMS))
        elif what == 9:
            called(engine.admit, key)
        elif what == 10:
            called(engine.ping, key, draw.sized(125))
        elif what == 11:
            called(engine.close, key, draw.one_of((1000, 1001, 3000)), "bye")
        elif what == 12:
            called(engine.abort, key)
        elif what == 13:
            kind = draw.one_of(("close", "drop_oldest", "drop_newest", "latest", "x"))
            called(engine.set_room_policy, draw.one_of(("a", "*", "[")), kind, 1013, "Too slow.")
        elif what == 14:
            called(engine.pause_reading, key)
        else:
            called(engine.resume_reading, key)

    def turn(self) -> None:
        """Run a turn, whatever receivers raise."""
        engine = self.engine
        engine.poll()
        called(engine.dispatch, self.receivers, self.draw.one_of((0.0, 1.0)))
        engine.flush()
        engine.settle()

    def end(self) -> None:
        """End everything, and hold what was told to what was counted."""
        self.is_ending = True
        engine = self.engine
        engine.remove_listener(LISTENING)
        engine.abort_all()
        for _ in range(TURNS_MAX):
            engine.flush()
            if engine.dispatch(self.receivers, math.inf) and not engine.flush():
                break
        counted = engine.statistics()
        assert engine.sockets() == 0
        assert counted["connections_open"] == counted["outbox_bytes"] == counted["rooms"] == 0
        assert self.told["http_opened"] == self.told["http_closed"]
        assert self.opened == self.closed, "every opened connection is closed, once"
        assert set(self.opened.values()) <= {1}
        assert sum(counted["closes"].values()) == self.closed.total()
        assert self.told["received"] <= counted["messages_received"]
        engine.shut_down()
        engine.shut_down()
        assert engine.send(0, 1, "late") == -1
        for key in self.keys:
            engine.abort(key)


def _listen(engine: _engine.Engine) -> bytes:
    """Serve HTTP and WebSockets on a socket without a place; return its address."""
    if sys.platform != "linux":
        return b""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("")  # the system finds a name outside the file system
    listening.listen()
    listening.setblocking(False)
    address: bytes = listening.getsockname()
    engine.add_listener(LISTENING, listening.detach(), True, True, 5.0)
    return address


def _try_engine(draw: Draw) -> None:
    descriptors = _descriptors()
    shop = _Shop(draw)
    try:
        for _ in range(CALLS_MAX):
            if draw.is_done:
                break
            step = draw.number(9)
            if step < 2:
                shop.adopt()
                shop.turn()
            elif step < 4:
                shop.speak()
            elif step < 6:
                shop.command()
            elif step < 8:
                shop.turn()
            elif step == 8:
                shop.seconds += draw.one_of((0.0, 0.5, 6.0, 40.0, 1e6))
            else:
                name = draw.one_of(_COMMANDS)
                called(getattr(shop.engine, name), *arguments(draw))
        shop.end()
    finally:
        for sock, _ in shop.peers:
            sock.close()
    del shop
    assert _descriptors() <= descriptors


def _descriptors() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:  # no such thing on this system
        return 0


# An application in the test kit


def _try_application(draw: Draw) -> None:
    asyncio.run(_conversation(draw))


async def _conversation(draw: Draw) -> None:
    told: Counter[str] = Counter()
    wynd = Wynd(
        engine=draw.one_of(("native", "portable")),
        limits=Limits(message_bytes_max=1000, rooms_per_connection_max=3),
        compression=draw.one_of((None, "shared", "dedicated")),
    )
    wynd.room_policy("a", draw.one_of((Policy.close(), Policy.drop_oldest, Policy.latest)))
    clock = FakeClock()

    @wynd.on_connection
    async def connected(conn: Connection) -> None:
        @conn.on_open
        async def opened(handle: Any) -> None:
            told["open"] += 1
            await _use(draw, handle)

        @conn.on_text
        async def text(message: Any, handle: Any) -> None:
            await _use(draw, handle)

        @conn.on_binary
        async def binary(message: Any, handle: Any) -> None:
            await _use(draw, handle)

        @conn.on_close
        async def closed(event: Any, handle: Any) -> None:
            told["close"] += 1
            if draw.flag():
                raise Planted

    async with serve(wynd, clock=clock) as server:
        await _visit(draw, server, clock)
    assert told["open"] == told["close"], told
    counted = wynd.statistics()
    assert counted.connections_open == 0
    assert counted.outbox_bytes == 0


async def _visit(draw: Draw, server: Server, clock: FakeClock) -> None:
    clients: list[Client] = []
    for _ in range(CALLS_MAX):
        if draw.is_done:
            return
        step = draw.number(9)
        if step == 0 or not clients:
            with suppress(Refused, ConnectionClosed):
                clients.append(await server.connect(compression=draw.flag()))
            continue
        client = draw.one_of(clients)
        with suppress(*DECLARED):
            if step < 4:
                await client.send_text("x" * draw.number(1100))
            elif step == 4:
                await client.send_binary(draw.sized(200))
            elif step == 5:
                raw = getattr(client, "send_raw", None)
                if raw is not None:
                    await raw(draw.sized(100))
            elif step == 6:
                await client.close(draw.one_of(CODES), "bye")
            elif step == 7:
                client.abort()
            elif step == 8:
                clock.advance(draw.one_of((0.0, 1.0, 30.0)))
            else:
                (client.pause_reading if draw.flag() else client.resume_reading)()
        for _ in range(2):
            await asyncio.sleep(0)


async def _use(draw: Draw, handle: Any) -> None:
    """Do what a handler does, with arguments of any kind."""
    step = draw.number(11)
    with suppress(*DECLARED, LimitExceeded):
        if step < 3:
            await handle.send_text("y" * draw.number(3000))
        elif step == 3:
            await handle.send_binary(anything(draw))
        elif step == 4:
            await handle.send_text(anything(draw))
        elif step == 5:
            await handle.join(draw.one_of(ROOMS))
        elif step == 6:
            await handle.leave(anything(draw))
        elif step == 7:
            await handle.to(draw.one_of(ROOMS)).text("z" * draw.number(3000), key="k")
        elif step == 8:
            await handle.broadcast.text("all")
        elif step == 9:
            await handle.close(draw.one_of(CODES), draw.one_of(SENTENCES))
        elif step == 10:
            handle.ping()
    if step == 11:
        raise Planted
