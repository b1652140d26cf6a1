"""A client of the JSON face as it should be: it resumes, resends, and believes nothing.

Holds its rooms over all its connections and checks each frame: numbers without a gap, no repeats,
a whole replay or an honest `gap`. What it does next is decided in `actions`.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from tests.simulation.network import Link, Peer

if TYPE_CHECKING:
    import random

    from tests.simulation.ledger import Ledger
    from tests.simulation.network import Network

__all__ = ["JsonClient", "Lost", "Person", "Refusal"]

DURABLE = {"message", "topic", "joined", "left", "role", "deleted"}
LIMIT = 25  # events per room of a sync
CODES = {  # with which a connection may end here: codes, and statuses of refused upgrades
    *(0, 403, 429, 503),
    *(1000, 1006, 1012, 1013, 4008, 4029, 4501, 4503),
}


class Lost(Exception):
    """The connection ended before the answer came."""


class Refusal(Exception):
    """The server said no."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["code"])
        self.code: str = error["code"]
        self.wait: float = error.get("retry_after", 1.0)


class Person:
    """Somebody with one or more clients.

    Attributes:
        name: As it is now.
        login: As it was at first.
        token: What lets the person in again; None: not known yet.
        is_account: Whether the name is registered.
        user_id: Known once somebody was let in.
    """

    def __init__(self, name: str, token: str | None = None) -> None:
        self.name = self.login = name
        self.token = token
        self.is_account = token is not None
        self.user_id: str | None = None
        self.is_naming = False
        self.clients: list[JsonClient] = []
        self.sent: list[tuple[str, str, str]] = []
        """(room, cid, text) of what was acknowledged, over any of the person's connections."""


