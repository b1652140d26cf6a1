"""Open connections of the portable engine: receiving, sending, rooms, and how they end.

Knows of ASGI only the two events it hands over: a message, and the close. Rules:
 1. What the library is told (`Sink`) it is told from callbacks of the loop, never inside the
    host's task, and in order: opened, messages, closed.
 2. The reader holds at most `inbound_messages_max` messages that were not delivered; then it does
    not ask the host for more, and the host stops reading.
 3. The writer hands over one message and waits until the host took it; the rest is in the outbox.
 4. One deadline per connection, moved along: the handshake's, none while open, the close's.
 5. `_finish` runs once, whatever ended the connection: rooms are left, then `closed` is due.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from wynd.codes import TOO_SLOW, sentence_of
from wynd.engines.admission import Admission, TokenBucket
from wynd.engines.backlog import Backlog
from wynd.engines.base import Engine, EngineStatistics, Policy
from wynd.engines.membership import Rooms
from wynd.engines.outbox import Entry, Ledger, Verdict, byte_length, framed
from wynd.engines.peer import State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wynd.compression import Compression
    from wynd.engines.base import Opcode, Payload, Sink
    from wynd.engines.outbox import Frame
    from wynd.engines.peer import Peer, Send
    from wynd.limits import Limits
    from wynd.request import Origins

__all__ = ["RETRY_AFTER_S", "PeerEngine"]

log: logging.Logger = logging.getLogger("wynd")

RETRY_AFTER_S = 5  # who is refused comes back after a burst of connects is over
CLOSE_PATIENCE_S = 0.2  # a host takes a close frame at once, or it waits for our receive() to end
_DIRECT = Policy.close(1013, TOO_SLOW)


def _held_by(peer: Peer) -> int:
    return peer.outbox.bytes + peer.inbox_bytes + (peer.told_bytes if peer.paused else 0)


class PeerEngine(Engine):
    """The half of the portable engine that starts when a connection is open."""

    def __init__(
        self,
        limits: Limits,
        origins: Origins,
        subprotocols: Sequence[str],
        compression: Compression | None = None,
    ) -> None:
        super().__init__(limits, origins, subprotocols, compression)
        self._ledger = Ledger()
        self._rooms: Rooms[Peer] = Rooms()
        self._keys = itertools.count(1)
        self._peers: dict[int, Peer] = {}
        self._admitted: dict[int, Peer] = {}
        self._emptied: asyncio.Future[None] | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._stopped = False
        self._closes: Counter[int] = Counter()
        self._refused: Counter[int] = Counter()
        self._counted: Counter[str] = Counter()
        self._hits: Counter[str] = Counter()

    def start(self, loop: asyncio.AbstractEventLoop, sink: Sink) -> None:
        """See `Engine.start`."""
        self._loop = loop
        self._sink = sink
        self._thread_id = threading.get_ident()
        self._backlog = Backlog(loop, self.limits.process_bytes_max)
        self._admission = Admission(self.limits, loop.time())

    # Receiving

    def _open(self, peer: Peer, subprotocol: str | None) -> None:
        assert peer.deadline is not None
        peer.deadline.reschedule(None)
        peer.state = State.OPEN
        if self.limits.messages_per_second_max is not None:
            peer.rate = TokenBucket(self.limits.messages_per_second_max, self._loop.time())
        if self._sweeping is None:
            self._sweep()
        self._counted["open"] += 1
        self._loop.call_soon(self._sink.opened, peer.key, peer.request, subprotocol)
        if self._stopped:
            self._end_after(peer, 0.0)

    def _is_full(self, peer: Peer) -> bool:
        limits = self.limits
        return (
            len(peer.inbox or ()) >= limits.inbound_messages_max
            or peer.inbox_bytes >= limits.message_bytes_max
        )

    def _take(self, peer: Peer, message: str | bytes) -> None:
        """Put a message into the inbox, or note which limit it breaks."""
        size = byte_length(message)
        if size > self.limits.message_bytes_max:
            self._fail(peer, 1009, "message_bytes_max")
            return
        if peer.rate is not None and not peer.rate.take(self._loop.time()):
            self._fail(peer, 1008, "messages_per_second_max")
            return
        self._counted["messages_received"] += 1
        self._counted["bytes_received"] += size
        if peer.inbox is None:
            peer.inbox = deque()
        peer.inbox.append(message)
        peer.inbox_bytes += size
        self._ledger.held_bytes += size
        self._schedule(peer)
        if self._ledger.held_bytes > self.limits.process_bytes_max:
            self._relieve()

    def _fail(self, peer: Peer, code: int, limit: str) -> None:
        """Close once what came before was handled, at the latest after the close time."""
        self._hits[limit] += 1
        peer.failure = code
        timeout = self.limits.close_timeout_s
        self._loop.call_later(timeout, self._shut, peer, code, sentence_of(code))
        self._schedule(peer)

    def _schedule(self, peer: Peer) -> None:
        if not peer.scheduled and (not peer.paused or peer.ended is not None):
            peer.scheduled = True
            self._loop.call_soon(self._deliver, peer)

    def _deliver(self, peer: Peer) -> None:
        """Tell the library what is in the inbox, until it pauses; then the end, if it came."""
        peer.scheduled = False
        inbox = peer.inbox
        try:
            while inbox and (not peer.paused or peer.ended is not None):
                message = inbox.popleft()
                size = byte_length(message)
                peer.inbox_bytes -= size
                self._ledger.held_bytes -= size
                if not peer.paused:
                    peer.told_bytes = size
                self._sink.received(peer.key, message)
        finally:  # also if a handler raised KeyboardInterrupt: the rest goes on next time
            if inbox:
                self._schedule(peer)
        if inbox:
            return
        _wake(peer.reader_waits)
        if peer.failure is not None and not peer.paused:
            self._shut(peer, peer.failure, sentence_of(peer.failure))
        if peer.ended is not None:
            self._report_closed(peer, *peer.ended)

    def pause_reading(self, key: int) -> None:
        """See `Engine.pause_reading`."""
        peer = self._peers.get(key)
        if peer is not None and not peer.paused:
            peer.paused = True
            if peer.state is State.GONE:
                peer.told_bytes = 0
            self._ledger.held_bytes += peer.told_bytes

    def resume_reading(self, key: int) -> None:
        """See `Engine.resume_reading`."""
        peer = self._peers.get(key)
        if peer is not None and peer.paused:
            peer.paused = False
            self._forget_told(peer)
            self._schedule(peer)

    def _forget_told(self, peer: Peer) -> None:
        """Count what the library took no more: it handles it, or the connection goes."""
        self._ledger.held_bytes -= peer.told_bytes
        peer.told_bytes = 0

    # Sending

    def send(self, key: int, opcode: Opcode, payload: Payload) -> int:
        """See `Engine.send`.

        Raises:
            LimitExceeded: on another thread, while it waits for the loop to take
                `process_bytes_max` of messages.
        """
        frame = framed(opcode, payload)
        peer = self._peers.get(key)
        if peer is None or peer.state is not State.OPEN:
            return -1
        if threading.get_ident() != self._thread_id:
            return self._send_elsewhere(peer, frame)
        self._backlog.run()
        return self._push(peer, Entry(frame), _DIRECT)

    def _send_elsewhere(self, peer: Peer, frame: Frame) -> int:
        with self._backlog.lock:
            peer.posted_bytes += frame.size
        unsent = peer.outbox.bytes + peer.posted_bytes
        if unsent > self.limits.outbox_bytes_hard and unsent > frame.size:
            self._take_back(peer, frame)
            self._backlog.post(self._overflow, peer, _DIRECT, "outbox_bytes_hard")
            return -1
        try:
            self._backlog.post(self._push_posted, peer, frame, size=frame.size)
        except BaseException:
            self._take_back(peer, frame)
            raise
        return unsent

    def _take_back(self, peer: Peer, frame: Frame) -> None:
        with self._backlog.lock:
            peer.posted_bytes -= frame.size

    def _push_posted(self, peer: Peer, frame: Frame) -> None:
        self._take_back(peer, frame)
        self._push(peer, Entry(frame), _DIRECT)

    def _push(self, peer: Peer, entry: Entry, policy: Policy) -> int:
        if peer.state is not State.OPEN:
            return -1
        limits = self.limits
        verdict = peer.outbox.push(
            entry, policy, limits.outbox_bytes_soft, limits.outbox_bytes_hard
        )
        if verdict is Verdict.OVERFLOW:
            self._overflow(peer, policy, "outbox_bytes_hard")
            return -1
        if verdict is Verdict.DROPPED:
            return peer.outbox.bytes
        unsent = peer.outbox.bytes
        if unsent >= self.limits.outbox_bytes_soft:
            peer.above_soft = True
        self._wake_writer(peer)
        if self._ledger.held_bytes > self.limits.process_bytes_max:
            self._relieve()
        return unsent if peer.close is None else -1

    def _relieve(self) -> None:
        """Close the largest holders until the process's memory is under its limit.

        What they sent and nobody handled yet is dropped with the rest: it is what they hold.
        """
        reason = f"{sentence_of(1013)} retry_after={RETRY_AFTER_S}"
        policy = Policy.close(1013, reason)
        while self._ledger.held_bytes > self.limits.process_bytes_max:
            holders = [peer for peer in self._peers.values() if peer.state is State.OPEN]
            largest = max(holders, key=_held_by, default=None)
            if largest is None or _held_by(largest) == 0:
                return
            self._drop_inbox(largest)
            self._overflow(largest, policy, "process_bytes_max")

    def _drop_inbox(self, peer: Peer) -> None:
        if peer.inbox:
            peer.inbox.clear()
            self._ledger.held_bytes -= peer.inbox_bytes
            peer.inbox_bytes = 0
        if peer.paused:
            self._forget_told(peer)

    def publish(
        self,
        room: str | None,
        opcode: Opcode,
        payload: Payload,
        *,
        exclude: int | None = None,
        key: str | None = None,
        droppable: bool = False,
    ) -> None:
        """See `Engine.publish`; for other threads see `send`."""
        entry = Entry(framed(opcode, payload), room, key, droppable)
        self._call(self._publish, entry, exclude, size=entry.frame.size)

    def _publish(self, entry: Entry, exclude: int | None) -> None:
        members, policy = self._admitted, _DIRECT
        if entry.room is not None:
            room = self._rooms.get(entry.room)
            if room is None:
                return
            members, policy = room.members, room.policy
        for key, peer in tuple(members.items()):
            if key != exclude:
                self._push(peer, entry, policy)

    def _call(self, function: Callable[..., None], *arguments: Any, size: int = 0) -> None:
        """Act now on the loop's thread; from another one, in order, as soon as it turns."""
        if threading.get_ident() == self._thread_id:
            self._backlog.run()
            function(*arguments)
        else:
            self._backlog.post(function, *arguments, size=size)

    def _wake_writer(self, peer: Peer) -> None:
        if peer.writer is None:
            peer.writer = self._loop.create_task(self._write(peer), name="wynd-writer")
        else:
            _wake(peer.writer_waits)

    async def _send_close(self, peer: Peer, code: int, reason: str) -> None:
        """Hand over the close frame, also where the host sends none while we wait for an event.

        granian does not (seen with 2.8): its `receive()` and its close want the same lock.
        """
        event = {"type": "websocket.close", "code": code, "reason": reason}
        sending = self._loop.create_task(_sent(peer.send, event))
        try:
            done, _ = await asyncio.wait({sending}, timeout=CLOSE_PATIENCE_S)
            receiver = peer.receiver
            if not done and receiver is not None and not receiver.cancelling():
                peer.yields = receiver.cancel()
                self._end_after(peer, self.limits.close_timeout_s)
            await sending
        finally:
            sending.cancel()

    async def _write(self, peer: Peer) -> None:
        """Hand over what is in the outbox, then the close frame; end with it."""
        try:
            while True:
                frame = peer.outbox.begin()
                if frame is not None:
                    await self._hand_over(peer, frame)
                elif peer.close is not None:
                    code, reason = peer.close
                    await self._send_close(peer, code, reason)
                    peer.sent = code
                    self._end_after(peer, self.limits.close_timeout_s)
                    return
                else:
                    peer.writer_waits = self._loop.create_future()
                    await peer.writer_waits
        except Exception as error:  # the host's: the connection is lost, it says so its own way
            log.debug("connection key %d: the host refused to send: %r", peer.key, error)
            peer.outbox.clear()
            self._end_after(peer, 0.0 if self._is_full(peer) else self.limits.close_timeout_s)
        finally:
            peer.sending_since = None
            peer.outbox.finish()

    async def _hand_over(self, peer: Peer, frame: Frame) -> None:
        peer.sending_since = self._loop.time()
        await peer.send(frame.event)
        peer.sending_since = None
        peer.outbox.finish()
        self._counted["messages_sent"] += 1
        self._counted["bytes_sent"] += frame.size
        if peer.above_soft and peer.outbox.bytes < self.limits.outbox_bytes_soft / 2:
            peer.above_soft = False
            if peer.state is State.OPEN or peer.state is State.CLOSING:
                self._sink.drained(peer.key)

    def ping(self, key: int, payload: bytes) -> bool:
        """Return False: ASGI has no pings, the host server sends them."""
        return False

    def buffered_bytes(self, key: int) -> int:
        """See `Engine.buffered_bytes`; what the host buffers is not in it."""
        peer = self._peers.get(key)
        return peer.outbox.bytes + peer.posted_bytes if peer is not None else 0

    # Rooms

    def join(self, key: int, room: str) -> None:
        """See `Engine.join`."""
        self._call(self._join, key, room)

    def _join(self, key: int, room: str) -> None:
        peer = self._peers.get(key)
        if peer is not None and peer.state is State.OPEN:
            if peer.rooms is None:
                peer.rooms = set()
            peer.rooms.add(room)
            self._rooms.join(room, key, peer)

    def leave(self, key: int, room: str) -> None:
        """See `Engine.leave`."""
        self._call(self._leave, key, room)

    def _leave(self, key: int, room: str) -> None:
        peer = self._peers.get(key)
        if peer is not None and peer.rooms:
            peer.rooms.discard(room)
            self._rooms.leave((room,), key)

    def admit(self, key: int) -> None:
        """See `Engine.admit`."""
        peer = self._peers.get(key)
        if peer is not None and peer.state is State.OPEN:
            self._admitted[key] = peer

    def room_policy(self, pattern: str, policy: Policy) -> None:
        """See `Engine.room_policy`."""
        self._rooms.set_policy(pattern, policy)

    # Closing

    def close(self, key: int, code: int, reason: str) -> None:
        """See `Engine.close`."""
        self._call(self._close, key, code, reason)

    def _close(self, key: int, code: int, reason: str) -> None:
        peer = self._peers.get(key)
        if peer is not None:
            self._shut(peer, code, reason)

    def _shut(self, peer: Peer, code: int, reason: str) -> None:
        """Send a close frame after what is queued; input is discarded from now on."""
        if peer.state is not State.OPEN:
            return
        peer.state = State.CLOSING
        peer.close = (code, reason)
        _wake(peer.reader_waits)
        self._wake_writer(peer)
        self._sink.closing(peer.key, code, None)

    def _overflow(self, peer: Peer, policy: Policy, limit: str) -> None:
        """Put a peer out that holds too much: memory now, the close frame if it takes one."""
        if peer.state is not State.OPEN:
            return
        self._hits[limit] += 1
        self._part(peer)
        peer.outbox.clear()
        self._shut(peer, policy.code, policy.reason)
        self._end_after(peer, self.limits.close_timeout_s)

    def abort(self, key: int) -> None:
        """See `Engine.abort`."""
        peer = self._peers.get(key)
        if peer is not None:
            self._end_after(peer, 0.0)

    def _end_after(self, peer: Peer, seconds: float) -> None:
        """End the transport after a time, unless it ended before or was to end sooner."""
        deadline = peer.deadline
        if deadline is None or deadline.expired() or peer.state is State.GONE:
            return
        when = self._loop.time() + seconds
        due = deadline.when()
        if peer.state is State.REQUESTED or due is None or when < due:
            deadline.reschedule(when)

    def _sweep(self) -> None:
        """Abort connections whose outbox made no progress; a few times per `outbox_stall_s`."""
        self._sweeping = None
        stall = self.limits.outbox_stall_s
        oldest = self._loop.time() - stall
        for peer in tuple(self._peers.values()):
            if peer.sending_since is not None and peer.sending_since <= oldest:
                self._hits["outbox_stall_s"] += 1
                self._end_after(peer, 0.0)
        if self._peers:
            self._sweeping = self._loop.call_later(stall / 8, self._sweep)

    def _part(self, peer: Peer) -> None:
        """Take a peer out of all rooms and of the broadcast."""
        self._admitted.pop(peer.key, None)
        rooms, peer.rooms = peer.rooms, None
        self._rooms.leave(rooms or (), peer.key)

    def _finish(self, peer: Peer, received: int, reason: str) -> None:
        """Free what a connection held; once."""
        if peer.state is State.GONE:
            return
        was_open = peer.state is not State.REQUESTED
        peer.state = State.GONE
        if peer.paused:
            self._forget_told(peer)
        self._part(peer)
        self._admission.leave(peer.request.client)
        peer.outbox.clear()
        if peer.writer is not None:
            peer.writer.cancel()
        if was_open:
            transport = _transport_of(peer.send)
            if received == 1006 and transport is not None:
                transport.abort()  # a peer that does not read would keep the host's buffer alive
            peer.ended = (received, reason)
            self._schedule(peer)
        else:
            self._forget(peer)

    def _report_closed(self, peer: Peer, received: int, reason: str) -> None:
        peer.ended = None
        peer.failure = None
        self._counted["open"] -= 1
        self._closes[received] += 1
        self._forget(peer)
        sent = peer.sent
        if sent is None and received != 1006:
            sent = received  # the host answered the peer's close frame with the same code
        self._sink.closed(peer.key, sent, received, reason)

    def _forget(self, peer: Peer) -> None:
        self._peers.pop(peer.key, None)
        if not self._peers:
            _wake(self._emptied)

    def statistics(self) -> EngineStatistics:
        """See `Engine.statistics`; bytes are those of messages, as the host does the framing."""
        counted = self._counted
        hits = self._hits + self._admission.hits
        if self._ledger.limit_hits:
            hits["outbox_bytes_hard"] += self._ledger.limit_hits
        return EngineStatistics(
            connections_open=counted["open"],
            connections_accepted=counted["accepted"],
            handshakes_refused=dict(self._refused),
            closes=dict(self._closes),
            messages_received=counted["messages_received"],
            messages_sent=counted["messages_sent"],
            bytes_received=counted["bytes_received"],
            bytes_sent=counted["bytes_sent"],
            outbox_bytes=self._ledger.outbox_bytes,
            messages_dropped=dict(self._ledger.dropped),
            limits_hit=dict(hits),
            rooms=len(self._rooms),
        )


async def _sent(send: Send, event: dict[str, Any]) -> None:
    await send(event)


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)


def _transport_of(send: Send) -> asyncio.Transport | None:
    """Return the host's transport where its `send` is a method of what owns one (uvicorn).

    ASGI has no abort; without one, a host closes only after the peer has read everything.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    return transport if isinstance(transport, asyncio.Transport) else None