class JsonClient(Peer):
    """One tab or one bot."""

    def __init__(
        self, name: str, person: Person, network: Network, ledger: Ledger, chance: random.Random
    ) -> None:
        self.name = name
        self.person = person
        person.clients.append(self)
        self.ledger = ledger
        self.chance = chance
        self._network = network
        self.address = f"10.0.0.{chance.randint(1, 250)}"
        self.link: Link | None = None
        self.epoch = ""
        self.last: dict[str, int] = {}
        """By room: the number up to which everything is known."""
        self.unsure: list[tuple[str, str, str]] = []
        """(room, cid, text) of what was sent and neither acknowledged nor refused."""
        self.spoken = 0
        self._owner: str | None = None  # whose rooms these are
        self._renew()

    def _renew(self) -> None:
        self.is_open = False
        self.is_synced = False
        self.user_id: str | None = None
        self.online: dict[str, str] = {}
        self.was_stalled = False
        self.end_code: int | None = None
        self._requests = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._changed = asyncio.Event()
        self._order: list[tuple[str, str]] = []
        self._asked: dict[int, tuple[dict[str, int], str]] = {}

    # Coming and going

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection that has not ended."""
        return self.link is not None and not self.link.is_over

    @property
    def is_idle(self) -> bool:
        """Whether no answer is due."""
        return not self._waiting

    async def connect(self) -> bool:
        """Open a connection, say who it is and sync; return whether that worked."""
        self._renew()
        headers = {}
        in_header = self.person.token is not None and self.chance.random() < 0.3
        if in_header:
            headers["authorization"] = f"Bearer {self.person.token}"
        self.link = Link(
            self._network,
            self,
            "main",
            address=self.address,
            subprotocols=["chat.v1.json"],
            headers=headers,
        )
        self.ledger.note(self.name, f"connects as link {self.link.number}")
        while not self.is_open and self.is_connected:
            await self._change()
        try:
            if not self.is_connected:
                return False
            if self.user_id is None:
                await self._enter()
            await self.sync()
            await self._resend()
        except Lost:
            return False
        except Refusal as refusal:
            self.ledger.note(self.name, f"is not let in: {refusal.code}")
            if refusal.code == "unauthorized":
                self._unknown()
            if self.link is not None:
                self.link.close()
            await asyncio.sleep(refusal.wait)
            return False
        return True

    async def _enter(self) -> None:
        """Say who it is; tabs of one guest share the name that the first one gets."""
        person = self.person
        if person.token is not None:
            answer = await self.request("auth", token=person.token)
        elif person.is_naming:
            if self.link is not None:
                self.link.close()
            raise Lost
        else:
            person.is_naming = True
            try:
                answer = await self.request("name", name=person.name)
            finally:
                person.is_naming = False
            person.token = answer["token"]
        self._is(answer["user"])

    def _unknown(self) -> None:
        """Forget a token that does not count; it does for a day, on the disk that knows it."""
        if not self.ledger.restores:
            self.ledger.wrong(self.name, "is unknown under its own token")
        if not self.person.is_account:
            self.person.token = None
            self.person.user_id = None

    def _is(self, user: dict[str, Any]) -> None:
        if self.person.user_id not in (None, user["id"]):
            self.ledger.wrong(self.name, f"was {self.person.user_id} and is {user['id']}")
        if self._owner != user["id"]:
            self.last.clear()
        self.user_id = self._owner = self.person.user_id = user["id"]
        self.person.name = user["name"]

    async def _resend(self) -> None:
        unsure, self.unsure = self.unsure, []
        for room, cid, text in unsure:
            if self.chance.random() < 0.8:
                self.say(room, text, cid)

    def opened(self) -> None:
        """See `Peer.opened`."""

    def refused(self, status: int, body: str) -> None:
        """See `Peer.refused`."""
        self.ledger.note(self.name, f"is refused with {status}: {body.strip()}")
        if status == 401:
            self._unknown()
        self._gone(status)

    def ended(self, code: int, reason: str) -> None:
        """See `Peer.ended`."""
        self.ledger.note(self.name, f"ended with {code} {reason}")
        self.ledger.count(f"ends with {code}")
        if code == 4501:
            self._unknown()
        self._gone(code)

    def _gone(self, code: int) -> None:
        if code not in CODES | {401}:
            self.ledger.wrong(self.name, f"ends with {code}")
        self.end_code = code
        self.is_synced = False
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(Lost())
                future.exception()  # nobody may wait any more
        self._changed.set()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    # Asking

    def ask(self, kind: str, **fields: Any) -> asyncio.Future[dict[str, Any]]:
        """Send a request; the answer comes later."""
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        if not self.is_connected or self.link is None:
            future.set_exception(Lost())
            future.exception()
            return future
        self._requests += 1
        frame = json.dumps({"id": self._requests, "type": kind, **fields})
        self.ledger.note(self.name, f"> {frame}")
        self._waiting[self._requests] = future
        self.link.send(frame)
        return future

    async def request(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Send a request and wait for the answer. Raises Lost, Refusal."""
        return await self.ask(kind, **fields)

    async def command(self, room: str, text: str) -> dict[str, Any]:
        """Run a command and return its result. Raises Lost, Refusal."""
        answer = await self.request("command", room=room, text=text)
        result: dict[str, Any] = answer["result"]
        return result

    def say(self, room: str, text: str, cid: str) -> None:
        """Send a message; its acknowledgement is looked after by itself."""
        if not self.is_connected or self.user_id is None:
            self.unsure.append((room, cid, text))
            return
        key, place = (self.user_id, cid), (room, cid, text)
        self.ledger.tries[key] = self.ledger.tries.get(key, 0) + 1
        if not self._order:
            self.ledger.orders.append(self._order)
        self._order.append(key)
        self.unsure.append(place)
        future = self.ask("send", room=room, cid=cid, text=text)
        future.add_done_callback(lambda done: self._answered(key, place, done))

    def _answered(
        self, key: tuple[str, str], place: tuple[str, str, str], done: asyncio.Future[Any]
    ) -> None:
        error = done.exception()
        if isinstance(error, Lost):
            return
        if place in self.unsure:
            self.unsure.remove(place)
        if error is None:
            self.person.sent.append(place)
            answer = done.result()
            where = (answer["room"], answer["seq"])
            self.ledger.acknowledged_as(self.name, key, where, is_repeat=answer.get("dup", False))

    async def sync(self, positions: dict[str, int] | None = None, epoch: str | None = None) -> None:
        """Ask for what was missed; with other positions or another epoch: lie."""
        asked = dict(self.last) if positions is None else positions
        told = self.epoch if epoch is None else epoch
        future = self.ask("sync", epoch=told, rooms=asked, limit=LIMIT)
        self._asked[self._requests] = (asked, told)
        await future

    # What comes

    def received(self, text: str) -> None:
        """See `Peer.received`."""
        self.ledger.note(self.name, f"< {text}")
        frame = json.loads(text)
        if not self.is_open and frame.get("type") != "hello" and frame.get("re", 0) is not None:
            self.ledger.wrong(self.name, f"is told {frame} before hello")
        if "re" in frame:
            self._reply(frame)
            return
        kind = frame["type"]
        if kind in DURABLE:
            self._event(frame)
        elif kind == "hello":
            self._hello(frame)
        elif kind == "presence":
            self.online[frame["user"]["id"]] = frame["state"]
        elif kind == "entered":
            self._entered(frame)
        elif kind == "exited":
            self.last.pop(frame["room"], None)
        elif kind == "tick":
            self._tick(frame)
        else:
            self.ledger.wrong(self.name, f"does not know {frame}")

    def _hello(self, frame: dict[str, Any]) -> None:
        if self.epoch and frame["epoch"] != self.epoch:
            self.ledger.count("new epochs")
        if frame["user"] is not None:
            self._is(frame["user"])
        self.is_open = True
        self._changed.set()

    def _reply(self, frame: dict[str, Any]) -> None:
        if frame["re"] is None:
            if frame["error"]["code"] != "banned":
                self.ledger.wrong(self.name, f"is told {frame}")
            return
        future = self._waiting.pop(frame["re"], None)
        if future is None:
            self.ledger.wrong(self.name, f"did not ask {frame['re']}")
        elif frame["ok"]:
            if frame["re"] in self._asked:  # now: live events may follow at once
                self._synced(frame, *self._asked.pop(frame["re"]))
            future.set_result(frame)
        else:
            if frame["error"]["code"] == "internal":
                self.ledger.wrong(self.name, f"is told {frame}")
            self.ledger.count(f"refused: {frame['error']['code']}")
            future.set_exception(Refusal(frame["error"]))
            future.exception()

    def _event(self, event: dict[str, Any]) -> None:
        assert self.user_id is not None
        room, seq = event["room"], event["seq"]
        self.ledger.saw(self.name, self.user_id, event, is_live=True)
        if not self.is_synced:
            self.ledger.wrong(self.name, f"has not synced and is shown {event}")
        subject = event.get("user", {}).get("id")
        known = self.last.get(room)
        if known is None:
            if event["type"] != "joined" or subject != self.user_id:
                self.ledger.wrong(self.name, f"is not in #{room} and is shown {event}")
                return
        elif seq <= known:
            self.ledger.wrong(self.name, f"is shown #{room} {seq} again, after {known}")
            return
        elif seq > known + 1:
            self.ledger.count("live gaps")
            if known + 1 >= self.ledger.floor_of(room):
                self.ledger.wrong(self.name, f"is shown #{room} {seq} right after {known}")
        self.last[room] = seq
        if event["type"] == "left" and subject == self.user_id:
            del self.last[room]

    def _entered(self, frame: dict[str, Any]) -> None:
        self.last[frame["room"]] = frame["head"]

    def _tick(self, frame: dict[str, Any]) -> None:
        self.ledger.count("ticks")
        for room, head in frame["heads"].items():
            known = self.last.get(room)
            if known is not None and known != head:
                self.ledger.wrong(self.name, f"knows #{room} up to {known}, its head is {head}")

    # Recovery

    def _synced(self, frame: dict[str, Any], asked: dict[str, int], told: str) -> None:
        assert self.user_id is not None
        is_same = told == frame["epoch"]
        now: dict[str, int] = {}
        for entry in frame["rooms"]:
            room = entry["room"]
            if "error" in entry:
                continue
            if not self.ledger.was_ever_member(self.user_id, room):
                self.ledger.wrong(self.name, f"was never in #{room} and is told of it")
            head = now[room] = entry["head"]
            position = asked.get(room) if is_same else None
            if "gap" in entry:
                self._judge_gap(room, position, head)
            else:
                self._replayed(room, position, head, entry["events"])
            if is_same and self.epoch == told and head < self.last.get(room, 0):
                self.ledger.wrong(
                    self.name, f"knows #{room} up to {self.last[room]}, sync says {head}"
                )
        self.epoch = frame["epoch"]
        self.last = now
        self.is_synced = True

    def _judge_gap(self, room: str, position: int | None, head: int) -> None:
        self.ledger.count("gaps")
        is_honest = (
            position is None
            or position > head
            or position + 1 < self.ledger.floor_of(room)
            or head - position > LIMIT
        )
        if not is_honest:
            self.ledger.wrong(self.name, f"gets a gap in #{room} from {position} to {head}")

    def _replayed(
        self, room: str, position: int | None, head: int, events: list[dict[str, Any]]
    ) -> None:
        assert self.user_id is not None
        self.ledger.count("replays")
        numbers = [event["seq"] for event in events]
        if position is None or numbers != list(range(position + 1, head + 1)):
            self.ledger.wrong(self.name, f"gets {numbers} of #{room}, from {position} to {head}")
        for event in events:
            self.ledger.saw(self.name, self.user_id, event, is_live=False)
        if len(events) > LIMIT:
            self.ledger.wrong(self.name, f"gets {len(events)} events of #{room} at once")
